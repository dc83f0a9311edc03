"""Whether a failed run is tried again, and how soon: typed failures against what the workload states.

`scheduler.core.lifecycle` asks after each failed run, the book when it is loaded. Pure: the pause of a retry is drawn from
the workload's id and the number of its failures, and is a duration: no clock of a pool is compared with ours.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from inventory.model.retry import FailureCategory, RetryPolicy, RetryRule
from inventory.model.workload import Workload
from scheduler.core.changes import RunChanged

_SCALE = 1 << 64


@dataclass(slots=True)
class Failures:
    """The failed runs of one workload: how many each rule of its policy counts (None: those that no rule names), and how
    long it rests before it is tried again (0 where its last run did not fail)."""

    by_rule: dict[RetryRule | None, int] = field(default_factory=dict)
    pause_ms: int = 0

    @property
    def total(self) -> int:
        return sum(self.by_rule.values())

    def count(self, workload: Workload, failed: RunChanged) -> None:
        """One more run has failed."""
        rule = rule_of(workload, failed)
        self.by_rule[rule] = self.by_rule.get(rule, 0) + 1
        self.pause_ms = pause_ms(workload.retry, self.total, workload.workload_id)


def category(workload: Workload, reported: RunChanged, started_ms: int | None) -> FailureCategory:
    """What the pool says, or else what follows from it: a run that lasted as long as it may was stopped for it, an exit
    code is the program's own, and whatever ends without one was ended by its node."""
    if reported.failure is not None:
        return reported.failure
    limit_ms, ended_ms = workload.max_runtime_ms, reported.ended_ms
    began_ms = reported.started_ms if reported.started_ms is not None else started_ms
    if limit_ms and began_ms is not None and ended_ms is not None and ended_ms - began_ms >= limit_ms:
        return FailureCategory.TIMEOUT
    return FailureCategory.NODE if reported.exit_code is None else FailureCategory.PROGRAM


def rule_of(workload: Workload, failed: RunChanged) -> RetryRule | None:
    return workload.retry.rule_for(failed.failure or FailureCategory.PROGRAM, failed.exit_code)


def is_last(workload: Workload, failures: Failures, failed: RunChanged) -> bool:
    """True where this failure, which is not counted yet, ends the workload."""
    rule = rule_of(workload, failed)
    return failures.by_rule.get(rule, 0) + 1 >= (workload.max_attempts if rule is None else rule.max_attempts)


def pause_ms(policy: RetryPolicy, failures: int, seed: str) -> int:
    """How long after its n-th failure a workload rests: the backoff doubled n - 1 times, capped, less up to a half of
    it by a draw from `seed`, so that many failures of one moment do not come back in one moment."""
    if not policy.backoff_ms or failures < 1:
        return 0
    whole = min(policy.max_backoff_ms, policy.backoff_ms << min(failures - 1, 40))
    draw = int.from_bytes(hashlib.blake2b(f"{seed}/{failures}".encode(), digest_size=8).digest(), "big")
    return whole - whole * draw // (2 * _SCALE)


def retry_message(workload: Workload, failures: Failures, failed: RunChanged) -> str:
    """Why it is tried again, and when, as people read it."""
    rule = rule_of(workload, failed)
    count, limit = failures.by_rule.get(rule, 0) + 1, workload.max_attempts if rule is None else rule.max_attempts
    pause = pause_ms(workload.retry, failures.total + 1, workload.workload_id)
    why = failed.message or f"exit code {failed.exit_code}"
    when_zh, when_en = (f"{pause / 1000:.0f} 秒后", f"in {pause / 1000:.0f} s") if pause else ("立即", "at once")
    kind = failed.failure or FailureCategory.PROGRAM
    return f"{why}；{kind} 失败 {count}/{limit}，{when_zh}重试 / {kind} failure {count} of {limit}, tried again {when_en}"

"""Failures of runs by category, and what a workload states about trying again.

`scheduler.core.failures` decides with it after each failed run. Runs that were lost, preempted, or stopped by a drain did
not fail, and no rule counts them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

LONGEST_PAUSE_MS = 3_600_000


class FailureCategory(StrEnum):
    """Why a run failed."""

    PROGRAM = "program"  # the program ended with an exit code other than 0
    OUT_OF_MEMORY = "out_of_memory"
    TIMEOUT = "timeout"  # it ran longer than its maximum running time
    INPUT_MISSING = "input_missing"  # an image, a file or data that it needs was not there
    NODE = "node"  # a node or the pool failed under it
    REFUSED = "refused"  # the pool refused the launch: it can never run there


@dataclass(frozen=True, slots=True)
class RetryRule:
    """The workload fails with `max_attempts` runs that failed like this. `exit_codes` (of PROGRAM alone) empty: all."""

    failure: FailureCategory
    max_attempts: int
    exit_codes: frozenset[int] = frozenset()

    def names(self, failure: FailureCategory, exit_code: int | None) -> bool:
        return failure is self.failure and (not self.exit_codes or exit_code in self.exit_codes)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """The first rule that names a failure holds; what no rule names counts against the workload's `max_attempts`.

    `backoff_ms` is the pause before the second attempt (0: none), doubled for each further one up to
    `max_backoff_ms`.
    """

    rules: tuple[RetryRule, ...] = ()
    backoff_ms: int = 0
    max_backoff_ms: int = LONGEST_PAUSE_MS

    def rule_for(self, failure: FailureCategory, exit_code: int | None) -> RetryRule | None:
        return next((rule for rule in self.rules if rule.names(failure, exit_code)), None)


AT_ONCE = RetryPolicy()

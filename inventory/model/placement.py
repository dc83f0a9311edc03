"""Why a pool takes a workload or refuses it: typed, counted reasons, and the placement that results.

Filters return reasons, the cycle counts them, `xisuan workload explain` prints them. Nothing matches on text.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """Whether a refusal can change by itself."""

    UNSCHEDULABLE = "unschedulable"  # may change by itself: capacity frees up, a cordon is lifted
    UNRESOLVABLE = "unresolvable"  # will not change unless the workload or the pool is changed
    ERROR = "error"  # ours: the pool could not be asked


class ReasonCode(StrEnum):
    ZONE = "zone"
    PROTECTION_LEVEL = "protection_level"
    ARCHITECTURE = "architecture"
    ACCELERATOR = "accelerator"
    POOL_NOT_ALLOWED = "pool_not_allowed"
    RUNTIME = "runtime"
    NODE_SELECTOR = "node_selector"  # no node has the labels asked for
    TAINTED = "tainted"  # nodes have taints that are not tolerated
    AFFINITY = "affinity"  # affinity, anti-affinity, spread or gang topology cannot be met now
    TOO_LARGE = "too_large"  # no node of the pool could ever hold one task
    CAPACITY = "capacity"  # the pool has too little free in sum
    FRAGMENTED = "fragmented"  # free in sum, but no set of nodes holds the tasks
    QUOTA = "quota"  # the queue's maximum, or what queues beside it do not lend
    BUDGET = "budget"  # the queue's card-hours of this period are used up
    RESERVATION = "reservation"  # the calendar keeps the room for somebody else
    BACKFILL = "backfill"  # it would delay a workload that waits before it
    CORDONED = "cordoned"
    UNREACHABLE = "unreachable"
    QUARANTINED = "quarantined"


VERDICT_OF: dict[ReasonCode, Verdict] = {
    ReasonCode.ZONE: Verdict.UNRESOLVABLE,
    ReasonCode.PROTECTION_LEVEL: Verdict.UNRESOLVABLE,
    ReasonCode.ARCHITECTURE: Verdict.UNRESOLVABLE,
    ReasonCode.ACCELERATOR: Verdict.UNRESOLVABLE,
    ReasonCode.POOL_NOT_ALLOWED: Verdict.UNRESOLVABLE,
    ReasonCode.RUNTIME: Verdict.UNRESOLVABLE,
    ReasonCode.NODE_SELECTOR: Verdict.UNRESOLVABLE,
    ReasonCode.TAINTED: Verdict.UNRESOLVABLE,
    ReasonCode.AFFINITY: Verdict.UNSCHEDULABLE,
    ReasonCode.TOO_LARGE: Verdict.UNRESOLVABLE,
    ReasonCode.CAPACITY: Verdict.UNSCHEDULABLE,
    ReasonCode.FRAGMENTED: Verdict.UNSCHEDULABLE,
    ReasonCode.QUOTA: Verdict.UNSCHEDULABLE,
    ReasonCode.BUDGET: Verdict.UNSCHEDULABLE,
    ReasonCode.RESERVATION: Verdict.UNSCHEDULABLE,
    ReasonCode.BACKFILL: Verdict.UNSCHEDULABLE,
    ReasonCode.CORDONED: Verdict.UNSCHEDULABLE,
    ReasonCode.UNREACHABLE: Verdict.ERROR,
    ReasonCode.QUARANTINED: Verdict.ERROR,
}


@dataclass(frozen=True, slots=True)
class NodesRefused:
    """How many nodes of a pool one filter was the first to refuse, and, where it is a matter of room, how many of
    them come nearest and what they lack ("3 nodes short of 2 cards")."""

    code: ReasonCode
    nodes: int
    nearest_zh: str = ""
    nearest_en: str = ""


@dataclass(frozen=True, slots=True)
class Reason:
    """One refusal. `needed` and `offered` are short texts of the two sides ("政务内网", "政务外网|互联网");
    `remedy_zh`/`remedy_en` say what would have to change (the counterfactual). `nodes` has a pool host's count of
    every filter; empty where the pool was judged by its sums alone."""

    code: ReasonCode
    needed: str
    offered: str
    remedy_zh: str
    remedy_en: str
    nodes: tuple[NodesRefused, ...] = ()

    @property
    def verdict(self) -> Verdict:
        return VERDICT_OF[self.code]


@dataclass(frozen=True, slots=True)
class PoolOpinion:
    """What one pool says to one workload: reasons to refuse it, or scores (0..100 each) and their weighted sum."""

    pool_id: str
    reasons: tuple[Reason, ...] = ()
    scores: tuple[tuple[str, int], ...] = ()
    score: int = 0

    @property
    def feasible(self) -> bool:
        return not self.reasons


@dataclass(frozen=True, slots=True)
class Placement:
    """A proposal of the cycle: run `run_id` of `workload_id` goes to these nodes of this pool."""

    workload_id: str
    run_id: str
    attempt: int
    pool_id: str
    nodes: tuple[str, ...]

"""What the scheduling cycle needs from outside, and nothing more.

The cycle (`scheduler.cycle`) is the same code in production and in simulation; these four ports are where they
differ. In production the Ray control plane implements them over the store and the pool hosts; in simulation the
engine implements them over a virtual clock and pools in memory. Values that cross a port are immutable; those
that the placement core itself computes with are defined there and named here again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from inventory.model.placement import Placement, PoolOpinion
from inventory.model.units import Resources
from inventory.model.workload import Workload
from scheduler.core.placement.protocol import NodeAnswers, NodeBatch, PoolView

__all__ = [
    "Clock",
    "Commit",
    "NodeAnswers",
    "NodeBatch",
    "Plan",
    "PlanSink",
    "PoolView",
    "Pools",
    "Snapshot",
    "State",
    "Verdicts",
    "Waiting",
]


@dataclass(frozen=True, slots=True)
class Waiting:
    """A queued workload, with the number that its next run will have."""

    workload: Workload
    next_attempt: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that one cycle decides on. `usage` is what each queue holds now; `weights` default to 1."""

    waiting: tuple[Waiting, ...]
    pools: tuple[PoolView, ...]
    usage: Mapping[str, Resources] = field(default_factory=dict)
    weights: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Verdicts:
    """Why one workload was not placed in this cycle: what each pool said."""

    workload_id: str
    opinions: tuple[PoolOpinion, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """What one cycle decided. Nothing has happened yet: the sink makes it true, in whole, in part, or not."""

    decided_ms: int
    placements: tuple[Placement, ...]
    unplaced: tuple[Verdicts, ...]


@dataclass(frozen=True, slots=True)
class Commit:
    """Which run ids of a plan are now durable, and which were refused as stale (cancelled meanwhile, say)."""

    accepted: frozenset[str]
    refused: frozenset[str] = frozenset()


class Clock(Protocol):
    def now_ms(self) -> int:
        """UTC milliseconds since 1970; virtual in simulation."""


class State(Protocol):
    def snapshot(self, limit: int) -> Snapshot:
        """At most `limit` waiting workloads, and every pool.

        Where more wait than `limit`, the snapshots must come round to all of them: else as many workloads that
        fit nowhere would hide all others for ever.
        """


class Pools(Protocol):
    def place(self, requests: Mapping[str, NodeBatch]) -> Mapping[str, NodeAnswers]:
        """Node-level placement, by pool id. Reserves what it grants.

        A pool that cannot be asked answers with refusals; it does not raise.
        """

    def release(self, placements: Sequence[Placement]) -> None:
        """Gives back reservations of placements that were not committed."""


class PlanSink(Protocol):
    def commit(self, plan: Plan) -> Commit:
        """Makes the plan durable with its launch intents, in one transaction."""

"""What the scheduling cycle needs from outside, and nothing more.

The cycle (`scheduler.cycle`) is the same code in production and in simulation; these four ports are where they
differ. In production the Ray control plane implements them over the store and the pool hosts; in simulation the
engine implements them over a virtual clock and pools in memory. What crosses a port is not changed afterwards;
values that the core itself computes with are defined there and named here again.

A million workloads live as columns: a snapshot shows a window of those that wait, by numbers of shapes and queues.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from inventory.model.placement import Placement
from inventory.model.workload import Requirements
from scheduler.core.placement.defragmentation import MovePlan
from scheduler.core.placement.protocol import NodeAnswers, NodeBatch, PoolView
from scheduler.core.queueing.plan import Placements, Plan, Preemption, StartEstimate, Verdicts
from scheduler.core.queueing.reservations import Reservation
from scheduler.core.queueing.running import RunningRow
from scheduler.core.queueing.shapes import ShapeTable
from scheduler.core.queueing.usage import QueueColumns
from scheduler.core.queueing.waiting import WaitingColumns, WaitingRow

__all__ = [
    "Clock",
    "Commit",
    "MovingPools",
    "NodeAnswers",
    "NodeBatch",
    "Placements",
    "Plan",
    "PlanSink",
    "PoolView",
    "Pools",
    "Preemption",
    "QueueColumns",
    "Reservation",
    "RunningRow",
    "ShapeTable",
    "Snapshot",
    "StartEstimate",
    "State",
    "Verdicts",
    "WaitingColumns",
    "WaitingRow",
]


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """Everything that one cycle decides on.

    `waiting` is a window of those that wait (`WaitingTable.window`); its columns hold positions in `shapes` and in
    the tree of `queues`. `reservations` are those that have not ended.
    """

    waiting: WaitingColumns
    shapes: ShapeTable
    queues: QueueColumns
    pools: tuple[PoolView, ...]
    reservations: tuple[Reservation, ...] = ()


@dataclass(frozen=True, slots=True)
class Commit:
    """Which run ids of a plan are now durable, and which were refused as stale (cancelled meanwhile, say)."""

    accepted: frozenset[str]
    refused: frozenset[str] = field(default_factory=frozenset)


class Clock(Protocol):
    def now_ms(self) -> int:
        """UTC milliseconds since 1970; virtual in simulation."""


class State(Protocol):
    def snapshot(self, limit: int) -> Snapshot:
        """A window of `limit` waiting workloads a lane, and every pool.

        Where more wait than that, the snapshots must come round to all of them: else as many workloads that fit
        nowhere would hide all others for ever.
        """

    def running(self, pool_id: str) -> Sequence[RunningRow]:
        """What runs in a pool, first to end first. Asked only when somebody waits for room there."""


class Pools(Protocol):
    def place(self, requests: Mapping[str, NodeBatch]) -> Mapping[str, NodeAnswers]:
        """Node-level placement, by pool id. Reserves what it grants.

        A pool that cannot be asked answers with refusals; it does not raise.
        """

    def fits_without(self, pool_id: str, batch: NodeBatch, victims: Sequence[str]) -> bool:
        """Whether the whole batch would get nodes if these runs were gone. Reserves nothing."""

    def release(self, placements: Sequence[Placement]) -> None:
        """Gives back reservations of placements that were not committed."""


@runtime_checkable
class MovingPools(Pools, Protocol):
    """Pools whose nodes can say which few running tasks to move. Of others the cycle moves nothing (dry runs and
    forecasts, which carry nothing out)."""

    def propose_moves(self, pool_id: str, asked: Requirements, share: float, movable: Collection[str]) -> MovePlan:
        """`placement.defragmentation.propose_moves` for one run that waits. Changes nothing."""


class PlanSink(Protocol):
    def commit(self, plan: Plan) -> Commit:
        """Makes the plan durable with its launch intents, in one transaction."""

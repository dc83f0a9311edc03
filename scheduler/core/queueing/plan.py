"""What one cycle decided, as columns: placements, preemptions, start estimates, and why the others wait.

The cycle makes a `Plan`, the sink makes it true. Objects for single workloads are made only for those who ask for
them: a plan of 50,000 placements costs what its arrays cost.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import overload

from inventory.model.placement import Placement, PoolOpinion, Reason, ReasonCode, Verdict
from scheduler.core.placement.evaluation import Evaluation
from scheduler.core.placement.protocol import NodeAnswers, PoolView
from scheduler.core.placement.stack import Stack
from scheduler.core.queueing.moving import RunMove
from scheduler.core.queueing.shapes import Int32s, Int64s, ShapeTable, resources
from scheduler.core.queueing.waiting import WaitingColumns


@dataclass(frozen=True, slots=True, eq=False)
class Granted:
    """Rows of a window that one pool granted nodes in one batch: `turn` is their position in the batch."""

    pool: int
    rows: Int32s
    run_ids: Sequence[str]
    turn: Int32s
    answers: NodeAnswers


class Placements(Sequence[Placement]):
    """Placements in the order in which they were decided, as a sequence over columns.

    `rows` are positions in the window; `granted` has them with their nodes, batch by batch.
    """

    def __init__(self, waiting: WaitingColumns, pool_ids: Sequence[str], granted: Sequence[Granted]) -> None:
        self._waiting = waiting
        self._pool_ids = pool_ids
        self.granted = granted
        self._count = sum(len(chunk.rows) for chunk in granted)
        self._whole: tuple[Placement, ...] | None = None
        self._run_ids: list[str] | None = None

    @property
    def run_ids(self) -> list[str]:
        """The run ids in order, without the rest."""
        if self._run_ids is None:
            self._run_ids = []
            for chunk in self.granted:
                self._run_ids += chunk.run_ids
        return self._run_ids

    @property
    def pools_used(self) -> frozenset[str]:
        return frozenset(self._pool_ids[chunk.pool] for chunk in self.granted if len(chunk.rows))

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, at: int) -> Placement: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[Placement, ...]: ...
    def __getitem__(self, at: int | slice) -> Placement | tuple[Placement, ...]:
        return self._objects()[at]

    def __iter__(self) -> Iterator[Placement]:
        return iter(self._objects())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Placements | tuple) and self._objects() == tuple(other)

    def __hash__(self) -> int:
        return hash(self._objects())

    def __repr__(self) -> str:
        return repr(self._objects())

    def _objects(self) -> tuple[Placement, ...]:
        if self._whole is None:
            self._whole = tuple(placement for chunk in self.granted for placement in self._of(chunk))
        return self._whole

    def _of(self, chunk: Granted) -> Iterator[Placement]:
        pool_id, ids = self._pool_ids[chunk.pool], self._waiting.workload_ids
        names = chunk.answers.node_ids
        offsets, nodes = chunk.answers.offsets.tolist(), chunk.answers.nodes.tolist()
        attempts = self._waiting.attempt[chunk.rows].tolist()
        for row, attempt, turn in zip(chunk.rows.tolist(), attempts, chunk.turn.tolist(), strict=True):
            chosen = tuple([names[n] for n in nodes[offsets[turn] : offsets[turn + 1]]])
            yield Placement(ids[row], f"{ids[row]}.{attempt}", attempt, pool_id, chosen)


def run_ids(waiting: WaitingColumns, rows: Int32s) -> list[str]:
    """The ids of the runs that these rows would begin."""
    ids = waiting.workload_ids
    pairs = zip(rows.tolist(), waiting.attempt[rows].tolist(), strict=True)
    return [f"{ids[row]}.{attempt}" for row, attempt in pairs]


class Opinions:
    """What each pool said when the cycle had ended, by shape; computed when somebody asks."""

    def __init__(
        self, stack: Stack, seed: int, views: Sequence[PoolView], free: Int64s, shapes: ShapeTable
    ) -> None:
        self._stack = stack
        self._seed = seed
        self._views = views
        self._free = free
        self._shapes = shapes
        self.refusals: dict[tuple[int, int], Reason] = {}  # by shape and pool: said by pool hosts
        self.broken: dict[int, Reason] = {}  # pools that failed in this cycle
        self.kept: dict[int, Reason] = {}  # pools that keep room for their first head, in the order of those heads
        self.calendar: dict[int, Reason] = {}  # pools that keep room for the calendar
        self._evaluations: dict[int, Evaluation] = {}
        self._said: dict[tuple[int, int], tuple[PoolOpinion, ...]] = {}

    def of(self, shape: int, kept_before: int) -> tuple[PoolOpinion, ...]:
        """One object for a shape. Only the first `kept_before` of the pools that keep room say so: to the head of a
        pool, and to whoever was tried before it, nothing was kept there. Nor do they say so to whom they would not take
        anyway: what is kept stands in nobody's way there."""
        key = shape, kept_before
        if key not in self._said:
            if kept_before not in self._evaluations:
                self._evaluations[kept_before] = self._evaluation(kept_before)
            opinions = self._evaluations[kept_before].opinions(self._shapes.shapes[shape])
            self._said[key] = tuple(_without_what_is_kept(one) for one in opinions)
        return self._said[key]

    def _evaluation(self, kept_before: int) -> Evaluation:
        views = [replace(view, free=resources(self._free[i])) for i, view in enumerate(self._views)]
        evaluation = Evaluation(self._stack, views, self._seed)
        for (shape, pool), reason in self.refusals.items():
            evaluation.add_refusal(views[pool].pool.pool_id, self._shapes.shapes[shape], reason)
        kept = dict(islice(self.kept.items(), kept_before))
        for pool, reason in {**self.calendar, **kept, **self.broken}.items():
            evaluation.close(views[pool].pool.pool_id, reason)
        return evaluation


_KEPT = frozenset({ReasonCode.RESERVATION, ReasonCode.BACKFILL})


def _only_keeps(opinion: PoolOpinion) -> bool:
    return all(reason.code in _KEPT for reason in opinion.reasons)


def _without_what_is_kept(opinion: PoolOpinion) -> PoolOpinion:
    if _only_keeps(opinion):
        return opinion
    return replace(opinion, reasons=tuple(one for one in opinion.reasons if one.code not in _KEPT))


@dataclass(frozen=True, slots=True, eq=False)
class Verdicts:
    """Why one workload was not placed in this cycle: what its queue said, and what each pool said. When it was tried,
    `kept_before` pools kept room for others."""

    workload_id: str
    shape: int
    kept_before: int
    reasons: tuple[Reason, ...]
    said: Opinions

    @property
    def opinions(self) -> tuple[PoolOpinion, ...]:
        """What each pool said; where the queue stands in the way, every pool says so that has no reason itself, or keeps
        room for others, which it was not even asked for."""
        opinions = self.said.of(self.shape, self.kept_before)
        if not self.reasons:
            return opinions
        if any(reason.verdict is not Verdict.UNSCHEDULABLE for reason in self.reasons):
            return tuple(replace(one, reasons=self._for_ever(one), scores=(), score=0) for one in opinions)
        return tuple(
            replace(one, reasons=self.reasons, scores=(), score=0) if _only_keeps(one) else one for one in opinions
        )

    def _for_ever(self, opinion: PoolOpinion) -> tuple[Reason, ...]:
        """Where the queue will never let it start, no pool tells it to wait for room."""
        lasting = [one for one in opinion.reasons if one.verdict is not Verdict.UNSCHEDULABLE]
        return (*lasting, *self.reasons)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Verdicts):
            return NotImplemented
        return (self.workload_id, self.opinions) == (other.workload_id, other.opinions)

    def __hash__(self) -> int:
        return hash(self.workload_id)


@dataclass(frozen=True, slots=True)
class Preemption:
    """One run that is to be stopped so that `for_workload_id` can start in its pool.

    `cost` is the work that is lost: milliseconds run so far times the run's dominant share of the pool, in
    millionths.
    """

    run_id: str
    workload_id: str
    pool_id: str
    for_workload_id: str
    cost: int


@dataclass(frozen=True, slots=True)
class StartEstimate:
    """When a workload that waits is expected to start in the pool that keeps room for it; None: nobody knows."""

    workload_id: str
    pool_id: str
    start_ms: int | None


@dataclass(frozen=True, slots=True)
class Plan:
    """What one cycle decided. Nothing has happened yet: the sink makes it true, in whole, in part, or not."""

    decided_ms: int
    placements: Placements
    unplaced: tuple[Verdicts, ...]
    preemptions: tuple[Preemption, ...] = ()
    reserved: tuple[StartEstimate, ...] = ()
    moves: tuple[RunMove, ...] = ()

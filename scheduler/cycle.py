"""One scheduling cycle: which waiting workload goes to which nodes of which pool, and why the others wait.

The control plane calls `run_cycle` on events, the simulator on its virtual clock, forecasts on a copy of the
state: the same code for all three. It reads and acts only through the ports.

The meaning: every waiting workload, in order (priority, fair shares, arrival), gets the feasible pool with the
highest score, and the pool's host chooses the nodes. Nothing is true until the sink has committed the plan.

Two deviations from trying one workload after the other, and why they are safe:

- Hosts are asked in batches, so a workload that its first host refuses competes for its next pool after others of
  its batch were placed. A batch never spans two priorities, so no lower priority ever gains from it; within one
  priority a turn is lost at most for one batch.
- A workload that cannot be placed does not stop those behind it. A large one could so wait for ever; therefore one
  that has waited for room longer than `hold_after_ms` holds a pool: in that cycle nothing behind it is placed
  there, and the pool drains until it fits. It always holds the same pool, the one in which it is smallest.
  (Backfill into held pools on runtime estimates needs reservations in time, which this cycle does not have.)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from inventory.model.placement import Placement, Reason, ReasonCode, Verdict
from inventory.model.units import total
from inventory.model.workload import Requirements
from scheduler.core.placement.evaluation import Evaluation
from scheduler.core.placement.protocol import Shape
from scheduler.core.placement.stack import Stack, build_stack
from scheduler.core.queueing.order import FairOrder
from scheduler.ports import (
    Clock,
    Commit,
    NodeBatch,
    Plan,
    PlanSink,
    Pools,
    Snapshot,
    State,
    Verdicts,
)


@dataclass(frozen=True, slots=True)
class CycleSettings:
    """What may be chosen. `seed` breaks ties between pools; `hold_after_ms` 0 holds at once."""

    stack: Stack = field(default_factory=build_stack)
    seed: int = 0
    waiting_limit: int = 10_000
    batch: int = 512
    hold_after_ms: int = 600_000


@dataclass(frozen=True, slots=True)
class PoolHold:
    """A pool that was kept for a workload which waits for room there; nothing behind it was placed in the pool."""

    pool_id: str
    workload_id: str


@dataclass(frozen=True, slots=True)
class CycleReport:
    """What one cycle did: the plan as decided, what became of it, and what it cost.

    `host_calls` counts calls of `Pools.place`; `released` counts reservations given back because the sink did not
    accept their placements.
    """

    plan: Plan
    commit: Commit
    holds: tuple[PoolHold, ...]
    host_calls: int
    released: int


def run_cycle(state: State, pools: Pools, sink: PlanSink, clock: Clock, settings: CycleSettings) -> CycleReport:
    """Decides on one snapshot, commits the plan, and releases what was not accepted.

    The sink is called once, also when nothing could be placed (the plan then carries the reasons), and not at all
    when nothing waits. If the hosts or the sink raise, every reservation of this cycle is released and the error
    propagates; so `PlanSink.commit` may raise only when nothing of the plan has become durable.

    Raises ValueError for a snapshot that names a workload twice, or a weight below 1.
    """
    cycle = _Cycle(state.snapshot(settings.waiting_limit), pools, clock.now_ms(), settings)
    try:
        plan = cycle.decide()
        commit = sink.commit(plan) if plan.placements or plan.unplaced else Commit(frozenset())
    except BaseException:
        cycle.release_all()
        raise
    # Whatever the sink did not name counts as refused: an unknown outcome is never a success.
    stale = [placement for placement in plan.placements if placement.run_id not in commit.accepted]
    cycle.release(stale)
    return CycleReport(plan, commit, tuple(cycle.holds), cycle.host_calls, len(stale))


@dataclass(slots=True)
class _Candidate:
    """One waiting workload while the cycle tries it."""

    position: int
    workload_id: str
    run_id: str
    attempt: int
    submitted_ms: int
    shape: Shape

    def placement(self, pool_id: str, nodes: tuple[str, ...] = ()) -> Placement:
        return Placement(self.workload_id, self.run_id, self.attempt, pool_id, nodes)


class _Cycle:
    """The working state of one cycle. It reserves nodes at hosts and changes nothing else."""

    def __init__(self, snapshot: Snapshot, pools: Pools, now_ms: int, settings: CycleSettings) -> None:
        self.holds: list[PoolHold] = []
        self.host_calls = 0
        self._snapshot = snapshot
        self._pools = pools
        self._now_ms = now_ms
        self._settings = settings
        self._evaluation = Evaluation(settings.stack, snapshot.pools, settings.seed)
        self._order = FairOrder(
            [waiting.workload for waiting in snapshot.waiting],
            snapshot.usage,
            snapshot.weights,
            total(view.allocatable for view in snapshot.pools),
        )
        self._placed: list[Placement] = []
        self._unplaced: list[Verdicts] = []
        self._asked: list[Placement] = []  # sent to hosts and not answered yet
        self._doubtful: list[Placement] = []  # a host failed on them: it may or may not hold them

    def decide(self) -> Plan:
        self._require_unique()
        while batch := self._order.take(self._settings.batch):
            self._place_batch([self._candidate(position) for position in batch])
        self.release(self._doubtful)
        return Plan(self._now_ms, tuple(self._placed), tuple(self._unplaced))

    def release(self, placements: Sequence[Placement]) -> None:
        if placements:
            self._pools.release(placements)

    def release_all(self) -> None:
        self.release([*self._placed, *self._asked, *self._doubtful])

    def _require_unique(self) -> None:
        times = Counter(waiting.workload.workload_id for waiting in self._snapshot.waiting)
        twice = sorted(workload_id for workload_id, number in times.items() if number > 1)
        if twice:
            raise ValueError(f"the snapshot names {', '.join(twice[:3])} twice; a workload may wait only once")

    def _candidate(self, position: int) -> _Candidate:
        waiting = self._snapshot.waiting[position]
        workload = waiting.workload
        return _Candidate(
            position,
            workload.workload_id,
            f"{workload.workload_id}.{waiting.next_attempt}",
            waiting.next_attempt,
            workload.submitted_ms,
            Shape.of(workload),
        )

    def _place_batch(self, batch: list[_Candidate]) -> None:
        """Rounds of asking: who is refused by a host tries its next best pool in the next round.

        Who finds no pool tries again as long as refusals give room back. A round also ends before a workload that
        would hold a pool, so that nothing behind it is asked there. Ends, because every further round needs a
        refusal, which closes a pool to a shape, or a hold, which closes a pool.
        """
        trying = batch
        while trying:
            choices: list[tuple[_Candidate, str]] = []
            without_pool: list[_Candidate] = []
            chosen = 0
            for candidate in trying:
                chosen += 1
                pool_id = self._evaluation.best(candidate.shape)
                if pool_id is not None:
                    self._evaluation.take(pool_id, candidate.shape)
                    choices.append((candidate, pool_id))
                    continue
                without_pool.append(candidate)
                if self._pool_to_hold(candidate) is not None:
                    break
            again = self._ask_hosts(choices)
            if again:
                again.extend(without_pool)
            else:
                for candidate in without_pool:
                    self._leave(candidate)
            retry = {candidate.run_id for candidate in again}
            trying = [candidate for candidate in trying[:chosen] if candidate.run_id in retry] + trying[chosen:]

    def _leave(self, candidate: _Candidate) -> None:
        """No pool is left for this workload in this cycle."""
        self._unplaced.append(Verdicts(candidate.workload_id, self._evaluation.opinions(candidate.shape)))
        self._order.give_back(candidate.position)
        pool_id = self._pool_to_hold(candidate)
        if pool_id is None:
            return
        self.holds.append(PoolHold(pool_id, candidate.workload_id))
        self._evaluation.close(
            pool_id,
            Reason(
                ReasonCode.CAPACITY,
                needed="未预留的空闲/unreserved room",
                offered=f"为 {candidate.workload_id} 预留/held for {candidate.workload_id}",
                remedy_zh=f"等待 {candidate.workload_id} 放置",
                remedy_en=f"wait until {candidate.workload_id} is placed",
            ),
        )

    def _pool_to_hold(self, candidate: _Candidate) -> str | None:
        """The pool that this workload, which found none, may hold: the one in which it is smallest when empty.

        None while it has not waited long enough, where waiting for room would not help, and where an earlier
        workload holds that pool already.
        """
        if self._now_ms - candidate.submitted_ms < self._settings.hold_after_ms:
            return None
        pool_id = self._evaluation.pool_to_wait_for(candidate.shape)
        return None if pool_id is None or self._evaluation.is_closed(pool_id) else pool_id

    def _ask_hosts(self, choices: Sequence[tuple[_Candidate, str]]) -> list[_Candidate]:
        """Sends each chosen pool its requests in one call; returns, in order, who was refused."""
        if not choices:
            return []
        asked: dict[str, list[tuple[str, Requirements]]] = {}
        turns: list[int] = []  # the position of each choice in its pool's batch
        for candidate, pool_id in choices:
            batch = asked.setdefault(pool_id, [])
            turns.append(len(batch))
            batch.append((candidate.run_id, candidate.shape.requirements))
        batches = {pool_id: NodeBatch.of(batch) for pool_id, batch in asked.items()}
        self._asked = [candidate.placement(pool_id) for candidate, pool_id in choices]
        self.host_calls += 1
        given = self._pools.place(batches)
        refused: list[_Candidate] = []
        for (candidate, pool_id), turn in zip(choices, turns, strict=True):
            answers = given.get(pool_id)
            if answers is None or len(answers.granted) != len(batches[pool_id].run_ids):
                refusal: Reason | None = _NO_ANSWER
            elif answers.granted[turn]:
                nodes = answers.nodes_of(turn)
                refusal = _wrong_nodes(nodes, candidate)
            else:
                refusal = answers.refusals.get(int(batches[pool_id].shape[turn]), _NO_ANSWER)
            if refusal is None:
                self._placed.append(candidate.placement(pool_id, nodes))
            else:
                self._refuse(candidate, pool_id, refusal)
                refused.append(candidate)
        self._asked = []
        return refused

    def _refuse(self, candidate: _Candidate, pool_id: str, refusal: Reason) -> None:
        self._evaluation.give_back(pool_id, candidate.shape)
        if refusal.verdict is Verdict.ERROR:
            # The pool is not asked again in this cycle. It may have reserved nodes before it failed, and the run
            # may go elsewhere: it is told to release them, so that no run has two owners.
            self._evaluation.close(pool_id, refusal)
            self._doubtful.append(candidate.placement(pool_id))
        else:
            self._evaluation.add_refusal(pool_id, candidate.shape, refusal)


_NO_ANSWER = Reason(
    ReasonCode.UNREACHABLE,
    needed="每个请求一个应答/an answer a request",
    offered="没有应答/no answer",
    remedy_zh="等待该池主机恢复应答",
    remedy_en="wait until the pool's host answers",
)


def _wrong_nodes(nodes: tuple[str, ...], candidate: _Candidate) -> Reason | None:
    """A host that grants another number of nodes than there are tasks does not keep the contract."""
    tasks = candidate.shape.requirements.tasks
    if len(nodes) == tasks:
        return None
    return Reason(
        ReasonCode.QUARANTINED,
        needed=f"{tasks} 个节点/nodes",
        offered=f"{len(nodes)} 个节点/nodes",
        remedy_zh="检修该池的主机",
        remedy_en="have the pool's host repaired",
    )

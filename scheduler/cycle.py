"""One scheduling cycle: which waiting workload goes to which nodes of which pool, and why the others wait.

The control plane calls `run_cycle` on events, the simulator on its virtual clock, forecasts on a copy of the
state: the same code for all three. It reads and acts only through the ports.

The meaning: every waiting workload, in order (`queueing.order`: guarantee, priority, fair shares, arrival), gets the
feasible pool with the highest score, and the pool's host chooses the nodes. Who finds no room waits, and what may go
before it is decided by the backfill policy (`queueing.holding`). Nothing is true until the sink has committed the
plan.

One deviation from trying one workload after the other, and why it is safe: hosts are asked in batches, so a workload
that its first host refuses competes for its next pool after others of its batch were placed. A batch never spans two
priorities, so no lower priority ever gains from it; within one priority a turn is lost at most for one batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from inventory.model.placement import Placement, Reason, ReasonCode, Verdict
from inventory.model.units import total
from scheduler.core.placement.stack import Stack, build_stack
from scheduler.core.queueing.backfill import Backfill
from scheduler.core.queueing.blocks import reason_for
from scheduler.core.queueing.holding import BackfillRules, Head, Holding, WaitingRoom, expected_ends
from scheduler.core.queueing.kernels.pool_choice import NO_POOL, Choices
from scheduler.core.queueing.moving import MovingPool, MovingRules, Newcomer, RunMove, movable, moves_that_pay
from scheduler.core.queueing.order import FairOrder
from scheduler.core.queueing.plan import Granted, Opinions, run_ids
from scheduler.core.queueing.pool_choice import PoolChoice, PoolMemory
from scheduler.core.queueing.preemption import (
    Claimant,
    PoolRuns,
    PreemptionRules,
    VictimChoice,
)
from scheduler.core.queueing.shapes import Flags, Int32s
from scheduler.ports import (
    Clock,
    Commit,
    MovingPools,
    NodeAnswers,
    NodeBatch,
    Placements,
    Plan,
    PlanSink,
    Pools,
    Preemption,
    StartEstimate,
    State,
    Verdicts,
)

__all__ = [
    "Backfill",
    "BackfillRules",
    "CycleReport",
    "CycleSettings",
    "Head",
    "MovingRules",
    "PoolMemory",
    "PreemptionRules",
    "run_cycle",
]


@dataclass(frozen=True, slots=True)
class CycleSettings:
    """What may be chosen. `seed` breaks ties between pools; `waiting_limit` workloads of each queue and priority are
    looked at, hosts are asked for at most `batch` at once."""

    stack: Stack = field(default_factory=build_stack)
    seed: int = 0
    waiting_limit: int = 10_000
    batch: int = 512
    backfill: BackfillRules = field(default_factory=BackfillRules)
    preemption: PreemptionRules = field(default_factory=PreemptionRules)
    moving: MovingRules = field(default_factory=MovingRules)


@dataclass(frozen=True, slots=True)
class CycleReport:
    """What one cycle did: the plan as decided, what became of it, and what it cost.

    `heads` are those for whom pools keep room. `host_calls` counts calls of `Pools.place`; `released` counts node
    reservations given back because the sink did not accept their placements. `is_cut_short`: the window ended while
    everything in it could be placed, so another cycle at once may place more.
    """

    plan: Plan
    commit: Commit
    heads: tuple[Head, ...]
    host_calls: int
    released: int
    is_cut_short: bool = False


def run_cycle(
    state: State,
    pools: Pools,
    sink: PlanSink,
    clock: Clock,
    settings: CycleSettings,
    memory: PoolMemory | None = None,
) -> CycleReport:
    """Decides on one snapshot, commits the plan, and releases what was not accepted.

    The sink is called once, also when nothing could be placed (the plan then carries the reasons), and not at all
    when nothing waits. If the hosts or the sink raise, every node reservation of this cycle is released and the
    error propagates; so `PlanSink.commit` may raise only when nothing of the plan has become durable. `memory` makes
    the next cycle of the same caller cheaper and changes nothing else.
    """
    cycle = _Cycle(state, pools, clock.now_ms(), settings, memory if memory is not None else PoolMemory())
    try:
        plan = cycle.decide()
        commit = sink.commit(plan) if plan.placements or plan.unplaced else Commit(frozenset())
    except BaseException:
        cycle.release_all()
        raise
    finally:
        cycle.choice.forget_refusals()
    # Whatever the sink did not name counts as refused: an unknown outcome is never a success.
    stale = [at for at, run_id in enumerate(plan.placements.run_ids) if run_id not in commit.accepted]
    if stale:
        pools.release([plan.placements[at] for at in stale])
    return CycleReport(
        plan, commit, tuple(cycle.holding.heads), cycle.host_calls, len(stale), cycle.order.is_cut_short
    )


class _Cycle:
    """The working state of one cycle. It reserves nodes at hosts and changes nothing else."""

    def __init__(
        self, state: State, pools: Pools, now_ms: int, settings: CycleSettings, memory: PoolMemory
    ) -> None:
        snapshot = state.snapshot(settings.waiting_limit)
        self.host_calls = 0
        self._state = state
        self._snapshot = snapshot
        self._pools = pools
        self._now_ms = now_ms
        self._settings = settings
        self._waiting = snapshot.waiting
        self._end_ms = expected_ends(now_ms, snapshot.waiting.estimated_ms)
        self._may_hold = snapshot.waiting.submitted_ms <= now_ms - settings.backfill.hold_after_ms
        self._pool_ids = [view.pool.pool_id for view in snapshot.pools]
        capacity = total(view.allocatable for view in snapshot.pools)
        self.order = FairOrder(snapshot.waiting, snapshot.queues, snapshot.shapes, capacity)
        self.choice = PoolChoice(memory, settings.stack, settings.seed, snapshot.pools, snapshot.shapes)
        self.holding = Holding(
            self.choice,
            snapshot.waiting,
            snapshot.shapes,
            snapshot.queues,
            state.running,
            now_ms,
            settings.backfill,
        )
        self._broken: dict[int, Reason] = {}
        self._granted: list[Granted] = []
        self._left: list[int] = []
        self._kept_before: list[int] = []  # by row left: how many pools kept room for others when it was tried
        self._asked: list[tuple[int, Int32s]] = []  # sent to hosts and not answered yet, by pool
        self._doubtful: list[tuple[int, Int32s]] = []  # a host failed on them: it may or may not hold them

    def decide(self) -> Plan:
        self.holding.keep_calendar(self._snapshot.reservations)
        while len(rows := self.order.take(self._settings.batch)):
            self._place_batch(rows)
        self._release(self._doubtful)
        self._doubtful = []
        preemptions = self._preempt()
        placements = Placements(self._waiting, self._pool_ids, self._granted)
        reserved = tuple(
            StartEstimate(head.workload_id, head.pool_id, head.start_ms) for head in self.holding.heads
        )
        moves = self._moves({victim.run_id for victim in preemptions}) if self._settings.moving.share else ()
        return Plan(self._now_ms, placements, self._verdicts(), preemptions, reserved, moves)

    def release_all(self) -> None:
        placed = [(chunk.pool, chunk.rows) for chunk in self._granted]
        self._release([*placed, *self._asked, *self._doubtful])

    def _release(self, parts: Sequence[tuple[int, Int32s]]) -> None:
        placements = [placement for pool, rows in parts for placement in self._nodeless(pool, rows)]
        if placements:
            self._pools.release(placements)

    def _nodeless(self, pool: int, rows: Int32s) -> list[Placement]:
        ids = zip(rows.tolist(), run_ids(self._waiting, rows), self._waiting.attempt[rows].tolist(), strict=True)
        workload_ids, pool_id = self._waiting.workload_ids, self._pool_ids[pool]
        return [Placement(workload_ids[row], run_id, attempt, pool_id, ()) for row, run_id, attempt in ids]

    def _place_batch(self, trying: Int32s) -> None:
        """Rounds of asking: who is refused by a host tries its next best pool in the next round.

        Who finds no pool tries again as long as refusals give room back. A round also ends at a row for which room
        may be kept, so that nothing behind it is asked there before that is decided. Ends, because every further
        round needs a refusal, which closes a pool to a shape, or leaves a row.
        """
        while len(trying):
            part = trying[: self.holding.allowance(self._waiting.shape[trying])]
            choices, looked = self._choose(part)
            part, pools = part[:looked], choices.pool[:looked]
            is_refused = self._ask_hosts(part, pools, choices.takes_extra[:looked])
            again = part[is_refused | (pools == NO_POOL)]
            if not is_refused.any():
                self.holding.look(self._waiting.shape[part])
                self._leave(again)
                again = again[:0]
            trying = np.concatenate([again, trying[looked:]])

    def _choose(self, rows: Int32s) -> tuple[Choices, int]:
        shapes = self._waiting.shape[rows]
        may_stop = self._may_hold[rows]
        if may_stop.any():
            may_stop &= self.holding.may_wait(shapes)
        return self.choice.choose(shapes, self._end_ms[rows], self._waiting.queue[rows], may_stop)

    def _leave(self, rows: Int32s) -> None:
        """No pool is left for these rows in this cycle; room may be kept for the last of them."""
        if not len(rows):
            return
        self._left += rows.tolist()
        self._kept_before += [len(self.holding.reasons)] * len(rows)
        self.order.give_back(rows)
        row = int(rows[-1])
        if self._may_hold[row]:
            waiting = self._waiting
            self.holding.wait(
                WaitingRoom(
                    waiting.workload_ids[row],
                    int(waiting.shape[row]),
                    int(waiting.queue[row]),
                    int(waiting.submitted_ms[row]),
                    int(waiting.estimated_ms[row]),
                )
            )

    def _ask_hosts(self, rows: Int32s, pools: Int32s, takes_extra: Flags) -> Flags:
        """Sends each chosen pool its rows in one call; returns which of the rows were refused."""
        waiting, is_refused = self._waiting, np.zeros(len(rows), dtype=np.bool_)
        turns = {pool: np.flatnonzero(pools == pool) for pool in np.unique(pools).tolist() if pool != NO_POOL}
        if not turns:
            return is_refused
        self._asked = [(pool, rows[turn]) for pool, turn in turns.items()]
        batches = {self._pool_ids[pool]: self._batch(asked) for pool, asked in self._asked}
        self.host_calls += 1
        given = self._pools.place(batches)
        for pool, turn in turns.items():
            batch = batches[self._pool_ids[pool]]
            refused = self._hear(pool, rows[turn], batch, given.get(self._pool_ids[pool]))
            is_refused[turn[refused]] = True
            for at in turn[refused].tolist():
                row = rows[at]
                shape, queue, end_ms = (column[row] for column in (waiting.shape, waiting.queue, self._end_ms))
                self.choice.give_back(pool, int(shape), bool(takes_extra[at]), int(end_ms), int(queue))
        self._asked = []
        return is_refused

    def _batch(self, rows: Int32s) -> NodeBatch:
        numbers, shape = np.unique(self._waiting.shape[rows], return_inverse=True)
        shapes = self._snapshot.shapes.shapes
        requirements = [shapes[number].requirements for number in numbers.tolist()]
        return NodeBatch(run_ids(self._waiting, rows), shape.astype(np.int32), requirements)

    def _hear(self, pool: int, rows: Int32s, batch: NodeBatch, answers: NodeAnswers | None) -> Flags:
        """Takes in one pool's answers; returns which rows were refused."""
        if answers is None or len(answers.granted) != len(rows):
            self._break(pool, rows, _NO_ANSWER)
            return np.ones(len(rows), dtype=np.bool_)
        tasks = self._snapshot.shapes.tasks[self._waiting.shape[rows]]
        counts = np.diff(answers.offsets)
        is_good = answers.granted & (counts == tasks)
        is_wrong = answers.granted & ~is_good
        if is_wrong.any():
            at = int(np.argmax(is_wrong))
            self._break(pool, rows[is_wrong], _wrong_nodes(int(tasks[at]), int(counts[at])))
        turn = np.flatnonzero(is_good).astype(np.int32)
        if len(turn):
            ids = batch.run_ids if len(turn) == len(rows) else [batch.run_ids[at] for at in turn.tolist()]
            self._granted.append(Granted(pool, rows[turn], ids, turn, answers))
            self.holding.placed.setdefault(pool, []).append(rows[turn])
        is_refused = ~answers.granted
        for number in np.unique(batch.shape[is_refused]).tolist():
            of_shape = rows[is_refused & (batch.shape == number)]
            reason = answers.refusals.get(number, _NO_ANSWER)
            if reason.verdict is Verdict.ERROR:
                self._break(pool, of_shape, reason)
            else:
                shape = int(self._waiting.shape[of_shape[0]])
                self.choice.refuse(pool, shape)
                self.holding.refused[shape, pool] = reason
        not_placed: Flags = ~is_good
        return not_placed

    def _break(self, pool: int, rows: Int32s, reason: Reason) -> None:
        """The pool is not asked again in this cycle. It may have reserved nodes before it failed, and the runs may
        go elsewhere: it is told to release them, so that no run has two owners."""
        self.choice.close(pool)
        self._broken.setdefault(pool, reason)
        self._doubtful.append((pool, rows))

    def _preempt(self) -> tuple[Preemption, ...]:
        """Victims for those that were left though they have a claim, in the order in which they were left."""
        queues, rules, waiting = self._snapshot.queues, self._settings.preemption, self._waiting
        if not (rules.by_priority or (rules.reclaims and queues.guaranteed.any())):
            return ()
        victims = VictimChoice(queues, self.order.held, self._snapshot.shapes.totals, self._now_ms, rules)
        claims: dict[int, list[int]] = {}  # rows that will start in a pool when its victims are gone
        preemptions: list[Preemption] = []
        for row in self._left:
            claimant = Claimant(
                waiting.workload_ids[row],
                int(waiting.queue[row]),
                int(waiting.priority[row]),
                self._snapshot.shapes.totals[waiting.shape[row]],
            )
            if victims.has_claim(claimant):
                preemptions += self._victims_for(row, claimant, victims, claims)
        return tuple(preemptions)

    def _victims_for(
        self, row: int, claimant: Claimant, victims: VictimChoice, claims: dict[int, list[int]]
    ) -> list[Preemption]:
        """In the first pool where stopping others lets it start. Nothing where enough is being stopped already."""
        for pool in self.holding.pools_to_wait_in(int(self._waiting.shape[row])):
            view = self._snapshot.pools[pool]
            pool_id = view.pool.pool_id
            batch = self._batch(np.array([*claims.get(pool, ()), row], dtype=np.int32))
            runs = PoolRuns(pool_id, self._state.running(pool_id), self.choice.free[pool], view.allocatable)
            fits = partial(self._pools.fits_without, pool_id, batch)
            chosen = victims.victims(claimant, runs, fits)
            if chosen is not None:
                claims.setdefault(pool, []).append(row)
                return chosen
        return []

    def _moves(self, stopping: set[str]) -> tuple[RunMove, ...]:
        """Moves that make room for the first that waits in each pool, where only the cut of what is free is in its
        way."""
        waiting, rules, pools = self._waiting, self._settings.moving, self._pools
        if not isinstance(pools, MovingPools):
            return ()  # a dry run or a forecast, which carries nothing out
        looked_at: set[int] = set()
        moves: list[RunMove] = []
        for row in self._left:
            shape = int(waiting.shape[row])
            for pool in self.holding.pools_to_wait_in(shape):
                if pool in looked_at:
                    continue
                looked_at.add(pool)
                waited = self._now_ms - int(waiting.submitted_ms[row])
                if (shape, pool) not in self.holding.refused or waited < rules.after_ms:
                    continue
                view = self._snapshot.pools[pool]
                pool_id, totals = view.pool.pool_id, self._snapshot.shapes.totals
                now = MovingPool(pool_id, self._state.running(pool_id), view.allocatable, self._now_ms)
                may_move = movable(now, self._snapshot.queues, stopping)
                asked = self._snapshot.shapes.shapes[shape].requirements
                plan = pools.propose_moves(pool_id, asked, rules.share, may_move)
                newcomer = Newcomer(waiting.workload_ids[row], totals[shape], int(waiting.estimated_ms[row]))
                chosen = moves_that_pay(plan, newcomer, now, totals, rules)
                if chosen:
                    moves += chosen
                    break  # it needs room in one pool only
        return tuple(moves)

    def _verdicts(self) -> tuple[Verdicts, ...]:
        snapshot = self._snapshot
        said = Opinions(
            self._settings.stack, self._settings.seed, snapshot.pools, self.choice.free.copy(), snapshot.shapes
        )
        said.refusals, said.broken = self.holding.refused, self._broken
        said.kept, said.calendar = self.holding.reasons, self.holding.calendar
        ids, shape = self._waiting.workload_ids, self._waiting.shape
        left = zip(self._left, self._kept_before, strict=True)
        verdicts = [Verdicts(ids[row], int(shape[row]), kept, (), said) for row, kept in left]
        for block in self.order.blocks:
            reason = reason_for(block, self._waiting, snapshot.shapes, snapshot.queues)
            verdicts.append(Verdicts(ids[block.row], int(shape[block.row]), 0, (reason,), said))
        return tuple(verdicts)


_NO_ANSWER = Reason(
    ReasonCode.UNREACHABLE,
    needed="每个请求一个应答/an answer a request",
    offered="没有应答/no answer",
    remedy_zh="等待该池主机恢复应答",
    remedy_en="wait until the pool's host answers",
)


def _wrong_nodes(tasks: int, nodes: int) -> Reason:
    """A host that grants another number of nodes than there are tasks does not keep the contract."""
    return Reason(
        ReasonCode.QUARANTINED,
        needed=f"{tasks} 个节点/nodes",
        offered=f"{nodes} 个节点/nodes",
        remedy_zh="检修该池的主机",
        remedy_en="have the pool's host repaired",
    )

"""Node-level placement of one pool: who holds what on which node, and where the next run goes.

A pool host keeps one `PoolState` for each of its pools; the simulator keeps the same. Nothing here knows adapters,
actors or time. Capacity is held from the moment of `place` until `release`: a run counts before its adapter has
reported it, so that nothing is sold twice. The pool's policy (`policies.registry`) ranks the nodes, and chooses the
card of a task that shares one; kernels over flat arrays do the work.

Invariant, at every moment and in every dimension: free + held = allocatable (`totals`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from inventory.model.placement import Reason, ReasonCode
from inventory.model.pool import Node, Pool, PoolHealth
from inventory.model.units import Resources, total
from inventory.model.workload import Requirements
from scheduler.core.placement.asked_demand import AskedDemand
from scheduler.core.placement.held_runs import HeldRuns, Hold, NewRuns
from scheduler.core.placement.kernels.batches import Asked, TaskColumns
from scheduler.core.placement.node_refusal import may_fit_later, refuse_disk, refuse_nodes
from scheduler.core.placement.node_table import Flags, Marks, NodeTable, refuse_too_many_cards
from scheduler.core.placement.policies.demand import Demand
from scheduler.core.placement.policies.encode import Int64s
from scheduler.core.placement.policies.registry import PolicyStack, default_policy
from scheduler.core.placement.pool_arrays import LivePool, is_ruled, need_row
from scheduler.core.placement.protocol import NodeAnswers, NodeBatch, PoolView
from scheduler.core.placement.topology import Neighbours, RuledPlacement

__all__ = ["Hold", "PoolState", "Totals"]
MOST_REASONS = 1024  # refusals that are remembered while nothing changes


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over all nodes, cordoned and gone ones too, with the shared disk. `free` may be negative."""

    allocatable: Resources
    free: Resources
    held: Resources


class PoolState:
    """The nodes of one pool and what runs hold on them. Not thread-safe: one owner calls it.

    A node that is removed while runs hold it stays as a node that offers nothing (its free is negative) until
    they are released. A node whose capacity shrinks below what is held has negative free and gets nothing more.
    """

    def __init__(
        self,
        disk_bytes: int,
        nodes: Iterable[Node] = (),
        policy: PolicyStack | str | None = None,
        seed: int = 0,
        demand: Demand | None = None,
        explains: bool = True,
    ) -> None:
        """`disk_bytes` is the pool's shared storage; the disk of single nodes is not counted.

        `policy` is a stack, or the text of one (PolicyError for one that cannot be used); None: the default for pools
        with cards or without (`registry.default_policy`). `seed` is what the random
        policy draws from. `demand` is what policies that look ahead expect; None: they learn it from what is asked.
        `explains` False is for owners whose refusals nobody reads: they say only whether waiting may help, as truly,
        and cost nothing.
        """
        self._chosen = PolicyStack.parse(policy) if isinstance(policy, str) else policy
        self._seed = seed
        self._demand = AskedDemand(demand)
        self._explains = explains
        self._disk = disk_bytes
        self._disk_free: Int64s = np.array([disk_bytes], dtype=np.int64)
        self._nodes: dict[str, Node] = {}
        self._shut: frozenset[str] = frozenset()  # nodes that get nothing, whatever the adapter says of them
        self._held = HeldRuns()
        self._position: dict[str, int] = {}  # by node id, what `_held` calls the node; grows until the next table
        self._table: NodeTable | None = None  # None: to be built anew, once for any number of changes
        self._live: LivePool | None = None  # likewise
        self._neighbours = Neighbours(0)
        self._reasons: dict[
            Requirements, tuple[int, int, Reason]
        ] = {}  # with the version and disk that they are of
        self._may_fit: dict[Requirements, bool] = {}  # of this table, where nothing is explained
        self.set_nodes(nodes)

    # What the adapter says of its nodes

    def set_nodes(self, nodes: Iterable[Node]) -> None:
        """Replaces the nodes by the adapter's complete list. Raises ValueError, and changes nothing, for a node id
        that comes twice and for a node with more cards than can be placed on."""
        listed = list(nodes)
        twice = sorted(node_id for node_id, n in Counter(node.node_id for node in listed).items() if n > 1)
        if twice:
            raise ValueError(f"the node list names {', '.join(twice[:3])} twice; every node id must be unique")
        self._replace_nodes({node.node_id: node for node in listed})

    def change_nodes(self, changed: Iterable[Node], removed: Iterable[str] = ()) -> None:
        """New or changed nodes, and ids of nodes that are gone; unknown ids are ignored. Raises as `set_nodes`."""
        nodes = {**self._nodes, **{node.node_id: node for node in changed}}
        for node_id in removed:
            nodes.pop(node_id, None)
        self._replace_nodes(nodes)

    def set_disk(self, disk_bytes: int) -> None:
        self._disk_free[0] += disk_bytes - self._disk
        self._disk = disk_bytes

    # What runs hold

    def place(self, batch: NodeBatch) -> NodeAnswers:
        """Reserves nodes for each run in turn, all its tasks or none.

        Idempotent on the run id: a run that holds nodes gets the same nodes again.
        """
        if self._demand.is_due and self._policy.reads_demand:
            self._live = None
        answers = self._reserve(batch)
        if self._policy.reads_demand:
            self._demand.count(batch.shapes, np.asarray(batch.shape, dtype=np.int64))
        return answers

    def fits_without(self, batch: NodeBatch, victims: Sequence[str]) -> bool:
        """Whether every run of the batch would get its nodes if these runs were gone. Afterwards each victim holds the
        very cards that it held, confirmed or not as before, and nobody has learnt of the batch."""
        live = self._arrays()
        gone = [run_id for run_id in dict.fromkeys(victims) if run_id in self._held]
        new = [run_id for run_id in batch.run_ids if run_id not in self._held]
        confirmed = np.array([self._held.is_confirmed(run_id) for run_id in gone], dtype=np.bool_)
        tasks, runs = self._give_back(gone)
        fits = bool(self._reserve(batch).granted.all())
        self._give_back(new)
        # First who has cards of the node: so who is owed some takes none of theirs.
        order = np.argsort(tasks.cards == 0, kind="stable")
        again = TaskColumns(tasks.needs[order], tasks.node[order], tasks.cards[order])
        live.hold(again)
        tasks.cards[order] = again.cards
        self._count_neighbours(runs, tasks, 1)
        self._disk_free[0] -= sum(asked.total.disk_bytes for asked, _ in runs)
        counts = np.array([count for _, count in runs], dtype=np.int64)
        self._held.add(NewRuns(gone, [asked for asked, _ in runs], counts, tasks), confirmed)
        return fits

    def _reserve(self, batch: NodeBatch) -> NodeAnswers:
        live = self._arrays()
        if len(set(batch.run_ids)) < len(batch.run_ids):
            raise ValueError("a batch names a run twice; every run id must be unique")
        numbers = np.asarray(batch.shape, dtype=np.int64)
        used = np.flatnonzero(np.bincount(numbers, minlength=len(batch.shapes))).tolist()
        row_of = np.zeros(len(batch.shapes), dtype=np.int64)
        row_of[used] = live.rows([batch.shapes[number] for number in used])
        rows = row_of[numbers]
        refused = np.zeros(len(live.shapes.rows), dtype=np.uint8)
        granted = np.array([run_id in self._held for run_id in batch.run_ids], dtype=np.bool_)
        ruled = live.runs.is_ruled[rows]
        for runs in _segments(np.flatnonzero(~granted), ruled):
            if ruled[runs[0]]:
                granted[runs] = self._place_ruled(batch, int(runs[0]), int(rows[runs[0]]), refused)
            else:
                granted[runs] = self._place_plain(batch, runs, rows[runs], refused)
        without = [] if granted.all() else np.unique(numbers[~granted]).tolist()
        refusals = {n: self._refusal(batch.shapes[n], int(row_of[n])) for n in without}
        return self._answers(batch, granted, refusals)

    def adopt(
        self, run_id: str, requirements: Requirements, nodes: Sequence[str], cards: Sequence[int] = ()
    ) -> None:
        """Records a run that already exists (recovery: the store or the adapter knows it), fitting or not.

        `cards` are the bit masks of the cards that each task has; without them, or where they are not free, it gets
        those that it would get by default.
        """
        self.release(run_id)
        if any(node_id not in self._position for node_id in nodes):
            self._table = self._live = (
                None  # an adopted run names a node that is not listed: the next table has it
            )
        tasks = TaskColumns(
            np.array([need_row(requirements.per_task)] * len(nodes), dtype=np.int64).reshape(-1, 4),
            np.array([self._position.setdefault(n, len(self._position)) for n in nodes], dtype=np.int32),
            np.array(cards or [0] * len(nodes), dtype=np.int64),
        )
        if self._live is not None:
            self._live.hold(tasks)
            self._neighbours.add(requirements, tasks.node)
        self._held.add(NewRuns([run_id], [requirements], _one(len(nodes)), tasks), is_confirmed=True)
        self._disk_free[0] -= requirements.total.disk_bytes

    def keep(self, run_id: str, asked: Requirements, node_id: str, cards: int) -> bool:
        """Keeps a place for a run of one task that is to come, on this node and these cards (a bit mask; 0: none), if it
        is free and the run holds nothing yet; whether it did. `place` then gives the run this place."""
        live = self._arrays()
        node = self._nodes.get(node_id)
        if run_id in self._held or node is None or node.cordoned or node_id in self._shut or asked.tasks != 1:
            return False
        n, (cpu, memory, count, milli) = live.table.position[node_id], need_row(asked.per_task)
        free = live.free.cards[n, : int(live.table.columns.cards[n])].tolist()
        chosen = [amount for card, amount in enumerate(free) if cards >> card & 1]
        fits_cards = len(chosen) == cards.bit_count() == count and all(amount >= milli for amount in chosen)
        disk = asked.per_task.disk_bytes
        if (
            not fits_cards
            or live.free.cpu[n] < cpu
            or live.free.memory[n] < memory
            or disk > max(0, self._disk_free[0])
        ):
            return False
        self.adopt(run_id, asked, (node_id,), (cards,))
        return True

    def shut(self, node_id: str, is_shut: bool) -> None:
        """A node that is shut gets no new tasks, as one that its adapter cordons; its owner opens it again."""
        changed = (self._shut | {node_id}) if is_shut else (self._shut - {node_id})
        if changed != self._shut:
            self._shut = changed
            self._table = self._live = None

    def confirm(self, *run_ids: str) -> None:
        """The plan with these runs is durable. Unknown runs are ignored: the release may have come first."""
        self._held.confirm(run_ids)

    def release(self, *run_ids: str) -> None:
        """Gives back what the runs hold. Unknown runs are ignored, so that a release may be repeated."""
        self._give_back(run_ids)

    def holds(self) -> Mapping[str, Hold]:
        """What every run holds, by run id. After a crash the unconfirmed ones are released by their owner."""
        return self._held.holds(list(self._position))

    # What is left

    def view(self, pool: Pool, health: PoolHealth, cordoned: bool, runtimes: frozenset[str]) -> PoolView:
        """The pool for the cycle. What over-committed nodes lack is not taken off the free sums: it is theirs."""
        live = self._arrays()
        allocatable, largest = live.table.sums
        return PoolView(
            pool=pool,
            health=health,
            cordoned=cordoned,
            allocatable=_amount(allocatable, self._disk),
            free=_amount(live.open_free(), max(0, int(self._disk_free[0]))),
            largest_task=_amount(largest, self._disk),
            runtimes=runtimes,
        )

    @property
    def edition(self) -> tuple[object, ...]:
        """Equal to an earlier one only where `view` says the same as then, apart from its arguments."""
        live = self._arrays()
        return live, live.version, self._disk, int(self._disk_free[0])

    def totals(self) -> Totals:
        live = self._arrays()
        return Totals(
            allocatable=_amount(live.table.allocatable.sum(axis=1), self._disk),
            free=_amount(live.free_amounts().sum(axis=1), int(self._disk_free[0])),
            held=total(self._held.requirements(run_id).total for run_id in self._held.run_ids()),
        )

    def free_on(self, node_id: str) -> Resources:
        """What is free on one node, negative where it is over-committed. Raises KeyError for an unknown node."""
        live = self._arrays()
        return _amount(live.free_amounts()[:, live.table.position[node_id]], 0)

    def arrays(self) -> LivePool:
        """What kernels read of the pool now; to be read, not written. A change of nodes makes another one."""
        return self._arrays()

    @property
    def held(self) -> HeldRuns:
        """What runs hold, in columns; to be read, not written. Nodes are positions in `arrays().table`."""
        self._arrays()
        return self._held

    @property
    def policy(self) -> PolicyStack:
        """What the pool places by now."""
        return self._policy

    def _replace_nodes(self, nodes: dict[str, Node]) -> None:
        refuse_too_many_cards(nodes.values())
        has_cards = any(node.allocatable.accelerator_milli for node in nodes.values())
        self._policy = self._chosen or default_policy(has_cards)
        self._nodes = nodes
        self._table = self._live = None

    def _arrays(self) -> LivePool:
        if self._live is None:
            entries, tasks = self._held.all_tasks()
            if self._table is None:
                names = list(self._position)
                gone = {names[n] for n in np.unique(tasks.node).tolist()} - self._nodes.keys()
                shut = {one: replace(self._nodes[one], cordoned=True) for one in self._shut & self._nodes.keys()}
                self._table = NodeTable({**self._nodes, **shut}, gone)
                moved = np.array([self._table.position.get(name, -1) for name in names], dtype=np.int32)
                tasks = tasks._replace(node=moved[tasks.node]) if len(names) else tasks
                self._position = dict(self._table.position)
            self._live = LivePool(self._table, self._policy, self._demand.take(), self._seed)
            self._live.hold(tasks)
            self._held.relocate(entries, tasks)
            self._neighbours = Neighbours(len(self._table.ids))
            self._reasons.clear()
            self._may_fit.clear()
            for run_id in self._held.run_ids():
                asked = self._held.requirements(run_id)
                if is_ruled(asked):
                    self._neighbours.add(asked, self._held.nodes(run_id))
        return self._live

    def _give_back(self, run_ids: Iterable[str]) -> tuple[TaskColumns, list[tuple[Requirements, int]]]:
        """Takes what these runs hold from them; what their tasks held, and what each run had asked for, with its
        tasks."""
        tasks, runs = self._held.remove(run_ids)
        self._disk_free[0] += sum(asked.per_task.disk_bytes * asked.tasks for asked, _ in runs)
        if self._live is not None and runs:
            self._live.give_back(tasks)
            self._count_neighbours(runs, tasks, -1)
        return tasks, runs

    def _count_neighbours(self, runs: Iterable[tuple[Requirements, int]], tasks: TaskColumns, sign: int) -> None:
        first = 0
        for asked, count in runs:
            if is_ruled(asked):
                self._neighbours.add(asked, tasks.node[first : first + count], sign)
            first += count

    def _place_plain(self, batch: NodeBatch, runs: Int64s, rows: Int64s, refused: Marks) -> Flags:
        """Runs whose tasks know no rules: all of them in one call of the kernel."""
        live = self._arrays()
        tasks = live.runs.tasks[rows]
        run_ids = [batch.run_ids[run] for run in runs.tolist()]
        draws = live.draws(run_ids, tasks)
        chosen = live.place(
            Asked(rows, tasks, live.runs.disk[rows], np.cumsum(tasks) - tasks, draws, self._disk_free), refused
        )
        which = chosen.granted
        of_granted = np.repeat(which, tasks)
        columns = TaskColumns(
            np.repeat(live.shapes.rows[rows[which]], tasks[which], axis=0),
            chosen.node[of_granted],
            chosen.cards[of_granted],
        )
        numbers = batch.shape[runs[which]].tolist()
        asked = [batch.shapes[number] for number in numbers]
        ids = [run_ids[i] for i in np.flatnonzero(which).tolist()]
        self._held.add(NewRuns(ids, asked, tasks[which], columns), is_confirmed=False)
        return which

    def _place_ruled(self, batch: NodeBatch, run: int, row: int, refused: Marks) -> bool:
        """One run whose tasks must keep rules among themselves or with others."""
        live, run_id = self._arrays(), batch.run_ids[run]
        asked = batch.shapes[int(batch.shape[run])]
        disk = asked.total.disk_bytes
        if refused[row] or (disk > 0 and disk > int(self._disk_free[0])):
            refused[row] = 1
            return False
        count = _one(asked.tasks)
        tasks = RuledPlacement(live, self._neighbours, asked, row, live.draws([run_id], count)).place()
        if tasks is None:
            refused[row] = 1
            return False
        self._held.add(NewRuns([run_id], [asked], count, tasks), is_confirmed=False)
        self._disk_free[0] -= disk
        return True

    def _answers(self, batch: NodeBatch, granted: Flags, refusals: Mapping[int, Reason]) -> NodeAnswers:
        ids = [batch.run_ids[run] for run in np.flatnonzero(granted).tolist()]
        tasks = np.zeros(len(granted) + 1, dtype=np.int32)
        tasks[1:][granted], nodes = self._held.nodes_of(ids)
        return NodeAnswers(granted, np.cumsum(tasks, dtype=np.int32), nodes, self._arrays().table.ids, refusals)

    def _refusal(self, asked: Requirements, row: int) -> Reason:
        """Why the shape was refused; the same object while nothing changes."""
        live = self._arrays()
        if not self._explains:
            return self._brief_refusal(asked, row)
        version, disk = live.version, int(self._disk_free[0])
        known = self._reasons.get(asked)
        if known is not None and known[:2] == (version, disk):
            return known[2]
        reason = refuse_disk(asked, self._disk, disk) or refuse_nodes(live, row, asked, self._neighbours)
        if len(self._reasons) > MOST_REASONS:
            self._reasons.clear()
        self._reasons[asked] = (version, disk, reason)
        return reason

    def _brief_refusal(self, asked: Requirements, row: int) -> Reason:
        """The verdict of the reason, without what people read."""
        may_fit = self._may_fit.get(asked)
        if may_fit is None:
            may_fit = self._may_fit[asked] = may_fit_later(self._arrays(), row, asked)
        return refuse_disk(asked, self._disk, int(self._disk_free[0])) or (_FULL if may_fit else _TOO_LARGE)


def _segments(runs: Int64s, is_ruled_run: Flags) -> Iterable[Int64s]:
    """Runs in turn: those without rules as far as they stand beside each other, each other one alone."""
    if not len(runs):
        return []
    alone = is_ruled_run[runs]
    if not alone.any():
        return [runs]
    cuts = np.flatnonzero(alone[1:] | alone[:-1]) + 1
    return np.split(runs, cuts)


_FULL = Reason(ReasonCode.CAPACITY, "", "", "", "")
_TOO_LARGE = Reason(ReasonCode.TOO_LARGE, "", "", "", "")


def _one(count: int) -> Int64s:
    return np.array([count], dtype=np.int64)


def _amount(row: Int64s, disk_bytes: int) -> Resources:
    cpu, memory, accelerator = row.tolist()
    return Resources(cpu_milli=cpu, memory_bytes=memory, disk_bytes=disk_bytes, accelerator_milli=accelerator)

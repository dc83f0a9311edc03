"""Rules between tasks: gang topology, affinity, anti-affinity, spread, and how many tasks of a run one node gets.

`PoolState` comes here with the few runs that have such a rule, or that others keep away from. Their tasks are placed
one by one: before each, the nodes that the rules allow are worked out, and of these the policy takes the best.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from inventory.model.constraints import NODE, POOL, Affinity, Labels
from inventory.model.workload import Requirements
from scheduler.core.placement.kernels.arrays import FreeColumns
from scheduler.core.placement.kernels.batches import TaskColumns
from scheduler.core.placement.node_table import Flags
from scheduler.core.placement.policies.encode import Int32s, Int64s
from scheduler.core.placement.policies.shape import WHOLE_CARD
from scheduler.core.placement.pool_arrays import LivePool


class Neighbours:
    """Which tasks that others may attract or keep away run on which node: counts by node, for each set of labels and
    each anti-affinity that running tasks have."""

    def __init__(self, nodes: int) -> None:
        self._nodes = nodes
        self._labelled: dict[Labels, Int64s] = {}
        self._repelling: dict[Affinity, Int64s] = {}

    def add(self, asked: Requirements, nodes: Int32s, sign: int = 1) -> None:
        """Tasks of `asked` have come to (1) or left (-1) these nodes, one an entry."""
        if asked.placement_labels:
            counts = self._labelled.setdefault(asked.placement_labels, np.zeros(self._nodes, dtype=np.int64))
            np.add.at(counts, nodes, sign)
        for rule in asked.affinities:
            if rule.anti:
                counts = self._repelling.setdefault(rule, np.zeros(self._nodes, dtype=np.int64))
                np.add.at(counts, nodes, sign)

    def carrying(self, labels: Labels) -> Int64s:
        """(n) running tasks that carry all of `labels`."""
        total = np.zeros(self._nodes, dtype=np.int64)
        for carried, counts in self._labelled.items():
            if labels <= carried:
                total += counts
        return total

    def keeping_away(self, labels: Labels) -> Iterator[tuple[str, Int64s]]:
        """The topology, and the running tasks by node, of each anti-affinity to a task that carries `labels`."""
        for rule, counts in self._repelling.items():
            if rule.labels <= labels and counts.any():
                yield rule.topology, counts


@dataclass
class RuledPlacement:
    """Places the tasks of one run under its rules; `place` gives their nodes and cards, or None."""

    live: LivePool
    neighbours: Neighbours
    asked: Requirements
    row: int
    draws: Int64s
    _own: Int64s = field(init=False)

    def __post_init__(self) -> None:
        self._own = np.zeros(len(self.live.table.ids), dtype=np.int64)

    def place(self) -> TaskColumns | None:
        """All tasks or none. Where a gang must stay in one domain, the fullest that can hold it comes first."""
        gang = self.asked.gang_topology
        if gang is None or gang == POOL or self.asked.tasks == 1:
            return self._place_in(np.ones(len(self.live.table.ids), dtype=np.bool_))
        domain = self.live.table.domains(gang)
        for number in self._domains_for_gang(domain):
            placed = self._place_in(domain == number)
            if placed is not None:
                return placed
        return None

    def allowed(self) -> Flags:
        """The nodes that the rules allow to the next task, whether it fits there or not."""
        table, asked = self.live.table, self.asked
        allowed = np.ones(len(table.ids), dtype=np.bool_)
        for rule in asked.affinities:
            near = _in_domains(self.neighbours.carrying(rule.labels), table.domains(rule.topology))
            has_domain = table.domains(rule.topology) >= 0
            if rule.anti:
                allowed &= ~near
            elif near.any() or not rule.labels <= asked.placement_labels:
                allowed &= near
            else:
                allowed &= has_domain  # its own first task
        for topology, counts in self.neighbours.keeping_away(asked.placement_labels):
            allowed &= ~_in_domains(counts, table.domains(topology))
        for spread in asked.spreads:
            counts = self._own.copy()
            if asked.placement_labels:
                counts = self.neighbours.carrying(asked.placement_labels)  # its own are among them
            allowed &= _within_skew(counts, table.domains(spread.topology), self._suited(), spread.max_skew)
        if asked.tasks_per_node:
            allowed &= self._own < asked.tasks_per_node
        return allowed

    def _place_in(self, region: Flags) -> TaskColumns | None:
        count = len(self.live.table.ids)
        self._own = np.zeros(count, dtype=np.int64)
        needs = np.repeat(self.live.shapes.rows[[self.row]], self.asked.tasks, axis=0)
        tasks = TaskColumns(
            needs, np.zeros(self.asked.tasks, dtype=np.int32), np.zeros(self.asked.tasks, dtype=np.int64)
        )
        for task in range(self.asked.tasks):
            allowed = (region & self.allowed()).astype(np.uint8)
            node, cards = self.live.place_among(self.row, int(self.draws[task]), allowed)
            if node < 0:
                done = TaskColumns(needs[:task], tasks.node[:task], tasks.cards[:task])
                self.live.give_back(done)
                self.neighbours.add(self.asked, done.node, -1)
                return None
            tasks.node[task], tasks.cards[task] = node, cards
            self._own[node] += 1
            self.neighbours.add(self.asked, tasks.node[task : task + 1])
        return tasks

    def _domains_for_gang(self, domain: Int32s) -> list[int]:
        """Domains with room for all tasks, the one with the least room first, of equals the first by name."""
        room = slots(self.live, self.row, self.asked.tasks)
        if self.asked.tasks_per_node:
            room = np.minimum(room, self.asked.tasks_per_node)
        inside = (domain >= 0) & self._suited()
        by_domain = np.bincount(domain[inside], weights=room[inside]).astype(np.int64)
        numbers = np.flatnonzero(by_domain >= self.asked.tasks).tolist()
        return sorted(numbers, key=lambda number: int(by_domain[number]))

    def _suited(self) -> Flags:
        suits: Flags = self.live.shapes.suits[self.row].astype(np.bool_)
        return suits[self.live.table.columns.trait]


def slots(live: LivePool, row: int, at_most: int, free: FreeColumns | None = None) -> Int64s:
    """(n) how many tasks of the shape's size each node has room for, suiting or not, 0..at_most: now, or with this
    `free`."""
    cpu, memory, cards, milli = live.shapes.rows[row].tolist()
    free = live.free if free is None else free
    holds: Int64s = np.full(len(live.table.ids), at_most, dtype=np.int64)
    for offered, amount in ((free.cpu, cpu), (free.memory, memory)):
        if amount > 0:
            np.minimum(holds, offered // amount, out=holds)
        holds[offered < 0] = 0
    if cards:
        np.minimum(holds, card_slots(free, cards, milli), out=holds)
    holds[free.owed > 0] = 0
    return np.maximum(holds, 0, out=holds)


def card_slots(free: FreeColumns, cards: int, milli: int) -> Int64s:
    """(n) how many tasks the cards alone would hold."""
    if milli > WHOLE_CARD:
        return np.zeros(len(free.cpu), dtype=np.int64)
    by_card: Int64s = (np.maximum(free.cards, 0) // milli).sum(axis=1)
    return by_card // cards


def _in_domains(counts: Int64s, domain: Int32s) -> Flags:
    """The nodes whose domain has a task that is counted; nodes in no domain have none."""
    inside = domain >= 0
    if not inside.any():
        return inside
    by_domain = np.bincount(domain[inside], weights=counts[inside])
    return inside & (by_domain[np.maximum(domain, 0)] > 0)


def _within_skew(counts: Int64s, domain: Int32s, suited: Flags, max_skew: int) -> Flags:
    """The nodes whose domain may have one more: no more than `max_skew` above the emptiest domain that suits."""
    inside = domain >= 0
    if not (inside & suited).any():
        return np.zeros(len(domain), dtype=np.bool_)
    by_domain = np.bincount(domain[inside], weights=counts[inside]).astype(np.int64)
    least = int(by_domain[np.unique(domain[inside & suited])].min())
    return inside & (by_domain[np.maximum(domain, 0)] + 1 - least <= max_skew)


def topology_of(asked: Requirements) -> str:
    """For reasons: the topology keys that the rules of `asked` name."""
    keys = {rule.topology for rule in asked.affinities} | {spread.topology for spread in asked.spreads}
    if asked.gang_topology is not None:
        keys.add(asked.gang_topology)
    return "|".join(sorted(keys or {NODE}))

"""Node-level placement of one pool: who holds what on which node, and where the next run goes.

A pool host keeps one `PoolState` for each of its pools; the simulator keeps the same. Nothing here knows adapters,
actors or time. Capacity is held from the moment of `place` until `release`: a run counts before its adapter has
reported it, so that nothing is sold twice.

Invariant, at every moment and in every dimension: free + held = allocatable (`totals`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from inventory.model.placement import Reason
from inventory.model.pool import Node, Pool, PoolHealth
from inventory.model.units import Resources, total
from inventory.model.workload import Requirements
from scheduler.core.placement.node_choice import Int64s, choose_nodes, need_of
from scheduler.core.placement.node_refusal import refuse_disk, refuse_nodes
from scheduler.core.placement.node_table import NodeTable
from scheduler.core.placement.protocol import NodeAnswers, NodeBatch, PoolView


@dataclass(frozen=True, slots=True)
class Hold:
    """What one run holds. A reservation is confirmed when the plan that made it is committed."""

    requirements: Requirements
    nodes: tuple[str, ...]
    is_confirmed: bool


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

    def __init__(self, disk_bytes: int, nodes: Iterable[Node] = ()) -> None:
        """`disk_bytes` is the pool's shared storage; the disk of single nodes is not counted."""
        self._disk = self._disk_free = disk_bytes
        self._nodes: dict[str, Node] = {}
        self._holds: dict[str, Hold] = {}
        self._refusals: dict[Requirements, Reason] = {}  # the last answer to a shape, while nothing changes
        self._table: NodeTable | None = None  # None: to be built anew, once for any number of changes
        self.set_nodes(nodes)

    # What the adapter says of its nodes

    def set_nodes(self, nodes: Iterable[Node]) -> None:
        """Replaces the nodes by the adapter's complete list. Raises ValueError for a node id that comes twice."""
        listed = list(nodes)
        twice = sorted(node_id for node_id, n in Counter(node.node_id for node in listed).items() if n > 1)
        if twice:
            raise ValueError(f"the node list names {', '.join(twice[:3])} twice; every node id must be unique")
        self._nodes = {node.node_id: node for node in listed}
        self._nodes_changed()

    def change_nodes(self, changed: Iterable[Node], removed: Iterable[str] = ()) -> None:
        """New or changed nodes, and ids of nodes that are gone; unknown ids are ignored."""
        self._nodes.update((node.node_id, node) for node in changed)
        for node_id in removed:
            self._nodes.pop(node_id, None)
        self._nodes_changed()

    def set_disk(self, disk_bytes: int) -> None:
        self._disk_free += disk_bytes - self._disk
        self._disk = disk_bytes
        self._refusals.clear()

    # What runs hold

    def place(self, batch: NodeBatch) -> NodeAnswers:
        """Reserves nodes for each run in turn, all its tasks or none.

        Idempotent on the run id: a run that holds nodes gets the same nodes again.
        """
        refusals: dict[int, Reason] = {}
        chosen: list[tuple[str, ...]] = []
        for run_id, number in zip(batch.run_ids, batch.shape.tolist(), strict=True):
            nodes, refusal = self._place(run_id, batch.shapes[number], refusals.get(number))
            chosen.append(nodes)
            if refusal is not None:
                refusals[number] = refusal
        table = self._built()
        return NodeAnswers(
            granted=np.array([bool(nodes) for nodes in chosen], dtype=np.bool_),
            offsets=np.cumsum([0, *(len(nodes) for nodes in chosen)], dtype=np.int32),
            nodes=np.array([table.position[node] for nodes in chosen for node in nodes], dtype=np.int32),
            node_ids=table.ids,
            refusals=refusals,
        )

    def adopt(self, run_id: str, requirements: Requirements, nodes: tuple[str, ...]) -> None:
        """Records a run that already exists (recovery: the store or the adapter knows it), fitting or not."""
        self.release(run_id)
        self._hold(run_id, Hold(requirements, nodes, is_confirmed=True))

    def confirm(self, run_id: str) -> None:
        """The plan with this run is durable. Unknown runs are ignored: the release may have come first."""
        if run_id in self._holds:
            self._holds[run_id] = replace(self._holds[run_id], is_confirmed=True)

    def release(self, *run_ids: str) -> None:
        """Gives back what the runs hold. Unknown runs are ignored, so that a release may be repeated."""
        for run_id in run_ids:
            hold = self._holds.pop(run_id, None)
            if hold is None:
                continue
            self._disk_free += hold.requirements.total.disk_bytes
            self._refusals.clear()
            if self._table is not None:
                self._table.give_back(hold.nodes, hold.requirements)

    def holds(self) -> Mapping[str, Hold]:
        """What every run holds, by run id. After a crash the unconfirmed ones are released by their owner."""
        return dict(self._holds)

    # What is left

    def view(self, pool: Pool, health: PoolHealth, cordoned: bool, runtimes: frozenset[str]) -> PoolView:
        """The pool for the cycle. What over-committed nodes lack is not taken off the free sums: it is theirs."""
        table = self._built()
        nodes = table.arrays
        return PoolView(
            pool=pool,
            health=health,
            cordoned=cordoned,
            allocatable=_amount(nodes.allocatable[:, table.is_open].sum(axis=1), self._disk),
            free=_amount(np.maximum(nodes.free[:, table.is_open], 0).sum(axis=1), max(0, self._disk_free)),
            largest_task=_amount(nodes.allocatable.max(axis=1, initial=0), self._disk),
            runtimes=runtimes,
        )

    def totals(self) -> Totals:
        nodes = self._built().arrays
        return Totals(
            allocatable=_amount(nodes.allocatable.sum(axis=1), self._disk),
            free=_amount(nodes.free.sum(axis=1), self._disk_free),
            held=total(hold.requirements.total for hold in self._holds.values()),
        )

    def free_on(self, node_id: str) -> Resources:
        """What is free on one node, negative where it is over-committed. Raises KeyError for an unknown node."""
        table = self._built()
        return _amount(table.arrays.free[:, table.position[node_id]], 0)

    def _place(
        self, run_id: str, requirements: Requirements, known: Reason | None
    ) -> tuple[tuple[str, ...], Reason | None]:
        """The run's nodes, or the reason why not; `known` is why its shape was refused before."""
        held = self._holds.get(run_id)
        if held is not None:
            return held.nodes, None
        refusal = (
            known or self._refusals.get(requirements) or refuse_disk(requirements, self._disk, self._disk_free)
        )
        if refusal is None:
            table = self._built()
            eligibility = table.eligibility(requirements)
            need = need_of(requirements.per_task)
            positions = choose_nodes(table.arrays, eligibility.open, need, requirements.tasks)
            if positions is not None:
                nodes = tuple(table.ids[i] for i in positions.tolist())
                self._hold(run_id, Hold(requirements, nodes, is_confirmed=False))
                return nodes, None
            refusal = refuse_nodes(table.arrays, eligibility, requirements)
        self._refusals[requirements] = refusal
        return (), refusal

    def _hold(self, run_id: str, hold: Hold) -> None:
        self._holds[run_id] = hold
        self._disk_free -= hold.requirements.total.disk_bytes
        self._refusals.clear()
        if self._table is not None and all(node_id in self._table.position for node_id in hold.nodes):
            self._table.take(hold.nodes, hold.requirements)
        else:
            self._table = None  # an adopted run names a node that is not listed: the next table has it

    def _nodes_changed(self) -> None:
        self._table = None
        self._refusals.clear()

    def _built(self) -> NodeTable:
        if self._table is None:
            gone = {node_id for hold in self._holds.values() for node_id in hold.nodes} - self._nodes.keys()
            self._table = NodeTable(self._nodes, gone)
            self._table.take_all((hold.nodes, hold.requirements) for hold in self._holds.values())
        return self._table


def _amount(row: Int64s, disk_bytes: int) -> Resources:
    cpu, memory, accelerator = (int(value) for value in row)
    return Resources(cpu_milli=cpu, memory_bytes=memory, disk_bytes=disk_bytes, accelerator_milli=accelerator)

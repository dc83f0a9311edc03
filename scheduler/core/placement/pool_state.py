"""Node-level placement of one pool: who holds what on which node, and where the next run goes.

A pool host keeps one `PoolState` for each of its pools; the simulator keeps the same. Nothing here knows adapters,
actors or time. Capacity is held from the moment of `place` until `release`: a run counts before its adapter has
reported it, so that nothing is sold twice.

Invariant, at every moment and in every dimension: free + held = allocatable (`totals`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from inventory.model.placement import Reason
from inventory.model.pool import Node, Pool, PoolHealth
from inventory.model.system import Architecture
from inventory.model.units import Resources, total
from inventory.model.workload import Requirements
from scheduler.core.placement.node_choice import DIMENSIONS, Flags, Int64s, NodeArrays, choose_nodes, need_of
from scheduler.core.placement.node_refusal import Eligibility, refuse_disk, refuse_nodes
from scheduler.core.placement.protocol import NodeAnswer, NodeRequest, PoolView

_ARCHITECTURES = tuple(Architecture)


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
        self.set_nodes(nodes)

    # Nodes

    def set_nodes(self, nodes: Iterable[Node]) -> None:
        """Replaces the nodes by the adapter's complete list. Raises ValueError for a node id that comes twice."""
        listed = list(nodes)
        twice = sorted(node_id for node_id, n in Counter(node.node_id for node in listed).items() if n > 1)
        if twice:
            raise ValueError(f"the node list names {', '.join(twice[:3])} twice; every node id must be unique")
        self._nodes = {node.node_id: node for node in listed}
        self._build()

    def change_nodes(self, changed: Iterable[Node], removed: Iterable[str] = ()) -> None:
        """New or changed nodes, and ids of nodes that are gone; unknown ids are ignored."""
        self._nodes.update((node.node_id, node) for node in changed)
        for node_id in removed:
            self._nodes.pop(node_id, None)
        self._build()

    def set_disk(self, disk_bytes: int) -> None:
        self._disk_free += disk_bytes - self._disk
        self._disk = disk_bytes

    # Runs

    def place(self, requests: Sequence[NodeRequest]) -> list[NodeAnswer]:
        """Reserves nodes for each run in turn, all its tasks or none; answers in the order asked.

        Idempotent on the run id: a run that holds nodes gets the same nodes again.
        """
        return [self._place(request) for request in requests]

    def adopt(self, run_id: str, requirements: Requirements, nodes: tuple[str, ...]) -> None:
        """Records a run that already exists (recovery: the store or the adapter knows it), fitting or not."""
        self.release(run_id)
        self._hold(run_id, Hold(requirements, nodes, is_confirmed=True))

    def confirm(self, run_id: str) -> None:
        """The plan with this run is durable. Unknown runs are ignored: the release may have come first."""
        if run_id in self._holds:
            self._holds[run_id] = replace(self._holds[run_id], is_confirmed=True)

    def release(self, run_id: str) -> None:
        """Gives back what the run holds. Unknown runs are ignored, so that a release may be repeated."""
        hold = self._holds.pop(run_id, None)
        if hold is None:
            return
        self._arrays.give_back(self._positions(hold.nodes), need_of(hold.requirements.per_task))
        self._disk_free += hold.requirements.total.disk_bytes
        self._refusals.clear()

    def holds(self) -> Mapping[str, Hold]:
        """What every run holds, by run id. After a crash the unconfirmed ones are released by their owner."""
        return dict(self._holds)

    # Sums

    def view(self, pool: Pool, health: PoolHealth, cordoned: bool, runtimes: frozenset[str]) -> PoolView:
        """The pool for the cycle. What over-committed nodes lack is not taken off the free sums: it is theirs."""
        return PoolView(
            pool=pool,
            health=health,
            cordoned=cordoned,
            allocatable=_amount(self._arrays.allocatable[:, self._open].sum(axis=1), self._disk),
            free=_amount(np.maximum(self._arrays.free[:, self._open], 0).sum(axis=1), max(0, self._disk_free)),
            largest_task=_amount(self._arrays.allocatable.max(axis=1, initial=0), self._disk),
            runtimes=runtimes,
        )

    def totals(self) -> Totals:
        return Totals(
            allocatable=_amount(self._arrays.allocatable.sum(axis=1), self._disk),
            free=_amount(self._arrays.free.sum(axis=1), self._disk_free),
            held=total(hold.requirements.total for hold in self._holds.values()),
        )

    def free_on(self, node_id: str) -> Resources:
        """What is free on one node, negative where it is over-committed. Raises KeyError for an unknown node."""
        return _amount(self._arrays.free[:, self._position[node_id]], 0)

    def _place(self, request: NodeRequest) -> NodeAnswer:
        held = self._holds.get(request.run_id)
        if held is not None:
            return NodeAnswer(request.run_id, nodes=held.nodes)
        requirements = request.requirements
        refusal = self._refusals.get(requirements)
        if refusal is None:
            refusal = refuse_disk(requirements, self._disk, self._disk_free)
        if refusal is None:
            eligibility = self._eligibility(requirements)
            need = need_of(requirements.per_task)
            positions = choose_nodes(self._arrays, eligibility.open, need, requirements.tasks)
            if positions is not None:
                nodes = tuple(self._ids[i] for i in positions.tolist())
                self._hold(request.run_id, Hold(requirements, nodes, is_confirmed=False))
                return NodeAnswer(request.run_id, nodes=nodes)
            refusal = refuse_nodes(self._arrays, eligibility, requirements)
        self._refusals[requirements] = refusal
        return NodeAnswer(request.run_id, refusal=refusal)

    def _hold(self, run_id: str, hold: Hold) -> None:
        self._holds[run_id] = hold
        self._disk_free -= hold.requirements.total.disk_bytes
        self._refusals.clear()
        if all(node_id in self._position for node_id in hold.nodes):
            self._arrays.take(self._positions(hold.nodes), need_of(hold.requirements.per_task))
        else:
            self._build()  # an adopted run on a node that is gone: the node stands until the run is released

    def _positions(self, nodes: Iterable[str]) -> Int64s:
        return np.array([self._position[node_id] for node_id in nodes], dtype=np.int64)

    def _eligibility(self, requirements: Requirements) -> Eligibility:
        """Nodes of the right architecture and card model; kept until the nodes change."""
        key = (requirements.architectures, requirements.accelerator)
        found = self._eligible.get(key)
        if found is None:
            hosts = [
                not requirements.architectures or any(build.runs_on(host) for build in requirements.architectures)
                for host in _ARCHITECTURES
            ]
            by_architecture: Flags = np.array(hosts, dtype=np.bool_)[self._architecture]
            suits = by_architecture & self._present
            model = requirements.accelerator
            if model is not None:
                suits = suits & (self._model == self._models.get(model, -1)) & (self._model >= 0)
            found = self._eligible[key] = Eligibility(by_architecture & self._present, suits, suits & self._open)
        return found

    def _build(self) -> None:
        """Makes the arrays anew from the nodes and the holds; nodes stand in the order of their ids."""
        gone = {node_id for hold in self._holds.values() for node_id in hold.nodes} - self._nodes.keys()
        self._ids = sorted(self._nodes.keys() | gone)
        self._position = {node_id: i for i, node_id in enumerate(self._ids)}
        size = len(self._ids)
        allocatable = np.zeros((DIMENSIONS, size), dtype=np.int64)
        self._architecture = np.zeros(size, dtype=np.int8)
        self._model = np.full(size, -1, dtype=np.int32)
        self._present: Flags = np.zeros(size, dtype=np.bool_)
        self._open: Flags = np.zeros(size, dtype=np.bool_)
        self._models: dict[str, int] = {}
        for node_id, node in self._nodes.items():
            i = self._position[node_id]
            allocatable[:, i] = need_of(node.allocatable)
            self._architecture[i] = _ARCHITECTURES.index(node.arch)
            if node.accelerator is not None:
                self._model[i] = self._models.setdefault(node.accelerator, len(self._models))
            self._present[i] = True
            self._open[i] = not node.cordoned
        self._arrays = NodeArrays.of(allocatable)
        for hold in self._holds.values():
            self._arrays.take(self._positions(hold.nodes), need_of(hold.requirements.per_task))
        self._eligible: dict[tuple[frozenset[Architecture], str | None], Eligibility] = {}
        self._refusals: dict[Requirements, Reason] = {}


def _amount(row: Int64s, disk_bytes: int) -> Resources:
    cpu, memory, accelerator = (int(value) for value in row)
    return Resources(cpu_milli=cpu, memory_bytes=memory, disk_bytes=disk_bytes, accelerator_milli=accelerator)

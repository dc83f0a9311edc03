"""Safety of one pool under any sequence of events: a model of plain dictionaries runs beside the arrays.

Named properties: never over capacity, gangs are all or nothing, resources are conserved, one run has one owner.
"""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from inventory.model.pool import Node, PoolHealth
from inventory.model.system import Architecture
from inventory.model.units import Resources, total
from inventory.model.workload import Requirements
from scheduler.core.placement.pool_state import PoolState
from scheduler.core.placement.protocol import NodeBatch, PoolView
from tests.cycle.fakes import a_pool

A_POOL = a_pool("p")
ARCHITECTURES = tuple(Architecture)
NAMES = [f"n{i}" for i in range(5)]
RUNS = [f"r{i}" for i in range(8)]

capacities = st.builds(Resources, st.integers(0, 8), st.integers(0, 8), st.just(0), st.integers(0, 4))
nodes = st.builds(
    Node,
    st.sampled_from(NAMES),
    st.sampled_from(ARCHITECTURES),
    capacities,
    st.sampled_from([None, "A800", "Ascend910B"]),
    st.booleans(),
)
requirements = st.builds(
    Requirements,
    st.builds(Resources, st.integers(0, 5), st.integers(0, 5), st.integers(0, 3), st.integers(0, 2)),
    tasks=st.integers(1, 4),
    architectures=st.frozensets(st.sampled_from(ARCHITECTURES), max_size=2),
    accelerator=st.sampled_from([None, None, "A800"]),
)


@dataclass
class Held:
    requirements: Requirements
    nodes: tuple[str, ...]


class PoolMachine(RuleBasedStateMachine):
    DISK = 20

    def __init__(self) -> None:
        super().__init__()
        self.state = PoolState(self.DISK)
        self.nodes: dict[str, Node] = {}
        self.held: dict[str, Held] = {}
        self.seen: list[tuple[tuple[object, ...], PoolView]] = []

    def free_on(self, node_id: str) -> Resources:
        taken = [h.requirements.per_task * h.nodes.count(node_id) for h in self.held.values()]
        node = self.nodes.get(node_id)
        free = (node.allocatable if node else Resources()) - total(taken)
        return Resources(free.cpu_milli, free.memory_bytes, 0, free.accelerator_milli)

    @rule(listed=st.lists(nodes, max_size=5, unique_by=lambda node: node.node_id))
    def the_adapter_lists_its_nodes(self, listed: list[Node]) -> None:
        self.state.set_nodes(listed)
        self.nodes = {node.node_id: node for node in listed}

    @rule(node=nodes)
    def a_node_changes(self, node: Node) -> None:
        self.state.change_nodes([node])
        self.nodes[node.node_id] = node

    @rule(node_id=st.sampled_from(NAMES))
    def a_node_goes_away(self, node_id: str) -> None:
        self.state.change_nodes([], removed=[node_id])
        self.nodes.pop(node_id, None)

    @rule(run_id=st.sampled_from(RUNS), asked=requirements)
    def a_run_is_placed(self, run_id: str, asked: Requirements) -> None:
        before = self.state.totals()
        free = {node_id: self.free_on(node_id) for node_id in self.nodes}
        answers = self.state.place(NodeBatch.of([(run_id, asked)]))
        given = answers.nodes_of(0)
        if run_id in self.held:
            assert given == self.held[run_id].nodes, "one run has one owner, and keeps its nodes"
            assert self.state.totals() == before
            return
        if answers.refusals:
            assert given == () and self.state.totals() == before, "a refused gang takes nothing"
            return
        assert len(given) == asked.tasks, "a gang is placed whole"
        for node_id in given:
            node = self.nodes[node_id]
            free[node_id] = free[node_id] - Resources(
                asked.per_task.cpu_milli, asked.per_task.memory_bytes, 0, asked.per_task.accelerator_milli
            )
            assert not free[node_id].is_negative, "never over capacity"
            assert not node.cordoned
            assert asked.accelerator in (None, node.accelerator)
            assert not asked.architectures or any(build.runs_on(node.arch) for build in asked.architectures)
        self.held[run_id] = Held(asked, given)
        assert asked.total.disk_bytes == 0 or self.state.totals().free.disk_bytes >= 0

    @rule(run_id=st.sampled_from(RUNS))
    def a_run_ends(self, run_id: str) -> None:
        self.state.release(run_id)
        self.held.pop(run_id, None)

    @rule(run_id=st.sampled_from(RUNS), asked=requirements, names=st.data())
    def a_run_is_adopted(self, run_id: str, asked: Requirements, names: st.DataObject) -> None:
        chosen = tuple(names.draw(st.lists(st.sampled_from(NAMES), min_size=asked.tasks, max_size=asked.tasks)))
        self.state.adopt(run_id, asked, chosen)
        self.held[run_id] = Held(asked, chosen)

    @invariant()
    def resources_are_conserved(self) -> None:
        totals = self.state.totals()
        assert totals.free + totals.held == totals.allocatable
        assert totals.held == total(h.requirements.total for h in self.held.values())

    @invariant()
    def what_an_edition_shows_does_not_change(self) -> None:
        view = self.state.view(A_POOL, PoolHealth.READY, cordoned=False, runtimes=frozenset())
        self.seen.append((self.state.edition, view))
        assert all(then == view for edition, then in self.seen if edition == self.state.edition)

    @invariant()
    def every_node_agrees_with_the_plain_model(self) -> None:
        assert set(self.state.holds()) == set(self.held)
        for node_id in self.nodes:
            assert self.state.free_on(node_id) == self.free_on(node_id)


PoolMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
TestPoolUnderAnyEvents = PoolMachine.TestCase

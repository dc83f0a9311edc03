"""Rules between tasks and the counts of refusals against twins in plain words: the same nodes and cards, ties included.

The twin knows dictionaries and loops only. It covers gangs and their topology, affinity, anti-affinity, spread, tasks a
node, taints, labels, architecture, models and kinds of cards, and cordoned nodes, under every policy that has a kernel.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inventory.model.constraints import (
    AcceleratorKind,
    Affinity,
    NodeSelector,
    SelectorOperator,
    Spread,
    Taint,
    Toleration,
    labels,
)
from inventory.model.placement import Reason, ReasonCode
from inventory.model.pool import Node
from inventory.model.system import Architecture
from inventory.model.units import GIB, TIB, Resources
from inventory.model.workload import Requirements
from scheduler.core.placement.policies.demand import typical_demand
from scheduler.core.placement.policies.encode import scale_of
from scheduler.core.placement.policies.protocol import Policy
from scheduler.core.placement.policies.registry import KERNELS, PolicyStack
from scheduler.core.placement.policies.shape import NodeFree, TaskShape, fits, put, release
from scheduler.core.placement.pool_arrays import task_shape
from scheduler.core.placement.pool_state import PoolState
from scheduler.core.placement.protocol import NodeBatch

POLICIES = [name for name in KERNELS if name not in ("xisuan", "random")]
EXPECTED = typical_demand([TaskShape(1_000, GIB), TaskShape(2_000, GIB, 1, 500), TaskShape(5_000, GIB, 2, 1000)])
WEB, DB = labels({"app": "web"}), labels({"app": "db"})
ZONES = st.sampled_from([frozenset(), labels({"zone": "a"}), labels({"zone": "b"})])
TOPOLOGIES = ["node", "rack", "zone"]

# Few distinct nodes, so that scores tie.
nodes = st.builds(
    lambda offer, arch, place, taints, cordoned: Node(
        "", arch, Resources(offer[0] * 1000, offer[1] * GIB, 0, offer[2] * 1000), offer[3] or None, cordoned,
        labels=place[0], taints=taints, rack=place[1],
    ),
    st.sampled_from([(4, 8, 0, ""), (4, 8, 0, ""), (4, 8, 2, "A800"), (4, 8, 2, "Ascend910B")]),
    st.sampled_from([Architecture.X86_64, Architecture.X86_64, Architecture.ARM64]),
    st.tuples(ZONES, st.sampled_from(["r0", "r1", "r1", ""])),
    st.sampled_from([frozenset(), frozenset(), frozenset(), frozenset({Taint("gpu")})]),
    st.sampled_from([False, False, False, True]),
)  # fmt: skip
asked_for = st.builds(
    Requirements,
    st.builds(
        lambda cpu, gib, milli: Resources(cpu * 1000, gib * GIB, 0, milli),
        st.sampled_from([1, 2, 5]),
        st.sampled_from([1, 4]),
        st.sampled_from([0, 0, 500, 1000, 2000]),
    ),
    tasks=st.integers(1, 3),
    architectures=st.sampled_from([frozenset(), frozenset(), frozenset({Architecture.ARM64})]),
    accelerator_kind=st.sampled_from([None, None, None, AcceleratorKind.ASCEND]),
    node_selectors=st.sampled_from(
        [frozenset(), frozenset(), frozenset({NodeSelector("zone", SelectorOperator.IN, frozenset({"a"}))})]
    ),
    tolerations=st.sampled_from([frozenset(), frozenset({Toleration("gpu")})]),
    placement_labels=st.sampled_from([frozenset(), WEB, DB]),
    affinities=st.frozensets(
        st.builds(Affinity, st.sampled_from([WEB, DB]), st.sampled_from(TOPOLOGIES), st.booleans()), max_size=2
    ),
    spreads=st.frozensets(st.builds(Spread, st.sampled_from(TOPOLOGIES), st.integers(1, 2)), max_size=1),
    gang_topology=st.sampled_from([None, None, *TOPOLOGIES, "pool"]),
    tasks_per_node=st.sampled_from([0, 0, 1, 2]),
)
# A run that is asked for, or (an odd number) the end of the run with that number, if it runs.
steps = st.lists(st.tuples(st.integers(0, 14), asked_for), min_size=1, max_size=14)


@dataclass
class PlainPool:
    nodes: list[Node]
    policy: Policy
    free: list[NodeFree] = field(init=False)
    held: dict[str, tuple[Requirements, list[tuple[int, int]]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.free = [self.empty(i) for i in range(len(self.nodes))]

    def empty(self, i: int) -> NodeFree:
        offer, model = self.nodes[i].allocatable, self.nodes[i].accelerator
        return NodeFree.empty(offer.cpu_milli, offer.memory_bytes, offer.accelerator_milli // 1000, model or "")

    def refused_by(self, i: int, asked: Requirements) -> ReasonCode | None:
        node = self.nodes[i]
        if asked.architectures and not any(build.runs_on(node.arch) for build in asked.architectures):
            return ReasonCode.ARCHITECTURE
        kind = asked.accelerator_kind
        if kind is not None and AcceleratorKind.of_model(node.accelerator or "?") is not kind:
            return ReasonCode.ACCELERATOR
        if not all(selector.accepts(dict(node.labels)) for selector in asked.node_selectors):
            return ReasonCode.NODE_SELECTOR
        if not all(any(one.covers(taint) for one in asked.tolerations) for taint in node.taints):
            return ReasonCode.TAINTED
        return ReasonCode.CORDONED if node.cordoned else None

    def domain(self, i: int, topology: str) -> str | None:
        """None: in no domain."""
        node = self.nodes[i]
        of = {"node": node.node_id, "rack": node.rack, "pool": "the pool"}
        return of.get(topology, dict(node.labels).get(topology)) or None

    def tasks(self) -> Iterator[tuple[Requirements, int]]:
        """Every running task, those of the run in the making too."""
        for asked, places in self.held.values():
            for i, _ in places:
                yield asked, i

    def allows(self, i: int, asked: Requirements, own: list[int]) -> bool:
        for rule in asked.affinities:
            carrying = (at for other, at in self.tasks() if rule.labels <= other.placement_labels)
            near = {self.domain(at, rule.topology) for at in carrying} - {None}
            here = self.domain(i, rule.topology)
            if rule.anti:
                if here in near:
                    return False
            elif near or not rule.labels <= asked.placement_labels:
                if here not in near:
                    return False
            elif here is None:
                return False  # its own first task
        for other, at in self.tasks():
            for rule in other.affinities:
                if rule.anti and rule.labels <= asked.placement_labels:
                    there = self.domain(at, rule.topology)
                    if there is not None and there == self.domain(i, rule.topology):
                        return False
        return all(self.evens(i, asked, own, spread) for spread in asked.spreads) and (
            not asked.tasks_per_node or own.count(i) < asked.tasks_per_node
        )

    def evens(self, i: int, asked: Requirements, own: list[int], spread: Spread) -> bool:
        counted = own
        if asked.placement_labels:
            counted = [at for other, at in self.tasks() if asked.placement_labels <= other.placement_labels]
        count = Counter(self.domain(at, spread.topology) for at in counted)
        suited = [n for n in range(len(self.nodes)) if self.refused_by(n, asked) is None]
        domains = {self.domain(n, spread.topology) for n in suited} - {None}
        here = self.domain(i, spread.topology)
        if here is None or not domains:
            return False
        return count[here] + 1 - min(count[one] for one in domains) <= spread.max_skew

    def room(self, i: int, asked: Requirements) -> int:
        task, free, count = task_shape(asked), self.free[i], 0
        while count < asked.tasks and fits(task, free):
            free, _ = put(task, free, first_card(task, free))
            count += 1
        return min(count, asked.tasks_per_node or count)

    def place(self, run_id: str, asked: Requirements) -> list[tuple[int, int]] | None:
        everywhere = set(range(len(self.nodes)))
        if asked.gang_topology in (None, "pool") or asked.tasks == 1:
            return self.place_in(run_id, asked, everywhere)
        room: Counter[str] = Counter()
        for i in everywhere:
            where = self.domain(i, asked.gang_topology or "")
            if where is not None and self.refused_by(i, asked) is None:
                room[where] += self.room(i, asked)
        for where in sorted((one for one in room if room[one] >= asked.tasks), key=lambda one: (room[one], one)):
            inside = {i for i in everywhere if self.domain(i, asked.gang_topology or "") == where}
            placed = self.place_in(run_id, asked, inside)
            if placed is not None:
                return placed
        return None

    def place_in(self, run_id: str, asked: Requirements, region: set[int]) -> list[tuple[int, int]] | None:
        task = task_shape(asked)
        self.held[run_id] = (asked, [])
        placed = self.held[run_id][1]
        for _ in range(asked.tasks):
            own = [i for i, _ in placed]
            fitting = [
                i
                for i in sorted(region)
                if self.refused_by(i, asked) is None and fits(task, self.free[i]) and self.allows(i, asked, own)
            ]
            if not fitting:
                self.release(run_id)
                return None
            best = max(fitting, key=lambda i: (self.policy.score(task, self.free[i]), -i))
            card = self.policy.card(task, self.free[best]) if task.shares_card else -1
            self.free[best], mask = put(task, self.free[best], card)
            placed.append((best, mask))
        return placed

    def release(self, run_id: str) -> None:
        asked, places = self.held.pop(run_id, (None, []))
        for i, mask in reversed(places):
            assert asked is not None
            self.free[i] = release(task_shape(asked), self.free[i], mask)

    def counts(self, asked: Requirements) -> dict[ReasonCode, int]:
        """Each node under the first filter that refuses the first task; nodes that would take it under none."""
        task, found = task_shape(asked), Counter[ReasonCode | None]()
        for i in range(len(self.nodes)):
            code = self.refused_by(i, asked)
            if code is None and not fits(task, self.empty(i)):
                code = ReasonCode.TOO_LARGE
            elif code is None and not fits(task, self.free[i]):
                code = ReasonCode.CAPACITY
            elif code is None and not self.allows(i, asked, []):
                code = ReasonCode.AFFINITY
            found[code] += 1
        return {code: count for code, count in found.items() if code is not None}

    def nearest(self, asked: Requirements) -> tuple[int, Resources]:
        """Of the nodes that are full: how many lack the least for one task, and what."""
        full = [i for i in range(len(self.nodes)) if self.refused_by(i, asked) is None]
        full = [
            i for i in full if fits(task_shape(asked), self.empty(i)) and not fits(task_shape(asked), self.free[i])
        ]
        largest = [max(getattr(node.allocatable, name) for node in self.nodes) or 1 for name in DIMENSIONS]
        lacks = [self.lack(i, asked) for i in full]
        weights = [sum(part / most for part, most in zip(lack, largest, strict=True)) for lack in lacks]
        least = lacks[weights.index(min(weights))]
        return lacks.count(least), Resources(least[0], least[1], 0, least[2])

    def lack(self, i: int, asked: Requirements) -> tuple[int, int, int]:
        task, free = task_shape(asked), self.free[i]
        if task.shares_card:
            cards = max(0, task.card_milli - max(free.free_cards, default=0))
        else:
            cards = 1000 * max(0, task.cards - free.free_cards.count(1000))
        return max(0, task.cpu_milli - free.free_cpu), max(0, task.memory - free.free_memory), cards


DIMENSIONS = ("cpu_milli", "memory_bytes", "accelerator_milli")


def first_card(task: TaskShape, free: NodeFree) -> int:
    if not task.shares_card:
        return -1
    return next(card for card, milli in enumerate(free.free_cards) if milli >= task.card_milli)


def pools(policy: str, kinds: list[Node]) -> tuple[PoolState, PlainPool]:
    named = [
        Node(f"n{i}", n.arch, n.allocatable, n.accelerator, n.cordoned, n.labels, n.taints, n.rack)
        for i, n in enumerate(kinds)
    ]
    plain = PlainPool(named, None)  # type: ignore[arg-type]  # its policy needs the scale of its nodes
    plain.policy = PolicyStack.parse(policy).plain(scale_of(plain.free), EXPECTED)
    return PoolState(TIB, named, policy, demand=EXPECTED), plain


@pytest.mark.parametrize("policy", POLICIES)
@settings(max_examples=25, deadline=None)
@given(kinds=st.lists(nodes, min_size=1, max_size=7), asked=steps)
def test_rules_place_as_their_twin_and_refusals_count_as_it_does(
    policy: str, kinds: list[Node], asked: list[tuple[int, Requirements]]
) -> None:
    state, plain = pools(policy, kinds)
    for number, wanted in asked:
        run_id = f"r{number // 2}"
        if number % 2:
            state.release(run_id)
            plain.release(run_id)
            continue
        if run_id in plain.held:
            continue
        answers = state.place(NodeBatch.of([(run_id, wanted)]))
        expected = plain.place(run_id, wanted)
        if expected is None:
            assert not answers.granted[0]
            check_reason(answers.refusals[0], plain, wanted)
            continue
        assert answers.granted[0], answers.refusals
        assert answers.nodes.tolist() == [i for i, _ in expected]
        assert state.held.cards(run_id).tolist() == [mask for _, mask in expected]


def check_reason(reason: Reason, plain: PlainPool, wanted: Requirements) -> None:
    counted = {one.code: one.nodes for one in reason.nodes}
    assert counted == plain.counts(wanted)
    for one in reason.nodes:
        if one.code is ReasonCode.CAPACITY:
            count, _ = plain.nearest(wanted)
            assert one.nearest_en.startswith(f"{count} node")

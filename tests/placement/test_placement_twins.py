"""A pool's state places as the readable run of its policy does: node by node and card by card, ties included."""

from __future__ import annotations

from dataclasses import dataclass, field
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inventory.model.pool import Node
from inventory.model.system import Architecture
from inventory.model.units import GIB, Resources
from inventory.model.workload import Requirements
from scheduler.core.placement.policies.demand import Demand, typical_demand
from scheduler.core.placement.policies.encode import scale_of
from scheduler.core.placement.policies.plain_run import PlainRun
from scheduler.core.placement.policies.registry import KERNELS, PolicyStack
from scheduler.core.placement.policies.shape import NodeFree
from scheduler.core.placement.pool_arrays import task_shape
from scheduler.core.placement.pool_state import PoolState
from scheduler.core.placement.protocol import NodeBatch

POLICIES = [name for name in KERNELS if name not in ("xisuan", "random")]
offers = st.sampled_from([(8, 16, 0, ""), (8, 16, 2, "A800"), (96, 64, 8, "A800"), (96, 64, 8, "Ascend910B")])
requirements = st.builds(
    lambda cpu, gib, milli, tasks, model: Requirements(
        Resources(cpu * 1000, gib * GIB, 0, milli), tasks=tasks, accelerator=model if milli else None
    ),
    st.sampled_from([0, 1, 4, 9]),
    st.sampled_from([1, 8]),
    st.sampled_from([0, 300, 500, 1000, 2000, 8000]),
    st.sampled_from([1, 1, 1, 3]),
    st.sampled_from([None, None, "A800"]),
)
# A run that is asked for, or (an odd number) the end of the run with that number, if it runs.
steps = st.lists(st.tuples(st.integers(0, 20), requirements), min_size=1, max_size=25)


@dataclass
class PlainPool:
    """One pool and one policy in plain words: gangs are arrivals one after the other, undone where one fails."""

    run: PlainRun
    held: dict[str, list[tuple[Requirements, int, int]]] = field(default_factory=dict)

    def place(self, run_id: str, asked: Requirements) -> list[tuple[int, int]] | None:
        placed = []
        for _ in range(asked.tasks):
            node, mask = self.run.arrive(task_shape(asked), 0)
            if node < 0:
                for node, mask in reversed(placed):
                    self.run.depart(task_shape(asked), node, mask)
                return None
            placed.append((node, mask))
        self.held[run_id] = [(asked, node, mask) for node, mask in placed]
        return placed

    def release(self, run_id: str) -> None:
        for asked, node, mask in self.held.pop(run_id, []):
            self.run.depart(task_shape(asked), node, mask)


def pools_of(policy: str, kinds: list[tuple[int, int, int, str]], demand: Demand) -> tuple[PoolState, PlainPool]:
    nodes = [
        Node(f"n{i}", Architecture.X86_64, Resources(cpu * 1000, gib * GIB, 0, cards * 1000), model or None)
        for i, (cpu, gib, cards, model) in enumerate(kinds)
    ]
    free = [NodeFree.empty(cpu * 1000, gib * GIB, cards, model) for cpu, gib, cards, model in kinds]
    plain = PlainRun(PolicyStack.parse(policy).plain(scale_of(free), demand), free, demand)
    return PoolState(0, nodes, policy, demand=demand), PlainPool(plain)


@pytest.mark.parametrize("policy", [*POLICIES, "fgd:50+packing:1"])
@settings(max_examples=20, deadline=None)
@given(kinds=st.lists(offers, min_size=1, max_size=7), asked=steps)
def test_a_pool_places_as_its_policy_says(
    policy: str, kinds: list[tuple[int, int, int, str]], asked: list[tuple[int, Requirements]]
) -> None:
    demand = typical_demand(task_shape(requirements) for _, requirements in asked)
    state, plain = pools_of(policy, kinds, demand)
    for number, requirements in asked:
        if number % 2:
            state.release(f"r{number // 2}")
            plain.release(f"r{number // 2}")
            continue
        run_id = f"r{number // 2}"
        if run_id in plain.held:
            continue
        answers = state.place(NodeBatch.of([(run_id, requirements)]))
        expected = plain.place(run_id, requirements)
        if expected is None:
            assert not answers.granted[0]
            continue
        assert answers.nodes.tolist() == [node for node, _ in expected]
        assert state.held.cards(run_id).tolist() == [mask for _, mask in expected]
    live = state.arrays()
    for i, node in enumerate(plain.run.nodes):
        assert (int(live.free.cpu[i]), int(live.free.memory[i])) == (node.free_cpu, node.free_memory)
        assert tuple(live.free.cards[i, : len(node.free_cards)].tolist()) == node.free_cards


@settings(max_examples=25, deadline=None)
@given(kinds=st.lists(offers, min_size=1, max_size=5), asked=steps, cut=st.integers(0, 20))
def test_one_batch_or_many_make_no_difference(
    kinds: list[tuple[int, int, int, str]], asked: list[tuple[int, Requirements]], cut: int
) -> None:
    runs = [(f"r{i}", requirements) for i, (_, requirements) in enumerate(asked)]
    whole, parts = (pools_of("tightest", kinds, Demand((), ()))[0] for _ in range(2))
    at_once = whole.place(NodeBatch.of(runs))
    one, two = parts.place(NodeBatch.of(runs[:cut])), parts.place(NodeBatch.of(runs[cut:]))
    assert at_once.granted.tolist() == [*one.granted.tolist(), *two.granted.tolist()]
    assert at_once.nodes.tolist() == [*one.nodes.tolist(), *two.nodes.tolist()]


@settings(max_examples=15, deadline=None)
@given(kinds=st.lists(offers, min_size=2, max_size=7), asked=steps, seed=st.integers(0, 9))
def test_the_random_policy_is_decided_by_seed_and_run_alone(
    kinds: list[tuple[int, int, int, str]], asked: list[tuple[int, Requirements]], seed: int
) -> None:
    nodes = [
        Node(f"n{i}", Architecture.X86_64, Resources(cpu * 1000, gib * GIB, 0, cards * 1000), model or None)
        for i, (cpu, gib, cards, model) in enumerate(kinds)
    ]
    runs = [(f"r{i}", requirements) for i, (_, requirements) in enumerate(asked)]
    first, again = (PoolState(0, nodes, "random", seed).place(NodeBatch.of(runs)) for _ in range(2))
    assert np.array_equal(first.granted, again.granted) and np.array_equal(first.nodes, again.nodes)


@settings(max_examples=25, deadline=None)
@given(kinds=st.lists(offers, min_size=1, max_size=5), asked=steps)
def test_a_restart_finds_every_card_again(
    kinds: list[tuple[int, int, int, str]], asked: list[tuple[int, Requirements]]
) -> None:
    """A new node list builds everything anew: what runs hold is what they held."""
    state, _ = pools_of("tightest", kinds, Demand((), ()))
    state.place(NodeBatch.of((f"r{i}", requirements) for i, (_, requirements) in enumerate(asked)))
    before = state.arrays()
    cards = {run_id: state.held.cards(run_id).tolist() for run_id in state.held.run_ids()}
    state.change_nodes([])
    after = state.arrays()
    assert after is not before
    for name, column in before.free._asdict().items():
        assert np.array_equal(column, getattr(after.free, name)), name
    assert cards == {run_id: state.held.cards(run_id).tolist() for run_id in state.held.run_ids()}


@settings(max_examples=60)
@given(
    kinds=st.lists(st.tuples(offers, st.booleans()), min_size=1, max_size=5),
    asked=steps,
    odd=st.sampled_from([None, Resources(1, 1, 0, 1500), Resources(1, 1, 7, 0), Resources(1, 1, 3, 0)]),
)
def test_a_refusal_that_nobody_reads_has_the_verdict_of_the_one_that_people_read(
    kinds: list[tuple[tuple[int, int, int, str], bool]],
    asked: list[tuple[int, Requirements]],
    odd: Resources | None,
) -> None:
    """Nodes of several kinds, some cordoned; parts of several cards; the pool's shared disk of 5."""
    nodes = [
        Node(
            f"n{i}",
            Architecture.X86_64,
            Resources(cpu * 1000, gib * GIB, 0, cards * 1000),
            model or None,
            cordoned=is_cordoned,
        )
        for i, ((cpu, gib, cards, model), is_cordoned) in enumerate(kinds)
    ]
    extra = [] if odd is None else [Requirements(odd)] * 2
    batch = NodeBatch.of((f"r{i}", one) for i, one in enumerate([*(one for _, one in asked), *extra]))
    long, short = (PoolState(5, nodes, explains=explains).place(batch) for explains in (True, False))
    assert long.granted.tolist() == short.granted.tolist() and long.nodes.tolist() == short.nodes.tolist()
    verdicts = [{at: reason.verdict for at, reason in one.refusals.items()} for one in (long, short)]
    assert verdicts[0] == verdicts[1]


@pytest.mark.parametrize("policy", ["bestfit", "packing", "clustering", "future-fill", "fgd:50+packing:1"])
@settings(max_examples=15)
@given(kinds=st.lists(offers, min_size=1, max_size=5), asked=steps)
def test_a_policy_without_a_kernel_places_as_its_kernel_would(
    policy: str, kinds: list[tuple[int, int, int, str]], asked: list[tuple[int, Requirements]]
) -> None:
    demand = typical_demand(task_shape(requirements) for _, requirements in asked)
    with_kernel, _ = pools_of(policy, kinds, demand)
    with_kernel.arrays()
    with patch.dict(KERNELS, {"first-fit": KERNELS["first-fit"]}, clear=True):  # type: ignore[arg-type]  # it is a dict
        without, _ = pools_of(policy, kinds, demand)
        without.arrays()
    for number, requirements in asked:
        run = NodeBatch.of([(f"r{number // 2}", requirements)])
        for state in (with_kernel, without):
            state.release(f"r{number // 2}")
            if not number % 2:
                state.place(run)
    assert with_kernel.holds() == without.holds()
    for one, other in zip(with_kernel.arrays().free[:6], without.arrays().free[:6], strict=True):
        assert (one == other).all()

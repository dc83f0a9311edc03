"""The kernels equal their readable twins on random clusters, tasks and departures: node by node, card by card."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.core.placement.kernels.arrays import Placed, PoolArrays, Shapes, Tasks
from scheduler.core.placement.kernels.events import place
from scheduler.core.placement.policies.demand import Demand, typical_demand
from scheduler.core.placement.policies.encode import (
    encode_demand,
    encode_fill,
    encode_nodes,
    encode_shapes,
    model_numbers,
    scale_of,
    suited_models,
)
from scheduler.core.placement.policies.fragmentation import fragmentation
from scheduler.core.placement.policies.plain_run import Outcome, PlainRun
from scheduler.core.placement.policies.registry import KERNELS, PolicyStack, policy_named
from scheduler.core.placement.policies.shape import NodeFree, TaskShape, fits, put

# Few distinct amounts, so that scores tie often and nodes fill up exactly.
NODES = st.builds(
    NodeFree.empty,
    cpu=st.sampled_from([8_000, 16_000, 96_000]),
    memory=st.sampled_from([100, 1_000]),
    cards=st.sampled_from([0, 1, 2, 8]),
    model=st.sampled_from(["A", "B"]),
)
MODELS = st.sampled_from([None, frozenset({"A"}), frozenset({"A", "B"}), frozenset({"C"})])
SHARES = st.builds(
    TaskShape,
    cpu_milli=st.sampled_from([0, 1_000, 4_000, 9_000]),
    memory=st.sampled_from([0, 10, 60]),
    cards=st.just(1),
    card_milli=st.sampled_from([10, 300, 500, 510, 1000]),
    models=MODELS,
)
WHOLES = st.builds(
    TaskShape,
    cpu_milli=st.sampled_from([1_000, 8_000]),
    memory=st.sampled_from([0, 10]),
    cards=st.sampled_from([2, 4, 8]),
    card_milli=st.just(1000),
    models=MODELS,
)
CARDLESS = st.builds(TaskShape, cpu_milli=st.sampled_from([0, 1_000, 7_000]), memory=st.sampled_from([10, 60]))
TASKS = st.lists(st.one_of(SHARES, WHOLES, CARDLESS), min_size=1, max_size=40)


STACKS = ["bestfit:3+tightest:1", "fgd:50+packing:1+dotprod:2", "future-fill:2+clustering"]
TWINS = [*(name for name in KERNELS if name != "xisuan"), *STACKS]  # xisuan: the other name of future-fill


@st.composite
def event_orders(draw: st.DrawFn, count: int) -> list[int]:
    """Every task arrives once, in order; some leave later."""
    events = list(range(count))
    for task in draw(st.lists(st.integers(0, count - 1), unique=True, max_size=count)):
        events.insert(draw(st.integers(events.index(task) + 1, len(events))), ~task)
    return events


def run_kernel(
    policy: str, nodes: list[NodeFree], tasks: list[TaskShape], events: list[int], draws: list[int], demand: Demand
) -> Placed:
    models = model_numbers(nodes)
    scale = scale_of(nodes)
    pool = PoolArrays(
        encode_nodes(nodes, models),
        encode_demand(demand, models),
        encode_fill(demand, scale, models),
        (scale.cpu_milli, scale.card_milli, scale.memory),
        np.array(PolicyStack.parse(policy).numbers(), dtype=np.int64),
    )
    shapes = list(dict.fromkeys(tasks))
    return place(
        pool,
        Tasks(
            Shapes(encode_shapes(shapes), suited_models(shapes, models)),
            np.array([shapes.index(task) for task in tasks], dtype=np.int32),
            np.array(draws, dtype=np.int64),
            np.array(events, dtype=np.int64),
        ),
    )


def run_plain(
    policy: str, nodes: list[NodeFree], tasks: list[TaskShape], events: list[int], draws: list[int], demand: Demand
) -> Outcome:
    return PlainRun(policy_named(policy, scale_of(nodes), demand), nodes, demand).run(tasks, events, draws)


@pytest.mark.parametrize("policy", TWINS)
@settings(max_examples=25, deadline=None)
@given(data=st.data(), nodes=st.lists(NODES, min_size=1, max_size=9), tasks=TASKS)
def test_a_kernel_places_as_its_plain_twin(
    policy: str, data: st.DataObject, nodes: list[NodeFree], tasks: list[TaskShape]
) -> None:
    events = data.draw(event_orders(len(tasks)))
    draws = data.draw(st.lists(st.integers(0, 2**63 - 1), min_size=len(tasks), max_size=len(tasks)))
    demand = typical_demand(tasks)
    plain = run_plain(policy, nodes, tasks, events, draws, demand)
    fast = run_kernel(policy, nodes, tasks, events, draws, demand)
    assert fast.allocated.tolist() == plain.allocated
    assert fast.fragmentation.tolist() == plain.fragmentation
    stays = {event: i for i, event in enumerate(events) if event >= 0 and ~event not in events}
    assert {k: int(fast.node[k]) for k in stays} == {k: plain.nodes[i] for k, i in stays.items()}
    assert {k: int(fast.cards[k]) for k in stays} == {k: plain.cards[i] for k, i in stays.items()}


@pytest.mark.parametrize("policy", [name for name in TWINS if name != "random"])
@settings(max_examples=8, deadline=None)
@given(nodes=st.lists(NODES, min_size=1, max_size=6), tasks=TASKS)
def test_kept_scores_are_those_of_scoring_everything_anew(
    policy: str, nodes: list[NodeFree], tasks: list[TaskShape]
) -> None:
    """Neither twin may rely on a stale score: here every arrival scores every node."""
    demand = typical_demand(tasks)
    rule = policy_named(policy, scale_of(nodes), demand)
    cluster, chosen, broken = list(nodes), [], []
    for task in tasks:
        fitting = [i for i, node in enumerate(cluster) if fits(task, node)]
        best = max(fitting, key=lambda i: (rule.score(task, cluster[i]), -i), default=-1)
        if fitting:
            card = rule.card(task, cluster[best]) if task.shares_card else -1
            cluster[best], _ = put(task, cluster[best], card)
        chosen.append(best)
        broken.append(sum(fragmentation(node, demand) for node in cluster))
    plain = run_plain(policy, nodes, tasks, list(range(len(tasks))), [0] * len(tasks), demand)
    assert plain.nodes == chosen
    assert plain.fragmentation == broken


@pytest.mark.parametrize("policy", TWINS)
@settings(max_examples=15, deadline=None)
@given(nodes=st.lists(NODES, min_size=1, max_size=6), tasks=TASKS)
def test_nothing_is_oversold_and_nothing_that_fits_is_refused(
    policy: str, nodes: list[NodeFree], tasks: list[TaskShape]
) -> None:
    demand = typical_demand(tasks)
    draws = [17 * k + 5 for k in range(len(tasks))]
    placed = run_kernel(policy, nodes, tasks, list(range(len(tasks))), draws, demand)
    cluster = list(nodes)
    for k, task in enumerate(tasks):
        n = int(placed.node[k])
        if n < 0:
            assert not any(fits(task, node) for node in cluster)
            continue
        assert fits(task, cluster[n])
        card = int(placed.cards[k]).bit_length() - 1
        cluster[n], mask = put(task, cluster[n], card)
        assert mask == placed.cards[k]
        assert min((cluster[n].free_cpu, cluster[n].free_memory, *cluster[n].free_cards)) >= 0


def test_departures_of_everything_leave_an_empty_pool() -> None:
    nodes = [NodeFree.empty(16_000, 1_000, 2, "A")] * 3
    tasks = [TaskShape(1_000, 10, 1, 300)] * 5 + [TaskShape(1_000, 10, 2, 1000)]
    events = [*range(6), *(~k for k in range(6))]
    demand = typical_demand(tasks)
    placed = run_kernel("fgd", nodes, tasks, events, [0] * 6, demand)
    assert placed.allocated[5] == 5 * 300 + 2000
    assert placed.allocated[-1] == 0
    assert placed.fragmentation[-1] == sum(fragmentation(node, demand) for node in nodes)


def test_equal_nodes_are_taken_in_their_order() -> None:
    nodes = [NodeFree.empty(4_000, 100, 1, "A")] * 70  # more than one block of the kernel
    tasks = [TaskShape(4_000, 10, 1, 1000)] * 71
    placed = run_kernel("fgd", nodes, tasks, list(range(71)), [0] * 71, typical_demand(tasks))
    assert placed.node.tolist() == [*range(70), -1]

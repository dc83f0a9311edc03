"""How fast the placement kernels are: arrivals a second on one core, after compilation, arrays to arrays.

`make bench` runs these and compares them with the last recorded run (`tests/benchmarks/rates.py`). They assert what was
placed, never how fast.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from scheduler.core.placement.kernels.arrays import PoolArrays, Shapes, Tasks
from scheduler.core.placement.kernels.events import place
from scheduler.core.placement.policies.demand import Demand
from scheduler.core.placement.policies.encode import (
    encode_demand,
    encode_nodes,
    encode_shapes,
    model_numbers,
    no_fill,
    scale_of,
    suited_models,
)
from scheduler.core.placement.policies.registry import PolicyStack
from scheduler.core.placement.policies.shape import NodeFree, TaskShape
from simulations.evaluation import OpenbRuns
from simulations.traces.openb import read_nodes, read_pods
from tests.benchmarks.rates import Work, report_rate
from tests.simulations.openb_input import openb

NO_DEMAND = Demand((), ())  # fragmentation is not tracked


def pool_of(nodes: list[NodeFree], policy: str) -> PoolArrays:
    models, scale = model_numbers(nodes), scale_of(nodes)
    return PoolArrays(
        encode_nodes(nodes, models),
        encode_demand(NO_DEMAND, models),
        no_fill(),
        (scale.cpu_milli, scale.card_milli, scale.memory),
        np.array(PolicyStack.parse(policy).numbers(), dtype=np.int64),
    )


def naive(pool: PoolArrays, shape: np.ndarray, arrivals: int = 300) -> float:
    """Arrivals a second of the plain numpy way: every arrival filters and scores every node (best fit), cards one by one."""
    cpu, memory = pool.nodes.cpu.copy(), pool.nodes.memory.copy()
    cards = np.where(np.arange(8) < pool.nodes.cards[:, None], 1000, -1)
    started = time.perf_counter()
    for _ in range(arrivals):
        fits = (cpu >= shape[0]) & (memory >= shape[1]) & ((cards >= shape[3]).sum(axis=1) >= shape[2])
        left = (cpu - shape[0]) * pool.scale[1] + (cards.sum(axis=1) - shape[2] * shape[3]) * pool.scale[0]
        chosen = int(np.where(fits, -left, np.iinfo(np.int64).min).argmax())
        cpu[chosen] -= shape[0]
        memory[chosen] -= shape[1]
    return arrivals / (time.perf_counter() - started)


def measure(benchmark: BenchmarkFixture, work: Callable[[], object], about: Work, rounds: int) -> None:
    work()  # compiles, or loads the compiled kernel
    benchmark.pedantic(work, rounds=rounds, iterations=1)
    report_rate(benchmark, about)


FLOORS = {"fgd": 150_000, "bestfit": 500_000, "future-fill": None}


@pytest.mark.parametrize("policy", ["fgd", "future-fill", "bestfit"])
def test_openb_default(benchmark: BenchmarkFixture, policy: str) -> None:
    """1,213 nodes, about 10,900 arrivals, fragmentation tracked at every arrival (best fit: not tracked)."""
    nodes = read_nodes(openb("openb_node_list_gpu_node.csv"))
    pods = read_pods(openb("openb_pod_list_default.csv"), nodes)
    runs = OpenbRuns(nodes, pods, 1.3)
    order = runs.order(0)
    pool, tasks = runs.arrays(policy, order)
    if policy == "bestfit":
        pool = pool._replace(demand=encode_demand(NO_DEMAND, model_numbers(nodes.nodes)))
    scan = naive(pool, np.array([11_300, 40_000, 1, 1000]))
    about = Work(f"openb default, {policy}", len(order.pods), scan, FLOORS[policy])
    measure(benchmark, lambda: place(pool, tasks), about, rounds=9)
    assert place(pool, tasks).allocated[-1] > 0.9 * nodes.card_milli


def test_scheduling_basic(benchmark: BenchmarkFixture) -> None:
    """5,000 nodes, 50,000 pods of one shape, least allocated: kube-scheduler's SchedulingBasic."""
    pool = pool_of([NodeFree.empty(4_000, 32_768, 0, "")] * 5_000, "least-allocated")
    asked = [TaskShape(100, 500)]
    shapes = Shapes(encode_shapes(asked), suited_models(asked, {"": 0}))
    count = 50_000
    tasks = Tasks(
        shapes, np.zeros(count, dtype=np.int32), np.zeros(count, dtype=np.int64), np.arange(count, dtype=np.int64)
    )
    about = Work("5,000 nodes, 50,000 pods, least-allocated", count, naive(pool, shapes.rows[0]), 1_000_000)
    measure(benchmark, lambda: place(pool, tasks), about, rounds=7)
    placed = np.bincount(place(pool, tasks).node, minlength=5_000)
    assert (placed.min(), placed.max()) == (10, 10)


def test_a_hundred_thousand_nodes_with_departures(benchmark: BenchmarkFixture) -> None:
    """100,000 nodes of four kinds, 1,000,000 tasks of 200 shapes, best fit; each leaves 300,000 arrivals later.

    The measure is arrivals; each comes with a departure that changes a node too, but for the last 300,000.
    """
    kinds = [
        NodeFree.empty(96_000, 384_000, 8, "A"),
        NodeFree.empty(64_000, 256_000, 4, "B"),
        NodeFree.empty(128_000, 512_000, 0, ""),
        NodeFree.empty(32_000, 128_000, 2, "A"),
    ]
    pool = pool_of([kinds[n % 4] for n in range(100_000)], "bestfit")
    random = np.random.Generator(np.random.PCG64(7))
    models = model_numbers(kinds)
    asked = [
        TaskShape(int(cpu) * 500, int(memory) * 1_000, *card)
        for cpu, memory, card in zip(
            random.integers(1, 60, 200),
            random.integers(1, 90, 200),
            [((0, 0), (1, 250), (1, 500), (1, 1000), (2, 1000))[k % 5] for k in range(200)],
            strict=True,
        )
    ]
    shapes = Shapes(encode_shapes(asked), suited_models(asked, models))
    count, stay = 1_000_000, 300_000
    arrivals = np.arange(count, dtype=np.int64)
    events = np.empty(2 * count - stay, dtype=np.int64)
    events[:stay] = arrivals[:stay]
    events[stay::2] = ~arrivals[: count - stay]
    events[stay + 1 :: 2] = arrivals[stay:]
    tasks = Tasks(shapes, random.integers(0, 200, count).astype(np.int32), np.zeros(count, dtype=np.int64), events)
    scan = naive(pool, shapes.rows[1], arrivals=20)
    about = Work("100,000 nodes, 1,000,000 tasks with departures", count, scan, 50_000)
    measure(benchmark, lambda: place(pool, tasks), about, rounds=1)
    assert (place(pool, tasks).node[-1000:] >= 0).all()

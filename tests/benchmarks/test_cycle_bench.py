"""How long one cycle takes: 10,000 waiting workloads of 200 shapes in 8 queues over 9 pools and 5,000 nodes.

Run with `make bench`. Three moments of a service: a burst on empty pools, a burst on full pools (where every
workload needs its reasons), and a trickle of one workload. Each has its ratio to a naive numpy scan of the 5,000 nodes, which
knows neither queues nor reasons nor pools; a cycle for one workload pays for all of them at once.
"""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from inventory.model.pool import NodeGroup
from inventory.model.system import Architecture, Zone
from inventory.model.units import Resources
from inventory.model.workload import Requirements, Workload
from scheduler.cycle import CycleReport, CycleSettings, run_cycle
from scheduler.ports import NodeBatch
from tests.benchmarks.rates import Work, naive_scans_per_second, report_rate
from tests.cycle.fakes import (
    AcceptingSink,
    ColumnState,
    FixedClock,
    SitePools,
    WaitingState,
    a_site,
    a_workload,
    amount,
    equal_nodes,
)

POOLS = 9
NODES = 5_000
WAITING = 10_000
OFFER = amount(96, 384)


def nine_pools(filled: bool = False) -> SitePools:
    sites = []
    for i in range(POOLS):
        count = NODES // POOLS + (i < NODES % POOLS)
        group = NodeGroup("general", count, Architecture.X86_64, OFFER)
        site = a_site(f"p{i}", equal_nodes(count, OFFER), node_groups=(group,), one_way_ms=float(i))
        if filled:
            site.state.place(NodeBatch.of([("filler", Requirements(OFFER, tasks=count))]))
        sites.append(site)
    return SitePools.of(*sites)


@pytest.fixture(scope="module")
def waiting() -> list[Workload]:
    dice = random.Random(1)
    shapes: list[Resources] = [amount(dice.randint(1, 16), dice.randint(1, 64)) for _ in range(200)]
    return [
        a_workload(f"w{i}", dice.choice(shapes), queue=f"q{dice.randrange(8)}", zone=Zone.EXTRANET, submitted_ms=i)
        for i in range(WAITING)
    ]


def scan(filled: bool = False) -> float:
    """Workloads a second that a naive numpy scan of all nodes places, or finds to fit nowhere."""
    return naive_scans_per_second(np.full((2, NODES), 0 if filled else 96_000), (4_000, 8_000))


def once(state: WaitingState) -> CycleReport:
    return run_cycle(state, state.pools, AcceptingSink(), FixedClock(), CycleSettings())


@pytest.mark.benchmark(group="cycle")
def test_a_burst_on_empty_pools(benchmark: Any, waiting: list[Workload]) -> None:
    report = benchmark.pedantic(once, setup=lambda: ((WaitingState(waiting, nine_pools()),), {}), rounds=5)
    assert len(report.plan.placements) == WAITING
    report_rate(benchmark, Work("cycle, 10,000 waiting, empty pools", WAITING, scan()))


@pytest.mark.benchmark(group="cycle")
def test_a_burst_on_full_pools(benchmark: Any, waiting: list[Workload]) -> None:
    full = nine_pools(filled=True)
    report = benchmark.pedantic(once, setup=lambda: ((WaitingState(waiting, full),), {}), rounds=5)
    assert len(report.plan.unplaced) == WAITING
    report_rate(benchmark, Work("cycle, 10,000 waiting, full pools, reasons", WAITING, scan(filled=True)))


@pytest.mark.benchmark(group="cycle")
def test_a_trickle_of_one_workload(benchmark: Any, waiting: list[Workload]) -> None:
    pools = nine_pools()
    report = benchmark.pedantic(once, setup=lambda: ((WaitingState(waiting[:1], pools),), {}), rounds=50)
    assert len(report.plan.placements) == 1
    report_rate(benchmark, Work("cycle, one waiting", 1, scan()))


@pytest.mark.benchmark(group="cycle")
def test_fifty_thousand_pods_from_columns(benchmark: Any) -> None:
    """The shape of kube-scheduler's SchedulingBasic: 5,000 equal nodes, 50,000 pods, with queues and reasons."""
    dice = random.Random(1)
    shapes = [amount(dice.randint(1, 8) / 2, dice.randint(1, 8)) for _ in range(20)]
    pods = [a_workload(f"w{i}", dice.choice(shapes), queue=f"市/q{i % 8}", submitted_ms=i) for i in range(50_000)]
    group = NodeGroup("general", NODES, Architecture.X86_64, OFFER)

    def setup() -> tuple[tuple[ColumnState], dict[str, object]]:
        pools = SitePools.of(a_site("p", equal_nodes(NODES, OFFER), node_groups=(group,)))
        return (ColumnState.of(pods, pools),), {}

    settings = CycleSettings(waiting_limit=50_000, batch=4096)
    report = benchmark.pedantic(
        lambda state: run_cycle(state, state.pools, AcceptingSink(), FixedClock(), settings, state.memory),
        setup=setup,
        rounds=5,
        warmup_rounds=1,
    )
    assert len(report.plan.placements) == len(pods)
    report_rate(benchmark, Work("cycle, 5,000 nodes, 50,000 pods, from columns", len(pods), scan(), 50_000))

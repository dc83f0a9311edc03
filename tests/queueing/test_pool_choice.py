"""The compiled choice of pools against the stack's own policies, asked one by one."""

from __future__ import annotations

import numpy as np
from hypothesis import event, given, settings
from hypothesis import strategies as st

from inventory.model.constraints import InputPlace
from inventory.model.pool import PoolHealth
from inventory.model.system import Zone
from inventory.model.units import Resources
from inventory.model.workload import Requirements
from scheduler.core.placement.protocol import PoolView, Shape
from scheduler.core.placement.stack import build_stack
from scheduler.core.queueing.backfill import Shadow
from scheduler.core.queueing.pool_choice import PoolChoice, PoolMemory
from scheduler.core.queueing.shapes import ShapeTable
from tests.cycle.fakes import BOTH_RUNTIMES, a_pool

amounts = st.builds(Resources, st.integers(0, 9), st.integers(0, 9), st.integers(0, 3), st.integers(0, 3))
views = st.lists(st.tuples(amounts, amounts, st.sampled_from([Zone.INTERNET, Zone.EXTRANET])), max_size=4).map(
    lambda drawn: tuple(
        PoolView(
            a_pool(f"p{i}", zones=frozenset({zone}), accelerator="A800", one_way_ms=float(i)),
            PoolHealth.READY,
            cordoned=False,
            allocatable=free + more,
            free=free,
            largest_task=free + more,
            runtimes=BOTH_RUNTIMES,
        )
        for i, (free, more, zone) in enumerate(drawn)
    )
)
# Inputs of so many bytes that they take this many milliseconds to reach a pool that is not "p1".
stagings = st.sampled_from([0, 5, 30]).map(lambda ms: (InputPlace("p1", ms * 12_500_000),) if ms else ())
shapes = st.lists(st.tuples(amounts, st.sampled_from([None, Zone.INTERNET]), stagings), min_size=1, max_size=4)
rows = st.lists(st.tuples(st.integers(0, 3), st.sampled_from([0, 5, 50]), st.booleans()), max_size=14)
shadows = st.dictionaries(
    st.integers(0, 3), st.tuples(st.sampled_from([0, 10, 60]), st.integers(0, 9), st.integers(0, 9)), max_size=2
)


@settings(max_examples=150, deadline=None)
@given(views=views, drawn=shapes, rows=rows, shadows=shadows, seed=st.integers(0, 3))
def test_the_kernel_chooses_as_the_policies_do(
    views: tuple[PoolView, ...],
    drawn: list[tuple[Resources, Zone | None, tuple[InputPlace, ...]]],
    rows: list[tuple[int, int, bool]],
    shadows: dict[int, tuple[int, int, int]],
    seed: int,
) -> None:
    table = ShapeTable()
    numbers = [table.number(Shape(Requirements(need, zone=zone), inputs=inputs)) for need, zone, inputs in drawn]
    shape = np.array([numbers[i % len(numbers)] for i, *_ in rows], dtype=np.int32)
    end_ms = np.array([end for _, end, _ in rows], dtype=np.int64)
    may_stop = np.array([stops for *_, stops in rows], dtype=np.bool_)
    answers = []
    for is_compiled in (True, False):
        choice = PoolChoice(PoolMemory(), build_stack(), seed, views, table)
        assert choice._is_compiled
        choice._is_compiled = is_compiled
        for pool, (start, cpu, memory) in shadows.items():
            if pool < len(views):
                choice.keep_for_head(pool, Shadow(start, (cpu, memory, 3, 3)))
        chosen, looked = choice.choose(shape, end_ms, np.zeros_like(shape), may_stop)
        event(f"looked at {min(looked, 3)}+")
        answers.append((chosen.pool[:looked].tolist(), chosen.takes_extra[:looked].tolist(), choice.free.tolist()))
    assert answers[0] == answers[1]


def test_a_memory_forgets_what_a_pool_no_longer_declares() -> None:
    table, memory, stack = ShapeTable(), PoolMemory(), build_stack()
    shape = np.array([table.number(Shape(Requirements(Resources(cpu_milli=5))))], dtype=np.int32)
    small = PoolView(a_pool("p"), PoolHealth.READY, False, *[Resources(cpu_milli=4)] * 3, runtimes=BOTH_RUNTIMES)
    large = PoolView(small.pool, PoolHealth.READY, False, *[Resources(cpu_milli=8)] * 3, runtimes=BOTH_RUNTIMES)
    found = []
    for view in (small, large, small):
        choice = PoolChoice(memory, stack, 0, (view,), table)
        chosen, _ = choice.choose(shape, shape.astype(np.int64), shape * 0, shape > 99)
        found.append(int(chosen.pool[0]))
    assert found == [-1, 0, -1]

"""What queues hold and have used: decay, budgets by period, and that nothing is lost between charge and discharge."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from inventory.model.units import Resources
from inventory.model.workload import Requirements
from scheduler.core.placement.protocol import Shape
from scheduler.core.queueing.queues import Budget, QueueSpec, QueueTree
from scheduler.core.queueing.running import FAR
from scheduler.core.queueing.tables import QueueTables

CARD = Resources(accelerator_milli=1000)
PERIOD = 1_000


def tables(half_life_ms: int = 0, card_milli_ms: int = 10**6) -> QueueTables:
    spec = QueueSpec("区", budget=Budget(card_milli_ms, PERIOD, starts_ms=0))
    return QueueTables(QueueTree([spec], half_life_ms), {"Ascend910B": 800})


def held_cpu(of: QueueTables, now_ms: int) -> int:
    number = of.tree.number("区")
    assert number is not None
    return int(of.usage.columns(now_ms).faded[number][0])


def test_what_was_used_counts_half_after_the_half_life() -> None:
    of = tables(half_life_ms=100)
    leaf, shape = of.tree.leaf("区/系统"), of.shapes.number(Shape(Requirements(Resources(cpu_milli=8000))))
    of.usage.charge(leaf, shape, 0, FAR)
    assert held_cpu(of, 100) == 4000  # half of the way to what it holds
    of.usage.discharge(leaf, shape, 10_000, FAR)
    assert [held_cpu(of, 10_000 + wait) for wait in (100, 200)] == [4000, 2000]


def left(of: QueueTables, now_ms: int) -> int:
    number = of.tree.number("区")
    assert number is not None
    return int(of.usage.columns(now_ms).budget_left[number])


def test_a_budget_counts_what_was_spent_and_what_running_work_will_spend_still() -> None:
    of = tables()
    leaf, shape = of.tree.leaf("区"), of.shapes.number(Shape(Requirements(CARD)))
    of.usage.charge(leaf, shape, 0, 400)
    assert [left(of, now) for now in (0, 100, 400)] == [600_000] * 3
    of.usage.discharge(leaf, shape, 500, 400)
    assert left(of, 500) == 500_000, "it ran longer than it said"
    assert left(of, PERIOD) == 10**6, "a new period"


def test_cards_count_by_their_model() -> None:
    of = tables()
    shape = of.shapes.number(Shape(Requirements(CARD * 2, accelerator="Ascend910B")))
    of.usage.charge(of.tree.leaf("区"), shape, 0, 100)
    assert left(of, 0) == 10**6 - 1600 * 100


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 50), st.integers(0, 5)), max_size=20))
def test_what_is_charged_is_discharged(runs: list[tuple[int, int, int]]) -> None:
    of = tables(half_life_ms=7)
    leaf = of.tree.leaf("区/甲")
    numbers = [of.shapes.number(Shape(Requirements(Resources(cpu_milli=cpu)))) for cpu, *_ in runs]
    for number, (_, begin, length) in zip(numbers, runs, strict=True):
        of.usage.charge(leaf, number, begin, begin + length)
    assert of.usage.held(leaf)[0] == sum(cpu for cpu, *_ in runs)
    for number, (_, begin, length) in zip(numbers, runs, strict=True):
        of.usage.discharge(leaf, number, 100, begin + length)
    assert (of.usage.columns(100).held == 0).all()


def test_a_run_beyond_its_estimate_does_not_hide_what_another_will_spend_still() -> None:
    of = tables()
    leaf, shape = of.tree.leaf("区"), of.shapes.number(Shape(Requirements(CARD)))
    of.usage.charge(leaf, shape, 0, 100)  # and still runs at 300
    of.usage.charge(leaf, shape, 0, 500)
    # At 300, both have spent 300; the second will spend 200 still.
    assert left(of, 300) == 10**6 - (300 + 300 + 200) * 1000
    of.usage.discharge(leaf, shape, 300, 100)
    of.usage.discharge(leaf, shape, 300, 500)
    assert left(of, 300) == 10**6 - 600 * 1000


@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 30), st.integers(1, 60)), max_size=8),
    st.lists(st.integers(0, 99), min_size=1, max_size=4),
)
def test_what_is_left_is_the_plain_sum_over_runs(runs: list[tuple[int, int, int]], looks: list[int]) -> None:
    """Runs as (begin, expected length, real length); one card each. The period is longer than all of them."""
    of = tables(card_milli_ms=10**9)
    leaf, shape = of.tree.leaf("区"), of.shapes.number(Shape(Requirements(CARD)))
    events = [(begin, 1, "charge", begin + length) for begin, length, _ in runs]
    events += [(begin + real, 2, "discharge", begin + length) for begin, length, real in runs]
    events += [(at, 3, "look", 0) for at in looks]
    for now, _, what, end in sorted(events):
        if what == "look":
            spent = sum(min(now, begin + real) - begin for begin, _, real in runs if begin <= now)
            still = sum(
                max(0, begin + length - now) for begin, length, real in runs if begin <= now < begin + real
            )
            assert left(of, now) == 10**9 - 1000 * (spent + still)
        elif what == "charge":
            of.usage.charge(leaf, shape, now, end)
        else:
            of.usage.discharge(leaf, shape, now, end)


@given(
    st.lists(
        st.tuples(st.sampled_from(["区/甲", "区/乙", "县"]), st.integers(0, 9), st.integers(1, 9)), max_size=12
    ),
    st.sampled_from([0, 7]),
    st.booleans(),
)
def test_runs_counted_together_count_as_one_after_the_other(
    runs: list[tuple[str, int, int]], half_life_ms: int, has_budget: bool
) -> None:
    specs = [QueueSpec("区", budget=Budget(10**6, PERIOD) if has_budget else None)]
    alone, together = (QueueTables(QueueTree(specs, half_life_ms)) for _ in range(2))
    for of in (alone, together):
        queue = [of.tree.leaf(path) for path, *_ in runs]
        shape = [of.shapes.number(Shape(Requirements(CARD + Resources(cpu_milli=cpu)))) for _, cpu, _ in runs]
        length = [length for *_, length in runs]
    for each in zip(queue, shape, length, strict=True):
        alone.usage.charge(each[0], each[1], 3, each[2])
    numbers, shapes = (np.array(column, dtype=np.int32) for column in (queue, shape))
    ends = np.array(length, dtype=np.int64)
    together.usage.charge_all(numbers, shapes, 3, ends)
    leaving = slice(0, len(runs) // 2)
    for each in zip(queue[leaving], shape[leaving], length[leaving], strict=True):
        alone.usage.discharge(each[0], each[1], 20 + each[2], each[2])
    together.usage.discharge_all(numbers[leaving], shapes[leaving], 20 + ends[leaving], ends[leaving])
    one, other = alone.usage.columns(40), together.usage.columns(40)
    for column in ("held", "faded", "budget_left", "budget_renewed_ms"):
        assert (getattr(one, column) == getattr(other, column)).all(), column

"""What queues hold and have used: decay, budgets by period, and that nothing is lost between charge and discharge."""

from __future__ import annotations

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

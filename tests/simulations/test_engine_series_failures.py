"""Quantities in steps, and failures drawn from distributions: properties over many draws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.core.timeline import Timeline
from simulations.failures import WeibullFailures
from simulations.series import StepSeries

HOUR = 3_600_000


@st.composite
def series(draw: st.DrawFn) -> StepSeries:
    times = sorted(draw(st.sets(st.integers(0, 1000), min_size=1, max_size=8)))
    values = draw(st.lists(st.integers(0, 100), min_size=len(times), max_size=len(times)))
    period = draw(st.sampled_from([0, 1500]))
    return StepSeries(np.array(times, dtype=np.int64), np.array(values, dtype=np.float64), period)


@given(series(), st.integers(0, 4000), st.integers(0, 4000))
def test_an_integral_is_the_sum_of_the_values_at_every_moment(one: StepSeries, a: int, b: int) -> None:
    start, end = sorted((a, b))
    integral = one.integral(np.array([start, end]))
    assert integral[1] - integral[0] == pytest.approx(sum(one.at(t) for t in range(start, end)))


@given(series(), st.integers(0, 4000))
def test_nothing_changes_before_the_next_change(one: StepSeries, now: int) -> None:
    later = one.next_change_ms(now)
    until = 6000 if later is None else later
    assert len({one.at(t) for t in range(now, until)}) == 1 or now == until
    assert later is None or later > now


@pytest.mark.parametrize(
    ("times", "values", "period"),
    [([], [], 0), ([0, 0], [1, 2], 0), ([5, 3], [1, 2], 0), ([0, 10], [1], 0), ([0, 10], [1, 2], 10)],
)
def test_a_series_that_is_none_is_refused(times: list[int], values: list[float], period: int) -> None:
    with pytest.raises(ValueError, match="series"):
        StepSeries(np.array(times, dtype=np.int64), np.array(values, dtype=np.float64), period)


@given(st.integers(0, 2**31), st.sampled_from([0.7, 1.0, 2.0]))
def test_outages_of_a_node_follow_each_other_and_lie_in_the_span(seed: int, shape: float) -> None:
    model = WeibullFailures(100 * HOUR, shape, 5 * HOUR)
    found = model.outages([("a", 2), ("b", 1)], (0, 1000 * HOUR), seed)
    for unit in ((0, 0), (0, 1), (1, 0)):
        mine = [outage for outage in found if (outage.pool, outage.node) == unit]
        ends = [outage.until_ms for outage in mine]
        assert all(0 <= outage.from_ms < 1000 * HOUR for outage in mine)
        assert all(end is not None and outage.from_ms < end for outage, end in zip(mine, ends, strict=True))
        assert all(end <= later.from_ms + 1 for end, later in zip(ends, mine[1:], strict=False))


@pytest.mark.parametrize("shape", [0.7, 1.0, 3.0])
def test_the_mean_time_between_failures_is_the_one_asked_for(shape: float) -> None:
    """Over 300 nodes and a span of 50 mean times the number of failures is known to a few percent."""
    up, repair = 100 * HOUR, 10 * HOUR
    found = WeibullFailures(up, shape, repair).outages([("a", 300)], (0, 50 * (up + repair)), seed=1)
    assert len(found) == pytest.approx(300 * 50, rel=0.05)


def test_the_failures_of_a_node_do_not_depend_on_other_nodes_and_pools() -> None:
    model = WeibullFailures(10 * HOUR, 0.75, HOUR)
    alone = model.outages([("a", 1)], (0, 500 * HOUR), seed=3)
    among = model.outages([("b", 5), ("a", 3)], (0, 500 * HOUR), seed=3)
    assert [(o.from_ms, o.until_ms) for o in alone] == [
        (o.from_ms, o.until_ms) for o in among if (o.pool, o.node) == (1, 0)
    ]


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 3)), max_size=40))
def test_events_come_by_time_then_priority_then_sequence(events: list[tuple[int, int]]) -> None:
    timeline: Timeline[int] = Timeline(0)
    for number, (at_ms, priority) in enumerate(events):
        timeline.add(at_ms, priority, number)
    order = []
    while len(timeline):
        expected = timeline.next_ms()
        order.append(timeline.take())
        assert timeline.now_ms == expected
    assert order == sorted(range(len(events)), key=lambda i: (*events[i], i))


def test_the_past_cannot_be_changed() -> None:
    timeline: Timeline[str] = Timeline(10)
    with pytest.raises(ValueError, match="in the past"):
        timeline.add(9, 0, "late")


def test_events_up_to_a_moment_can_be_taken_together() -> None:
    timeline: Timeline[str] = Timeline(0)
    for at_ms, name in [(5, "b"), (3, "a"), (9, "c")]:
        timeline.add(at_ms, 0, name)
    assert timeline.take_until(5) == [(3, "a"), (5, "b")]
    assert (timeline.now_ms, timeline.next_ms()) == (5, 9)

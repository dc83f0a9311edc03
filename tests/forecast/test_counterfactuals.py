"""What would let a workload start: the smallest change of each kind, each of them true."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inventory.model.system import Architecture
from inventory.model.units import Resources
from scheduler.core.queueing.queues import NO_LIMIT, QueueSpec
from scheduler.core.queueing.reservations import Reservation
from scheduler.cycle import CycleSettings
from scheduler.forecast.counterfactuals import Counterfactual, counterfactuals
from scheduler.forecast.probe import Probe
from scheduler.forecast.world import Situation
from tests.forecast.worlds import NOW_MS, QUEUE, Job, shape_of, situation


def found(have: Situation) -> dict[str, Counterfactual]:
    row = have.waiting[0]
    return {one.code: one for one in counterfactuals(have, Probe(have, CycleSettings()), row)}


def test_a_workload_that_fits_needs_no_change() -> None:
    assert found(situation(2, 4, [Job("a", 4, 100)], [Job("w", 4)])) == {}


def test_less_of_an_amount_is_the_least_that_helps() -> None:
    have = situation(1, 8, [Job("a", 3, 100)], [Job("w", 7)])
    assert found(have)["cpu"].change_en == "2 CPUs fewer (5 instead of 7)"


def test_an_amount_with_a_fraction_is_told_as_it_was_asked() -> None:
    have = situation(1, 8, [Job("a", 3, 100)], [Job("w", 6.5)])
    assert found(have)["cpu"].change_en == "1.5 CPUs fewer (5 instead of 6.5)"


def test_time_is_when_the_runs_before_it_end_by_their_estimates() -> None:
    have = situation(1, 4, [Job("a", 2, 100), Job("b", 2, 50)], [Job("w", 3)])
    moment = found(have)["time"]
    assert moment.at_ms == NOW_MS + 100_000
    assert "when a ends" in moment.change_en


FOUR_CORES = QueueSpec(QUEUE, maximum=replace(NO_LIMIT, cpu_milli=4_000))


def test_time_heeds_the_quota_not_only_the_nodes() -> None:
    have = situation(4, 4, [Job("a", 2, 100), Job("b", 2, 50)], [Job("w", 3)], [FOUR_CORES])
    moment = found(have)["time"]
    assert (moment.at_ms, moment.change_en.split(", ")[1]) == (
        NOW_MS + 100_000,
        "when a ends (by its own estimate),",
    )


def test_who_is_larger_than_its_quota_is_told_no_moment() -> None:
    assert "time" not in found(situation(4, 8, [Job("a", 2, 100)], [Job("w", 8)], [FOUR_CORES]))


@pytest.mark.parametrize(("ends_s", "at_s"), [(900, 900), (50, 100), (None, None)])
def test_time_heeds_what_the_calendar_keeps(ends_s: int | None, at_s: int | None) -> None:
    have = situation(1, 4, [Job("a", 2, 100)], [Job("w", 3)])
    end_ms = None if ends_s is None else NOW_MS + ends_s * 1000
    kept = Reservation("r", "p", "others", Resources(2_000), NOW_MS - 1, end_ms)
    moment = found(replace(have, reservations=(kept,))).get("time")
    assert (moment and moment.at_ms) == (None if at_s is None else NOW_MS + at_s * 1000)
    if ends_s == 900:
        assert moment is not None and "when reservation r ends" in moment.change_en


def test_a_run_without_an_estimate_has_no_moment() -> None:
    have = situation(1, 4, [Job("a", 4)], [Job("w", 4)])
    endless = [row._replace(end_ms=1 << 61) for row in have.running["p"]]
    assert "time" not in found(replace(have, running={"p": endless}))


def test_two_wishes_that_stand_in_the_way_together_are_named_together() -> None:
    have = situation(1, 4, [], [Job("w", 1)])
    needs = replace(
        shape_of(1).requirements, architectures=frozenset({Architecture.ARM64}), pools=frozenset({"x"})
    )
    number = have.shapes.number(replace(shape_of(1), requirements=needs))
    both = replace(have, waiting=[have.waiting[0]._replace(shape=number)])
    (only,) = found(both).values()
    assert only.code == "pools+architectures"
    assert only.pool_id == "p"


@settings(max_examples=40, deadline=None)
@given(cores=st.integers(2, 9), held=st.integers(1, 8), asked=st.integers(2, 30))
def test_an_amount_that_is_told_starts_and_one_more_would_not(cores: int, held: int, asked: int) -> None:
    have = situation(1, cores, [Job("a", min(held, cores - 1), 100)], [Job("w", asked)])
    left = cores - min(held, cores - 1)
    probe, row = Probe(have, CycleSettings()), have.waiting[0]
    told = {one.code: one for one in counterfactuals(have, probe, row)}
    if asked <= left:
        assert told == {}
        return
    assert (
        told["cpu"].change_en
        == f"{asked - left} CPU{'s' if asked - left > 1 else ''} fewer ({left} instead of {asked})"
    )
    assert probe.placement(row, shape_of(left)) is not None
    assert probe.placement(row, shape_of(left + 1)) is None

"""When the planner looks at whom: newcomers cost a look at themselves, and what becomes free is offered to all."""

from __future__ import annotations

from dataclasses import replace

import pytest

from inventory.model.units import GIB, Resources
from inventory.model.workload import Requirements, Run, RunState, Workload, WorkloadState
from scheduler.core.changes import (
    Change,
    DeadlineMissed,
    RunChanged,
    RunPlaced,
    WorkloadChanged,
    WorkloadSubmitted,
)
from scheduler.core.queueing.queues import Budget, QueueSpec, QueueTree
from scheduler.core.queueing.reservations import Reservation
from scheduler.core.queueing.tables import QueueTables
from scheduler.core.queueing.turns import next_turn_ms
from scheduler.operation.instruments import CYCLE
from scheduler.runtime.looks import Wake, wake_of
from scheduler.services.queue_ports import ReservationAsked
from tests.control_plane.fake_pool import UNTIL_TOLD, FakePool
from tests.control_plane.site import Site, eventually, running, story
from tests.lifecycle.bookkeeping import submission

WHOLE_NODE = Requirements(Resources(4_000, GIB))
HALF_NODE = Requirements(Resources(2_000, GIB // 2))
RUN = Run("w-1.1", "w-1", 1, "p", ("n",), RunState.PLACED, 0)


def submitted(state: WorkloadState = WorkloadState.QUEUED, finish_by_ms: int = 0) -> Change:
    asked = submission("w")
    fields = {name: getattr(asked, name) for name in asked.__dataclass_fields__}
    workload = Workload(**fields, workload_id="w-1", submitted_ms=0, state=state)
    return WorkloadSubmitted(replace(workload, finish_by_ms=finish_by_ms))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param(submitted(), Wake.NEWCOMERS, id="a workload that may run stands behind the others"),
        pytest.param(submitted(finish_by_ms=9), Wake.ANYTHING, id="one with a deadline may stand before others"),
        pytest.param(
            submitted(WorkloadState.SUBMITTED), Wake.NOTHING, id="one that waits for others is not looked at"
        ),
        pytest.param(WorkloadChanged("w-1", WorkloadState.QUEUED), Wake.ANYTHING, id="one that waits again"),
        pytest.param(WorkloadChanged("w-1", WorkloadState.CANCELLED), Wake.NOTHING, id="one that has ended"),
        pytest.param(RunPlaced(RUN), Wake.NOTHING, id="a placement takes room"),
        pytest.param(RunChanged("w-1.1", RunState.RUNNING), Wake.NOTHING, id="a run that begins frees nothing"),
        pytest.param(RunChanged("w-1.1", RunState.FAILED), Wake.ANYTHING, id="a run that ends frees its room"),
        pytest.param(DeadlineMissed("w-1", 9), Wake.NOTHING, id="a missed deadline moves nobody"),
    ],
)
def test_what_a_change_may_allow(change: Change, reason: Wake) -> None:
    assert wake_of([change]) is reason
    assert wake_of([submitted(), change]) is max(Wake.NEWCOMERS, reason)


async def full_pool(site: Site, running: Requirements) -> tuple[FakePool, str, str]:
    """A pool of one node, on which a first workload runs, and no room for a second, which wants all of it."""
    pool = await site.add_pool("p", FakePool("p", nodes=1, course=UNTIL_TOLD))
    (first,) = await site.submit(submission("first", requirements=running))
    await site.until_run(first, RunState.RUNNING)
    (waits,) = await site.submit(submission("waits", requirements=WHOLE_NODE))
    await eventually(lambda: bool(site.plane._planner.verdicts(waits)), "the pool's refusal is known")
    return pool, first, waits


def cycles() -> float:
    (histogram,) = CYCLE.collect()
    return next(one.value for one in histogram.samples if one.name.endswith("_count"))


@story
async def test_more_of_what_finds_no_place_costs_no_cycle(site: Site) -> None:
    async with running(site):
        await full_pool(site, WHOLE_NODE)
        before = cycles()
        for number in range(20):
            await site.submit(submission(f"more-{number}", requirements=WHOLE_NODE))
        # Another kind is looked at, though nothing has become free: by then the others would have been.
        (other,) = await site.submit(submission("other", requirements=HALF_NODE))
        await eventually(lambda: bool(site.plane._planner.verdicts(other)), "the other kind was looked at")
        assert cycles() == before + 1


@story
async def test_a_newcomer_that_fits_beside_what_waits_runs_at_once(site: Site) -> None:
    async with running(site):
        await full_pool(site, HALF_NODE)
        (fits,) = await site.submit(submission("fits", requirements=HALF_NODE))
        await site.until_run(fits, RunState.RUNNING)


@story
async def test_what_becomes_free_is_offered_to_those_who_came_while_nothing_was(site: Site) -> None:
    async with running(site):
        pool, first, waits = await full_pool(site, WHOLE_NODE)
        (alike,) = await site.submit(submission("alike", requirements=WHOLE_NODE))
        pool.finish(f"{first}.1")
        await site.until_run(waits, RunState.RUNNING)
        pool.finish(f"{waits}.1")
        await site.until_run(alike, RunState.RUNNING)


@story
@pytest.mark.parametrize("comers", [0, 5], ids=["nobody comes", "newcomers come"])
async def test_a_reservation_that_ends_by_the_calendar_alone_lets_in_who_waits_for_it(
    site: Site, comers: int
) -> None:
    async with running(site):
        await site.add_pool("p", FakePool("p", nodes=1, course=UNTIL_TOLD))
        soon_ms = site.clock.now_ms() + 1_000
        kept = ReservationAsked("r", "p", "迁移", Resources(4_000, GIB), end_ms=soon_ms, reason="割接")
        await site.plane.queues.reserve(kept, "王工")
        (waits,) = await site.submit(submission("waits", requirements=WHOLE_NODE))
        await eventually(lambda: bool(site.plane._planner.verdicts(waits)), "it is told that it waits")
        site.clock.ms = soon_ms  # a second has passed, which nothing but the calendar tells
        for number in range(comers):
            await site.submit(submission(f"more-{number}", requirements=WHOLE_NODE))
        await site.until_run(waits, RunState.RUNNING)


@story
async def test_the_whole_queue_is_looked_at_now_and_then_however_many_come(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scheduler.runtime.planning.LOOK_AGAIN_S", 0.1)
    async with running(site):
        await full_pool(site, WHOLE_NODE)
        before, number = cycles(), 0
        while cycles() < before + 3:  # what comes is alike, and by itself costs none
            await site.submit(submission(f"more-{number}", requirements=WHOLE_NODE))
            number += 1


def test_the_next_turn_of_the_calendar_is_the_first_beginning_or_end_of_a_reservation_or_a_budgets_period() -> (
    None
):
    first = Reservation("a", "p", "q", Resources(1), start_ms=500, end_ms=900)
    endless = Reservation("b", "p", "q", Resources(1), start_ms=700)
    idle = QueueTables().usage
    turns = [next_turn_ms((first, endless), idle, now_ms) for now_ms in (0, 500, 700, 900)]
    assert turns == [500, 700, 900, None]
    budget = Budget(card_milli_ms=1, period_ms=1_000, starts_ms=300)
    spending = QueueTables(QueueTree([QueueSpec("q", budget=budget)])).usage
    assert [next_turn_ms((), spending, now_ms) for now_ms in (0, 300, 1_299, 1_300)] == [300, 1_300, 1_300, 2_300]


@story
async def test_a_trickle_is_placed_without_asking_the_pools_first(site: Site) -> None:
    async with running(site):
        await site.add_pool("p", FakePool("p", nodes=1, course=UNTIL_TOLD))
        planner, hosts = site.plane._planner, site.plane._hosts
        asked: list[str] = []
        ask = hosts.views

        async def counted() -> object:
            asked.append("views")
            return await ask()

        for number in range(4):
            (one,) = await site.submit(submission(f"w{number}"))
            await site.until_run(one, RunState.RUNNING)
            await eventually(lambda: planner._placings_asked == planner._placings, "the pools were asked ahead")
            if number == 1:
                hosts.views = counted  # type: ignore[method-assign]  # counts who asks
        # Each was placed on what was told; only what was asked ahead, after it, is counted.
        assert len(asked) == 2


@story
async def test_who_finds_no_place_on_what_was_told_is_looked_at_on_the_pools_as_they_are(site: Site) -> None:
    """The registry may be told less than there is: nothing reports a reservation that was given back."""
    async with running(site):
        await site.add_pool("p", FakePool("p", nodes=1, course=UNTIL_TOLD))
        planner, registry = site.plane._planner, site.plane._registry
        (first,) = await site.submit(submission("first"))
        await site.until_run(first, RunState.RUNNING)
        await eventually(lambda: planner._placings_asked == planner._placings, "the pools were asked ahead")
        registry._pools["p"] = replace(registry.get("p"), free=Resources())
        assert [view.free for view in planner.known_views()] == [Resources()]
        (second,) = await site.submit(submission("second"))
        await site.until_run(second, RunState.RUNNING)


@story
async def test_a_place_that_is_known_and_taken_leaves_nothing_half_placed(site: Site) -> None:
    """The registry may be told more than there is: then the host refuses, and all that the plan had is given back."""
    async with running(site):
        await site.add_pool("p", FakePool("p", nodes=1, course=UNTIL_TOLD))
        planner, registry = site.plane._planner, site.plane._registry
        (first,) = await site.submit(submission("first", requirements=HALF_NODE))
        await site.until_run(first, RunState.RUNNING)
        await eventually(lambda: planner._placings_asked == planner._placings, "the pools were asked ahead")
        registry._pools["p"] = replace(registry.get("p"), free=Resources(8_000, 2 * GIB))
        fits, waits = await site.submit(
            submission("fits", requirements=HALF_NODE), submission("waits", requirements=WHOLE_NODE)
        )
        await site.until_run(fits, RunState.RUNNING)
        await eventually(lambda: bool(planner.verdicts(waits)), "the pool's refusal is known")
        assert await site.state(waits) is WorkloadState.QUEUED
        assert [run.state for run in (await site.plane.get(fits)).runs] == [RunState.RUNNING]

"""When will it start, what would start it now, and what would happen: answers that change nothing."""

from __future__ import annotations

from collections import Counter

import pytest

from inventory.model.constraints import InputPlace
from inventory.model.evolving import evolve
from inventory.model.system import Zone
from inventory.model.units import GIB, Resources
from inventory.model.workload import JobArray, Requirements, RunState
from scheduler.services.ports import ArrayPlacement
from tests.control_plane.fake_pool import UNTIL_TOLD, FakePool
from tests.control_plane.site import Site, running, story
from tests.lifecycle.bookkeeping import submission

WHOLE_NODE = Requirements(Resources(4_000, GIB))
HOUR_MS = 3_600_000


async def a_full_pool(site: Site, nodes: int = 1, **changes: object) -> list[str]:
    """A pool whose nodes are held for an hour each, by the estimate."""
    await site.add_pool("p", FakePool("p", nodes=nodes, course=UNTIL_TOLD), **changes)
    ids = await site.submit(
        *(submission(f"holder{i}", requirements=WHOLE_NODE, estimated_ms=HOUR_MS) for i in range(nodes))
    )
    for one in ids:
        await site.until_run(one, RunState.RUNNING)
    return ids


@story
async def test_a_workload_that_waits_is_told_an_interval_and_the_run_that_it_waits_for(site: Site) -> None:
    async with running(site):
        (holder,) = await a_full_pool(site)
        (waiter,) = await site.submit(submission("w", requirements=WHOLE_NODE, estimated_ms=HOUR_MS))
        outlook = await site.plane.outlook(waiter, True)
        said = outlook.forecast
        assert said is not None
        assert said.latest_ms is not None
        assert site.clock.ms - 10_000 <= said.earliest_ms <= said.latest_ms <= site.clock.ms + 2 * HOUR_MS
        assert (said.pool_id, said.not_started) == ("p", 0)
        (moment,) = [one for one in outlook.counterfactuals if one.code == "time"]
        assert holder in moment.change_en
        assert abs(moment.at_ms - site.clock.ms - HOUR_MS) < 60_000


@story
async def test_a_workload_that_runs_has_nothing_to_estimate(site: Site) -> None:
    async with running(site):
        (holder,) = await a_full_pool(site)
        outlook = await site.plane.outlook(holder, True)
        assert (outlook.forecast, outlook.counterfactuals) == (None, ())


@story
async def test_the_changes_that_are_told_would_let_it_start(site: Site) -> None:
    async with running(site):
        await a_full_pool(site, nodes=2)
        await site.add_pool("open", FakePool("open", nodes=1), zones=frozenset({Zone.EXTRANET}))
        needs = Requirements(Resources(6_000, GIB), zone=Zone.EXTRANET)
        (waiter,) = await site.submit(submission("w", requirements=needs))
        found = {one.code: one for one in (await site.plane.outlook(waiter, True)).counterfactuals}
        assert found["cpu"].change_en == "2 CPUs fewer (4 instead of 6)"
        assert found["cpu"].pool_id == "open"


@story
async def test_a_wish_that_stands_in_the_way_is_named(site: Site) -> None:
    async with running(site):
        await site.add_pool("p", FakePool("p", nodes=1), zones=frozenset({Zone.INTERNET}))
        needs = Requirements(Resources(1_000, GIB), zone=Zone.INTRANET)
        (waiter,) = await site.submit(submission("w", requirements=needs))
        (only,) = (await site.plane.outlook(waiter, True)).counterfactuals
        assert (only.code, only.pool_id, only.change_en) == ("zone", "p", "zone 互联网 (internet) allowed")


@story
async def test_a_dry_run_names_the_runs_that_would_be_stopped_and_stops_none(site: Site) -> None:
    async with running(site):
        await site.add_pool("p", FakePool("p", nodes=1, course=UNTIL_TOLD))
        await site.plane.define_queues({"queues": [{"path": "first", "guaranteed": {"cpu": 4, "memory": "1Gi"}}]})
        (borrower,) = await site.submit(submission("b", queue="other", requirements=WHOLE_NODE))
        await site.until_run(borrower, RunState.RUNNING)
        before = await site.notices()
        (answer,) = await site.plane.dry_run([submission("a", queue="first", requirements=WHOLE_NODE)])
        assert [one.workload_id for one in answer.victims] == [borrower]
        assert answer.victims[0].queue == "other"
        assert await site.notices() == before
        assert await site.runs(borrower) == [RunState.RUNNING]


@story
async def test_a_deadline_that_cannot_be_met_is_warned_of(site: Site) -> None:
    async with running(site):
        await a_full_pool(site)
        now_ms = site.clock.ms
        late, fine = await site.submit(
            submission("late", requirements=WHOLE_NODE, estimated_ms=HOUR_MS, finish_by_ms=now_ms + 60_000),
            submission("fine", requirements=WHOLE_NODE, estimated_ms=HOUR_MS, finish_by_ms=now_ms + 500 * HOUR_MS),
        )
        warned = await site.plane.warnings([late, fine])
        assert set(warned) == {late}
        assert "can't be met" in warned[late].message_en


@story
async def test_an_estimate_learns_from_those_that_have_started(site: Site) -> None:
    async with running(site):
        (holder,) = await a_full_pool(site)
        (waiter,) = await site.submit(submission("w", requirements=WHOLE_NODE, estimated_ms=HOUR_MS))
        await site.plane.outlook(waiter, False)
        site.pools["p"].finish(f"{holder}.1")
        await site.until_run(waiter, RunState.RUNNING)
        (next_one,) = await site.submit(submission("next", requirements=WHOLE_NODE, estimated_ms=HOUR_MS))
        await site.plane.outlook(next_one, False)
        assert site.plane._outlooks._correction.scored == 1


@story
async def test_a_dry_run_of_an_array_counts_its_elements_by_pool(site: Site) -> None:
    async with running(site):
        await site.add_pool("p", FakePool("p", nodes=1))
        await site.add_pool("q", FakePool("q", nodes=2))
        whole = submission("a", requirements=WHOLE_NODE, estimated_ms=HOUR_MS)
        array = evolve(whole, client_key="b", array=JobArray(6, 4))
        one, answer = await site.plane.dry_run([whole, array])
        assert one.array is None
        assert one.estimated_cost_cny == pytest.approx(0.4)
        assert answer.array is not None
        placed = Counter({one.pool_id: 1}) + Counter(dict(answer.array.placed))
        assert placed == {"p": 1, "q": 2}, "the single workload has one of the three nodes"
        assert (answer.array.waiting, answer.array.later) == (2, 2)
        assert answer.estimated_cost_cny == pytest.approx(6 * 0.4)
        assert answer.forecast is not None, "of the first element that would wait"
        assert answer.forecast.median_ms is not None
        assert answer.forecast.median_ms > site.clock.ms + 60_000, "when one of those that would start has ended"
        assert answer.pool_id in ("p", "q")
        assert await site.counts() == {}


@story
async def test_a_dry_run_of_an_array_without_room_waits_as_a_whole(site: Site) -> None:
    async with running(site):
        await a_full_pool(site)
        (answer,) = await site.plane.dry_run([submission("a", requirements=WHOLE_NODE, array=JobArray(1_000))])
        assert (answer.pool_id, answer.nodes, answer.array) == ("", (), ArrayPlacement((), 1_000, 0))


@story
async def test_a_deadline_of_an_array_counts_its_turns(site: Site) -> None:
    async with running(site):
        await site.add_pool("p", FakePool("p", nodes=1))
        due_ms = site.clock.ms + 5 * HOUR_MS
        late, fine = (
            submission(key, requirements=WHOLE_NODE, estimated_ms=HOUR_MS, finish_by_ms=due_ms, array=array)
            for key, array in (("late", JobArray(10, 1)), ("fine", JobArray(4, 2)))
        )
        assert [bool(answer.warnings) for answer in await site.plane.dry_run([late, fine])] == [True, False]
        ids = await site.submit(late, fine)
        assert set(await site.plane.warnings(ids)) == {ids[0]}


@story
async def test_what_a_run_waits_for_its_data_is_part_of_the_end_that_others_wait_for(site: Site) -> None:
    async with running(site):
        await site.add_pool("p", FakePool("p", nodes=1, course=UNTIL_TOLD), egress_gbps=1.0)
        half_an_hour = (InputPlace("elsewhere", 1_800 * 125_000_000),)
        holder = submission("holder", requirements=WHOLE_NODE, estimated_ms=HOUR_MS, inputs=half_an_hour)
        (holding,) = await site.submit(holder)
        await site.until_run(holding, RunState.RUNNING)
        (waiter,) = await site.submit(submission("w", requirements=WHOLE_NODE, estimated_ms=HOUR_MS))
        for _ in range(2):
            (moment,) = [o for o in (await site.plane.outlook(waiter, True)).counterfactuals if o.code == "time"]
            assert abs(moment.at_ms - site.clock.ms - 1.5 * HOUR_MS) < 60_000
            await site.restart()
            await site.until_health("p", "ready")

"""Workloads from submission to their end on pools in memory: placing, refusing, draining, cancelling, explaining."""

from __future__ import annotations

import asyncio

import pytest

from adapters.contract import Launch, RefusalCode
from inventory.model.pool import NodeGroup
from inventory.model.system import Architecture
from inventory.model.units import GIB, Resources
from inventory.model.workload import Requirements, RunState, WorkloadState
from scheduler.cycle import CycleSettings
from scheduler.runtime import dispatcher
from scheduler.runtime.control_plane import ControlPlaneSettings
from scheduler.services.ports import ChangeNotice, ErrorCode, RequestError, WatchFilter
from tests.control_plane.fake_pool import UNTIL_TOLD, FakePool
from tests.control_plane.site import Site, eventually, running, story
from tests.lifecycle.bookkeeping import ONE_CORE, submission

QUEUED, ACTIVE, SUCCEEDED = WorkloadState.QUEUED, WorkloadState.ACTIVE, WorkloadState.SUCCEEDED
FAILED, CANCELLED = WorkloadState.FAILED, WorkloadState.CANCELLED
WHOLE_NODE = Requirements(Resources(4_000, GIB))


@story
async def test_a_burst_of_workloads_completes_each_started_once(site: Site) -> None:
    async with running(site):
        pools = [await site.add_pool("p1"), await site.add_pool("p2")]
        ids = await site.submit(*(submission(f"k{i}") for i in range(200)))
        await site.until(SUCCEEDED, ids)
        assert sum((pool.starts.total() for pool in pools), 0) == 200
        for status in await site.plane.pools():
            assert status.free == status.allocatable
            assert status.active_runs == 0


@story
async def test_a_chain_runs_in_order(site: Site) -> None:
    async with running(site):
        await site.add_pool("p")
        ids = await site.submit(submission("a"), submission("b", "a"), submission("c", "b"))
        await site.until(SUCCEEDED, ids)
        runs = [(await site.plane.get(workload_id)).runs[0] for workload_id in ids]
        assert [run.placed_ms for run in runs] == sorted(run.placed_ms for run in runs)


@story
async def test_a_failure_on_the_pool_fails_the_waiters(site: Site) -> None:
    async with running(site):
        pool = await site.add_pool("p", FakePool("p", course=UNTIL_TOLD))
        a, b = await site.submit(submission("a"), submission("b", "a"))
        await site.until_run(a, RunState.RUNNING)
        pool.finish(f"{a}.1", RunState.FAILED)
        await site.until(FAILED, [a, b])


@story
async def test_more_than_fits_runs_in_turn_and_never_over_capacity(site: Site) -> None:
    async with running(site):
        pool = await site.add_pool("p", FakePool("p", nodes=2, course=UNTIL_TOLD))
        ids = await site.submit(*(submission(f"k{i}", requirements=WHOLE_NODE) for i in range(6)))
        for _ in range(3):
            await eventually(lambda: len(pool.live()) == 2, "two run")
            for run_id in pool.live():
                pool.finish(run_id)
        await site.until(SUCCEEDED, ids)


# Cancelling


@story
async def test_cancel_in_the_queue_while_placed_and_while_running(site: Site) -> None:
    async with running(site):
        pool = await site.add_pool("p", FakePool("p", nodes=1, course=UNTIL_TOLD))
        here, waits = await site.submit(
            submission("here", requirements=WHOLE_NODE), submission("waits", requirements=WHOLE_NODE)
        )
        await site.until_run(here, RunState.RUNNING)
        assert (await site.plane.cancel(waits, "test")).workload.state is CANCELLED
        assert (await site.plane.cancel(here, "test")).workload.state is CANCELLED
        await site.until_run(here, RunState.STOPPED)
        assert pool.starts == {f"{here}.1": 1}
        (after,) = await site.submit(submission("after", requirements=WHOLE_NODE))
        await site.until_run(after, RunState.RUNNING)  # the node is free again
        assert (await site.plane.cancel(here, "again")).workload.message == "test"


@story
async def test_a_run_that_is_cancelled_before_its_launch_could_be_sent_never_starts(site: Site) -> None:
    async with running(site):
        pool = await site.add_pool("p", FakePool("p"))
        pool.refuse = lambda _: RefusalCode.UNAVAILABLE
        (a,) = await site.submit(submission("a"))
        await site.until_run(a, RunState.PLACED)
        await site.plane.cancel(a, "test")
        await site.until_run(a, RunState.STOPPED)
        assert pool.starts.total() == 0


@story
async def test_a_stop_that_gets_no_answer_is_sent_again(site: Site) -> None:
    async with running(site):
        pool = await site.add_pool("p", FakePool("p", course=UNTIL_TOLD))
        (a,) = await site.submit(submission("a"))
        await site.until_run(a, RunState.RUNNING)
        pool.refuse_stops = True
        await site.plane.cancel(a, "test")
        await eventually(lambda: pool.asked.count("stop") >= 3, "the stop is sent again")
        assert await site.runs(a) == [RunState.RUNNING]  # a refused stop is not the end of the run
        pool.refuse_stops = False
        await site.until_run(a, RunState.STOPPED)


@story
async def test_cancelling_the_unknown_names_it(site: Site) -> None:
    async with running(site):
        with pytest.raises(RequestError, match="w-77") as caught:
            await site.plane.cancel("w-77", "")
        assert caught.value.code is ErrorCode.NOT_FOUND


# Refused launches


@pytest.mark.parametrize(
    ("code", "ends_as"),
    [(RefusalCode.RESOURCE_EXHAUSTED, RunState.LOST), (RefusalCode.NOT_FOUND, RunState.LOST)],
)
@story
async def test_a_launch_that_the_pool_has_no_room_for_is_placed_anew_without_spinning(
    site: Site, code: RefusalCode, ends_as: RunState
) -> None:
    async with running(site):
        pool = await site.add_pool("p")
        pool.refuse = lambda launch: code if launch.run_id.endswith((".1", ".2", ".3")) else None
        (a,) = await site.submit(submission("a"))
        await site.until_run(a, ends_as, ends_as, ends_as, RunState.SUCCEEDED)
        assert pool.asked.count("launch") == 4


@story
async def test_refusals_in_a_row_make_the_pauses_longer(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatcher, "FIRST_REST_S", 0.01)
    monkeypatch.setattr(dispatcher, "LONGEST_REST_S", 60.0)
    async with running(site):
        pool = await site.add_pool("p")
        loop = asyncio.get_running_loop()
        times: list[float] = []

        def refuse(_: Launch) -> RefusalCode:
            times.append(loop.time())
            return RefusalCode.RESOURCE_EXHAUSTED

        pool.refuse = refuse
        (a,) = await site.submit(submission("a"))
        await eventually(lambda: len(times) >= 6, "six tries")
        assert times[5] - times[4] > 0.08  # 0.01 · 2⁴, and a little less than that for rounding
        await site.plane.cancel(a, "")


@story
async def test_a_launch_that_can_never_run_fails_its_workload(site: Site) -> None:
    async with running(site):
        pool = await site.add_pool("p")
        pool.refuse = lambda _: RefusalCode.INVALID_ARGUMENT
        (a,) = await site.submit(submission("a"))
        await site.until(FAILED, [a])
        assert "refused" in (await site.plane.get(a)).workload.message


@story
async def test_while_a_pool_cannot_be_asked_the_run_keeps_its_nodes_and_is_launched_later(site: Site) -> None:
    async with running(site):
        pool = await site.add_pool("p", FakePool("p", nodes=1, course=UNTIL_TOLD))
        pool.refuse = lambda _: RefusalCode.UNAVAILABLE
        a, b = await site.submit(
            submission("a", requirements=WHOLE_NODE), submission("b", requirements=WHOLE_NODE)
        )
        await eventually(lambda: pool.asked.count("launch") >= 3, "it is tried again")
        assert sorted([await site.state(a), await site.state(b)]) == [ACTIVE, QUEUED]  # one node, one run
        pool.refuse = lambda _: None
        await eventually(lambda: len(pool.live()) == 1, "it runs")
        assert pool.starts.total() == 1


@story
async def test_one_refused_launch_does_not_hold_up_the_others_of_its_batch(site: Site) -> None:
    async with running(site):
        pool = await site.add_pool("p")
        bad, *good = await site.submit(*(submission(f"k{i}") for i in range(20)))

        def refuse(launch: Launch) -> RefusalCode | None:
            return RefusalCode.UNAVAILABLE if launch.workload_id == bad else None

        pool.refuse = refuse
        await site.until(SUCCEEDED, good)


@story
async def test_an_adapter_that_takes_one_item_at_a_time_gets_one_at_a_time(site: Site) -> None:
    async with running(site):
        fake = FakePool("p")
        fake.max_batch = 1
        pool = await site.add_pool("p", fake)
        ids = await site.submit(*(submission(f"k{i}") for i in range(10)))
        await site.until(SUCCEEDED, ids)
        assert pool.asked.count("launch") == 10


# Cordon and drain


@story
async def test_a_cordoned_pool_gets_nothing_new_and_what_runs_goes_on(site: Site) -> None:
    async with running(site):
        pool = await site.add_pool("p", FakePool("p", course=UNTIL_TOLD))
        (a,) = await site.submit(submission("a"))
        await site.until_run(a, RunState.RUNNING)
        assert (await site.plane.cordon_pool("p", True, "maintenance")).cordoned
        (b,) = await site.submit(submission("b"))
        pool.finish(f"{a}.1")
        await site.until(SUCCEEDED, [a])
        assert await site.state(b) is QUEUED
        said = await site.plane.explain(b)
        assert "cordoned" in said.summary_en
        assert "封锁" in said.summary_zh
        await site.restart()  # admissions are durable
        await site.until_health("p", "ready")
        assert (await site.pool("p")).cordoned
        await site.plane.cordon_pool("p", False, "done")
        await site.until_run(b, RunState.RUNNING)


@story
async def test_draining_moves_runs_to_other_pools(site: Site) -> None:
    async with running(site):
        here = await site.add_pool("here", FakePool("here", course=UNTIL_TOLD))
        ids = await site.submit(*(submission(f"k{i}") for i in range(5)))
        await eventually(lambda: len(here.live()) == 5, "all run here")
        there = await site.add_pool("there")
        _, moving = await site.plane.drain_pool("here", "repair")
        assert len(moving) == 5
        await site.until(SUCCEEDED, ids)
        assert here.live() == []
        assert there.starts.total() == 5
        assert (await site.pool("here")).draining


@story
async def test_an_unknown_pool_is_named_with_those_that_exist(site: Site) -> None:
    async with running(site):
        await site.add_pool("p")
        with pytest.raises(RequestError, match=r"q.*p"):
            await site.plane.cordon_pool("q", True, "")


# Dry run, explain, list


@story
async def test_a_dry_run_places_and_prices_and_reserves_nothing(site: Site) -> None:
    async with running(site):
        pool = await site.add_pool("p", FakePool("p", nodes=1))
        before = await site.pool("p")
        for _ in range(3):
            placed, waits = await site.plane.dry_run(
                [
                    submission("a", requirements=WHOLE_NODE, estimated_ms=3_600_000),
                    submission("b", requirements=WHOLE_NODE),
                ]
            )
            assert (placed.pool_id, placed.nodes) == ("p", ("n000",))
            assert placed.estimated_cost_cny == pytest.approx(0.4)
            assert waits.pool_id == ""
        after = await site.pool("p")
        assert (after.free, after.active_runs) == (before.free, 0)
        assert pool.starts.total() == 0
        assert await site.counts() == {}


@story
async def test_explain_says_what_the_pools_said(site: Site) -> None:
    async with running(site):
        (a,) = await site.submit(submission("a", requirements=Requirements(Resources(64_000, GIB))))
        assert "register" in (await site.plane.explain(a)).summary_en
        await site.add_pool("p")
        await eventually(lambda: bool(site.plane._planner.verdicts(a)), "a cycle has looked at it")
        said = await site.plane.explain(a)
        assert "0 of 1 pools" in said.summary_en
        assert "too large" in said.summary_en
        assert "需求过大" in said.summary_zh


@story
async def test_what_waits_for_room_is_placed_when_the_pool_grows(site: Site) -> None:
    async with running(site):
        pool = FakePool("p", nodes=0)
        promised = NodeGroup("general", 1, Architecture.X86_64, pool.node("any").allocatable)
        await site.add_pool("p", pool, node_groups=(promised,))
        (a,) = await site.submit(submission("a"))
        await eventually(lambda: bool(site.plane._planner.verdicts(a)), "a cycle has looked at it")
        pool.change_nodes([pool.node("new")])
        await site.until(SUCCEEDED, [a])


@story
async def test_pages_show_every_workload_once_while_they_change(site: Site) -> None:
    async with running(site):
        await site.add_pool("p")
        ids = await site.submit(*(submission(f"k{i}") for i in range(50)))
        seen: list[str] = []
        token = ""
        while True:
            page = await site.plane.list_workloads("", frozenset(), 7, token)
            seen += [record.workload.workload_id for record in page.records]
            token = page.next_token
            if not token:
                break
            await site.submit(submission(f"more{len(seen)}"))
        assert seen[:50] == ids
        assert len(seen) == len(set(seen))
        with pytest.raises(RequestError, match="page_token"):
            await site.plane.list_workloads("", frozenset(), 7, "page two")


@story
async def test_the_limit_on_unfinished_workloads_refuses_with_a_time_to_retry(site: Site) -> None:
    site.settings = ControlPlaneSettings(live_limit=3)
    async with running(site):
        await site.submit(submission("a"), submission("b"), submission("c"))
        with pytest.raises(RequestError) as caught:
            await site.plane.submit([submission("d")])
        assert caught.value.code is ErrorCode.RESOURCE_EXHAUSTED
        assert caught.value.retry_after_ms > 0


@story
async def test_those_behind_a_full_window_of_hopeless_ones_are_placed_all_the_same(site: Site) -> None:
    site.settings = ControlPlaneSettings(cycle=CycleSettings(waiting_limit=5))
    async with running(site):
        await site.add_pool("p")
        elsewhere = Requirements(ONE_CORE, pools=frozenset({"gone"}))
        await site.submit(*(submission(f"hopeless{i}", requirements=elsewhere) for i in range(12)))
        ids = await site.submit(*(submission(f"k{i}") for i in range(7)))
        await site.until(SUCCEEDED, ids)


# Watching


@story
async def test_watchers_see_every_change_once_from_any_cursor_and_across_a_restart(site: Site) -> None:
    async with running(site):
        await site.add_pool("p")
        live: list[ChangeNotice] = []

        async def watch() -> None:
            cursor = 0
            while sum(notice.state is SUCCEEDED for notice in live) < 20:
                page = await site.plane.changes(cursor, WatchFilter(), 5_000)
                live.extend(page.notices)
                cursor = page.cursor

        watching = asyncio.create_task(watch())
        ids = await site.submit(*(submission(f"k{i}") for i in range(20)))
        await site.until(SUCCEEDED, ids)
        await watching
        everything = await site.notices()
        assert live == everything
        for workload_id in ids:
            first, placed, *_, ended, last = (n for n in everything if n.workload_id == workload_id)
            assert (first.state, first.run) == (QUEUED, None)
            assert placed.run is not None and ended.run is not None
            assert (placed.state, placed.run.state) == (ACTIVE, RunState.PLACED)
            assert (ended.state, ended.run.state) == (None, RunState.SUCCEEDED)
            assert (last.state, last.run) == (SUCCEEDED, None)
        await site.restart()
        assert await site.notices() == everything
        end = (await site.plane.changes(None, WatchFilter(), 0)).cursor
        for cursor in range(0, end, 13):
            seen = await site.notices(cursor)
            assert seen == everything[len(everything) - len(seen) :]
            assert seen or cursor > end - 13
        mine = await site.plane.changes(0, WatchFilter(frozenset({ids[3]})), 0)
        assert mine.notices == tuple(n for n in everything if n.workload_id == ids[3])
        assert (await site.plane.changes(0, WatchFilter(queue="other"), 0)).notices == ()


@story
async def test_a_cursor_from_another_database_is_refused_instead_of_waiting_for_ever(site: Site) -> None:
    async with running(site):
        now = (await site.plane.changes(None, WatchFilter(), 0)).cursor
        assert (await site.plane.changes(now, WatchFilter(), 1)).cursor == now
        with pytest.raises(RequestError) as caught:
            await site.plane.changes(now + 1_000, WatchFilter(), 1)
        assert caught.value.code is ErrorCode.FAILED_PRECONDITION

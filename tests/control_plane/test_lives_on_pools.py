"""Retries, arrays and deadlines on a running control plane, across its restarts."""

from __future__ import annotations

from inventory.model.retry import FailureCategory, RetryPolicy, RetryRule
from inventory.model.workload import JobArray, RunState, WorkloadState
from scheduler.services.ports import WatchFilter
from tests.control_plane.fake_pool import UNTIL_TOLD, FakePool
from tests.control_plane.site import Site, eventually, running, story
from tests.lifecycle.bookkeeping import submission

QUEUED, ACTIVE, SUCCEEDED = WorkloadState.QUEUED, WorkloadState.ACTIVE, WorkloadState.SUCCEEDED
FAILED, CANCELLED, SUBMITTED = WorkloadState.FAILED, WorkloadState.CANCELLED, WorkloadState.SUBMITTED


@story
async def test_a_failed_run_is_tried_again_after_its_pause_and_says_why_it_failed(site: Site) -> None:
    async with running(site):
        pool = await site.add_pool("p", FakePool("p", course=UNTIL_TOLD))
        policy = RetryPolicy((RetryRule(FailureCategory.PROGRAM, 3),), backoff_ms=20)
        (a,) = await site.submit(submission("a", retry=policy))
        await site.until_run(a, RunState.RUNNING)
        pool.finish(f"{a}.1", RunState.FAILED)
        await site.until_run(a, RunState.FAILED, RunState.RUNNING)
        record = await site.plane.get(a)
        assert record.runs[0].failure is FailureCategory.PROGRAM
        pool.finish(f"{a}.2")
        await site.until(SUCCEEDED, [a])


@story
async def test_what_was_counted_is_counted_after_a_restart(site: Site) -> None:
    async with running(site):
        pool = await site.add_pool("p", FakePool("p", course=UNTIL_TOLD))
        (a,) = await site.submit(submission("a", retry=RetryPolicy((RetryRule(FailureCategory.PROGRAM, 2),))))
        await site.until_run(a, RunState.RUNNING)
        pool.finish(f"{a}.1", RunState.FAILED)
        await site.until_run(a, RunState.FAILED, RunState.RUNNING)
        await site.restart()
        pool.finish(f"{a}.2", RunState.FAILED)
        await site.until(FAILED, [a])


@story
async def test_an_array_runs_its_elements_in_turn_and_goes_on_after_a_restart(site: Site) -> None:
    async with running(site):
        pool = await site.add_pool("p", FakePool("p", course=UNTIL_TOLD))
        (array,) = await site.submit(submission("a", array=JobArray(4, 2)))
        await eventually(lambda: len(pool.live()) == 2, "two elements run")
        first, second = pool.live()
        pool.finish(first)
        await eventually(lambda: first not in pool.live() and len(pool.live()) == 2, "the third has begun")
        await site.restart()
        assert await site.state(array) is ACTIVE
        pool.finish(second, RunState.FAILED)
        for _ in range(2):
            await eventually(lambda: bool(pool.live()), "an element runs")
            pool.finish(next(iter(pool.live())))
        await site.until(FAILED, [array])
        record = await site.plane.get(array)
        assert dict(record.elements) == {SUCCEEDED: 3, FAILED: 1}
        assert "1 failed" in record.workload.message


@story
async def test_an_array_is_one_line_and_its_elements_are_listed_apart(site: Site) -> None:
    async with running(site):
        (array, other) = await site.submit(submission("a", array=JobArray(3)), submission("b"))
        page = await site.plane.list_workloads("", frozenset(), 100, "")
        assert [record.workload.workload_id for record in page.records] == [array, other]
        assert dict(page.records[0].elements) == {QUEUED: 3}
        elements = await site.plane.list_workloads("", frozenset(), 100, "", array)
        assert [record.workload.array_index for record in elements.records] == [0, 1, 2]


@story
async def test_cancelling_an_array_stops_the_runs_of_its_elements(site: Site) -> None:
    async with running(site):
        pool = await site.add_pool("p", FakePool("p", course=UNTIL_TOLD))
        (array,) = await site.submit(submission("a", array=JobArray(3)))
        await eventually(lambda: len(pool.live()) == 3, "all run")
        await site.plane.cancel(array, "enough")
        await eventually(lambda: not pool.live(), "none runs any more")
        assert dict((await site.plane.get(array)).elements) == {CANCELLED: 3}


@story
async def test_a_missed_deadline_is_told_once_and_the_workload_goes_on(site: Site) -> None:
    async with running(site):
        pool = await site.add_pool("p", FakePool("p", course=UNTIL_TOLD))
        (a,) = await site.submit(submission("a", finish_by_ms=site.clock.ms + 30))
        await site.until_run(a, RunState.RUNNING)

        async def told() -> bool:
            return any("deadline" in notice.message for notice in await site.notices())

        await eventually(told, "the miss is told")
        await site.restart()
        pool.finish(f"{a}.1")
        await site.until(SUCCEEDED, [a])
        assert sum("deadline" in notice.message for notice in await site.notices()) == 1


@story
async def test_a_watch_by_label_sees_only_those_that_carry_it(site: Site) -> None:
    async with running(site):
        await site.add_pool("p")
        mine, _ = await site.submit(submission("a", labels={"team": "x"}), submission("b", labels={"team": "y"}))
        await site.until(SUCCEEDED, [mine])
        wanted = WatchFilter(labels=frozenset({("team", "x")}))
        page = await site.plane.changes(0, wanted, 0)
        assert {notice.workload_id for notice in page.notices} == {mine}

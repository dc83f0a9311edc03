"""`explain` says first what a workload waits for by itself, and speaks of pools only where they matter."""

from __future__ import annotations

from inventory.model.retry import RetryPolicy
from inventory.model.units import GIB, Resources
from inventory.model.workload import JobArray, Requirements, RunState, WorkloadState
from tests.control_plane.fake_pool import UNTIL_TOLD, FakePool
from tests.control_plane.site import Site, eventually, running, story
from tests.lifecycle.bookkeeping import submission

WHOLE_NODE = Requirements(Resources(4_000, GIB))


@story
async def test_one_that_runs_and_one_that_has_ended_wait_for_nothing(site: Site) -> None:
    async with running(site):
        pool = await site.add_pool("p", FakePool("p", nodes=1, course=UNTIL_TOLD))
        (one,) = await site.submit(submission("a", requirements=WHOLE_NODE))
        await site.until_run(one, RunState.RUNNING)
        said = await site.plane.explain(one)
        assert said.summary_en.startswith("it has been running in p (n000) since ")
        assert "在 p（n000）运行" in said.summary_zh
        assert (said.opinions, said.verdict) == ((), None)
        pool.finish(f"{one}.1")
        await site.until(WorkloadState.SUCCEEDED, [one])
        assert (await site.plane.explain(one)).summary_en == "it has succeeded: nothing to wait for"


@story
async def test_one_that_waits_for_others_names_them_and_what_pools_say(site: Site) -> None:
    async with running(site):
        await site.add_pool("p", FakePool("p", nodes=1, course=UNTIL_TOLD))
        (first,) = await site.submit(submission("first", requirements=WHOLE_NODE))
        await site.until_run(first, RunState.RUNNING)
        (second,) = await site.submit(submission("second", requirements=WHOLE_NODE, after=(first,)))
        said = await site.plane.explain(second)
        assert said.summary_en.startswith(f"it waits for these to succeed: {first} (active); ")
        assert said.summary_zh.startswith(f"等待这些作业成功：{first}（运行中）；")
        assert [opinion.pool_id for opinion in said.opinions] == ["p"]


@story
async def test_an_array_counts_its_elements_and_speaks_for_the_first_that_waits_for_room(site: Site) -> None:
    async with running(site):
        await site.add_pool("p", FakePool("p", nodes=1, course=UNTIL_TOLD))
        (array,) = await site.submit(submission("a", requirements=WHOLE_NODE, array=JobArray(5, 2)))
        page = await site.plane.list_workloads("", frozenset(), 10, "", array)
        ids = [record.workload.workload_id for record in page.records]
        await site.until_run(ids[0], RunState.RUNNING)
        await eventually(lambda: bool(site.plane._planner.verdicts(ids[1])), "a cycle has left the second")
        said = await site.plane.explain(array)
        assert said.summary_en.startswith(
            "of its 5 elements 1 run, 1 wait for room, 3 for their turn, 0 have ended; 0 of 1 pools can take it: "
        )
        turn = await site.plane.explain(ids[4])
        assert turn.summary_en.startswith(f"it waits for its turn: array {array} has at most 2 elements under way")


@story
async def test_one_that_rests_after_a_failure_says_when_it_is_tried_again(site: Site) -> None:
    async with running(site):
        pool = await site.add_pool("p", FakePool("p", nodes=1, course=UNTIL_TOLD))
        retry = RetryPolicy(backoff_ms=3_600_000)
        (one,) = await site.submit(submission("a", requirements=WHOLE_NODE, max_attempts=3, retry=retry))
        await site.until_run(one, RunState.RUNNING)
        pool.finish(f"{one}.1", RunState.FAILED)
        await site.until(WorkloadState.QUEUED, [one])
        await eventually(lambda: _rests(site, one), "its pause counts")
        said = await site.plane.explain(one)
        assert said.summary_en.startswith("its last run failed: it is tried again after ")
        assert said.summary_en.endswith("1 of 1 pools can take it: p")


async def _rests(site: Site, workload_id: str) -> bool:
    return await site.plane._look(lambda book: workload_id in book.due.resting)

"""`explain` says first what a workload waits for by itself, and speaks of pools only where they matter."""

from __future__ import annotations

from dataclasses import replace

from inventory.model.placement import ReasonCode, Verdict
from inventory.model.retry import RetryPolicy
from inventory.model.units import GIB, Resources
from inventory.model.workload import JobArray, Requirements, RunState, WorkloadState
from scheduler.services.queue_ports import ReservationAsked
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


@story
async def test_who_can_never_fit_its_quota_is_not_told_to_wait(site: Site) -> None:
    async with running(site):
        await site.add_pool("p", FakePool("p", nodes=2, course=UNTIL_TOLD))
        await site.plane.define_queues({"queues": [{"path": "small", "maximum": {"cpu": 1}}]})
        (one,) = await site.submit(submission("w", queue="small", requirements=WHOLE_NODE))
        await eventually(lambda: bool(site.plane._planner.verdicts(one)), "a cycle has left it")
        said = await site.plane.explain(one)
        assert said.verdict is Verdict.UNRESOLVABLE
        assert "ask for less, or raise the maximum of queue small" in said.summary_en


@story
async def test_what_the_calendar_keeps_is_told_only_to_whom_it_stands_in_the_way(site: Site) -> None:
    async with running(site):
        await site.add_pool("p", FakePool("p", nodes=1, course=UNTIL_TOLD))
        await site.plane.queues.reserve(ReservationAsked("r", "p", "迁移", Resources(2_000, GIB // 2)), "王工")
        await site.plane.cordon_pool("p", True, "检修")
        (small,) = await site.submit(submission("small", requirements=Requirements(Resources(1_000, 1))))
        await eventually(lambda: bool(site.plane._planner.verdicts(small)), "a cycle has left it")
        (opinion,) = (await site.plane.explain(small)).opinions
        assert [reason.code for reason in opinion.reasons] == [ReasonCode.CORDONED]


@story
async def test_a_deadline_is_named_and_whether_it_can_be_made(site: Site) -> None:
    async with running(site):
        await site.add_pool("p", FakePool("p", nodes=1, course=UNTIL_TOLD))
        (first,) = await site.submit(submission("first", requirements=WHOLE_NODE))
        await site.until_run(first, RunState.RUNNING)
        due_ms = site.clock.now_ms() + 3_600_000
        for minutes, told in (
            (10, "it is due by "),
            (90, "which it can no longer make: begun now it would end at "),
        ):
            asked = submission(f"in-{minutes}", requirements=WHOLE_NODE)
            asked = replace(asked, finish_by_ms=due_ms, estimated_ms=minutes * 60_000)
            (one,) = await site.submit(asked)
            assert told in (await site.plane.explain(one)).summary_en

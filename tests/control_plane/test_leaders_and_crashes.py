"""A leader that is replaced, a crash, a restart of hosts, a close: nothing is lost and nothing starts twice."""

from __future__ import annotations

import asyncio

import pytest

from adapters.contract import RefusalCode
from inventory.model.units import GIB, Resources
from inventory.model.workload import Requirements, RunState, WorkloadState
from scheduler.ports import NodeBatch
from scheduler.services.ports import ErrorCode, RequestError
from scheduler.store.scheduler_store import SchedulerStore
from tests.control_plane.fake_pool import UNTIL_TOLD, FakePool
from tests.control_plane.site import Site, eventually, running, story
from tests.lifecycle.bookkeeping import submission

QUEUED, SUCCEEDED = WorkloadState.QUEUED, WorkloadState.SUCCEEDED
WHOLE_NODE = Requirements(Resources(4_000, GIB))


@story
async def test_a_pool_that_saw_a_newer_leader_deposes_this_one(site: Site) -> None:
    async with running(site):
        pool = await site.add_pool("p")
        pool.epoch = 99
        await site.submit(submission("a"))
        await eventually(lambda: site.deposed == 1, "it is deposed")
        assert pool.starts.total() == 0


@story
async def test_a_newer_leader_on_the_same_store_deposes_this_one_at_its_next_write(site: Site) -> None:
    async with running(site):
        (a,) = await site.submit(submission("a"))
        newer = SchedulerStore(site.store.store)
        assert newer.start_leadership("newer", 1).epoch == site.plane.epoch + 1
        with pytest.raises(RequestError) as caught:
            await site.plane.submit([submission("b")])
        assert caught.value.code is ErrorCode.UNAVAILABLE
        await eventually(lambda: site.deposed == 1, "it is deposed")
        with pytest.raises(RequestError):
            await site.plane.submit([submission("c")])
        assert await site.counts() == {QUEUED: 1}
        assert await site.state(a) is QUEUED


@story
async def test_a_leader_with_nothing_to_store_finds_that_it_was_replaced(site: Site) -> None:
    async with running(site):
        SchedulerStore(site.store.store).start_leadership("newer", 1)
        await eventually(lambda: site.deposed == 1, "it is deposed")


# Crashes


@pytest.mark.parametrize("keep_host", [False, True], ids=["with its hosts", "its hosts survive"])
@story
async def test_a_crash_between_commit_and_launch_launches_once(site: Site, keep_host: bool) -> None:
    async with running(site):
        pool = await site.add_pool("p", FakePool("p", nodes=2, course=UNTIL_TOLD))
        pool.refuse = lambda _: RefusalCode.UNAVAILABLE
        a, b, c = await site.submit(*(submission(key, requirements=WHOLE_NODE) for key in "abc"))
        await site.until_run(a, RunState.PLACED)
        await site.until_run(b, RunState.PLACED)
        await site.crash(keep_host=keep_host)
        pool.refuse = lambda _: None
        site.start(keep_host=keep_host)
        await site.until_run(a, RunState.RUNNING)
        await site.until_run(b, RunState.RUNNING)
        assert pool.starts == {f"{a}.1": 1, f"{b}.1": 1}
        assert await site.state(c) is QUEUED  # what runs hold is held after the restart too
        pool.finish(f"{a}.1")
        await site.until(SUCCEEDED, [a])
        await site.until_run(c, RunState.RUNNING)


@pytest.mark.parametrize("keep_host", [False, True], ids=["with its hosts", "its hosts survive"])
@story
async def test_what_happens_while_the_control_plane_is_gone_is_known_when_it_is_back(
    site: Site, keep_host: bool
) -> None:
    async with running(site):
        pool = await site.add_pool("p", FakePool("p", course=UNTIL_TOLD))
        a, b = await site.submit(submission("a"), submission("b"))
        await site.until_run(a, RunState.RUNNING)
        await site.until_run(b, RunState.RUNNING)
        await site.crash(keep_host=keep_host)
        pool.finish(f"{a}.1")
        site.start(keep_host=keep_host)
        await site.until(SUCCEEDED, [a])
        assert await site.runs(b) == [RunState.RUNNING]
        assert pool.asked.count("launch") <= 2


@story
async def test_a_reservation_of_a_cycle_that_died_is_not_kept_by_a_surviving_host(site: Site) -> None:
    async with running(site):
        await site.add_pool("p", FakePool("p", nodes=1))
        link = site.host._links["p"]
        link.place(NodeBatch.of([("ghost.1", WHOLE_NODE)]))
        await site.restart(keep_host=True)
        ids = await site.submit(submission("a", requirements=WHOLE_NODE))
        await site.until(SUCCEEDED, ids)


@story
async def test_a_host_that_was_restarted_gets_its_pools_again(site: Site) -> None:
    async with running(site):
        pool = await site.add_pool("p", FakePool("p", nodes=1, course=UNTIL_TOLD))
        a, b = await site.submit(*(submission(key, requirements=WHOLE_NODE) for key in "ab"))
        await site.until_run(a, RunState.RUNNING)
        await site.host.close()  # it remembers nothing now, like a new process
        pool.finish(f"{a}.1")
        await site.until(SUCCEEDED, [a])
        await site.until_run(b, RunState.RUNNING)


@story
async def test_closing_with_calls_under_way_stores_them_or_says_no(site: Site) -> None:
    site.start()
    await site.add_pool("p")
    calls = [asyncio.create_task(site.plane.submit([submission(f"k{i}")])) for i in range(30)]
    await asyncio.sleep(0)
    await site.plane.close()
    answers = await asyncio.gather(*calls, return_exceptions=True)
    with pytest.raises(RequestError) as caught:
        await site.plane.submit([submission("late")])
    assert caught.value.code is ErrorCode.UNAVAILABLE
    await site.plane.close()  # twice is harmless
    acknowledged = [answer[0].workload_id for answer in answers if isinstance(answer, list)]
    assert all(isinstance(answer, list | RequestError) for answer in answers)
    site.start()
    await site.until(SUCCEEDED, acknowledged)
    await site.close()

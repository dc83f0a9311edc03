"""Pools that are not heard for as long as a workload states, and come back: at most one run of it counts."""

from __future__ import annotations

import pytest

from inventory.model.partition import OnDisconnect, OnReconnect, PartitionPolicy
from inventory.model.workload import RunState, WorkloadState
from scheduler.runtime import control_plane
from tests.control_plane.fake_pool import UNTIL_TOLD, FakePool
from tests.control_plane.site import Site, eventually, running, story
from tests.lifecycle.bookkeeping import submission

LOST, RUNNING, STOPPED = RunState.LOST, RunState.RUNNING, RunState.STOPPED
PREEMPTED, DONE = RunState.PREEMPTED, RunState.SUCCEEDED
SUCCEEDED = WorkloadState.SUCCEEDED
SOON_MS = 60


def policy(word: OnReconnect, disconnect: OnDisconnect = OnDisconnect.KEEP) -> PartitionPolicy:
    return PartitionPolicy(SOON_MS, disconnect, word)


async def lost_and_replaced(site: Site, stated: PartitionPolicy) -> tuple[FakePool, FakePool, str]:
    """A workload whose run is lost in the first pool and whose replacement runs in the second."""
    first = await site.add_pool("first", FakePool("first", course=UNTIL_TOLD))
    (asked,) = await site.submit(submission("a", partition=stated))
    await site.until_run(asked, RUNNING)
    second = await site.add_pool("second", FakePool("second", course=UNTIL_TOLD))
    first.go_down()
    await site.until_run(asked, LOST, RUNNING)
    assert second.live() == [f"{asked}.2"]
    return first, second, asked


@story
async def test_the_original_goes_on_and_the_replacement_is_stopped_where_the_policy_keeps_the_original(
    site: Site,
) -> None:
    async with running(site):
        first, second, asked = await lost_and_replaced(site, policy(OnReconnect.KEEP_ORIGINAL))
        first.come_back()
        await site.until_run(asked, RUNNING, PREEMPTED)
        assert (first.live(), second.live()) == ([f"{asked}.1"], [])
        held = await site.pool("first")
        assert held.free.cpu_milli == held.allocatable.cpu_milli - 1_000
        first.finish(f"{asked}.1")
        await site.until(SUCCEEDED, [asked])
        assert first.starts + second.starts == {f"{asked}.1": 1, f"{asked}.2": 1}


@story
async def test_the_original_is_stopped_where_the_policy_keeps_the_replacement(site: Site) -> None:
    async with running(site):
        first, second, asked = await lost_and_replaced(site, policy(OnReconnect.KEEP_REPLACEMENT))
        first.come_back()
        await eventually(lambda: not first.live(), "the original is stopped")
        assert await site.runs(asked) == [LOST, RUNNING]
        second.finish(f"{asked}.2")
        await site.until(SUCCEEDED, [asked])
        assert (await site.pool("first")).free == (await site.pool("first")).allocatable


@pytest.mark.parametrize("word", list(OnReconnect))
@story
async def test_while_nothing_replaces_it_the_original_goes_on_under_either_word(
    site: Site, word: OnReconnect
) -> None:
    async with running(site):
        only = await site.add_pool("only", FakePool("only", course=UNTIL_TOLD))
        (asked,) = await site.submit(submission("a", partition=policy(word)))
        await site.until_run(asked, RUNNING)
        only.go_down()
        await site.until_run(asked, LOST)
        assert await site.state(asked) is WorkloadState.QUEUED
        only.come_back()
        await site.until_run(asked, RUNNING)
        only.finish(f"{asked}.1")
        await site.until(SUCCEEDED, [asked])
        assert only.starts == {f"{asked}.1": 1}


@story
async def test_an_original_that_succeeded_unheard_has_done_the_work_where_the_policy_keeps_it(site: Site) -> None:
    async with running(site):
        first, second, asked = await lost_and_replaced(site, policy(OnReconnect.KEEP_ORIGINAL))
        first.finish(f"{asked}.1")
        first.come_back()
        await site.until(SUCCEEDED, [asked])
        await site.until_run(asked, DONE, PREEMPTED)
        assert second.live() == []


@story
async def test_an_original_is_stopped_when_its_workload_has_ended_meanwhile(site: Site) -> None:
    async with running(site):
        first, second, asked = await lost_and_replaced(site, policy(OnReconnect.KEEP_ORIGINAL))
        second.finish(f"{asked}.2")
        await site.until(SUCCEEDED, [asked])
        first.come_back()
        await eventually(lambda: not first.live(), "the original is stopped")
        assert await site.runs(asked) == [LOST, DONE]


@story
async def test_a_run_that_its_pool_stops_by_itself_is_lost_only_when_it_has_had_time_to_end(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control_plane, "ENDING_MS", 3_600_000)
    async with running(site):
        pool = await site.add_pool("p", FakePool("p", course=UNTIL_TOLD))
        keeps, stops = await site.submit(
            submission("keeps", partition=policy(OnReconnect.KEEP_ORIGINAL)),
            submission("stops", partition=policy(OnReconnect.KEEP_ORIGINAL, OnDisconnect.STOP)),
        )
        await site.until_run(stops, RUNNING)
        await site.until_run(keeps, RUNNING)
        pool.go_down()
        await site.until_run(keeps, LOST)
        assert await site.runs(stops) == [RUNNING]
        monkeypatch.setattr(control_plane, "ENDING_MS", 0)
        await site.until_run(stops, LOST)
        pool.come_back()
        await eventually(
            lambda: f"{stops}.1" not in pool.live(), "the pool was asked to stop it, and we see to it"
        )


@story
async def test_what_is_owed_to_a_run_that_proves_alive_outlives_the_leader(site: Site) -> None:
    async with running(site):
        first, second, asked = await lost_and_replaced(site, policy(OnReconnect.KEEP_REPLACEMENT))
        first.refuse_stops = True
        first.come_back()
        await site.until_health("first", "ready")
        await eventually(lambda: "stop" in first.asked, "the original shall stop")
        await site.restart()
        first.refuse_stops = False
        await eventually(lambda: not first.live(), "the new leader stops it")
        assert second.live() == [f"{asked}.2"]


@story
async def test_leases_are_renewed_as_long_as_somebody_needs_it(site: Site) -> None:
    async with running(site):
        pool = await site.add_pool("p", FakePool("p", course=UNTIL_TOLD))
        plain, leased = await site.submit(
            submission("plain"), submission("leased", partition=policy(OnReconnect.KEEP_ORIGINAL))
        )
        await site.until_run(leased, RUNNING)
        await eventually(lambda: pool.asked.count("renew") >= 3, "leases are renewed")
        pool.finish(f"{leased}.1")
        await site.until(SUCCEEDED, [leased])
        renewed = pool.asked.count("renew")
        (another,) = await site.submit(submission("another"))
        await site.until_run(another, RUNNING)
        assert pool.asked.count("renew") <= renewed + 1
        assert await site.runs(plain) == [RUNNING]


@story
async def test_a_leader_that_a_pool_obeys_no_more_ends_at_the_next_renewal(site: Site) -> None:
    async with running(site):
        pool = await site.add_pool("p", FakePool("p", course=UNTIL_TOLD))
        (leased,) = await site.submit(submission("leased", partition=policy(OnReconnect.KEEP_ORIGINAL)))
        await site.until_run(leased, RUNNING)
        pool.epoch = 1_000
        await eventually(lambda: site.deposed == 1, "it gives up leading")

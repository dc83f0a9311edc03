"""Operating pools: draining with a deadline, maintenance, leaving, health, broken circuits, promises, shapes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.contract import RefusalCode
from adapters.port import AdapterUnavailable, WatchBatch
from inventory.model.maintenance import Maintenance, Phase, strictest
from inventory.model.pool import NodeGroup
from inventory.model.system import Architecture
from inventory.model.units import GIB, Resources
from inventory.model.workload import Requirements, RunState, WorkloadState
from scheduler.runtime import dispatcher, pool_link
from scheduler.services.ports import ErrorCode, RequestError
from tests.control_plane.fake_pool import UNTIL_TOLD, FakePool
from tests.control_plane.site import Site, eventually, running, story
from tests.lifecycle.bookkeeping import ONE_CORE, submission

RUNNING, STOPPED = RunState.RUNNING, RunState.STOPPED
QUEUED, SUCCEEDED = WorkloadState.QUEUED, WorkloadState.SUCCEEDED
HOUR_MS = 3_600_000


@story
async def test_a_drain_asks_runs_to_end_and_ends_them_by_force_at_its_deadline_which_outlives_the_leader(
    site: Site,
) -> None:
    async with running(site):
        pool = await site.add_pool("p", FakePool("p", course=UNTIL_TOLD))
        pool.ends_when_asked = False
        (asked,) = await site.submit(submission("a"))
        await site.until_run(asked, RUNNING)
        status, moving = await site.plane.drain_pool("p", "repair", HOUR_MS)
        assert (status.draining, moving) == (True, (f"{asked}.1",))
        await eventually(lambda: bool(pool.stopped), "the run is asked to end")
        assert HOUR_MS / 2 < pool.stopped[f"{asked}.1"][0] <= HOUR_MS
        await site.restart()
        assert (await site.pool("p")).drain_deadline_ms == status.drain_deadline_ms
        assert await site.runs(asked) == [RUNNING]
        site.clock.ms += HOUR_MS
        await site.until_run(asked, STOPPED)
        assert pool.stopped[f"{asked}.1"][-1] == 0
        assert await site.state(asked) is QUEUED
        await site.plane.cordon_pool("p", False, "")
        await site.until_run(asked, STOPPED, RUNNING)


@story
async def test_maintenance_closes_a_pool_empties_it_and_opens_it_again(site: Site) -> None:
    async with running(site):
        pool = await site.add_pool("p", FakePool("p", course=UNTIL_TOLD))
        (before,) = await site.submit(submission("before"))
        await site.until_run(before, RUNNING)
        now = site.clock.ms
        window = Maintenance(now + 10 * HOUR_MS, now + 12 * HOUR_MS, 2 * HOUR_MS, HOUR_MS, "new switches")
        await site.plane.maintain_pool("p", [window])
        assert not (await site.pool("p")).cordoned
        site.clock.ms = window.starts_ms - 2 * HOUR_MS
        await eventually(lambda: _is(site, cordoned=True, draining=False), "it is closed before the window")
        assert await site.runs(before) == [RUNNING]
        (late,) = await site.submit(submission("late"))
        await site.restart()  # in the middle of it: the window is stored, the phase follows
        site.clock.ms = window.starts_ms - HOUR_MS
        await site.until_run(before, STOPPED)
        assert 0 < pool.stopped[f"{before}.1"][0] <= HOUR_MS
        site.clock.ms = window.starts_ms
        await eventually(lambda: _is(site, cordoned=True, draining=True), "the window is under way")
        assert (await site.state(late), await site.state(before)) == (QUEUED, QUEUED)
        site.clock.ms = window.ends_ms
        await site.until_run(before, STOPPED, RUNNING)
        await site.until_run(late, RUNNING)


async def _is(site: Site, *, cordoned: bool, draining: bool) -> bool:
    status = await site.pool("p")
    return (status.cordoned, status.draining) == (cordoned, draining)


@story
async def test_a_window_that_is_over_or_runs_backwards_is_refused(site: Site) -> None:
    async with running(site):
        await site.add_pool("p")
        now = site.clock.ms
        for window in (Maintenance(now + 2, now + 1, 0, 0), Maintenance(1, 2, 0, 0)):
            with pytest.raises(RequestError, match=r"windows\[0\]"):
                await site.plane.maintain_pool("p", [window])


@given(st.integers(0, 400), st.lists(st.tuples(*[st.integers(0, 100)] * 4), max_size=4))
def test_of_several_windows_the_strictest_holds(now: int, sizes: list[tuple[int, int, int, int]]) -> None:
    windows = [Maintenance(100 + a, 101 + a + b, c, d) for a, b, c, d in sizes]
    phase, window = strictest(windows, now)
    phases = [one.phase(now) for one in windows]
    order = list(Phase)
    assert order.index(phase) == max(map(order.index, phases), default=0)
    assert (window is None) == (phase is Phase.OPEN)
    for one in windows:
        assert (one.phase(now) is Phase.UNDER_WAY) == (one.starts_ms <= now < one.ends_ms)


@story
async def test_a_pool_leaves_when_nothing_runs_there_and_may_come_again(site: Site) -> None:
    async with running(site):
        pool = await site.add_pool("p", FakePool("p", course=UNTIL_TOLD))
        (asked,) = await site.submit(submission("a"))
        await site.until_run(asked, RUNNING)
        with pytest.raises(RequestError, match="drain p first") as refused:
            await site.plane.leave_pool("p", "sold")
        assert refused.value.code is ErrorCode.FAILED_PRECONDITION
        pool.finish(f"{asked}.1")
        await site.until(SUCCEEDED, [asked])
        await site.plane.leave_pool("p", "sold")
        await site.plane.leave_pool("p", "sold")
        assert await site.plane.pools() == ()
        await site.restart()
        assert await site.plane.pools() == ()
        (waits,) = await site.submit(submission("b"))
        assert await site.state(waits) is QUEUED
        await site.add_pool("p", pool)
        await site.until_run(waits, RUNNING)


@story
async def test_one_answer_does_not_make_a_pool_that_was_away_ready(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(site):
        pool = await site.add_pool("p")
        pool.go_down()
        await site.until_health("p", "unreachable")
        monkeypatch.setattr(pool_link, "ANSWER_PAUSE_S", 0.2)
        pool.asked.clear()
        pool.come_back()
        await eventually(lambda: "capabilities" in pool.asked, "it has answered once")
        pool.go_down()
        await eventually(lambda: pool.asked.count("capabilities") >= 3, "it was asked again")
        assert (await site.pool("p")).health == "unreachable"
        pool.come_back()
        await site.until_health("p", "ready")


class Watched(FakePool):
    """A pool whose stream of changes can be mute, or break once."""

    is_mute = False
    breaks = False

    async def watch(self, cursor: str) -> AsyncIterator[WatchBatch]:
        if self.is_mute:
            await asyncio.sleep(3600)
        async for batch in super().watch(cursor):
            yield batch
            if self.breaks:
                self.breaks = False
                raise AdapterUnavailable("the line broke")


@story
async def test_a_pool_without_a_word_is_unreachable_though_its_calls_are_answered(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_link, "SILENCE_LIMIT_S", 0.2)
    async with running(site):
        pool = Watched("p")
        await site.add_pool("p", pool)
        pool.is_mute = True
        status = await site.until_health("p", "unreachable")
        assert "no sign of life" in status.health_message
        (waits,) = await site.submit(submission("a"))
        assert await site.state(waits) is QUEUED
        pool.is_mute = False
        await site.until(SUCCEEDED, [waits])


@story
async def test_one_failure_is_a_hiccup(site: Site) -> None:
    async with running(site):
        pool = Watched("p")
        await site.add_pool("p", pool)
        pool.asked.clear()
        pool.breaks = True
        pool.change_nodes(list(pool.nodes))  # the next batch is the one after which the line breaks
        healths = set()
        while pool.asked.count("capabilities") < 1:
            healths.add((await site.pool("p")).health)
            await asyncio.sleep(0.01)
        (done,) = await site.submit(submission("a"))
        await site.until(SUCCEEDED, [done])
        assert healths | {(await site.pool("p")).health} == {"ready"}


@story
async def test_a_pool_that_shows_less_than_was_promised_gets_no_more_than_it_shows(site: Site) -> None:
    async with running(site):
        promise = NodeGroup("general", 3, Architecture.X86_64, Resources(4_000, 64 * GIB))
        pool = await site.add_pool("p", FakePool("p", nodes=1, course=UNTIL_TOLD), node_groups=(promise,))
        whole = Requirements(Resources(4_000, GIB))
        first, second = await site.submit(*(submission(key, requirements=whole) for key in "ab"))
        await site.until_run(first, RUNNING)
        status = await site.pool("p")
        assert (status.promised.cpu_milli, status.allocatable.cpu_milli) == (12_000, 4_000)
        assert await site.state(second) is QUEUED
        pool.change_nodes([*pool.nodes, pool.node("late")])
        await site.until_run(second, RUNNING)


@story
async def test_a_pool_that_answers_late_slows_no_other(site: Site) -> None:
    async with running(site):
        slow = await site.add_pool("slow", FakePool("slow"))
        slow.answer_delay_s = 5.0
        (waits,) = await site.submit(
            submission("waits", requirements=Requirements(ONE_CORE, pools=frozenset({"slow"})))
        )
        await eventually(lambda: "launch" in slow.asked, "the slow pool was asked")
        await site.add_pool("fast", FakePool("fast"))
        quick = Requirements(ONE_CORE, pools=frozenset({"fast"}))
        for batch in range(5):
            done = await site.submit(*(submission(f"k{batch}-{i}", requirements=quick) for i in range(20)))
            await site.until(SUCCEEDED, done)
            assert await site.runs(waits) == [RunState.PLACED], "all this happened while the slow pool kept silent"
        slow.answer_delay_s = 0.0
        await site.until(SUCCEEDED, [waits])


@story
async def test_nothing_more_is_placed_on_a_pool_whose_calls_fail_until_one_succeeds(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatcher, "LONGEST_REST_S", 0.05)
    async with running(site):
        bad = await site.add_pool("bad", FakePool("bad", course=UNTIL_TOLD))

        def fail(what: str) -> None:
            if what == "launch":
                raise AdapterUnavailable("no answer")

        bad.before_answer = fail
        bad.refuse = lambda _: RefusalCode.UNAVAILABLE
        (first,) = await site.submit(submission("first"))
        await eventually(lambda: _is_closed(site, "bad"), "its circuit is broken")
        assert "in a row" in (await site.pool("bad")).health_message
        await site.add_pool("good")
        others = await site.submit(*(submission(f"k{i}") for i in range(5)))
        await site.until(SUCCEEDED, others)
        assert await site.runs(first) == [RunState.PLACED]
        bad.before_answer = lambda _: None
        bad.refuse = lambda _: None
        await site.until_run(first, RUNNING)
        assert not await _is_closed(site, "bad")
        assert bad.starts == {f"{first}.1": 1}


async def _is_closed(site: Site, pool_id: str) -> bool:
    return (await site.pool(pool_id)).cordoned


@story
async def test_a_pool_that_shows_more_than_was_promised_gets_no_more_than_that(site: Site) -> None:
    async with running(site):
        promise = NodeGroup("general", 1, Architecture.X86_64, Resources(2_000, 64 * GIB))
        pool = await site.add_pool("p", FakePool("p", course=UNTIL_TOLD), node_groups=(promise,))
        items = await site.submit(*(submission(f"k{i}") for i in range(4)))
        await eventually(lambda: len(pool.live()) == 2, "as many run as were promised")
        status = await site.pool("p")
        assert (status.promised.cpu_milli, status.allocatable.cpu_milli) == (2_000, 16_000)
        await asyncio.sleep(0.1)
        assert len(pool.live()) == 2
        for run_id in pool.live():
            pool.finish(run_id)
        await eventually(lambda: len(pool.live()) == 2, "the others follow")
        for run_id in pool.live():
            pool.finish(run_id)
        await site.until(SUCCEEDED, items)


@story
async def test_a_pool_that_discloses_shapes_and_no_nodes_is_placed_on_as_a_whole(site: Site) -> None:
    async with running(site):
        pool = FakePool("p", nodes=0, course=UNTIL_TOLD)
        pool.chooses_nodes = True
        shapes = (NodeGroup("big", 2, Architecture.X86_64, Resources(4_000, 8 * GIB)),)
        await site.add_pool("p", pool, node_groups=shapes)
        assert (await site.pool("p")).allocatable.cpu_milli == 8_000
        whole = Requirements(Resources(4_000, GIB))
        a, b, c = await site.submit(*(submission(key, requirements=whole) for key in "abc"))
        await site.until_run(a, RUNNING)
        await site.until_run(b, RUNNING)
        assert set(pool.launched.values()) == {()}, "the pool chooses the nodes"
        assert await site.state(c) is QUEUED
        pool.finish(f"{a}.1")
        await site.until_run(c, RUNNING)


@story
async def test_a_pool_that_reports_an_absurd_node_is_quarantined(site: Site) -> None:
    async with running(site):
        pool = await site.add_pool("p")
        pool.change_nodes([pool.node("n000", cpu_milli=10**12)])
        status = await site.until_health("p", "quarantined")
        assert "absurd" in status.health_message

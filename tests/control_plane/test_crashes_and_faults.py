"""What breaks: the store in the middle of a commit, a caller that goes away, a leader that is replaced, a crash.

Afterwards nothing that was acknowledged is lost, nothing is started twice, and the rest goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from datetime import date
from typing import Any

import pytest

from adapters.port import RunList
from inventory.model.units import GIB, Resources
from inventory.model.workload import Requirements, RunState, WorkloadState
from inventory.store.errors import Locked
from scheduler.core.admission import Accepted
from scheduler.core.book import Book
from scheduler.core.changes import WorkloadChanged
from scheduler.runtime.pool_link import PoolReport
from scheduler.runtime.writer import Decision
from scheduler.services.ports import WatchFilter
from tests.control_plane.fake_pool import UNTIL_TOLD, FakePool
from tests.control_plane.site import Site, eventually, running, story
from tests.lifecycle.bookkeeping import submission

TODAY = date(2025, 11, 22)
QUEUED, SUCCEEDED, CANCELLED = WorkloadState.QUEUED, WorkloadState.SUCCEEDED, WorkloadState.CANCELLED
WHOLE_NODE = Requirements(Resources(4_000, GIB))
LOCKED = Locked("数据库被占用", "the database is locked")


def fail_commits(site: Site, times: int = 1, *, after: bool = False) -> Callable[[], int]:
    """The next commits fail, before or (the answer of the database was lost) after they became durable.

    Returns how many are still to fail.
    """
    store, record, left = site.store, site.store.record, times

    def failing(*arguments: Any, **named: Any) -> Any:
        nonlocal left
        if left == 0:
            return record(*arguments, **named)
        left -= 1
        if after:
            record(*arguments, **named)
        raise LOCKED

    store.record = failing  # type: ignore[method-assign]  # a fault is injected
    return lambda: left


# The store


@story
async def test_a_commit_that_fails_acknowledges_nothing_and_the_next_one_works(site: Site) -> None:
    async with running(site):
        (first,) = await site.submit(submission("first"))
        fail_commits(site)
        with pytest.raises(Locked):
            await site.plane.submit([submission("a"), submission("b", "a")])
        assert await site.counts() == {QUEUED: 1}
        with site.plane.writer.reading() as book:
            assert (book.live_count, book.queued_count) == (1, 1)
            assert book.workload_by_key("q", "a") is None
        a, b = await site.submit(submission("a"), submission("b", "a"))
        await site.add_pool("p")
        await site.until(SUCCEEDED, [first, a, b])


@story
async def test_every_call_of_a_failed_group_gets_the_error(site: Site) -> None:
    async with running(site):
        fail_commits(site)
        writer = site.plane.writer
        with writer.reading():  # the writer waits, so that all of these come into one group or the next
            calls = [asyncio.create_task(site.plane.submit([submission(f"k{i}")])) for i in range(5)]
            await asyncio.sleep(0)
        answers = await asyncio.gather(*calls, return_exceptions=True)
        failed = [answer for answer in answers if isinstance(answer, Locked)]
        assert failed
        assert (await site.counts())[QUEUED] == 5 - len(failed)


@story
async def test_a_commit_whose_answer_is_lost_is_found_again_by_the_client_key(site: Site) -> None:
    async with running(site):
        await site.add_pool("p")
        fail_commits(site, after=True)
        with pytest.raises(Locked):
            await site.plane.submit([submission("a")])
        (outcome,) = await site.plane.submit([submission("a")])
        assert isinstance(outcome, Accepted)
        assert not outcome.created
        await site.until(SUCCEEDED, [outcome.workload_id])


@story
async def test_a_commit_whose_answer_is_lost_still_reaches_watchers_and_pools(site: Site) -> None:
    async with running(site):
        await site.add_pool("p")
        planner = site.plane._planner
        await eventually(
            lambda: not planner._wanted.is_set() and not planner.between_cycles.locked(), "the planner is idle"
        )
        now = (await site.plane.changes(None, WatchFilter(), 0)).cursor
        waiting = asyncio.create_task(site.plane.changes(now, WatchFilter(), 20_000))
        fail_commits(site, after=True)
        with pytest.raises(Locked):
            await site.plane.submit([submission("a")])
        assert (await waiting).notices[0].state is QUEUED

        async def is_done() -> bool:
            return (await site.counts())[SUCCEEDED] == 1

        await eventually(is_done, "nobody had to ask for it")


@story
async def test_plans_results_and_reports_that_could_not_be_stored_come_again(site: Site) -> None:
    async with running(site):
        pool = await site.add_pool("p")
        ids = await site.submit(*(submission(f"k{i}") for i in range(10)))
        for _ in range(6):
            left = fail_commits(site)
            ids += await _insistently(site, f"more{len(ids)}")
            await eventually(lambda left=left: left() == 0, "a commit has failed")
        await site.until(SUCCEEDED, ids)
        assert set(pool.starts.values()) == {1}
        assert site.deposed == 0


async def _insistently(site: Site, key: str) -> list[str]:
    while True:
        try:
            return await site.submit(submission(key))
        except Locked:
            continue


@story
async def test_ids_stay_unique_over_failed_commits_and_restarts(site: Site) -> None:
    async with running(site):
        seen: set[str] = set()
        for turn in range(4):
            fail_commits(site)
            with pytest.raises(Locked):
                await site.plane.submit([submission(f"lost{turn}.{i}") for i in range(3)])
            ids = await site.submit(submission(f"a{turn}"), submission(f"b{turn}"))
            assert seen.isdisjoint(ids)
            seen |= set(ids)
            await site.restart()
        page = await site.plane.list_workloads("", frozenset(), 100, "")
        assert len(page.records) == len(seen) == 8


# Callers and decisions


@story
async def test_a_caller_that_goes_away_takes_nobody_with_it(site: Site) -> None:
    async with running(site):
        with site.plane.writer.reading():  # the writer has them, and waits
            calls = [asyncio.create_task(site.plane.submit([submission(f"gone{i}")])) for i in range(20)]
            await asyncio.sleep(0.01)
            for call in calls:
                call.cancel()
            await asyncio.gather(*calls, return_exceptions=True)
            assert not site.plane.writer.submit_each([lambda _: Decision(None)]).cancel()
        ids = await site.submit(submission("stays"))
        await site.add_pool("p")
        await site.until(SUCCEEDED, ids)


@story
async def test_a_cancellation_whose_caller_goes_away_still_stops_the_run(site: Site) -> None:
    async with running(site):
        pool = await site.add_pool("p", FakePool("p", course=UNTIL_TOLD))
        (a,) = await site.submit(submission("a"))
        await site.until_run(a, RunState.RUNNING)
        call = asyncio.create_task(site.plane._to_the_end(site.plane._cancel(a, "test")))
        await asyncio.sleep(0)  # it has begun
        call.cancel()
        await site.until_run(a, RunState.STOPPED)
        assert pool.live() == []


@story
async def test_a_decision_that_raises_fails_its_caller_alone(site: Site) -> None:
    def fault(_: Book) -> Decision[None]:
        raise LookupError("our own fault")

    async with running(site):
        await _decide_together(site, fault, LookupError)


@story
async def test_a_decision_that_contradicts_the_book_is_dropped_and_the_group_goes_on(site: Site) -> None:
    def contradiction(book: Book) -> Decision[None]:
        (workload, *_) = book.queued()
        return Decision(
            None,
            [
                WorkloadChanged(workload.workload_id, CANCELLED),
                WorkloadChanged(workload.workload_id, SUCCEEDED),
            ],
        )

    async with running(site):
        (a,) = await site.submit(submission("a"))
        await _decide_together(site, contradiction, ValueError)
        assert await site.state(a) is QUEUED


async def _decide_together(site: Site, decide: Callable[[Book], Decision[None]], error: type[Exception]) -> None:
    """This decision between two submissions, in one group."""
    writer = site.plane.writer
    with writer.reading():
        before = asyncio.create_task(site.plane.submit([submission("before")]))
        await asyncio.sleep(0)
        bad: Future[None] = writer.submit(decide)
        behind = asyncio.create_task(site.plane.submit([submission("after", "before")]))
        await asyncio.sleep(0)
    for call in (before, behind):
        assert isinstance((await call)[0], Accepted)
    with pytest.raises(error):
        await asyncio.wrap_future(bad)


@story
async def test_a_group_of_one_commit_sees_what_ended_in_it(site: Site) -> None:
    """The race behind it: a predecessor ends, and its waiter is submitted, in one transaction."""
    async with running(site):
        (a,) = await site.submit(submission("a"))
        with site.plane.writer.reading():
            calls = [
                asyncio.create_task(call)
                for call in (
                    site.plane.submit([submission("warm-up")]),
                    site.plane._cancel(a, ""),
                    site.plane.submit([submission("b", "a")]),
                    site.plane.submit([submission("a")]),
                )
            ]
            await asyncio.sleep(0)
        _, _, (waiter,), (again,) = await asyncio.gather(*calls)
        assert not isinstance(waiter, Accepted)
        assert isinstance(again, Accepted)
        assert (again.created, again.state) == (False, CANCELLED)


# Loops that must not die


@story
async def test_an_unforeseen_error_while_dispatching_to_one_pool_does_not_end_it(site: Site) -> None:
    async with running(site):
        pool = await site.add_pool("p")
        errors: list[Exception] = [ValueError("unforeseen"), TimeoutError("unforeseen")]

        def raise_first(_: object) -> None:
            if errors:
                raise errors.pop()

        pool.refuse = raise_first
        ids = await site.submit(submission("a"))
        await site.until(SUCCEEDED, ids)
        assert not errors
        assert pool.starts.total() == 1
        assert site.deposed == 0


@story
async def test_reports_that_cannot_be_delivered_are_delivered_later(site: Site) -> None:
    async with running(site):
        pool = await site.add_pool("p", FakePool("p", course=UNTIL_TOLD))
        (a,) = await site.submit(submission("a"))
        await site.until_run(a, RunState.RUNNING)
        report, failures = site.plane.report, 3

        async def fail(given: PoolReport) -> None:
            nonlocal failures
            if failures:
                failures -= 1
                raise LOCKED
            await report(given)

        site.plane.report = fail  # type: ignore[method-assign]  # a fault is injected
        pool.finish(f"{a}.1")
        await site.until(SUCCEEDED, [a])
        assert failures == 0


@story
async def test_a_planner_that_fails_for_no_known_reason_ends_the_control_plane_with_a_word(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(site):

        async def fail() -> Sequence[object]:
            raise ZeroDivisionError("our own fault")

        monkeypatch.setattr(site.plane._planner, "views", fail)
        await site.submit(submission("a"))
        await eventually(lambda: site.deposed == 1, "it ends")
        assert "our own fault" in caplog.text


# Races


@story
async def test_a_run_that_is_launched_while_its_pool_is_listed_anew_is_not_taken_for_lost(site: Site) -> None:
    async with running(site):
        pool = await site.add_pool("p", FakePool("p", course=UNTIL_TOLD))
        listed, go_on = asyncio.Event(), asyncio.Event()
        listing = pool.listing

        async def slow_listing() -> RunList:
            answer = await listing()
            listed.set()
            await go_on.wait()
            return answer

        site.host._links["p"]._adapter.runs = slow_listing  # type: ignore[method-assign]  # it takes its time
        pool.come_back()  # a new process: the stream ends, its cursor is expired
        await listed.wait()
        (a,) = await site.submit(submission("a"))
        await site.until_run(a, RunState.PLACED)
        await asyncio.sleep(0.05)  # no proof needs it: it gives a wrong launch the time to happen
        link = site.host._links["p"]
        go_on.set()
        await eventually(lambda: link._cursor.startswith("1."), "the listing has been delivered")
        await site.until_run(a, RunState.RUNNING)
        assert pool.starts == {f"{a}.1": 1}


@story
async def test_room_that_a_cancelled_placement_gives_back_goes_to_who_waits(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The plan of a cycle is refused as stale, and nothing else happens: nobody may wait for ever."""
    async with running(site):
        pool = await site.add_pool("p", FakePool("p", nodes=1))
        await site.plane.cordon_pool("p", True, "for the test")
        a, b = await site.submit(*(submission(key, requirements=WHOLE_NODE) for key in "ab"))
        place, plane = site.host.place, site.plane

        async def cancel_meanwhile(requests: Any) -> Any:
            answers = await place(requests)
            if await site.state(a) is QUEUED:
                await plane.cancel(a, "in the middle of the cycle")
            return answers

        monkeypatch.setattr(site.host, "place", cancel_meanwhile)
        await plane.cordon_pool("p", False, "")
        await site.until(SUCCEEDED, [b])
        assert await site.state(a) is CANCELLED
        assert pool.starts == {f"{b}.1": 1}

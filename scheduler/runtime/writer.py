"""The single writer: decisions are made, applied and stored one group after the other.

Every call that changes something hands in a `Decide`. The writer takes all that wait, lets each decide on the
book as the ones before it left it, stores all their changes in one transaction (group commit: one disk flush),
and only then answers. While one group is stored the next is decided already, where calls wait; it is stored only when
the one before it is durable. Whoever acts on the world asks by `look`, which answers when all that it saw is durable;
the planner reads ahead (`reading`), for what it decides comes back here as a decision of its own. When the store refuses,
the book is loaded anew and every caller of the group, and of the one decided behind it, gets the error: nothing was
acknowledged, nothing is half done.

What was handed in is decided and stored whether or not the caller still waits for it: a call that is cancelled
half-way must not take the others, or the reports behind it, with it.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Generic, TypeVar

from inventory.store import attribution
from inventory.store.attribution import Attribution, asked_by
from inventory.store.chain import Draft
from scheduler.core.book import Book
from scheduler.core.changes import Change, WorkloadSubmitted
from scheduler.core.queueing.calendar import QueuesInForce
from scheduler.services.ports import ErrorCode, RequestError
from scheduler.store.projection import QUEUES_DEFINED, draft_of
from scheduler.store.recording_order import RecordingOrder
from scheduler.store.recording_process import LARGE
from scheduler.store.scheduler_store import Batch, Deposed, SchedulerStore

log = logging.getLogger("xisuan.writer")
Result = TypeVar("Result")
GROUP_LIMIT = 256
# Workloads that were there before we began to lead, from which running times and arrivals are known.
RECENT = 500


@dataclass(slots=True)
class Decision(Generic[Result]):
    """What one call decided: its answer, the changes, and what else goes into the same transaction."""

    result: Result
    changes: list[Change] = field(default_factory=list)
    drafts: list[Draft] = field(default_factory=list)
    cursors: dict[str, str] = field(default_factory=dict)


Decide = Callable[[Book], Decision[Any]]


class WriterClosed(RequestError):
    """Nothing can be changed any more: the control plane is shutting down or deposed. The caller retries."""


def _closed() -> WriterClosed:
    return WriterClosed(
        ErrorCode.UNAVAILABLE,
        "控制平面正在停止，请稍后重试 / the control plane is shutting down; retry in a moment",
        "CLOSING",
        retry_after_ms=1_000,
    )


@dataclass(frozen=True, slots=True)
class WriterEvents:
    """Who hears of the writer, on its thread: `committed` after each durable group; `failed` when it must end.

    After an error of the store `committed` comes with no changes: whether the group became durable is unknown.
    """

    committed: Callable[[Sequence[Change]], None]
    failed: Callable[[BaseException], None]


@dataclass(frozen=True, slots=True)
class AskedDecision(Generic[Result]):
    """A decision that one of several callers asks for, and on whose behalf."""

    decide: Callable[[Book], Decision[Result]]
    on_behalf_of: Attribution | None


@dataclass(slots=True)
class _Job:
    """Decisions that are made one after the other, or one action that has the store for itself; and whose they are.
    `apart`: decisions of several callers, each of which is told its own error."""

    future: Future[Any]
    decides: Sequence[Decide] = ()
    exclusive: Callable[[], Any] | None = None
    on_behalf_of: Attribution | None = field(default_factory=attribution.current)
    apart: Sequence[AskedDecision[Any]] = ()


class _Group:
    """The decisions of one transaction, from when they are made until they are durable."""

    def __init__(self, jobs: Sequence[_Job]) -> None:
        self.jobs = jobs
        self.order = RecordingOrder()
        self.cursors: dict[str, str] = {}
        self.changes: list[Change] = []
        self.answers: list[tuple[Future[Any], list[Any]]] = []
        self.refusals: list[tuple[Future[Any], Exception]] = []
        self.book: Book | None = None  # as it is after them
        self.leaving: tuple[str, ...] = ()  # workloads that go when it is durable
        self.durable: Future[None] = Future()
        self.ended: Future[None] = Future()  # it is durable or refused, and its callers know


def _durable_group() -> _Group:
    """What is in the store already."""
    group = _Group(())
    group.durable.set_result(None)
    group.ended.set_result(None)
    return group


class Writer:
    """Owns the book."""

    def __init__(
        self,
        store: SchedulerStore,
        actor: str,
        now_ms: Callable[[], int],
        events: WriterEvents,
    ) -> None:
        self._store = store
        self._actor = actor
        self._now_ms = now_ms
        self._events = events
        self._jobs: deque[_Job] = deque()
        self._arrival = threading.Condition()
        self._closed = False
        self._book_lock = threading.Lock()
        self._book: Book | None = load_book(store)  # None until it has been loaded again
        self._in_doubt = False  # a group was not stored: what the store says is true
        self._settled: deque[tuple[str, ...]] = deque()  # of durable groups: workloads that go
        self._newest = _durable_group()  # was decided last
        self._last = self._newest  # was given to the store last
        self._failure: Exception = _closed()
        self._storing = ThreadPoolExecutor(1, "storing")
        self._thread = threading.Thread(target=self._serve, name="writer", daemon=True)
        self._thread.start()

    def submit(self, decide: Callable[[Book], Decision[Result]]) -> Future[Result]:
        """The future ends when the decision is durable, or with the error of `decide` or of the store."""
        future = _uncancellable()
        answer = self.submit_each([decide])
        answer.add_done_callback(lambda done: _pass_on(done, future))
        return future

    def submit_each(self, decides: Sequence[Callable[[Book], Decision[Result]]]) -> Future[list[Result]]:
        """Several decisions in order, each on the book as the one before it left it, durable together.

        An error of one is the error of the call; the decisions before it stand, those after it are not made.
        """
        job = _Job(_uncancellable(), decides)
        self._enqueue(job)
        return job.future

    def submit_apart(self, asked: Sequence[AskedDecision[Result]]) -> Future[list[Result | Exception]]:
        """Decisions of several callers, in order, durable together: an error of one is its own answer, and the others are
        made all the same."""
        job = _Job(_uncancellable(), apart=asked)
        self._enqueue(job)
        return job.future

    def exclusively(self, action: Callable[[], Result]) -> Future[Result]:
        """Runs a transaction that is not about workloads (a ledger import) between two groups.

        SQLite has one writer: taking turns here is better than waiting for its lock there.
        """
        job = _Job(_uncancellable(), exclusive=action)
        self._enqueue(job)
        return job.future

    def redefine(
        self, decide: Callable[[QueuesInForce], Sequence[Draft]], actor: str = ""
    ) -> Future[QueuesInForce]:
        """Changes queues and reservations as `decide` says against those in force; the future has what is so then.

        Another document of queues builds the book anew: calls wait as long as a start takes. Reservations alone
        change its calendar.
        """

        def record_and_renew() -> QueuesInForce:
            with self._book_lock:
                drafts = list(decide(self._store.queues_in_force()))
                if not drafts:
                    return self._store.queues_in_force()
                before = self._book
                self._book = None  # whatever becomes of the transaction, what the store says then is true
                self._store.record(Batch(drafts, {}), actor=actor or self._actor, now_ms=self._now_ms())
                in_force = self._store.queues_in_force()
                if before is not None and all(draft.kind != QUEUES_DEFINED for draft in drafts):
                    before.calendar = in_force.calendar()
                    self._book = before
                self._loaded_book()
            return in_force

        return self.exclusively(record_and_renew)

    @contextmanager
    def reading(self) -> Iterator[Book]:
        """The book, unchanging while the block lasts. Keep it short: the writer waits.

        What was decided last may not be durable yet, so only for what comes back as a decision, and for what nobody
        acts on. Waits for decisions that are being made, so it must not be called on an event loop.
        Raises StoreError when the book has to be loaded again and the store does not answer.
        """
        with self._book_lock:
            yield self._loaded_book()

    def look(self, question: Callable[[Book], Result]) -> Result:
        """The answer to one question on the book, when all that it saw is durable; blocks until then.

        Raises StoreError as `reading` does, and where what it saw was not stored.
        """
        with self.reading() as book:
            answer, seen = question(book), self._newest
        seen.durable.result()
        return answer

    def glance(self) -> Book | None:
        """The book, without waiting for anybody: for single lookups by id, of what may be gone again."""
        return self._book

    def close(self) -> None:
        """Ends after everything handed in so far."""
        with self._arrival:
            self._closed = True
            self._arrival.notify()
        self._thread.join()
        self._storing.shutdown()

    def _enqueue(self, job: _Job) -> None:
        with self._arrival:
            if self._closed:
                raise _closed()
            self._jobs.append(job)
            self._arrival.notify()

    def _take(self) -> list[_Job]:
        """What waits, about GROUP_LIMIT decisions; empty only when the writer is closed and idle."""
        with self._arrival:
            self._arrival.wait_for(lambda: self._jobs or self._closed)
            taken: list[_Job] = []
            decisions = 0
            while self._jobs and decisions < GROUP_LIMIT:
                taken.append(self._jobs.popleft())
                decisions += len(taken[-1].decides) or len(taken[-1].apart) or 1
            return taken

    def _serve(self) -> None:
        jobs: list[_Job] = []
        try:
            while jobs := self._take():
                for is_exclusive, group in groupby(jobs, key=lambda job: job.exclusive is not None):
                    if is_exclusive:
                        self._last.ended.result()
                        for job in group:
                            self._run_exclusively(job)
                    else:
                        self._commit(list(group))
        except BaseException as error:
            # Without its writer the control plane is a shell that acknowledges nothing: it ends, with a word.
            log.exception("the writer failed")
            self._end(error, jobs)

    def _end(self, error: BaseException, taken: Sequence[_Job]) -> None:
        """Nothing more is taken; whoever waits is told, and whoever leads is told."""
        with self._arrival:
            self._closed = True
            waiting = [*taken, *self._jobs]
            self._jobs.clear()
        for job in waiting:
            if not job.future.done():
                job.future.set_exception(_closed())
        self._events.failed(error)

    def _run_exclusively(self, job: _Job) -> None:
        assert job.exclusive is not None
        try:
            with attribution.attributed(job.on_behalf_of):
                result = job.exclusive()
        except Exception as error:  # noqa: BLE001 - whatever it is belongs to the caller, who waits for it
            job.future.set_exception(error)
        else:
            job.future.set_result(result)

    def _commit(self, jobs: list[_Job]) -> None:
        """Decides, and has it stored when the group before is durable: by itself where it is small and nobody waits."""
        group = _Group(jobs)
        failure = self._decide_all(group)
        self._last.ended.result()
        if failure is None and not self._stands(group):
            failure = self._failure  # of the group before, on which this one was decided
        self._last = group
        if failure is not None:
            self._refuse(group, failure)
        elif self._jobs or len(group.changes) >= LARGE:
            self._storing.submit(self._store_group, group)
        else:
            self._store_group(group)

    def _decide_all(self, group: _Group) -> Exception | None:
        with self._book_lock:
            try:
                self._loaded_book()
                for job in group.jobs:
                    self._decide(job, group)
                group.book, self._newest = self._decided_on(), group
                group.leaving = group.book.take_leaving()
            except Exception as error:  # noqa: BLE001 - told to every caller of the group
                self._book = None  # it may hold half of the group
                return error
        return None

    def _stands(self, group: _Group) -> bool:
        """Whether the book is still the one on which the group was decided."""
        with self._book_lock:
            return not self._in_doubt and self._book is group.book

    def _store_group(self, group: _Group) -> None:
        """Every future of the group has ended when this returns."""
        try:
            batch = Batch(group.order.drafts(), group.cursors)
            try:
                if batch.drafts or batch.cursors:
                    self._store.record(batch, actor=self._actor, now_ms=self._now_ms())
            except Exception as error:  # noqa: BLE001 - told to every caller of the group
                self._in_doubt, self._failure = True, error
                self._refuse(group, error)
                return
            self._settled.append(group.leaving)
            group.durable.set_result(None)
            # Before the answers: who acts on a placement finds what was noted of it.
            if batch.drafts:
                self._events.committed(group.changes)
            for future, refusal in group.refusals:
                future.set_exception(refusal)
            for future, results in group.answers:
                future.set_result(results)
        except BaseException as error:
            # As in `_serve`; this may be another thread.
            log.exception("the writer failed")
            self._end(error, group.jobs)
        finally:
            if not group.durable.done():
                group.durable.set_exception(_closed())
            if not group.ended.done():
                group.ended.set_result(None)

    def _refuse(self, group: _Group, error: Exception) -> None:
        if isinstance(error, Deposed):
            self._end(error, group.jobs)
            group.durable.set_exception(_closed())
        else:
            group.durable.set_exception(error)
            for job in group.jobs:
                job.future.set_exception(error)
            log.warning("a group of %d calls was not stored: %s", len(group.jobs), error)
            self._events.committed(())
        group.ended.set_result(None)

    def _decide(self, job: _Job, group: _Group) -> None:
        results: list[Any] = [self._decide_apart(one, group) for one in job.apart]
        try:
            for decide in job.decides:
                results.append(self._apply(decide, group, job.on_behalf_of))
        except Exception as error:
            if self._book is None:
                raise  # the book is in doubt: nothing of this group may be stored
            # One caller's error must not fail the others.
            group.refusals.append((job.future, error))
        else:
            group.answers.append((job.future, results))

    def _decide_apart(self, asked: AskedDecision[Any], group: _Group) -> Any:
        try:
            return self._apply(asked.decide, group, asked.on_behalf_of)
        except Exception as error:
            if self._book is None:
                raise
            return error

    def _apply(self, decide: Decide, group: _Group, asking: Attribution | None) -> Any:
        """One decision into the book and the group; when it raises, both are as before."""
        book = self._decided_on()
        decision = decide(book)
        changes = decision.changes
        drafts = [draft_of(change) for change in changes]
        try:
            book.apply(changes)
        except Exception:
            # Our own fault, and the book may hold half of it: it is made again from the store and this group.
            log.exception("a decision contradicts the book and is dropped")
            self._book = None
            self._last.ended.result()
            if not self._in_doubt:
                self._loaded_book().apply(group.changes)
            raise
        submitted = (one.workload for one in changes if type(one) is WorkloadSubmitted)
        awaited = [before for one in submitted for before in one.after]
        drafts += decision.drafts
        if asking is not None:
            drafts = [asked_by(draft, asking.principal, asking) for draft in drafts]
        group.order.add(drafts, awaited)
        if decision.cursors:
            group.cursors |= decision.cursors
        group.changes += changes
        return decision.result

    def _decided_on(self) -> Book:
        """Under the lock, within a group: whatever becomes of the group before, this one is decided on one book."""
        assert self._book is not None
        return self._book

    def _loaded_book(self) -> Book:
        """Under the lock. Loads it where it must be, when nothing is being stored any more."""
        if self._in_doubt:
            self._book, self._in_doubt = None, False
        if self._book is None:
            self._last.ended.result()
            self._in_doubt = False
            self._settled.clear()
            self._book = load_book(self._store)
            self._newest = _durable_group()
        while self._settled:
            self._book.settle(self._settled.popleft())
        return self._book


def load_book(store: SchedulerStore) -> Book:
    """The book as the store knows it, over the queues as they were last defined."""
    in_force = store.queues_in_force()
    tables = None if in_force.document is None else in_force.document.tables()
    book = Book(tables, in_force.calendar())
    for stored in store.pools():
        book.tables.know(stored.pool)
    for workload, runs in store.live():
        book.load(workload, runs)
    arrived, finished = store.recent(RECENT)
    for workload in arrived:
        book.remember_arrival(workload)
    for workload, run in finished:
        book.remember_end(workload, run)
    for array_id, counts in store.element_counts(book.arrays.ids()).items():
        book.arrays.resume(array_id, counts)
    for workload_id in store.missed_deadlines(tuple(book.due.deadlines)):
        book.due.tell(workload_id)
    return book


def _uncancellable() -> Future[Any]:
    """A future that the end of a waiting task does not cancel: its decision is made all the same."""
    future: Future[Any] = Future()
    future.set_running_or_notify_cancel()
    return future


def _pass_on(done: Future[list[Any]], future: Future[Any]) -> None:
    error = done.exception()
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(done.result()[0])

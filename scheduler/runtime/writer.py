"""The single writer: decisions are made, stored and applied one group at a time, on one thread.

Every call that changes something hands in a `Decide`. The writer takes all that wait, lets each decide on the
book as the ones before it left it, stores all their changes in one transaction (group commit: one disk flush),
and only then answers. The lock is held from the first decision to the commit, so nobody acts on a change that is
not durable. When the store refuses, the book is loaded anew and every caller of the group gets the error: nothing
was acknowledged, nothing is half done.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Generic, TypeVar

from inventory.store.chain import Draft
from scheduler.core.book import Book
from scheduler.core.changes import Change
from scheduler.store.projection import draft_of
from scheduler.store.scheduler_store import Batch, SchedulerStore

Result = TypeVar("Result")
GROUP_LIMIT = 256


@dataclass(slots=True)
class Decision(Generic[Result]):
    """What one call decided: its answer, the changes, and what else goes into the same transaction."""

    result: Result
    changes: list[Change] = field(default_factory=list)
    drafts: list[Draft] = field(default_factory=list)
    cursors: dict[str, str] = field(default_factory=dict)


Decide = Callable[[Book], Decision[Any]]
# What changes mean outside of scheduling, recorded with them. Gets the book from before the changes.
Consequences = Callable[[Book, Sequence[Change]], list[Draft]]


class WriterClosed(Exception):
    """Nothing can be changed any more: the control plane is shutting down. The caller retries elsewhere."""


@dataclass(slots=True)
class _Job:
    decide: Decide | None
    exclusive: Callable[[], Any] | None
    future: Future[Any]


class Writer:
    """Owns the book. `on_commit` is called on the writer's thread after each durable group."""

    def __init__(
        self,
        store: SchedulerStore,
        actor: str,
        now_ms: Callable[[], int],
        consequences: Consequences,
        on_commit: Callable[[list[Change]], None],
    ) -> None:
        self._store = store
        self._actor = actor
        self._now_ms = now_ms
        self._consequences = consequences
        self._on_commit = on_commit
        self._jobs: deque[_Job] = deque()
        self._arrival = threading.Condition()
        self._closed = False
        self._book_lock = threading.Lock()
        self._book = load_book(store)
        self._thread = threading.Thread(target=self._serve, name="writer", daemon=True)
        self._thread.start()

    def submit(self, decide: Callable[[Book], Decision[Result]]) -> Future[Result]:
        """The future ends when the decision is durable, or with the error of `decide` or of the store."""
        return self.submit_each([decide])[0]

    def submit_each(self, decides: Sequence[Callable[[Book], Decision[Result]]]) -> list[Future[Result]]:
        """Several decisions in order, each on the book as the one before it left it."""
        jobs: list[_Job] = [_Job(decide, None, Future()) for decide in decides]
        self._enqueue(jobs)
        return [job.future for job in jobs]

    def exclusively(self, action: Callable[[], Result]) -> Future[Result]:
        """Runs a transaction that is not about workloads (a ledger import) between two groups.

        SQLite has one writer: taking turns here is better than waiting for its lock there.
        """
        future: Future[Result] = Future()
        self._enqueue([_Job(None, action, future)])
        return future

    @contextmanager
    def reading(self) -> Iterator[Book]:
        """The book, unchanging while the block lasts. Keep it short: the writer waits."""
        with self._book_lock:
            yield self._book

    def close(self) -> None:
        """Ends after everything handed in so far."""
        with self._arrival:
            self._closed = True
            self._arrival.notify()
        self._thread.join()

    def _enqueue(self, jobs: Sequence[_Job]) -> None:
        with self._arrival:
            if self._closed:
                raise WriterClosed("the control plane is shutting down")
            self._jobs.extend(jobs)
            self._arrival.notify()

    def _take(self) -> list[_Job]:
        """What waits, at most GROUP_LIMIT jobs; empty only when the writer is closed and idle."""
        with self._arrival:
            self._arrival.wait_for(lambda: self._jobs or self._closed)
            return [self._jobs.popleft() for _ in range(min(len(self._jobs), GROUP_LIMIT))]

    def _serve(self) -> None:
        while jobs := self._take():
            for is_exclusive, group in groupby(jobs, key=lambda job: job.exclusive is not None):
                if is_exclusive:
                    for job in group:
                        self._run_exclusively(job)
                else:
                    self._commit(list(group))

    def _run_exclusively(self, job: _Job) -> None:
        assert job.exclusive is not None
        try:
            job.future.set_result(job.exclusive())
        except Exception as error:  # noqa: BLE001 - whatever it is belongs to the caller, who waits for it
            job.future.set_exception(error)

    def _commit(self, group: list[_Job]) -> None:
        changes: list[Change] = []
        batch = Batch()
        answers: list[tuple[Future[Any], Any]] = []
        with self._book_lock:
            for job in group:
                assert job.decide is not None
                try:
                    decision = job.decide(self._book)
                except Exception as error:  # noqa: BLE001 - one caller's error must not fail the others
                    job.future.set_exception(error)
                    continue
                batch.drafts += [draft_of(change) for change in decision.changes]
                batch.drafts += self._consequences(self._book, decision.changes)
                batch.drafts += decision.drafts
                self._book.apply(decision.changes)
                changes += decision.changes
                batch.cursors |= decision.cursors
                answers.append((job.future, decision.result))
            try:
                if batch.drafts or batch.cursors:
                    self._store.record(batch, actor=self._actor, now_ms=self._now_ms())
            except Exception as error:  # noqa: BLE001 - told to every caller of the group
                self._book = load_book(self._store)
                for future, _ in answers:
                    future.set_exception(error)
                return
        for future, result in answers:
            future.set_result(result)
        if batch.drafts:
            self._on_commit(changes)


def load_book(store: SchedulerStore) -> Book:
    """The book as the store knows it."""
    book = Book()
    for workload, runs in store.live():
        book.load(workload, runs)
    return book

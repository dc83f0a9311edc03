"""How fast submissions are accepted, durably: the writer on an SQLite file, without pools.

Run by `make bench`. The numbers of one machine say little about another; the shape (a batch costs far less an item
than single calls do, and an item of a large batch no more than one of a small batch) says what to look at.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from inventory.model.placement import Placement
from inventory.model.workload import RunState, Submission
from inventory.store.engine import open_engine
from inventory.store.event_store import Store
from inventory.store.ledger.projection import LEDGER_PROJECTION
from scheduler.core.admission import Accepted, Outcome, admit
from scheduler.core.book import Book
from scheduler.core.changes import RunChanged
from scheduler.core.lifecycle import place, report_run
from scheduler.runtime.writer import Decision, Writer, WriterEvents, load_book
from scheduler.store.projection import SCHEDULER, workload_id_at
from scheduler.store.scheduler_store import SchedulerStore
from tests.lifecycle.bookkeeping import submission

LARGE = 10_000


class Desk:
    """Submits as the control plane does."""

    def __init__(self, folder: Path) -> None:
        engine = open_engine(f"sqlite:///{folder}/xisuan.db")
        self.store = SchedulerStore(Store(engine, (LEDGER_PROJECTION, SCHEDULER)))
        self.store.start_leadership("bench", 1)
        nothing = WriterEvents(lambda _: None, lambda _: None)
        self.writer = Writer(self.store, "bench", lambda: 1, nothing)
        self._ids = (workload_id_at("bench", number) for number in count(1))
        self._keys = count(1)

    def items(self, number: int) -> list[Submission]:
        return [submission(f"k{next(self._keys)}") for _ in range(number)]

    def submit(self, items: Sequence[Submission]) -> None:
        def decide(book: Book) -> Decision[list[Outcome]]:
            keys = [(item.queue, item.client_key) for item in items]
            known = self.store.lookup([key for key in keys if book.workload_by_key(*key) is None], [])
            outcomes, changes = admit(book, known, items, lambda: next(self._ids), 1)
            return Decision(outcomes, changes)

        outcomes = self.writer.submit(decide).result()
        assert all(isinstance(outcome, Accepted) for outcome in outcomes)

    def place_and_end(self, ids: Sequence[str]) -> None:
        def place_all(book: Book) -> Decision[None]:
            placements = [Placement(i, f"{i}.1", 1, "p", ("n",)) for i in ids]
            changes, _ = place(book, placements, 1)
            return Decision(None, changes)

        self.writer.submit(place_all).result()
        reports = [RunChanged(f"{i}.1", RunState.SUCCEEDED) for i in ids]
        self.writer.submit_each(
            [lambda book, report=report: Decision(None, report_run(book, report)) for report in reports]
        ).result()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.writer.close()
    desk.store.store.close()


@pytest.mark.parametrize("size", [1, 100, LARGE])
def test_submissions_in_batches(benchmark: BenchmarkFixture, desk: Desk, size: int) -> None:
    benchmark.extra_info["items"] = size
    rounds = {1: 200, 100: 20, LARGE: 3}[size]
    benchmark.pedantic(desk.submit, setup=lambda: ((desk.items(size),), {}), rounds=rounds)


def test_single_submissions_that_come_together_share_a_commit(benchmark: BenchmarkFixture, desk: Desk) -> None:
    def together(items: Sequence[Submission]) -> None:
        futures = []
        for item in items:

            def decide(book: Book, item: Submission = item) -> Decision[list[Outcome]]:
                known = desk.store.lookup([(item.queue, item.client_key)], [])
                return Decision(*admit(book, known, [item], lambda: next(desk._ids), 1))

            futures.append(desk.writer.submit(decide))
        for future in futures:
            future.result()

    benchmark.extra_info["items"] = 500
    benchmark.pedantic(together, setup=lambda: ((desk.items(500),), {}), rounds=5)


def test_placing_and_ending_ten_thousand(benchmark: BenchmarkFixture, desk: Desk) -> None:
    def setup() -> tuple[tuple[list[str]], dict[str, object]]:
        desk.submit(desk.items(LARGE))
        with desk.writer.reading() as book:
            return ([workload.workload_id for workload in book.queued()],), {}

    benchmark.extra_info["items"] = LARGE
    benchmark.pedantic(desk.place_and_end, setup=setup, rounds=2)


def test_loading_the_book_of_ten_thousand(benchmark: BenchmarkFixture, desk: Desk) -> None:
    desk.submit(desk.items(LARGE))
    book = benchmark.pedantic(load_book, args=(desk.store,), rounds=3)
    assert book.live_count == LARGE

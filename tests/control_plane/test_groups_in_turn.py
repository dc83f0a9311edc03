"""The writer decides one group while another is stored: what may be seen, and by whom, until that is durable."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future
from itertools import count
from pathlib import Path

import pytest

from inventory.store.errors import StoreError, Unreachable
from scheduler.core.admission import Accepted, Known, admit
from scheduler.core.book import Book
from scheduler.core.changes import Change
from scheduler.core.lifecycle import cancel
from scheduler.runtime.writer import Decision, Writer, WriterClosed, WriterEvents
from scheduler.store.opening import open_store
from scheduler.store.recording_process import LARGE
from scheduler.store.scheduler_store import Batch, Deposed, SchedulerStore
from tests.lifecycle.bookkeeping import submission

PATIENCE_S = 20.0


class GatedStore(SchedulerStore):
    """Stores a group when the test opens the gate, or fails with what the test gives it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(open_store(f"sqlite:///{folder / 'x.db'}"))
        self.gate = threading.Semaphore(0)
        self.begun = threading.Semaphore(0)
        self.failure: Exception | None = None
        self.recorded: list[int] = []

    def record(self, batch: Batch, *, actor: str, now_ms: int) -> int:
        self.begun.release()
        assert self.gate.acquire(timeout=PATIENCE_S), "the test never opened the gate"
        if self.failure is not None:
            failure, self.failure = self.failure, None
            raise failure
        self.recorded.append(len(batch.drafts))
        return super().record(batch, actor=actor, now_ms=now_ms)


class Desk:
    def __init__(self, folder: Path) -> None:
        self.store = GatedStore(folder)
        self.store.start_leadership("test", 1)
        self.committed: list[int] = []
        self.ends: list[BaseException] = []
        self._ids = (f"w-t-{number}" for number in count(1))
        events = WriterEvents(lambda changes: self.committed.append(len(changes)), self.ends.append)
        self.writer = Writer(self.store, "test", lambda: 1_000, events)

    def submit(self, key: str, copies: int = 1) -> Future[list[str]]:
        """Ids of as many new workloads; with LARGE copies the group is large."""

        def decide(book: Book) -> Decision[list[str]]:
            items = [submission(f"{key}-{n}") for n in range(copies)]
            outcomes, changes = admit(book, Known({}, {}), items, lambda: next(self._ids), 1_000)
            return Decision([one.workload_id for one in outcomes if isinstance(one, Accepted)], list(changes))

        return self.writer.submit(decide)

    def storing(self) -> None:
        """Waits until the store has been given a group."""
        assert self.store.begun.acquire(timeout=PATIENCE_S)

    def decided(self, live: int) -> None:
        """Waits until so many workloads are in the book."""
        for _ in range(2_000):
            with self.writer.reading() as book:
                if book.live_count == live:
                    return
            threading.Event().wait(0.01)
        raise AssertionError(f"never {live} workloads in the book")

    @property
    def stored(self) -> int:
        return sum(1 for _ in self.store.live())


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    one = Desk(tmp_path)
    yield one
    one.store.gate.release(100)
    one.writer.close()
    one.store.store.close()


def test_the_next_group_is_decided_while_one_is_stored_and_stored_after_it(desk: Desk) -> None:
    first = desk.submit("a", LARGE)
    desk.storing()
    second = desk.submit("b")
    desk.decided(LARGE + 1)
    assert not first.done() and not second.done() and desk.stored == 0
    desk.store.gate.release()
    assert len(first.result(PATIENCE_S)) == LARGE
    desk.storing()
    assert not second.done() and desk.stored == LARGE
    desk.store.gate.release()
    assert second.result(PATIENCE_S) == [f"w-t-{LARGE + 1}"]
    assert desk.store.recorded == [LARGE, 1] and desk.committed == [LARGE, 1]


def test_whoever_acts_on_the_book_is_answered_when_what_he_saw_is_durable(desk: Desk) -> None:
    desk.submit("a", LARGE)
    desk.storing()
    seen: Future[int] = Future()
    looking = threading.Thread(target=lambda: seen.set_result(desk.writer.look(lambda book: book.live_count)))
    looking.start()
    looking.join(0.2)
    assert not seen.done(), "a look was answered from what is not durable"
    with desk.writer.reading() as book:
        assert book.live_count == LARGE  # the planner reads ahead
    desk.store.gate.release()
    assert seen.result(PATIENCE_S) == LARGE
    looking.join()


def test_a_group_decided_behind_one_that_is_not_stored_falls_with_it(desk: Desk) -> None:
    desk.store.failure = Unreachable("满", "full")
    first = desk.submit("a", LARGE)
    desk.storing()
    second = desk.submit("b")
    desk.decided(LARGE + 1)
    desk.store.gate.release()
    for one in (first, second):
        with pytest.raises(Unreachable, match="full"):
            one.result(PATIENCE_S)
    desk.decided(0)
    third = desk.submit("c")
    desk.storing()
    desk.store.gate.release()
    third.result(PATIENCE_S)
    assert desk.stored == 1 and desk.store.recorded == [1]
    assert desk.committed == [0, 0, 1]  # of a failure the planner hears: nobody knows what was stored


def test_a_look_at_what_was_not_stored_raises_and_the_next_one_sees_the_truth(desk: Desk) -> None:
    desk.store.failure = Unreachable("满", "full")
    desk.submit("a", LARGE)
    desk.storing()
    raised: Future[BaseException | None] = Future()

    def look() -> None:
        try:
            desk.writer.look(lambda book: book.live_count)
        except StoreError as error:
            raised.set_result(error)
        else:
            raised.set_result(None)

    looking = threading.Thread(target=look)
    looking.start()
    looking.join(0.2)
    desk.store.gate.release()
    assert isinstance(raised.result(PATIENCE_S), Unreachable)
    looking.join()
    assert desk.writer.look(lambda book: book.live_count) == 0


def test_a_decision_that_contradicts_the_book_waits_for_the_group_before_it(desk: Desk) -> None:
    """The book is made again from the store: from one in which the group under way is not missing."""
    first = desk.submit("a", LARGE)
    desk.storing()

    def contradict(book: Book) -> Decision[None]:
        changes: list[Change] = list(cancel(book, "w-t-1", ""))
        return Decision(None, [*changes, *changes])

    bad = desk.writer.submit(contradict)
    behind = desk.submit("b")
    desk.store.gate.release(3)
    assert len(first.result(PATIENCE_S)) == LARGE
    with pytest.raises(Exception, match="cancelled"):
        bad.result(PATIENCE_S)
    behind.result(PATIENCE_S)
    assert desk.stored == LARGE + 1
    assert desk.writer.look(lambda book: book.live_count) == LARGE + 1


def test_a_deposed_writer_ends_and_so_does_what_was_decided_behind(desk: Desk) -> None:
    desk.store.failure = Deposed("another leads")
    first = desk.submit("a", LARGE)
    desk.storing()
    second = desk.submit("b")
    desk.decided(LARGE + 1)
    desk.store.gate.release()
    for one in (first, second):
        with pytest.raises(WriterClosed):
            one.result(PATIENCE_S)
    assert [str(end) for end in desk.ends][:1] == ["another leads"]
    with pytest.raises(WriterClosed):
        desk.submit("c")
    assert desk.stored == 0


def test_what_has_the_store_for_itself_waits_for_what_is_being_stored(desk: Desk) -> None:
    desk.submit("a", LARGE)
    desk.storing()
    alone = desk.writer.exclusively(lambda: desk.stored)
    threading.Event().wait(0.05)
    assert not alone.done()
    desk.store.gate.release()
    assert alone.result(PATIENCE_S) == LARGE

"""The book of leases by hand and by its properties, under clocks that the test turns."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.contract import Launch, RunReport
from adapters.sdk.leases import Clocks, Expiry, LeaseBook
from inventory.model.partition import OnDisconnect, PartitionPolicy
from inventory.model.units import Resources
from inventory.model.workload import Program, Requirements, RunState

KEEP, STOP = OnDisconnect.KEEP, OnDisconnect.STOP


@dataclass
class Watch:
    """Both clocks, which go together unless a test sets the wall clock."""

    elapsed: int = 1_000_000
    wall: int = 1_700_000_000_000

    def go(self, ms: int) -> None:
        self.elapsed += ms
        self.wall += ms

    @property
    def clocks(self) -> Clocks:
        return Clocks(lambda: self.elapsed, lambda: self.wall)


def leased(run_id: str, lost_after_ms: int, on_disconnect: OnDisconnect = STOP) -> Launch:
    policy = PartitionPolicy(lost_after_ms, on_disconnect)
    return Launch(run_id, "w", "n", Requirements(Resources(1)), Program(("true",)), ("node",), partition=policy)


def test_a_lease_expires_when_its_time_has_passed_without_a_contact_and_not_before(tmp_path: Path) -> None:
    watch = Watch()
    book = LeaseBook(tmp_path, watch.clocks)
    book.contact()
    book.lease([leased("a", 5000)])
    watch.go(4999)
    assert (book.pause_ms(), book.due()) == (1, [])
    watch.go(1)
    assert book.due() == [Expiry("a", 5000, STOP)]
    assert (book.pause_ms(), book.due()) == (None, [])


def test_a_contact_renews_every_lease(tmp_path: Path) -> None:
    watch = Watch()
    book = LeaseBook(tmp_path, watch.clocks)
    book.lease([leased("short", 1000), leased("long", 9000)])
    for _ in range(5):
        watch.go(999)
        assert book.due() == []
        book.contact()
    watch.go(1000)
    assert [one.run_id for one in book.due()] == ["short"]


def test_what_has_ended_is_not_due(tmp_path: Path) -> None:
    watch = Watch()
    book = LeaseBook(tmp_path, watch.clocks)
    book.lease([leased("a", 1000), leased("b", 1000, KEEP)])
    book.end(["a"])
    watch.go(1000)
    assert book.due() == [Expiry("b", 1000, KEEP)]


def test_a_run_without_a_policy_has_no_lease_and_no_file(tmp_path: Path) -> None:
    book = LeaseBook(tmp_path, Watch().clocks)
    book.lease([leased("a", 0)])
    assert book.pause_ms() is None
    assert list(tmp_path.iterdir()) == []


def test_an_expired_lease_marks_its_run_for_good_and_over_restarts(tmp_path: Path) -> None:
    watch = Watch()
    book = LeaseBook(tmp_path, watch.clocks)
    book.lease([leased("a", 1000, KEEP)])
    watch.go(1000)
    book.due()
    again = LeaseBook(tmp_path, watch.clocks)
    for each in (book, again):
        assert each.stamp(RunReport("a", RunState.RUNNING)).lease_expired
        assert not each.stamp(RunReport("b", RunState.RUNNING)).lease_expired
        assert each.expired(10) == ["a"]


def test_the_time_that_the_adapter_was_down_counts(tmp_path: Path) -> None:
    watch = Watch()
    book = LeaseBook(tmp_path, watch.clocks)
    book.lease([leased("a", 60_000)])
    book.contact()
    watch.go(60_000)
    watch.elapsed = 7  # the machine was started anew, and counts from its own beginning
    assert [one.run_id for one in LeaseBook(tmp_path, watch.clocks).due()] == ["a"]


def test_a_wall_clock_that_was_set_back_meanwhile_expires_nothing(tmp_path: Path) -> None:
    watch = Watch()
    LeaseBook(tmp_path, watch.clocks).lease([leased("a", 60_000)])
    watch.wall -= 3_600_000
    book = LeaseBook(tmp_path, watch.clocks)
    assert (book.due(), book.pause_ms()) == ([], 60_000)


def test_a_stop_that_was_due_when_the_adapter_died_is_due_again(tmp_path: Path) -> None:
    watch = Watch()
    book = LeaseBook(tmp_path, watch.clocks)
    book.lease([leased("a", 1000), leased("b", 1000, KEEP)])
    watch.go(1000)
    assert len(book.due()) == 2  # and here it dies
    watch.go(10)
    assert [one.run_id for one in LeaseBook(tmp_path, watch.clocks).due()] == ["a"]


def test_an_unfinished_line_is_dropped_and_a_damaged_one_refused(tmp_path: Path) -> None:
    LeaseBook(tmp_path, Watch().clocks).lease([leased("a", 1000)])
    file = tmp_path / "leases.jsonl"
    file.write_bytes(file.read_bytes() + b'[17, "b", 10')
    assert LeaseBook(tmp_path, Watch().clocks).leased() == ["a"]
    file.write_bytes(b"nonsense\n" + file.read_bytes())
    with pytest.raises(ValueError, match="line 1 is damaged"):
        LeaseBook(tmp_path, Watch().clocks)


steps = st.lists(
    st.one_of(
        st.tuples(st.just("lease"), st.integers(0, 9), st.integers(1, 50)),
        st.tuples(st.just("go"), st.integers(0, 40), st.just(0)),
        st.tuples(st.just("contact"), st.just(0), st.just(0)),
        st.tuples(st.just("end"), st.integers(0, 9), st.just(0)),
        st.tuples(st.just("restart"), st.just(0), st.just(0)),
    ),
    max_size=40,
)


@given(steps)
def test_no_run_is_due_before_its_time_or_twice_in_one_life(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int, int]]
) -> None:
    watch, folder = Watch(), tmp_path_factory.mktemp("book")
    book = LeaseBook(folder, watch.clocks)
    lengths: dict[str, int] = {}
    due_now: list[str] = []
    heard = watch.elapsed
    for word, number, length in steps:
        run_id = f"run-{number}"
        if word == "lease":
            book.contact()
            heard = watch.elapsed
            if run_id not in lengths:
                lengths[run_id] = length
                book.lease([leased(run_id, length, KEEP)])
        elif word == "go":
            watch.go(number)
            for expiry in book.due():
                assert watch.elapsed - heard >= lengths[expiry.run_id]
                due_now.append(expiry.run_id)
        elif word == "contact":
            book.contact()
            heard = watch.elapsed
        elif word == "end":
            book.end([run_id])
        else:
            book.compact()
            book = LeaseBook(folder, watch.clocks)
    assert len(due_now) == len(set(due_now))

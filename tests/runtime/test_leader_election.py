"""Who leads: one at a time by the lease, however clocks differ, and nobody takes it from one who lives."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

from inventory.store.engine import open_engine
from scheduler.runtime.election import Election, ElectionClock
from scheduler.store.leader_lease import Lease, LeaseRow

LENGTH_MS = 10_000


class World:
    """One store, and a clock that goes only when it is told to; people's clocks of the two machines are years apart."""

    def __init__(self, url: str) -> None:
        self.engine = open_engine(url)
        self.row = LeaseRow(self.engine)
        self.now_s = 100.0
        self.lost: list[str] = []

    def candidate(self, holder: str, wall_ms: int = 1_000_000) -> Candidate:
        return Candidate(self, holder, wall_ms)

    def lease(self) -> Lease:
        lease = self.row.read()
        assert lease is not None
        return lease


class Candidate(Election):
    """An election without its thread: it renews when it is told to."""

    def __init__(self, world: World, holder: str, wall_ms: int) -> None:
        clock = ElectionClock(lambda: wall_ms + int(world.now_s * 1000), lambda: world.now_s)
        super().__init__(world.row, holder, LENGTH_MS, clock, lambda: world.lost.append(holder))

    def _keep(self) -> None:
        """Told to by the tests, one renewal at a time."""

    def leads(self) -> bool:
        return asyncio.run(self.try_to_lead())


@pytest.fixture
def world(database_url: str) -> Iterator[World]:
    made = World(database_url)
    yield made
    made.engine.dispose()


class TestTheLease:
    def test_belongs_to_the_first_who_asks(self, world: World) -> None:
        first, second = world.candidate("a"), world.candidate("b")
        assert first.leads()
        assert not second.leads()
        assert second.leader == "a"
        assert world.lease().holder == "a"

    def test_is_not_taken_from_one_who_renews_it(self, world: World) -> None:
        first, second = world.candidate("a"), world.candidate("b")
        assert first.leads()
        for _ in range(20):
            world.now_s += LENGTH_MS / 1000 * 0.9
            assert first.renew()
            assert not second.leads()

    def test_is_taken_when_it_was_not_renewed_for_its_length_and_the_first_learns_it(self, world: World) -> None:
        first, second = world.candidate("a"), world.candidate("b")
        assert first.leads()
        assert not second.leads()
        world.now_s += LENGTH_MS / 1000 - 0.1
        assert not second.leads()
        world.now_s += 5
        assert second.leads()
        assert world.lease().holder == "b"
        assert not first.renew()
        assert world.lease().holder == "b"

    @pytest.mark.parametrize("apart_ms", [-(10**11), 10**11])
    def test_is_judged_by_what_changes_not_by_clocks_which_differ(self, world: World, apart_ms: int) -> None:
        first, second = world.candidate("a"), world.candidate("b", 10**12 + apart_ms)
        assert first.leads()
        world.now_s += 1_000
        assert not second.leads()  # it has only just begun to watch
        world.now_s += LENGTH_MS / 1000
        assert second.leads()

    def test_is_free_at_once_when_it_was_given_back(self, world: World) -> None:
        first, second = world.candidate("a"), world.candidate("b")
        assert first.leads()
        asyncio.run(first.give_back())
        assert second.leads()

    def test_is_taken_up_at_once_by_the_same_installation_whose_process_died(self, world: World) -> None:
        assert world.candidate("a").leads()
        again = world.candidate("a")
        assert again.leads()
        assert world.lease().term == 2

    def test_is_looked_at_no_oftener_than_it_can_change(self, world: World) -> None:
        first, second = world.candidate("a"), world.candidate("b")
        assert first.leads()
        assert not second.leads()
        asyncio.run(first.give_back())
        assert not second.leads()
        world.now_s += second.look_every_s
        assert second.leads()

    def test_goes_to_one_of_two_who_saw_it_end_at_the_same_time(self, world: World) -> None:
        assert world.candidate("a").leads()
        seen = world.lease()
        assert world.row.claim("b", seen, LENGTH_MS, 0) is not None
        assert world.row.claim("c", seen, LENGTH_MS, 0) is None
        assert world.lease().holder == "b"

    def test_goes_to_one_of_two_who_found_none(self, world: World) -> None:
        assert world.row.claim("b", None, LENGTH_MS, 0) is not None
        assert world.row.claim("c", None, LENGTH_MS, 0) is None

    def test_tells_people_who_leads_with_which_epoch_and_until_when(self, world: World) -> None:
        first = world.candidate("a", wall_ms=0)
        assert first.leads()
        first.epoch = 7
        assert first.renew()
        assert world.lease() == Lease("a", 1, 1, 7, LENGTH_MS, 100_000 + LENGTH_MS)


@pytest.mark.postgres
@pytest.mark.parametrize("table", ["chain_head", "leader_lease"])
def test_who_takes_over_ends_the_session_of_one_that_is_frozen_within_a_transaction(
    emptied_postgres_database: str, table: str
) -> None:
    world = World(emptied_postgres_database)
    frozen = create_engine(world.engine.url)  # its server would wait for ever
    first, second = world.candidate("a"), world.candidate("b")
    assert first.leads()
    with pytest.raises(OperationalError, match="terminating connection"), frozen.begin() as connection:
        connection.execute(text(f"SELECT * FROM {table} FOR UPDATE"))
        assert not second.leads()
        assert world.row.end_frozen(60_000) == 0  # a writer that has only begun is left alone
        time.sleep(0.05)
        world.now_s += LENGTH_MS
        assert world.row.end_frozen(20) == 1
        assert second.leads()
        connection.execute(text("SELECT 1"))
    frozen.dispose()
    world.engine.dispose()


@settings(max_examples=30, deadline=None)
@given(steps=st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["look", "renew"]), st.integers(0, 8))))
def test_whatever_they_do_and_however_long_they_sleep_one_at_most_can_renew(
    steps: list[tuple[str, str, int]],
) -> None:
    world = World("sqlite://")
    candidates = {name: world.candidate(name) for name in "abc"}
    try:
        for name, deed, pause_s in steps:
            world.now_s += pause_s
            if deed == "look":
                candidates[name].leads()
            else:
                candidates[name].renew()
            lease = world.row.read()
            if lease is not None:
                renewing = [name for name, one in candidates.items() if one._term == lease.term]
                assert renewing == [lease.holder]
    finally:
        world.engine.dispose()

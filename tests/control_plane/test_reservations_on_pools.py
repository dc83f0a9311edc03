"""Reservations by themselves on a running control plane: in force at once, after a restart, and until they end."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.model.placement import ReasonCode
from inventory.model.units import GIB, Resources
from inventory.model.workload import Requirements, RunState
from scheduler.core.queueing.calendar import Created, Defined, Ended, Ending, in_force, most_kept
from scheduler.core.queueing.reservations import Reservation
from scheduler.runtime.capacity_calendar import CapacityCalendar
from scheduler.services.ports import RequestError
from scheduler.services.queue_ports import Definition, ReservationAsked
from scheduler.services.run_ports import HeldCapacity
from tests.control_plane.fake_pool import UNTIL_TOLD, FakePool
from tests.control_plane.site import Site, eventually, running, story
from tests.lifecycle.bookkeeping import submission

WHOLE_NODE = Requirements(Resources(4_000, GIB))
ASKED = ReservationAsked("r", "p", "迁移", Resources(4_000, GIB), reason="割接")


@story
async def test_a_reservation_keeps_others_out_also_after_a_restart_until_it_is_ended(site: Site) -> None:
    async with running(site):
        await site.add_pool("p", FakePool("p", nodes=1, course=UNTIL_TOLD))
        await site.plane.queues.reserve(ASKED, "王工")
        (waits,) = await site.submit(submission("w", requirements=WHOLE_NODE))
        await eventually(lambda: _is_told(site, waits), "it is told the reservation")
        await site.restart()
        await site.until_health("p", "ready")
        await eventually(lambda: _is_told(site, waits), "it is told the reservation again")
        await site.plane.queues.end_reservation("r", "王工", "验收")
        await site.until_run(waits, RunState.RUNNING)


@story
async def test_the_holder_uses_what_is_reserved_for_it(site: Site) -> None:
    async with running(site):
        await site.add_pool("p", FakePool("p", nodes=1, course=UNTIL_TOLD))
        await site.plane.queues.reserve(ASKED, "王工")
        (owner,) = await site.submit(submission("m", queue="迁移/某系统", requirements=WHOLE_NODE))
        await site.until_run(owner, RunState.RUNNING)


@story
async def test_a_migrations_capacity_outlives_a_document_that_does_not_name_it(site: Site) -> None:
    async with running(site):
        await site.add_pool("p", FakePool("p", nodes=1, course=UNTIL_TOLD))
        calendar = CapacityCalendar(site.plane.queues)
        await calendar.hold(HeldCapacity("R1", "p", 4_000, GIB))
        await calendar.hold(HeldCapacity("R1", "p", 3_000, GIB))
        await site.plane.queues.apply(Definition({"queues": [{"path": "somebody"}]}, "李工"))
        (kept,) = await site.plane.queues.reservations(include_ended=False)
        assert (kept.kept.reservation.holder, kept.kept.reservation.amount.cpu_milli) == ("migration/r1", 3_000)
        await calendar.release("R1", False)
        await calendar.release("R1", False)
        assert await site.plane.queues.reservations(include_ended=False) == ()


@story
async def test_what_a_migration_built_keeps_its_room_after_acceptance_and_nobody_else_gets_it(site: Site) -> None:
    async with running(site):
        await site.add_pool("p", FakePool("p", nodes=1, course=UNTIL_TOLD))  # four cores
        calendar = CapacityCalendar(site.plane.queues)
        await calendar.hold(HeldCapacity("R1", "p", 3_000, GIB))
        await calendar.release("R1", True)
        await calendar.release("R1", True)
        (kept,) = await site.plane.queues.reservations(include_ended=False)
        assert (kept.kept.reservation.amount.cpu_milli, kept.kept.reservation.end_ms) == (3_000, None)
        assert "steady load" in kept.kept.reservation.reason
        large, small = await site.submit(
            submission("large", requirements=Requirements(Resources(2_000, GIB))),
            submission("small", requirements=Requirements(Resources(1_000, GIB))),
        )
        await site.until_run(small, RunState.RUNNING)
        assert await site.runs(large) == []
        await site.plane.queues.end_reservation("migration-r1", "王工", "retired")
        await site.until_run(large, RunState.RUNNING)


@story
async def test_of_many_who_reserve_at_once_only_as_many_get_it_as_fit(site: Site) -> None:
    async with running(site):
        await site.add_pool("p", FakePool("p", nodes=1))  # four cores are declared
        many = [ReservationAsked(f"r{n}", "p", "q", Resources(1_500)) for n in range(8)]
        calls = (site.plane.queues.reserve(asked, "王工") for asked in many)
        answers = await asyncio.gather(*calls, return_exceptions=True)
        refused = [answer for answer in answers if isinstance(answer, RequestError)]
        assert len(refused) == 6 and all("do not fit" in answer.message for answer in refused)
        assert len(await site.plane.queues.reservations(include_ended=False)) == 2


@story
async def test_a_call_under_an_unknown_pool_changes_nothing(site: Site) -> None:
    async with running(site):
        with pytest.raises(RequestError, match="no pool p; registered are: -"):
            await site.plane.queues.reserve(ASKED, "王工")
        assert await site.plane.queues.reservations(include_ended=True) == ()


async def _is_told(site: Site, workload_id: str) -> bool:
    verdicts = site.plane._planner.verdicts(workload_id)
    return any(reason.code is ReasonCode.RESERVATION for opinion in verdicts for reason in opinion.reasons)


# What is in force, as a fold

moments = st.integers(0, 40)
reserved = st.builds(
    lambda number, pool, cpu, start, length: Reservation(
        f"r{number}", pool, "q", Resources(cpu), start, None if length is None else start + length
    ),
    st.integers(0, 5),
    st.sampled_from("ab"),
    st.integers(0, 9),
    moments,
    st.none() | st.integers(1, 20),
)


@given(calendar=st.lists(reserved, max_size=8), asked=reserved)
def test_what_others_keep_is_the_most_at_any_moment(calendar: list[Reservation], asked: Reservation) -> None:
    end = 100 if asked.end_ms is None else asked.end_ms
    by_moment = [
        sum(
            one.amount.cpu_milli
            for one in calendar
            if one.pool_id == asked.pool_id
            and one.reservation_id != asked.reservation_id
            and one.start_ms <= moment < one.until_ms
        )
        for moment in range(asked.start_ms, end)
    ]
    assert most_kept(calendar, asked).cpu_milli == max(by_moment)


def _form(reservation_id: str) -> dict[str, object]:
    starts = "2026-01-01T00:00:00Z"
    return {"id": reservation_id, "pool": "p", "holder": "q", "amount": {"cpu": 1}, "starts": starts}


steps = st.lists(
    st.one_of(
        st.tuples(st.just("define"), st.frozensets(st.sampled_from("abc"))),
        st.tuples(st.just("create"), st.sampled_from("xyz")),
        st.tuples(st.just("end"), st.sampled_from("abcxyz")),
    ),
    max_size=20,
)


@given(steps)
def test_a_document_replaces_its_own_and_only_an_ending_ends_another(
    taken: list[tuple[str, frozenset[str]]],
) -> None:
    recorded: list[Defined | Created | Ended] = []
    of_document: set[str] = set()
    by_itself: set[str] = set()
    for at_ms, (kind, names) in enumerate(taken):
        if kind == "define":
            recorded.append(Defined({"reservations": [_form(name) for name in sorted(names)]}, "a", at_ms))
            of_document = set(names)
        elif kind == "create":
            (name,) = names
            recorded.append(Created(_form(name), "a", at_ms))
            by_itself.add(name)
        else:
            (name,) = names
            recorded.append(Ended(name, Ending("a", "", at_ms)))
            of_document.discard(name)
            by_itself.discard(name)
    assert {one.reservation_id for one in in_force(recorded).calendar()} == of_document | by_itself

"""What lies outside a caller's subtrees does not exist for him: in the store's pages and streams, and in words."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from adapters.wire.workloads import submission_from_wire
from inventory.model.placement import PoolOpinion, Reason
from inventory.model.units import Resources
from inventory.model.workload import Submission
from inventory.store.engine import open_engine
from inventory.store.event_store import Store
from inventory.store.ledger.projection import LEDGER_PROJECTION
from scheduler.access.caller import Caller, begin
from scheduler.access.principals import Grant, Principal, Role
from scheduler.core.placement.explain import Explanation, explanation_lines
from scheduler.core.queueing.reservations import Reservation
from scheduler.core.queueing.wording import kept_by_calendar, kept_for_head
from scheduler.forecast.counterfactuals import Counterfactual
from scheduler.runtime.change_feed import ChangeFeed
from scheduler.services.desk_ports import SystemPage
from scheduler.services.outlooks import Outlook, Stopped
from scheduler.services.ports import DryRunPlacement, WatchFilter
from scheduler.services.scoped import ScopedLedger, ScopedRuns
from scheduler.services.scoped_scheduling import ScopedScheduling
from scheduler.store.projection import SCHEDULER
from scheduler.store.scheduler_store import SchedulerStore
from tests.access.guarded import Recorder
from tests.access.test_access_gateway import a_spec
from tests.services.memory import MemoryScheduling

QUEUES = ("city/east", "city/east/transport", "city/eastern", "city", "city/west/east", "x/city/east")


def submission(queue: str, key: str = "k") -> Submission:
    return submission_from_wire(a_spec(key, queue), "workload")


def as_caller(*scopes: str) -> Caller:
    principal = Principal("somebody", tuple(Grant(Role.SUBMITTER, scope) for scope in scopes))
    return Caller(principal, "r", scopes, scopes)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SchedulerStore]:
    opened = Store(open_engine(f"sqlite:///{tmp_path / 'x.db'}"), (LEDGER_PROJECTION, SCHEDULER))
    yield SchedulerStore(opened)
    opened.close()


@pytest.mark.parametrize(
    ("within", "seen"),
    [
        ((), set(QUEUES)),
        (("city/east",), {"city/east", "city/east/transport"}),
        (("city",), set(QUEUES) - {"x/city/east"}),
        (("city/east", "x"), {"city/east", "city/east/transport", "x/city/east"}),
        (("nowhere",), set()),
    ],
)
def test_pages_and_streams_of_the_store_leave_out_what_lies_elsewhere(
    store: SchedulerStore, within: tuple[str, ...], seen: set[str]
) -> None:
    asyncio.run(MemoryScheduling(store).submit([submission(queue) for queue in QUEUES]))
    records, following = store.page("", frozenset(), 0, len(seen) or 1, "", within)
    assert {workload.queue for workload, _ in records} == seen
    assert following is None, "the end of a page does not tell of others"
    changes = asyncio.run(ChangeFeed(store).changes(0, WatchFilter(within=within), 0))
    assert {notice.queue for notice in changes.notices} == seen


def test_workloads_of_others_are_not_named_where_the_future_is_told() -> None:
    async def ask() -> tuple[Outlook, Any]:
        memory = MemoryScheduling()
        await memory.submit([submission("city/east"), submission("city/west")])
        changes = tuple(
            Counterfactual("time", f"{zh} 结束时", f"when {en} ends,", "p")
            for zh, en in (("w-1", "w-1"), ("w-2", "w-2"), ("预留 west-wave", "reservation west-wave"))
        )
        memory.outlooks["w-1"] = Outlook(None, changes)
        mine, theirs = (
            Stopped(f"{one}.1", one, "p", queue) for one, queue in (("w-1", "city/east"), ("w-2", "city/west"))
        )
        answer = DryRunPlacement("p", (), await memory.explain("w-1"), 0.0, victims=(mine, theirs))
        begin(as_caller("city/east"))
        told = await ScopedScheduling(memory).outlook("w-1", True)
        tried = ScopedScheduling(_Answering(memory, answer))
        return told, (await tried.dry_run([submission("city/east/a")]))[0].victims

    told, victims = asyncio.run(ask())
    assert [one.workload_id for one in victims] == ["w-1"]
    text = " ".join(one.change_en + one.change_zh for one in told.counterfactuals)
    assert "w-1" in text
    assert "w-2" not in text
    assert "west" not in text


NOW = 1_763_800_000_000
WEST, EAST = (
    Reservation(f"{at}-wave", "p", f"city/{at}/x", Resources(4_000), NOW, NOW + 1) for at in ("west", "east")
)


@pytest.mark.parametrize(
    ("reason", "kept", "hidden"),
    [
        (kept_for_head("w-2", NOW), "another workload", "w-2"),
        (kept_for_head("w-2", None), "another workload", "w-2"),
        (kept_for_head("w-1", NOW), "w-1", "another"),
        (kept_by_calendar(WEST, NOW), "4 CPU 为其他队列预留", "west"),
        (kept_by_calendar(WEST, NOW - 1), "estimate a run that ends before", "west"),
        (kept_by_calendar(EAST, NOW), "east-wave", "其他"),
    ],
    ids=lambda one: one.offered if isinstance(one, Reason) else None,
)
def test_reasons_name_nobody_who_cannot_be_seen(reason: Reason, kept: str, hidden: str) -> None:
    async def ask() -> list[Explanation]:
        memory = MemoryScheduling()
        await memory.submit([submission("city/east"), submission("city/west")])
        memory.opinions = [PoolOpinion("p", (reason,))]
        begin(as_caller("city/east"))
        scoped = ScopedScheduling(memory)
        return [await scoped.explain("w-1"), (await scoped.dry_run([submission("city/east/a")]))[0].explanation]

    for told in asyncio.run(ask()):
        text = "\n".join(explanation_lines(told))
        assert kept in text
        assert hidden not in text


class _Answering:
    """Scheduling that answers a trial so."""

    def __init__(self, inner: MemoryScheduling, answer: DryRunPlacement) -> None:
        self._inner = inner
        self._answer = answer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def dry_run(self, submissions: object) -> list[DryRunPlacement]:
        del submissions
        return [self._answer]


def test_pages_of_the_ledger_are_as_full_for_a_district_as_for_anybody() -> None:
    systems = [{"system_key": f"{number:04}", "department": ("甲", "乙")[number % 2]} for number in range(2500)]

    class Pages(Recorder):
        def __getattr__(self, name: str) -> Any:
            async def call(scope: str, as_of: str, size: int, token: str) -> SystemPage:
                rest = [one for one in systems if one["system_key"] > token]
                return SystemPage(tuple(rest[:size]), rest[size - 1]["system_key"] if len(rest) > size else "")

            return call

    async def everything() -> list[int]:
        begin(as_caller("city/east"))
        ledger = ScopedLedger(Pages(), lambda department: {"甲": "city/east/a"}.get(department, department))
        token, sizes = "", []
        while True:
            page = await ledger.systems("", "", 400, token)
            assert {one["department"] for one in page.systems} == {"甲"}
            sizes.append(len(page.systems))
            token = page.next_token
            if not token:
                return sizes

    assert asyncio.run(everything()) == [400, 400, 400, 50]


@pytest.mark.parametrize(
    ("departments", "visible"),
    [(("甲",), True), (("甲", "乙"), False), (("乙",), False), ((), False)],
)
def test_a_run_is_seen_where_all_of_its_departments_are(departments: tuple[str, ...], visible: bool) -> None:
    run = {"run_id": "M1", "systems": [{"key": f"{one}/系统"} for one in departments]}

    async def ask() -> tuple[Any, ...]:
        begin(as_caller("city/east"))
        scoped = ScopedRuns(
            Recorder({"run": run, "runs": (run,)}), {"甲": "city/east/a", "乙": "city/west"}.__getitem__
        )
        return await scoped.runs()

    assert bool(asyncio.run(ask())) is visible

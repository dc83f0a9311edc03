"""Queues, the ledger and migration runs as one caller may see them; workloads are in `scoped_scheduling`.

`scheduler.services.server` puts these between servicers and control plane. `path_of` maps a department of the ledger to
its path in queues (docs/access.md): one order of subtrees decides for all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from scheduler.access.caller import Caller, caller
from scheduler.access.principals import ROOT
from scheduler.services.desk_ports import (
    DiffAnswer,
    Document,
    ImportAnswer,
    Ledger,
    RatesAnswer,
    ReadWorkbook,
    SystemPage,
    Upload,
)
from scheduler.services.ports import ErrorCode, RequestError
from scheduler.services.queue_ports import (
    Definition,
    Difference,
    Queues,
    QueuesNow,
    ReservationAsked,
    ReservationNow,
)
from scheduler.services.run_ports import (
    Act,
    HeldCapacity,
    RunAction,
    RunDocument,
    RunOpening,
    Runs,
    StartedWave,
    WaveStarting,
)

PathOf = Callable[[str], str]
_PAGE = 1_000


class ScopedQueues:
    """The port `Queues`. What changes is the whole service's, and passes."""

    def __init__(self, queues: Queues) -> None:
        self._queues = queues

    async def apply(self, definition: Definition) -> Difference:
        return await self._queues.apply(definition)

    async def queues(self) -> QueuesNow:
        now = await self._queues.queues()
        mine = _limited()
        if mine is None:
            return now
        return QueuesNow(tuple(one for one in now.queues if mine.sees(one.path)), None)

    async def reserve(self, asked: ReservationAsked, actor: str) -> ReservationNow:
        return await self._queues.reserve(asked, actor)

    async def end_reservation(self, reservation_id: str, actor: str, reason: str) -> ReservationNow:
        return await self._queues.end_reservation(reservation_id, actor, reason)

    async def reservations(self, include_ended: bool) -> tuple[ReservationNow, ...]:
        found = await self._queues.reservations(include_ended)
        mine = _limited()
        if mine is None:
            return found
        return tuple(one for one in found if mine.sees(one.kept.reservation.holder))


class ScopedLedger:
    """The port `Ledger`. Systems are told by department; everything else is the whole ledger's, and passes."""

    def __init__(self, ledger: Ledger, path_of: PathOf) -> None:
        self._ledger = ledger
        self._path_of = path_of

    async def read_workbook(self, upload: Upload) -> ReadWorkbook:
        return await self._ledger.read_workbook(upload)

    async def take_in(self, read: ReadWorkbook) -> ImportAnswer:
        return await self._ledger.take_in(read)

    async def apply(self, import_id: str, actor: str) -> DiffAnswer:
        return await self._ledger.apply(import_id, actor)

    async def diff(self, import_id: str) -> DiffAnswer:
        return await self._ledger.diff(import_id)

    async def resolve(self, finding_id: str, decision: str, actor: str, reason: str) -> Document:
        return await self._ledger.resolve(finding_id, decision, actor, reason)

    async def systems(self, scope: str, as_of: str, page_size: int, page_token: str) -> SystemPage:
        """Pages are as full for a limited caller as for any: how many others there are does not show."""
        mine = _limited()
        if mine is None:
            return await self._ledger.systems(scope, as_of, page_size, page_token)
        found: list[Document] = []
        token = page_token
        while True:
            page = await self._ledger.systems(scope, as_of, _PAGE, token)
            found += [one for one in page.systems if self._sees(mine, one)]
            token = page.next_token
            if len(found) > page_size:
                shown = found[:page_size]
                return SystemPage(tuple(shown), str(shown[-1]["system_key"]))
            if not token:
                return SystemPage(tuple(found))

    async def findings(self, settled: bool) -> tuple[Document, ...]:
        return await self._ledger.findings(settled)

    async def rates(self, as_of: str, scope: str, rows: bool) -> RatesAnswer:
        return await self._ledger.rates(as_of, scope, rows)

    def _sees(self, mine: Caller, system: Document) -> bool:
        department = system.get("department")
        return isinstance(department, str) and bool(department) and mine.sees(self._path_of(department))


class ScopedRuns:
    """The port `Runs`. A run is seen where all of its systems lie in the caller's subtrees, and acted on where he has the
    role for the act there."""

    def __init__(self, runs: Runs, path_of: PathOf) -> None:
        self._runs = runs
        self._path_of = path_of

    async def open(self, opening: RunOpening) -> str:
        return await self._runs.open(opening)

    async def start_wave(self, starting: WaveStarting) -> StartedWave:
        return await self._runs.start_wave(starting)

    async def act(self, action: RunAction) -> RunDocument:
        mine = caller()
        if mine is None:
            return await self._runs.act(action)
        paths = self._paths(await self.run(action.run_id))
        if not all(mine.may_touch(path) for path in paths):
            raise RequestError(
                ErrorCode.PERMISSION_DENIED,
                f"{mine.principal.name} 在 {action.run_id} 的单位没有此操作所需的角色 / {mine.principal.name} lacks the "
                f"role for this act in the departments of {action.run_id}",
                "DENIED",
            )
        if action.act in (Act.APPROVE, Act.REFUSE):
            action = replace(action, duties=mine.principal.duties(paths))
        return await self._runs.act(action)

    async def run(self, run_id: str) -> RunDocument:
        mine = _limited()
        document = await self._runs.run(run_id)
        if mine is not None and not self._sees(mine, document):
            raise _unknown_run(run_id)
        return document

    async def history(self, run_id: str) -> tuple[RunDocument, ...]:
        if _limited() is not None:
            await self.run(run_id)
        return await self._runs.history(run_id)

    async def runs(self) -> tuple[RunDocument, ...]:
        mine = _limited()
        found = await self._runs.runs()
        if mine is None:
            return found
        return tuple([one for one in found if self._sees(mine, await self._runs.run(str(one["run_id"])))])

    async def hold(self, held: HeldCapacity) -> None:
        await self._runs.hold(held)

    async def release(self, run_id: str, as_allocation: bool) -> None:
        await self._runs.release(run_id, as_allocation)

    def _sees(self, mine: Caller, document: Mapping[str, Any]) -> bool:
        paths = self._paths(document)
        return bool(paths) and all(mine.sees(path) for path in paths)

    def _paths(self, document: Mapping[str, Any]) -> list[str]:
        """The queue paths of the departments whose systems the run moves. A system's key begins with its department."""
        return [self._path_of(str(one["key"]).rpartition("/")[0]) for one in document.get("systems", ())]


def _limited() -> Caller | None:
    """The caller where he may look at less than everything."""
    mine = caller()
    return None if mine is None or ROOT in mine.visible else mine


def _unknown_run(run_id: str) -> RequestError:
    """In the words of the run desk (`scheduler.runbooks.desk`) about a run that does not exist."""
    return RequestError(
        ErrorCode.NOT_FOUND, f"没有 {run_id}；见 xisuan migration runs / there is no run {run_id}", "NO_SUCH_RUN"
    )

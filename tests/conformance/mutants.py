"""Adapters that are wrong in one way each. The suite must catch every one of them.

Each mutant is our own sdk over our own simulated (or local) pool with one part replaced by a plausible mistake: what
an author may get wrong, not what nobody would write.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import grpc

from adapters.contract import Capabilities, Launch, Page, PoolBackend, Refusal, RunReport, Stop
from adapters.local.backend import LocalBackend
from adapters.sdk.fence import Fence
from adapters.sdk.journal import CursorExpired, EventJournal
from adapters.sdk.leases import Expiry, LeaseBook
from adapters.sdk.servicer import AdapterServicer
from adapters.simulated.backend import SimulatedBackend
from adapters.simulated.fates import Profile
from inventory.model.partition import OnDisconnect
from inventory.model.pool import Node
from inventory.model.units import Resources
from inventory.model.workload import RunState
from tests.adapters.adapter_process import declared_pool
from tests.conformance.adapter_in_process import Parts, new_journal
from xisuan.pool.v1 import pool_adapter_service_pb2 as pb

_PROFILE = Profile(launch_latency_ms=20)


@dataclass(frozen=True, slots=True)
class Mutant:
    """`fault` is what is wrong, as a sentence; `caught_by` the spec that must fail for it."""

    fault: str
    caught_by: str
    parts: Parts


class _Backend(SimulatedBackend):
    """The simulated pool, for mutants to get wrong."""

    def __init__(self, folder: Path, profile: Profile = _PROFILE) -> None:
        super().__init__(declared_pool("simulated"), profile, 7, folder)


class _Local(LocalBackend):
    def __init__(self, folder: Path) -> None:
        super().__init__(declared_pool("local"), folder, stop_runs_at_exit=True)


# -- fencing ------------------------------------------------------------------------------------------------------


class _NoFence(Fence):
    def admit(self, epoch: int) -> None:
        self.highest = max(self.highest, epoch)


class _ForgetfulFence(Fence):
    def __init__(self, path: Path) -> None:
        super().__init__(path.with_name("nowhere"))

    def admit(self, epoch: int) -> None:
        if epoch < self.highest:
            super().admit(epoch)
        self.highest = epoch


class _StopsForAnyone(AdapterServicer):
    async def Stop(self, request: pb.StopRequest, context: Any) -> pb.StopResponse:
        return await self._stop(request.items)


class _ItemsFirst(AdapterServicer):
    async def Launch(self, request: pb.LaunchRequest, context: Any) -> pb.LaunchResponse:
        if any("/" in item.run_id for item in request.items):
            return await self._launch(request.items)
        return await super().Launch(request, context)


# -- idempotency --------------------------------------------------------------------------------------------------


class _StartsAgain(_Backend):
    """Takes a known run id for a new run, while it runs or when it has ended."""

    again: frozenset[RunState]

    async def launch(self, launches: Sequence[Launch]) -> Sequence[RunReport | Refusal]:
        for launch in launches:
            known = self._model.inspect(launch.run_id)
            if known is not None and known.nodes and known.state in self.again:
                if not known.state.is_final:
                    self._model.stop([Stop(launch.run_id)], 0)
                del self._model._runs[launch.run_id]
        return await super().launch(launches)


class _StartsRunningAgain(_StartsAgain):
    again = frozenset({RunState.STARTING, RunState.RUNNING})


class _StartsEndedAgain(_StartsAgain):
    again = frozenset({RunState.SUCCEEDED})


class _ForgetsTombstones(_Backend):
    async def stop(self, stops: Sequence[Stop]) -> Sequence[RunReport]:
        known = [stop for stop in stops if self._model.inspect(stop.run_id)]
        reports = {report.run_id: report for report in await super().stop(known)}
        unknown = {stop.run_id: RunReport(stop.run_id, RunState.STOPPED, message="gone") for stop in stops}
        return [(unknown | reports)[stop.run_id] for stop in stops]


class _StopsTheEnded(_Backend):
    async def stop(self, stops: Sequence[Stop]) -> Sequence[RunReport]:
        return [replace(report, state=RunState.STOPPED) for report in await super().stop(stops)]


# -- watch --------------------------------------------------------------------------------------------------------


class _LosesChanges(EventJournal):
    def publish(self, reports: Sequence[RunReport], *, nodes_changed: bool = False) -> None:
        kept = [report for report in reports if report.state is not RunState.RUNNING]
        super().publish(kept, nodes_changed=nodes_changed)


class _DoublesChanges(EventJournal):
    def publish(self, reports: Sequence[RunReport], *, nodes_changed: bool = False) -> None:
        super().publish([*reports, *reports], nodes_changed=nodes_changed)


class _AnyCursorWillDo(EventJournal):
    def _position(self, cursor: str) -> int:
        try:
            return super()._position(cursor)
        except CursorExpired:
            return len(self._kept)


class _BeginsAnew(AdapterServicer):
    """Begins from the oldest that it keeps, whatever the cursor says."""

    async def Watch(self, request: pb.WatchRequest, context: Any) -> AsyncIterator[pb.WatchResponse]:
        async for message in super().Watch(pb.WatchRequest(), context):
            yield message


class _SilentUntilChanges(AdapterServicer):
    async def Watch(self, request: pb.WatchRequest, context: Any) -> AsyncIterator[pb.WatchResponse]:
        async for message in super().Watch(request, context):
            if message.runs or message.nodes_changed:
                yield message


class _OneLife(EventJournal):
    def __init__(self) -> None:
        super().__init__("always-the-same")


# -- batches ------------------------------------------------------------------------------------------------------


class _Reversed(AdapterServicer):
    async def Launch(self, request: pb.LaunchRequest, context: Any) -> pb.LaunchResponse:
        answer = await super().Launch(request, context)
        return pb.LaunchResponse(results=list(reversed(answer.results)))


class _AllOrNothing(AdapterServicer):
    async def Launch(self, request: pb.LaunchRequest, context: Any) -> pb.LaunchResponse:
        if any(item.requirements.per_task.cpu_milli < 0 for item in request.items):
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "a bad item")
        return await super().Launch(request, context)


class _NoLimit(AdapterServicer):
    def _inspect_batch(self, epoch: int, items: int) -> None:
        super()._inspect_batch(epoch, 0)


class _Obliging(AdapterServicer):
    """Drops what it cannot do from a launch, and launches the rest."""

    async def Launch(self, request: pb.LaunchRequest, context: Any) -> pb.LaunchResponse:
        for item in request.items:
            item.service = False
            item.ClearField("restore_from")
        return await super().Launch(request, context)


class _SilentSuspend(AdapterServicer):
    async def Suspend(self, request: pb.SuspendRequest, context: Any) -> pb.SuspendResponse:
        return pb.SuspendResponse()


class _NegativeIsZero(AdapterServicer):
    async def Launch(self, request: pb.LaunchRequest, context: Any) -> pb.LaunchResponse:
        for item in request.items:
            item.requirements.per_task.cpu_milli = max(0, item.requirements.per_task.cpu_milli)
        return await super().Launch(request, context)


class _LowerCase(AdapterServicer):
    """Makes names that its cluster likes, and two runs one."""

    async def Launch(self, request: pb.LaunchRequest, context: Any) -> pb.LaunchResponse:
        names = [item.run_id for item in request.items]
        for item in request.items:
            item.run_id = item.run_id.lower()
        answer = await super().Launch(request, context)
        for result, name in zip(answer.results, names, strict=True):
            result.run_id = result.accepted.run_id = name
        return answer

    async def Inspect(self, request: pb.InspectRequest, context: Any) -> pb.InspectResponse:
        name = request.run_id
        answer = await super().Inspect(pb.InspectRequest(run_id=name.lower()), context)
        answer.status.run_id = name
        return answer


class _OldVersion(AdapterServicer):
    async def GetVersion(self, request: pb.GetVersionRequest, context: Any) -> pb.GetVersionResponse:
        answer = await super().GetVersion(request, context)
        answer.oldest = answer.newest = 7
        return answer


class _TokensAreNumbers(AdapterServicer):
    """Takes a page token that it cannot read for the first page."""

    async def List(self, request: pb.ListRequest, context: Any) -> pb.ListResponse:
        if "token" in request.page_token or "AAAA" in request.page_token or "99" in request.page_token:
            request.page_token = ""
        return await super().List(request, context)


# -- leases -------------------------------------------------------------------------------------------------------


class _NeverExpires(LeaseBook):
    def pause_ms(self) -> int | None:
        return None


class _ExpiresEarly(LeaseBook):
    def lease(self, launches: Sequence[Launch]) -> None:
        for one in launches:
            halved = replace(one.partition, lost_after_ms=one.partition.lost_after_ms // 2)
            super().lease([replace(one, partition=halved)])


class _StopsAll(LeaseBook):
    def due(self) -> list[Expiry]:
        return [replace(one, action=OnDisconnect.STOP) for one in super().due()]


class _Unmarked(LeaseBook):
    def stamp(self, report: RunReport) -> RunReport:
        return report


class _NeverRenews(LeaseBook):
    def contact(self) -> None:
        if not self._length_of:
            super().contact()


class _ForgetsLeases(LeaseBook):
    def _read(self) -> None:
        return None


class _ReadingRenews(AdapterServicer):
    async def List(self, request: pb.ListRequest, context: Any) -> pb.ListResponse:
        self._gate.leases.contact()
        return await super().List(request, context)


class _AnyoneRenews(AdapterServicer):
    async def RenewLeases(self, request: pb.RenewLeasesRequest, context: Any) -> pb.RenewLeasesResponse:
        self._gate.leases.contact()
        return await super().RenewLeases(request, context)


class _TrustsOurClock(AdapterServicer):
    """Counts the lease from the scheduler's timestamp instead of from the receipt."""

    async def RenewLeases(self, request: pb.RenewLeasesRequest, context: Any) -> pb.RenewLeasesResponse:
        answer = await super().RenewLeases(request, context)
        if request.HasField("sent_at"):
            self._gate.leases._contact_ms += request.sent_at.ToMilliseconds() - answer.now.ToMilliseconds()
        return answer


# -- the pool itself ----------------------------------------------------------------------------------------------


class _Forgets(_Backend):
    """Keeps nothing for the next life."""

    async def start(self, events: Any) -> None:
        (self._file._path).unlink(missing_ok=True)
        await super().start(events)


class _KeepsRoom(_Backend):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._model.room.give_back = lambda *_: None  # type: ignore[method-assign]  # that is the fault


class _Overcommits(_Backend):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._model.room.take = lambda *_: True  # type: ignore[method-assign]  # that is the fault


class _NoTimeLimit(_Backend):
    async def launch(self, launches: Sequence[Launch]) -> Sequence[RunReport | Refusal]:
        return await super().launch([replace(launch, max_runtime_ms=0) for launch in launches])


class _EndsBeforeItStarts(_Backend):
    async def inspect(self, run_id: str) -> RunReport | None:
        report = await super().inspect(run_id)
        if report is None or report.ended_ms is None or report.started_ms is None:
            return report
        return replace(report, started_ms=report.ended_ms, ended_ms=report.started_ms)


class _NodeTwice(_Backend):
    async def nodes(self, after: str, limit: int) -> Page[Node]:
        page = await super().nodes(after, limit)
        return Page([*page.items, page.items[-1]], page.next_key)


class _NegativeNode(_Backend):
    async def nodes(self, after: str, limit: int) -> Page[Node]:
        page = await super().nodes(after, limit)
        return Page([replace(page.items[0], allocatable=Resources(-1)), *page.items[1:]], page.next_key)


class _NoNodeIsWrong(_Backend):
    async def launch(self, launches: Sequence[Launch]) -> Sequence[RunReport | Refusal]:
        first = self._model.nodes("", 1).items[0].node_id
        return await super().launch(
            [
                replace(one, nodes=tuple(n if "-" in n and "no-" not in n else first for n in one.nodes))
                for one in launches
            ]
        )


class _KnownTooLate(_Backend):
    """Accepts at once, and knows the run only when it runs."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, Profile(launch_latency_ms=60_000))

    async def inspect(self, run_id: str) -> RunReport | None:
        report = await super().inspect(run_id)
        return None if report is not None and report.state is RunState.STARTING else report


class _Promises(_Backend):
    """Declares what it does not do."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.capabilities: Capabilities = replace(self.capabilities, suspend=True)


class _AlwaysSuccess(_Local):
    async def inspect(self, run_id: str) -> RunReport | None:
        report = await super().inspect(run_id)
        if report is not None and report.state is RunState.FAILED:
            return replace(report, state=RunState.SUCCEEDED, exit_code=0)
        return report


class _DropsSettings(_Local):
    async def launch(self, launches: Sequence[Launch]) -> Sequence[RunReport | Refusal]:
        return await super().launch(
            [replace(one, program=replace(one.program, environment={})) for one in launches]
        )


class _LogsFromTheStart(_Local):
    def logs(self, run_id: str, offset: int, follow: bool) -> AsyncIterator[bytes]:
        return super().logs(run_id, 0, follow)


class _TooPolite(_Local):
    async def stop(self, stops: Sequence[Stop]) -> Sequence[RunReport]:
        return await super().stop([replace(stop, grace_ms=600_000) for stop in stops])


def _local(backend: type[PoolBackend]) -> Parts:
    return Parts(backend=backend)


MUTANTS: tuple[Mutant, ...] = (
    Mutant("takes orders from any leader", "fencing.launch", Parts(fence=_NoFence)),
    Mutant("forgets the highest epoch when it restarts", "recovery.fence", Parts(fence=_ForgetfulFence)),
    Mutant("lets a replaced leader stop runs", "fencing.stop", Parts(servicer=_StopsForAnyone)),
    Mutant("looks at items before the epoch", "fencing.first", Parts(servicer=_ItemsFirst)),
    Mutant("starts a running run again", "idempotency.row", Parts(backend=_StartsRunningAgain)),
    Mutant("runs an ended run again", "idempotency.ended", Parts(backend=_StartsEndedAgain)),
    Mutant("forgets a stop that came first", "launch.tombstone", Parts(backend=_ForgetsTombstones)),
    Mutant("calls an ended run stopped when asked to stop it", "launch.ended", Parts(backend=_StopsTheEnded)),
    Mutant("loses changes", "watch.once", Parts(journal=lambda: _LosesChanges(new_journal().instance_id))),
    Mutant("tells changes twice", "watch.once", Parts(journal=lambda: _DoublesChanges(new_journal().instance_id))),
    Mutant(
        "goes on from now for a cursor that it does not know",
        "watch.foreign",
        Parts(journal=lambda: _AnyCursorWillDo(new_journal().instance_id)),
    ),
    Mutant("begins anew for any cursor", "watch.after", Parts(servicer=_BeginsAnew)),
    Mutant("gives no sign of life", "watch.alive", Parts(heartbeat_s=60.0)),
    Mutant("says nothing until something changes", "watch.first", Parts(servicer=_SilentUntilChanges)),
    Mutant("has one instance id for all its lives", "recovery.life", Parts(journal=_OneLife)),
    Mutant("answers in another order", "launch.items", Parts(servicer=_Reversed)),
    Mutant("refuses a whole batch for one item", "launch.items", Parts(servicer=_AllOrNothing)),
    Mutant("takes more than max_batch", "limits.over", Parts(servicer=_NoLimit)),
    Mutant("drops what it cannot do from a launch", "capabilities.items", Parts(servicer=_Obliging)),
    Mutant("answers calls that it does not declare", "capabilities.calls", Parts(servicer=_SilentSuspend)),
    Mutant("declares what it does not do", "extras.suspend", Parts(backend=_Promises)),
    Mutant("takes a negative amount for none", "input.items", Parts(servicer=_NegativeIsZero)),
    Mutant("makes two run ids one", "limits.twins", Parts(servicer=_LowerCase)),
    Mutant("speaks another version", "identity.version", Parts(servicer=_OldVersion)),
    Mutant("takes any page token for the first page", "input.pages", Parts(servicer=_TokensAreNumbers)),
    Mutant("never lets a lease expire", "lease.stop", Parts(leases=_NeverExpires)),
    Mutant("lets leases expire early", "lease.stop", Parts(leases=_ExpiresEarly)),
    Mutant("stops runs that are to be kept", "lease.keep", Parts(leases=_StopsAll)),
    Mutant("does not mark expired leases", "lease.keep", Parts(leases=_Unmarked)),
    Mutant("does not renew leases", "lease.renew", Parts(leases=_NeverRenews)),
    Mutant("forgets leases when it restarts", "recovery.lease", Parts(leases=_ForgetsLeases)),
    Mutant("takes reading for a contact", "lease.read", Parts(servicer=_ReadingRenews)),
    Mutant("takes a replaced leader for a contact", "lease.stale", Parts(servicer=_AnyoneRenews)),
    Mutant("counts leases by the scheduler's clock", "clock.fast", Parts(servicer=_TrustsOurClock)),
    Mutant("forgets its runs when it restarts", "recovery.accepted", Parts(backend=_Forgets)),
    Mutant("does not give room back", "launch.room", Parts(backend=_KeepsRoom)),
    Mutant("overcommits its nodes", "launch.room", Parts(backend=_Overcommits)),
    Mutant("does not enforce max_runtime", "launch.limit", Parts(backend=_NoTimeLimit)),
    Mutant("tells an end before the start", "clock.one", Parts(backend=_EndsBeforeItStarts)),
    Mutant("lists a node twice", "identity.nodes", Parts(backend=_NodeTwice)),
    Mutant("offers a negative amount", "identity.nodes", Parts(backend=_NegativeNode)),
    Mutant("puts a run on another node than was asked", "input.node", Parts(backend=_NoNodeIsWrong)),
    Mutant("does not know at once what it accepted", "launch.known", Parts(backend=_KnownTooLate)),
    Mutant("calls every ending a success", "launch.fails", _local(_AlwaysSuccess)),
    Mutant("drops the settings of a program", "launch.settings", _local(_DropsSettings)),
    Mutant("gives output from the start, whatever the offset", "launch.offset", _local(_LogsFromTheStart)),
    Mutant("waits for politeness for ten minutes", "launch.force", _local(_TooPolite)),
)


async def gather_limited(work: Sequence[Any], at_once: int) -> list[Any]:
    """The results in order; at most so many under way at a time."""
    gate = asyncio.Semaphore(at_once)

    async def one(each: Any) -> Any:
        async with gate:
            return await each

    with contextlib.suppress(asyncio.CancelledError):
        return await asyncio.gather(*(one(each) for each in work))
    raise asyncio.CancelledError

"""More adapters that are wrong in one way each: rates, pages, restarts, and laws that look too plain to be broken.

`test_mutants` asks them with those of `mutants`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

import grpc

from adapters.contract import Launch, Page, Refusal, RunReport, Stop
from adapters.sdk.fence import Fence
from adapters.sdk.servicer import AdapterServicer
from adapters.simulated.fates import Fate
from inventory.model.pool import Node
from inventory.model.units import Resources
from inventory.model.workload import RunState
from tests.conformance.adapter_in_process import Parts
from tests.conformance.mutants import Mutant, _Backend, _Local, _local
from xisuan.pool.v1 import pool_adapter_service_pb2 as pb

# -- load ---------------------------------------------------------------------------------------------------------


class _Slow(_Backend):
    """Takes fifty launches a second, and promises what every pool does."""

    async def launch(self, launches: Sequence[Launch]) -> Sequence[RunReport | Refusal]:
        await asyncio.sleep(0.02 * len(launches))
        return await super().launch(launches)


class _LosesOfMany(_Backend):
    """Accepts every launch of a large batch, and starts nine of ten."""

    async def launch(self, launches: Sequence[Launch]) -> Sequence[RunReport | Refusal]:
        if len(launches) < 50:
            return await super().launch(launches)
        lost = {launch.run_id for launch in launches[::10]}
        done = iter(await super().launch([launch for launch in launches if launch.run_id not in lost]))
        return [
            RunReport(one.run_id, RunState.STARTING, one.nodes) if one.run_id in lost else next(done)
            for one in launches
        ]


# -- restarts -----------------------------------------------------------------------------------------------------


class _Remembers(_Backend):
    """What it knows after a restart is what `kept` lets through."""

    def kept(self, fate: Fate) -> Fate | None:
        return fate

    async def start(self, events: Any) -> None:
        read = self._file.read
        self._file.read = lambda: [kept for kept in map(self.kept, read()) if kept]  # type: ignore[method-assign]
        await super().start(events)


class _ForgetsTombstonesOfBefore(_Remembers):
    def kept(self, fate: Fate) -> Fate | None:
        return None if fate.is_tombstone else fate


class _ForgetsEndings(_Remembers):
    def kept(self, fate: Fate) -> Fate | None:
        return None if fate.outcome is RunState.STOPPED and fate.nodes else fate


class _StartsAnewAfterRestart(_Remembers):
    """Takes the time of its own start for that of its runs."""

    def kept(self, fate: Fate) -> Fate | None:
        return fate._replace(starts_ms=fate.starts_ms + 7)


class _ForgetsWhatIsTaken(_Backend):
    """Room is counted from nothing after a restart."""

    async def start(self, events: Any) -> None:
        take, self._model.room.take = self._model.room.take, lambda *_: True  # type: ignore[method-assign]
        await super().start(events)
        self._model.room.take = take  # type: ignore[method-assign]


class _WritesEpochsOfRenewals(Fence):
    """What a launch tells of a new leader it keeps in mind only."""

    is_launching = False

    def admit(self, epoch: int) -> None:
        if self.is_launching and epoch > self.highest:
            self.highest = epoch
        super().admit(epoch)


class _LaunchesAreNotWritten(AdapterServicer):
    def __init__(self, backend: Any, journal: Any, memory: Any, heartbeat_s: float) -> None:
        super().__init__(backend, journal, memory, heartbeat_s)
        self._fence = memory.fence

    async def Launch(self, request: pb.LaunchRequest, context: Any) -> pb.LaunchResponse:
        self._fence.is_launching = True
        try:
            return await super().Launch(request, context)
        finally:
            self._fence.is_launching = False


# -- room ---------------------------------------------------------------------------------------------------------


class _CountsCpusOnly(_Backend):
    async def start(self, events: Any) -> None:
        room = self._model.room
        take, give_back = room.take, room.give_back
        room.take = lambda node_ids, load, disk_bytes: take(node_ids, Resources(load.cpu_milli), disk_bytes)  # type: ignore[method-assign]
        room.give_back = lambda node_ids, load, disk_bytes: give_back(  # type: ignore[method-assign]
            node_ids, Resources(load.cpu_milli), disk_bytes
        )
        await super().start(events)


class _TakesAPartOfAGang(_Backend):
    """Asks whether the first task has room, and promises all of them."""

    async def start(self, events: Any) -> None:
        room = self._model.room
        take = room.take
        room.take = lambda node_ids, load, disk_bytes: take(node_ids[:1], load, disk_bytes)  # type: ignore[method-assign]
        await super().start(events)


class _KeepsWhatARefusedGangTook(_Backend):
    """Takes room for task after task, and gives none back when one has none."""

    async def start(self, events: Any) -> None:
        room = self._model.room
        take = room.take
        room.take = lambda node_ids, load, disk_bytes: all(  # type: ignore[method-assign]
            take([one], load, disk_bytes // len(node_ids)) for one in node_ids
        )
        await super().start(events)


# -- programs -----------------------------------------------------------------------------------------------------


class _KillsAtOnce(_Local):
    async def stop(self, stops: Sequence[Stop]) -> Sequence[RunReport]:
        return await super().stop([replace(stop, grace_ms=0) for stop in stops])


class _DoesNotFollow(_Local):
    def logs(self, run_id: str, offset: int, follow: bool) -> AsyncIterator[bytes]:
        return super().logs(run_id, offset, False)


# -- lists --------------------------------------------------------------------------------------------------------


class _PagesOverlap(_Backend):
    async def nodes(self, after: str, limit: int) -> Page[Node]:
        page = await super().nodes(after, limit)
        return Page(page.items, str(int(page.next_key) - 1) if page.next_key and int(page.next_key) > 1 else "")


class _LargePages(AdapterServicer):
    async def List(self, request: pb.ListRequest, context: Any) -> pb.ListResponse:
        return await super().List(pb.ListRequest(page_token=request.page_token, page_size=500), context)


class _SkipsRuns(_Backend):
    async def runs(self, after: str, limit: int) -> Page[RunReport]:
        page = await super().runs(after, limit)
        return Page(page.items[:-1] if page.next_key else page.items, page.next_key)


# -- batches and words ----------------------------------------------------------------------------------------------


class _RefusesNothing(AdapterServicer):
    """Takes an empty batch for a mistake."""

    async def Launch(self, request: pb.LaunchRequest, context: Any) -> pb.LaunchResponse:
        if not request.items:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "nothing to launch")
        return await super().Launch(request, context)


class _ShortIds(AdapterServicer):
    async def Launch(self, request: pb.LaunchRequest, context: Any) -> pb.LaunchResponse:
        if any(len(item.run_id) > 63 for item in request.items):
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "a name has 63 characters here")
        return await super().Launch(request, context)


class _AnyEpoch(AdapterServicer):
    """An epoch of 0 is that of nobody in particular."""

    async def Launch(self, request: pb.LaunchRequest, context: Any) -> pb.LaunchResponse:
        request.epoch = request.epoch or self._gate._memory.fence.highest or 1
        return await super().Launch(request, context)


class _OneWatcher(AdapterServicer):
    watching = False

    async def Watch(self, request: pb.WatchRequest, context: Any) -> AsyncIterator[pb.WatchResponse]:
        if self.watching:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "somebody watches already")
        self.watching = True
        try:
            async for message in super().Watch(request, context):
                yield message
        finally:
            self.watching = False


class _SilentStops(_Backend):
    """Stops runs, and does not say why they ended."""

    async def stop(self, stops: Sequence[Stop]) -> Sequence[RunReport]:
        reports = await super().stop(stops)
        for stop in stops:
            run = self._model._runs[stop.run_id]
            run.fate = run.fate._replace(message="")
        return [replace(report, message="") for report in reports]


class _SpeaksForAnother(AdapterServicer):
    async def GetCapabilities(
        self, request: pb.GetCapabilitiesRequest, context: Any
    ) -> pb.GetCapabilitiesResponse:
        answer = await super().GetCapabilities(request, context)
        answer.instance_id = "another life"
        return answer


# -- leases -------------------------------------------------------------------------------------------------------


class _TellsNoExpiry(AdapterServicer):
    async def RenewLeases(self, request: pb.RenewLeasesRequest, context: Any) -> pb.RenewLeasesResponse:
        answer = await super().RenewLeases(request, context)
        answer.ClearField("expired_run_ids")
        return answer


class _ExecutesTwice(_Local):
    """Starts the program once more where the launch is repeated."""

    async def launch(self, launches: Sequence[Launch]) -> Sequence[RunReport | Refusal]:
        for launch in launches:
            if await self.inspect(launch.run_id) is not None:
                (self._root / launch.run_id / "output.log").open("ab").write(
                    (self._root / launch.run_id / "output.log").read_bytes()
                )
        return await super().launch(launches)


FURTHER_MUTANTS: tuple[Mutant, ...] = (
    Mutant("takes fewer launches a second than it promises", "load.rate", Parts(backend=_Slow)),
    Mutant("loses launches of a burst", "load.lost", Parts(backend=_LosesOfMany)),
    Mutant("forgets tombstones when it restarts", "recovery.tombstone", Parts(backend=_ForgetsTombstonesOfBefore)),
    Mutant("forgets endings when it restarts", "recovery.ended", Parts(backend=_ForgetsEndings)),
    Mutant("counts running from its own start", "recovery.running", Parts(backend=_StartsAnewAfterRestart)),
    Mutant("forgets what room is taken when it restarts", "recovery.room", Parts(backend=_ForgetsWhatIsTaken)),
    Mutant("names a node on two pages", "identity.pages", Parts(backend=_PagesOverlap)),
    Mutant("gives larger pages than were asked for", "launch.page", Parts(servicer=_LargePages)),
    Mutant("skips runs between two pages", "limits.pages", Parts(backend=_SkipsRuns)),
    Mutant("refuses an empty batch", "launch.empty", Parts(servicer=_RefusesNothing)),
    Mutant("takes short run ids only", "limits.id", Parts(servicer=_ShortIds)),
    Mutant("takes orders of no epoch", "fencing.none", Parts(servicer=_AnyEpoch)),
    Mutant("lets one watch at a time", "watch.two", Parts(servicer=_OneWatcher)),
    Mutant("does not say why a run was stopped", "launch.stop", Parts(backend=_SilentStops)),
    Mutant("names two lives at once", "identity.who", Parts(servicer=_SpeaksForAnother)),
    Mutant("does not tell whose leases expired", "lease.told", Parts(servicer=_TellsNoExpiry)),
    Mutant("executes a program again", "idempotency.executed", _local(_ExecutesTwice)),
    Mutant(
        "writes new leaders down at renewals only",
        "recovery.fence",
        Parts(fence=_WritesEpochsOfRenewals, servicer=_LaunchesAreNotWritten),
    ),
    Mutant("counts CPUs and no memory", "launch.memory", Parts(backend=_CountsCpusOnly)),
    Mutant("takes a part of a gang", "launch.whole", Parts(backend=_TakesAPartOfAGang)),
    Mutant("keeps what a refused gang took", "launch.whole", Parts(backend=_KeepsWhatARefusedGangTook)),
    Mutant("kills at once, whatever the grace", "launch.grace", _local(_KillsAtOnce)),
    Mutant("gives output so far where it is to be followed", "launch.follow", _local(_DoesNotFollow)),
)

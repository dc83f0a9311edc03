"""The RPCs of PoolAdapterService over any backend: validation, fencing, one change at a time, cursors, pages.

`adapters.sdk.server` registers it; the scheduler's pool hosts call it. Whatever a technology needs is behind the
`PoolBackend` protocol; nothing here knows which one it serves.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from importlib.metadata import version

import grpc

from adapters.contract import (
    CONTRACT_VERSION,
    OLDEST_CONTRACT_VERSION,
    TIME_KEY,
    Launch,
    LogSource,
    PoolBackend,
    Refusal,
    RunReport,
    Stop,
    VersionAnswer,
)
from adapters.sdk.changing import ChangeGate, Memory
from adapters.sdk.fence import MAX_EPOCH
from adapters.sdk.journal import Changes, CursorExpired, EventJournal
from adapters.sdk.optional_calls import Context, LaunchReader, OptionalCalls
from adapters.sdk.pages import cut_token, make_token, page_size, unknown_token
from adapters.tracing import is_tracing, record_launches
from adapters.wire.capabilities import capabilities_to_wire, version_to_wire
from adapters.wire.inspection import Inspection, InvalidMessage
from adapters.wire.launches import invalid_item, put_report, refusal_to_wire, report_to_wire, stop_from_wire
from adapters.wire.pools import node_to_wire
from adapters.wire.scalars import timestamp_to_wire
from adapters.wire.status import CURSOR_EXPIRED, Answering, CallFailed, Failure
from xisuan.pool.v1 import pool_adapter_service_pb2 as pb

HEARTBEAT_S = 4.0  # the contract says: at least every 5 s
_LOG_CHUNK = 64 * 1024
_TOLD_EXPIRED = 10_000


class AdapterServicer(OptionalCalls):
    """Serves one backend; `start` once the backend has recovered, `close` ends watchers and waits for changes."""

    def __init__(
        self, backend: PoolBackend, journal: EventJournal, memory: Memory, heartbeat_s: float = HEARTBEAT_S
    ) -> None:
        super().__init__(backend, ChangeGate(backend, journal, memory))
        self._journal = journal
        self._heartbeat_s = heartbeat_s
        self._closing = asyncio.Event()

    async def start(self) -> None:
        """Begins to watch the leases: runs whose lease expired while nobody was here are acted on at once."""
        await self._gate.start()

    async def close(self) -> None:
        """Ends the watchers, and waits for changes that are under way."""
        self._closing.set()
        await self._gate.close()

    async def GetVersion(self, request: pb.GetVersionRequest, context: Context) -> pb.GetVersionResponse:
        await context.send_initial_metadata(((TIME_KEY, str(_now_ms())),))
        return version_to_wire(self._version())

    async def GetCapabilities(
        self, request: pb.GetCapabilitiesRequest, context: Context
    ) -> pb.GetCapabilitiesResponse:
        return capabilities_to_wire(self._backend.capabilities, self._version())

    async def ListNodes(self, request: pb.ListNodesRequest, context: Context) -> pb.ListNodesResponse:
        async with Answering(context):
            after, _ = cut_token(request.page_token)
            try:
                page = await self._backend.nodes(after, page_size(request.page_size))
            except ValueError as error:
                raise unknown_token(request.page_token) from error
            return pb.ListNodesResponse(
                nodes=[node_to_wire(node) for node in page.items],
                next_page_token=make_token(page.next_key),
                shared_disk_bytes=self._backend.shared_disk_bytes,
            )

    async def List(self, request: pb.ListRequest, context: Context) -> pb.ListResponse:
        async with Answering(context):
            # Every page names the cursor of the first: what changes while the pages are read is watched for.
            after, first_cursor = cut_token(request.page_token)
            cursor = first_cursor or self._journal.cursor
            try:
                page = await self._backend.runs(after, page_size(request.page_size))
            except ValueError as error:
                raise unknown_token(request.page_token) from error
            return pb.ListResponse(
                runs=[report_to_wire(report) for report in self._gate.leases.stamp_all(page.items)],
                next_page_token=make_token(page.next_key, cursor),
                cursor=cursor,
            )

    async def Inspect(self, request: pb.InspectRequest, context: Context) -> pb.InspectResponse:
        async with Answering(context):
            return pb.InspectResponse(status=report_to_wire(await self.known(request.run_id)))

    async def Launch(self, request: pb.LaunchRequest, context: Context) -> pb.LaunchResponse:
        async with Answering(context):
            self._inspect_batch(request.epoch, len(request.items))
            began_ms = _now_ms()
            launched = await self._gate.change(request.epoch, lambda: self._launch(request.items))
            metadata = context.invocation_metadata() if is_tracing() else None
            record_launches(tuple(metadata or ()), (began_ms, _now_ms()), self._backend.capabilities.pool_id)
            return launched

    async def Stop(self, request: pb.StopRequest, context: Context) -> pb.StopResponse:
        async with Answering(context):
            self._inspect_batch(request.epoch, len(request.items))
            return await self._gate.change(request.epoch, lambda: self._stop(request.items))

    async def RenewLeases(self, request: pb.RenewLeasesRequest, context: Context) -> pb.RenewLeasesResponse:
        async with Answering(context):
            self._inspect_batch(request.epoch, 0)
            return await self._gate.change(request.epoch, self._renewed)

    async def Watch(self, request: pb.WatchRequest, context: Context) -> AsyncIterator[pb.WatchResponse]:
        async with Answering(context):
            cursor = request.cursor or self._journal.oldest_cursor
            # The first response comes at once, with or without changes: the watcher knows that it is connected.
            changes = self._read(cursor)
            while not self._closing.is_set():
                response = pb.WatchResponse(cursor=changes.cursor, nodes_changed=changes.nodes_changed)
                for report in changes.reports:
                    put_report(report, response.runs.add())
                yield response
                await self._wait_beyond(changes.cursor)
                changes = self._read(changes.cursor)
            raise CallFailed(
                Failure(
                    grpc.StatusCode.UNAVAILABLE,
                    "适配器正在停止，请稍后从原游标继续 / the adapter is stopping: go on from your cursor later",
                    retry_after_ms=1000,
                )
            )

    async def Logs(self, request: pb.LogsRequest, context: Context) -> AsyncIterator[pb.LogsResponse]:
        async with Answering(context):
            if not isinstance(self._backend, LogSource):
                raise CallFailed(
                    Failure(
                        grpc.StatusCode.UNIMPLEMENTED,
                        "该池不保留日志（capabilities.logs = false） / this pool keeps no logs",
                    )
                )
            check = Inspection()
            check.whole_number("offset", request.offset, 0, 2**62)
            check.close()
            await self.known(request.run_id)
            offset = request.offset
            async for piece in self._backend.logs(request.run_id, offset, request.follow):
                for start in range(0, len(piece), _LOG_CHUNK):
                    chunk = piece[start : start + _LOG_CHUNK]
                    offset += len(chunk)
                    yield pb.LogsResponse(chunk=chunk, next_offset=offset)
                if self._closing.is_set():
                    return

    # -- changes ------------------------------------------------------------------------------------------------

    def _inspect_batch(self, epoch: int, items: int) -> None:
        check = Inspection()
        check.whole_number("epoch", epoch, 1, MAX_EPOCH)
        check.whole_number("items.length", items, 0, self._backend.capabilities.max_batch)
        check.close()

    async def _launch(self, items: Sequence[pb.LaunchItem]) -> pb.LaunchResponse:
        launches: list[Launch] = []
        results: list[pb.LaunchResult | None] = []
        reader = LaunchReader(self._backend.capabilities)
        for i, item in enumerate(items):
            launch = reader.read(item, f"items[{i}]")
            if isinstance(launch, Launch):
                launches.append(launch)
                results.append(None)
            else:
                results.append(launch)
        leases = self._gate.leases
        if any(launch.partition.lost_after_ms for launch in launches):
            await asyncio.to_thread(leases.lease, launches)
        outcomes = await self._backend.launch(launches) if launches else ()
        leases.end(one.run_id for one in outcomes if isinstance(one, Refusal) or one.state.is_final)
        response = pb.LaunchResponse()
        found = iter(outcomes)
        for result in results:
            if result is None:
                self._add_outcome(response, next(found))
            else:
                response.results.append(result)
        return response

    def _add_outcome(self, response: pb.LaunchResponse, outcome: RunReport | Refusal) -> None:
        if isinstance(outcome, Refusal):
            response.results.add(run_id=outcome.run_id, error=refusal_to_wire(outcome))
        else:
            put_report(self._gate.leases.stamp(outcome), response.results.add(run_id=outcome.run_id).accepted)

    async def _stop(self, items: Sequence[pb.StopItem]) -> pb.StopResponse:
        stops: list[Stop] = []
        results: list[pb.StopResult | None] = []
        for i, item in enumerate(items):
            try:
                stops.append(stop_from_wire(item, f"items[{i}]"))
                results.append(None)
            except InvalidMessage as error:
                results.append(pb.StopResult(run_id=item.run_id, error=invalid_item(error)))
        reports = self._gate.leases.stamp_all(await self._backend.stop(stops) if stops else ())
        found = (pb.StopResult(run_id=report.run_id, status=report_to_wire(report)) for report in reports)
        return pb.StopResponse(results=[result or next(found) for result in results])

    async def _renewed(self) -> pb.RenewLeasesResponse:
        return pb.RenewLeasesResponse(
            now=timestamp_to_wire(_now_ms()), expired_run_ids=self._gate.leases.expired(_TOLD_EXPIRED)
        )

    def _version(self) -> VersionAnswer:
        return VersionAnswer(
            oldest=OLDEST_CONTRACT_VERSION,
            newest=CONTRACT_VERSION,
            technology=self._backend.capabilities.technology,
            adapter_version=version("xisuan"),
            instance_id=self._journal.instance_id,
            now_ms=_now_ms(),
        )

    # -- reading ------------------------------------------------------------------------------------------------

    def _read(self, cursor: str) -> Changes:
        try:
            return self._journal.read(cursor)
        except CursorExpired as error:
            raise _expired(error) from error

    async def _wait_beyond(self, cursor: str) -> None:
        """Until there are changes, a sign of life is due, or the adapter stops."""
        closing = asyncio.create_task(self._closing.wait())
        grown = asyncio.create_task(self._journal.wait_beyond(cursor, self._heartbeat_s))
        try:
            await asyncio.wait((closing, grown), return_when=asyncio.FIRST_COMPLETED)
        finally:
            closing.cancel()
            grown.cancel()


def _expired(error: CursorExpired) -> CallFailed:
    return CallFailed(
        Failure(
            grpc.StatusCode.FAILED_PRECONDITION,
            f"cursor: 游标已失效，请先 List 再从其游标 Watch / expired: List, then watch from there ({error})",
            reason=CURSOR_EXPIRED,
        )
    )


def _now_ms() -> int:
    return time.time_ns() // 1_000_000

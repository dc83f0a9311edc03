"""The RPCs of PoolAdapterService over any backend: validation, fencing, one change at a time, cursors, pages.

`adapters.sdk.server` registers it; the scheduler's pool hosts call it. Whatever a technology needs is behind the
`PoolBackend` protocol; nothing here knows which one it serves.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from importlib.metadata import version
from typing import Any, TypeVar

import grpc

from adapters.contract import (
    CONTRACT_VERSION,
    BackendFailed,
    Launch,
    LogSource,
    PoolBackend,
    Refusal,
    RunReport,
    Stop,
)
from adapters.sdk.fence import MAX_EPOCH, Fence, StaleEpoch
from adapters.sdk.journal import Changes, CursorExpired, EventJournal
from adapters.sdk.pages import cut_token, make_token, page_size, unknown_token
from adapters.wire.inspection import Inspection, InvalidMessage
from adapters.wire.launches import invalid_item, launch_from_wire, refusal_to_wire, report_to_wire, stop_from_wire
from adapters.wire.pools import node_to_wire
from adapters.wire.status import CURSOR_EXPIRED, STALE_EPOCH, Answering, CallFailed, Failure
from xisuan.pool.v1 import pool_adapter_service_pb2 as pb
from xisuan.pool.v1 import pool_adapter_service_pb2_grpc as pb_grpc

HEARTBEAT_S = 4.0  # the contract says: at least every 5 s
_LOG_CHUNK = 64 * 1024
_Context = grpc.aio.ServicerContext[Any, Any]
_Result = TypeVar("_Result")


class AdapterServicer(pb_grpc.PoolAdapterServiceServicer):
    """Serves one backend; `close` ends its watchers and waits for changes under way."""

    def __init__(
        self, backend: PoolBackend, journal: EventJournal, fence: Fence, heartbeat_s: float = HEARTBEAT_S
    ) -> None:
        self._backend = backend
        self._journal = journal
        self._fence = fence
        self._heartbeat_s = heartbeat_s
        # One change at a time: an old leader's batch is through, or refused, before a new leader's begins, and a
        # run id that comes twice at once is launched once.
        self._changing = asyncio.Lock()
        self._under_way: set[asyncio.Task[Any]] = set()
        self._closing = asyncio.Event()

    async def close(self) -> None:
        """Ends the watchers, and waits for changes that are under way."""
        self._closing.set()
        if self._under_way:
            await asyncio.gather(*self._under_way, return_exceptions=True)

    async def GetCapabilities(
        self,
        request: pb.GetCapabilitiesRequest,
        context: _Context,
    ) -> pb.GetCapabilitiesResponse:
        mine = self._backend.capabilities
        return pb.GetCapabilitiesResponse(
            pool_id=mine.pool_id,
            technology=mine.technology,
            adapter_version=version("xisuan"),
            contract_version=CONTRACT_VERSION,
            runtimes=mine.runtimes,
            gangs=mine.gangs,
            logs=mine.logs,
            max_runtime=mine.max_runtime,
            max_batch=mine.max_batch,
            instance_id=self._journal.instance_id,
            enforces=mine.enforces,
        )

    async def ListNodes(self, request: pb.ListNodesRequest, context: _Context) -> pb.ListNodesResponse:
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

    async def List(self, request: pb.ListRequest, context: _Context) -> pb.ListResponse:
        async with Answering(context):
            # Every page names the cursor of the first: what changes while the pages are read is watched for.
            after, first_cursor = cut_token(request.page_token)
            cursor = first_cursor or self._journal.cursor
            try:
                page = await self._backend.runs(after, page_size(request.page_size))
            except ValueError as error:
                raise unknown_token(request.page_token) from error
            return pb.ListResponse(
                runs=[report_to_wire(report) for report in page.items],
                next_page_token=make_token(page.next_key, cursor),
                cursor=cursor,
            )

    async def Inspect(self, request: pb.InspectRequest, context: _Context) -> pb.InspectResponse:
        async with Answering(context):
            return pb.InspectResponse(status=report_to_wire(await self._known(request.run_id)))

    async def Launch(self, request: pb.LaunchRequest, context: _Context) -> pb.LaunchResponse:
        async with Answering(context):
            self._inspect_batch(request.epoch, len(request.items))
            return await self._to_the_end(self._launch(request))

    async def Stop(self, request: pb.StopRequest, context: _Context) -> pb.StopResponse:
        async with Answering(context):
            self._inspect_batch(request.epoch, len(request.items))
            return await self._to_the_end(self._stop(request))

    async def Watch(self, request: pb.WatchRequest, context: _Context) -> AsyncIterator[pb.WatchResponse]:
        async with Answering(context):
            cursor = request.cursor or self._journal.oldest_cursor
            # The first response comes at once, with or without changes: the watcher knows that it is connected.
            changes = self._read(cursor)
            while not self._closing.is_set():
                yield pb.WatchResponse(
                    cursor=changes.cursor,
                    runs=[report_to_wire(report) for report in changes.reports],
                    nodes_changed=changes.nodes_changed,
                )
                await self._wait_beyond(changes.cursor)
                changes = self._read(changes.cursor)
            raise CallFailed(
                Failure(
                    grpc.StatusCode.UNAVAILABLE,
                    "适配器正在停止，请稍后从原游标继续 / the adapter is stopping: go on from your cursor later",
                    retry_after_ms=1000,
                )
            )

    async def Logs(self, request: pb.LogsRequest, context: _Context) -> AsyncIterator[pb.LogsResponse]:
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
            await self._known(request.run_id)
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

    async def _to_the_end(self, change: Coroutine[Any, Any, _Result]) -> _Result:
        """Runs a change to its end even if the caller goes away: half a change is one that nobody reports."""
        task = asyncio.create_task(change)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        try:
            return await asyncio.shield(task)
        except (BackendFailed, OSError) as error:
            self._journal.fail(f"{type(error).__name__}: {error}")
            raise CallFailed(
                Failure(
                    grpc.StatusCode.UNAVAILABLE,
                    f"{error}: 适配器无法保存其状态，正在退出；重启后请重复此调用 / "
                    f"the adapter cannot keep its state and ends: repeat this call when it is back",
                )
            ) from error

    def _admit(self, epoch: int) -> None:
        try:
            self._fence.admit(epoch)
        except StaleEpoch as error:
            raise CallFailed(
                Failure(grpc.StatusCode.FAILED_PRECONDITION, str(error), reason=STALE_EPOCH)
            ) from error

    async def _launch(self, request: pb.LaunchRequest) -> pb.LaunchResponse:
        async with self._changing:
            self._admit(request.epoch)
            launches: list[Launch] = []
            results: list[pb.LaunchResult | None] = []
            for i, item in enumerate(request.items):
                try:
                    launches.append(launch_from_wire(item, f"items[{i}]"))
                    results.append(None)
                except InvalidMessage as error:
                    results.append(pb.LaunchResult(run_id=item.run_id, error=invalid_item(error)))
            outcomes = iter(await self._backend.launch(launches) if launches else ())
            return pb.LaunchResponse(results=[result or _launch_result(next(outcomes)) for result in results])

    async def _stop(self, request: pb.StopRequest) -> pb.StopResponse:
        async with self._changing:
            self._admit(request.epoch)
            stops: list[Stop] = []
            results: list[pb.StopResult | None] = []
            for i, item in enumerate(request.items):
                try:
                    stops.append(stop_from_wire(item, f"items[{i}]"))
                    results.append(None)
                except InvalidMessage as error:
                    results.append(pb.StopResult(run_id=item.run_id, error=invalid_item(error)))
            reports: Sequence[RunReport] = await self._backend.stop(stops) if stops else ()
            outcomes = iter(reports)
            return pb.StopResponse(results=[result or _stop_result(next(outcomes)) for result in results])

    # -- reading ------------------------------------------------------------------------------------------------

    async def _known(self, run_id: str) -> RunReport:
        report = await self._backend.inspect(run_id)
        if report is None:
            raise CallFailed(
                Failure(
                    grpc.StatusCode.NOT_FOUND,
                    f"run_id = {run_id[:128]!r}: 该池没有此运行 / this pool has never heard of this run",
                )
            )
        return report

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


def _launch_result(outcome: RunReport | Refusal) -> pb.LaunchResult:
    if isinstance(outcome, Refusal):
        return pb.LaunchResult(run_id=outcome.run_id, error=refusal_to_wire(outcome))
    return pb.LaunchResult(run_id=outcome.run_id, accepted=report_to_wire(outcome))


def _stop_result(report: RunReport) -> pb.StopResult:
    return pb.StopResult(run_id=report.run_id, status=report_to_wire(report))

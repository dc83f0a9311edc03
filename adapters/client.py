"""The scheduler's side of the adapter contract over gRPC: an `AdapterPort` for any endpoint.

Pool hosts hold one client for each pool; gateways open one to read logs. Transport failures become
`AdapterUnavailable` (the outcome is unknown, the call may be repeated), contract errors become their own types.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc

from adapters.contract import (
    CONTRACT_VERSION,
    OLDEST_CONTRACT_VERSION,
    TIME_KEY,
    Capabilities,
    Launch,
    Refusal,
    Reservation,
    RunReport,
    StartEstimate,
    Stop,
    VersionAnswer,
)
from adapters.port import (
    AdapterMisbehaved,
    AdapterUnavailable,
    CapabilityMissing,
    CursorExpired,
    NodeList,
    RunList,
    StaleEpoch,
    WatchBatch,
)
from adapters.tracing import launch_metadata
from adapters.wire.capabilities import capabilities_from_wire, version_from_wire
from adapters.wire.inspection import InvalidMessage
from adapters.wire.launch_batches import launches_to_wire
from adapters.wire.launches import (
    launch_to_wire,
    refusal_from_wire,
    report_from_wire,
    result_from_wire,
    stop_to_wire,
)
from adapters.wire.pools import node_from_wire
from adapters.wire.reservations import estimate_from_wire, reservation_to_wire, reserve_result_from_wire
from adapters.wire.scalars import timestamp_to_wire
from adapters.wire.status import CURSOR_EXPIRED, STALE_EPOCH, details_of
from xisuan.pool.v1 import pool_adapter_service_pb2 as pb
from xisuan.pool.v1.pool_adapter_service_pb2_grpc import PoolAdapterServiceStub

CALL_TIMEOUT_S = 10.0
# Begins the endpoint of an adapter that serves over TLS.
SECURE = "grpcs://"
_OPTIONS = (
    ("grpc.max_receive_message_length", 64 * 1024 * 1024),
    # A peer that is gone without a word (a cut line) is noticed by the channel, not only by our own timeouts.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    # Endpoints are addresses of pools, never to be reached through a proxy of the machine.
    ("grpc.enable_http_proxy", 0),
)


@dataclass(frozen=True, slots=True)
class ClientTls:
    """PEM files: the authority of adapters, and the certificate by which they know the scheduler."""

    ca: Path
    certificate: Path
    key: Path

    def credentials(self) -> grpc.ChannelCredentials:
        """Raises OSError."""
        return grpc.ssl_channel_credentials(
            self.ca.read_bytes(), self.key.read_bytes(), self.certificate.read_bytes()
        )


class AdapterClient:
    """One channel to one adapter: `host:port` in the clear, or `grpcs://host:port` over TLS, for which `tls` is needed.
    All methods belong to one event loop."""

    def __init__(self, endpoint: str, tls: ClientTls | None = None) -> None:
        self._endpoint = endpoint
        target = endpoint.removeprefix(SECURE)
        if target == endpoint:
            self._channel = grpc.aio.insecure_channel(target, options=_OPTIONS)
        else:
            # Without certificates of ours the adapter refuses the connection, and that is what callers hear.
            secure = grpc.ssl_channel_credentials() if tls is None else tls.credentials()
            self._channel = grpc.aio.secure_channel(target, secure, options=_OPTIONS)
        self._stub = PoolAdapterServiceStub(self._channel)
        self._closed = False

    async def version(self) -> VersionAnswer:
        """What the adapter speaks. Raises AdapterMisbehaved where we have no version in common."""
        with self._translated():
            answer = version_from_wire(await self._stub.GetVersion(pb.GetVersionRequest(), timeout=CALL_TIMEOUT_S))
        if answer.newest < OLDEST_CONTRACT_VERSION or answer.oldest > CONTRACT_VERSION:
            raise AdapterMisbehaved(
                f"{self._endpoint}: 契约版本 {answer.oldest}–{answer.newest}，本端支持 "
                f"{OLDEST_CONTRACT_VERSION}–{CONTRACT_VERSION}；请升级其一 / speaks contract versions "
                f"{answer.oldest} to {answer.newest}, we {OLDEST_CONTRACT_VERSION} to {CONTRACT_VERSION}: upgrade one"
            )
        return answer

    async def clock_ahead_ms(self, now_ms: Callable[[], int]) -> int | None:
        """How far the adapter's clock is ahead of `now_ms`, half the round trip off; None where it does not tell."""
        with self._translated():
            asked_ms = now_ms()
            call = self._stub.GetVersion(pb.GetVersionRequest(), timeout=CALL_TIMEOUT_S)
            told: dict[str, str | bytes] = dict(await call.initial_metadata() or ())
            answered_ms = now_ms()
            await call
        said = str(told.get(TIME_KEY, ""))
        return int(said) - (asked_ms + answered_ms) // 2 if said.isdecimal() else None

    async def renew_leases(self, epoch: int, now_ms: int) -> list[str]:
        """Renews every lease at the pool; returns the runs whose lease had expired. Raises StaleEpoch."""
        request = pb.RenewLeasesRequest(epoch=epoch, sent_at=timestamp_to_wire(now_ms))
        with self._translated():
            answer = await self._stub.RenewLeases(request, timeout=CALL_TIMEOUT_S)
            return list(answer.expired_run_ids)

    async def suspend(self, epoch: int, run_ids: Sequence[str]) -> list[RunReport | Refusal]:
        """A result per item. Raises StaleEpoch, and CapabilityMissing where the pool cannot suspend."""
        with self._translated():
            answer = await self._stub.Suspend(
                pb.SuspendRequest(epoch=epoch, run_ids=run_ids), timeout=CALL_TIMEOUT_S
            )
            return _change_results(answer.results, run_ids)

    async def resume(self, epoch: int, run_ids: Sequence[str]) -> list[RunReport | Refusal]:
        """The opposite of `suspend`, with the same errors."""
        with self._translated():
            answer = await self._stub.Resume(
                pb.ResumeRequest(epoch=epoch, run_ids=run_ids), timeout=CALL_TIMEOUT_S
            )
            return _change_results(answer.results, run_ids)

    async def estimate_starts(self, launches: Sequence[Launch]) -> list[StartEstimate | Refusal]:
        """When each would start. Raises CapabilityMissing where the pool cannot tell."""
        request = pb.EstimateStartsRequest(items=[launch_to_wire(launch) for launch in launches])
        with self._translated():
            answer = await self._stub.EstimateStarts(request, timeout=CALL_TIMEOUT_S)
            _require_one_each([one.run_id for one in answer.estimates], [item.run_id for item in launches])
            return [estimate_from_wire(one) for one in answer.estimates]

    async def reserve(self, epoch: int, reservations: Sequence[Reservation]) -> list[Reservation | Refusal]:
        """A result per item. Raises StaleEpoch, and CapabilityMissing where the pool holds no reservations."""
        request = pb.ReserveRequest(epoch=epoch, items=[reservation_to_wire(one) for one in reservations])
        with self._translated():
            answer = await self._stub.Reserve(request, timeout=CALL_TIMEOUT_S)
            _require_one_each(
                [one.reservation_id for one in answer.results], [one.reservation_id for one in reservations]
            )
            return [reserve_result_from_wire(one) for one in answer.results]

    async def capabilities(self) -> Capabilities:
        with self._translated():
            answer = await self._stub.GetCapabilities(pb.GetCapabilitiesRequest(), timeout=CALL_TIMEOUT_S)
            return capabilities_from_wire(answer)

    async def nodes(self) -> NodeList:
        nodes = []
        token = ""
        with self._translated():
            while True:
                page = await self._stub.ListNodes(pb.ListNodesRequest(page_token=token), timeout=CALL_TIMEOUT_S)
                nodes += [node_from_wire(node) for node in page.nodes]
                token = page.next_page_token
                if not token:
                    return NodeList(tuple(nodes), page.shared_disk_bytes)

    async def runs(self) -> RunList:
        runs: list[RunReport] = []
        token = cursor = ""
        with self._translated():
            while True:
                page = await self._stub.List(pb.ListRequest(page_token=token), timeout=CALL_TIMEOUT_S)
                runs += [report_from_wire(status) for status in page.runs]
                cursor = cursor or page.cursor
                token = page.next_page_token
                if not token:
                    return RunList(tuple(runs), cursor)

    async def watch(self, cursor: str) -> AsyncIterator[WatchBatch]:
        with self._translated():
            async for message in self._stub.Watch(pb.WatchRequest(cursor=cursor)):
                runs = tuple(report_from_wire(status) for status in message.runs)
                yield WatchBatch(message.cursor, runs, message.nodes_changed)

    async def launch(self, epoch: int, launches: Sequence[Launch]) -> list[RunReport | Refusal]:
        request = launches_to_wire(launches)
        request.epoch = epoch
        with self._translated():
            traces = launch_metadata(item.run_id for item in launches) or None
            answer = await self._stub.Launch(request, timeout=CALL_TIMEOUT_S, metadata=traces)
            _require_one_each([result.run_id for result in answer.results], [item.run_id for item in launches])
            return [result_from_wire(result) for result in answer.results]

    async def stop(self, epoch: int, stops: Sequence[Stop]) -> list[RunReport | Refusal]:
        request = pb.StopRequest(epoch=epoch, items=[stop_to_wire(stop) for stop in stops])
        with self._translated():
            answer = await self._stub.Stop(request, timeout=CALL_TIMEOUT_S)
            _require_one_each([result.run_id for result in answer.results], [item.run_id for item in stops])
            return [
                report_from_wire(result.status)
                if result.HasField("status")
                else refusal_from_wire(result.run_id, result.error)
                for result in answer.results
            ]

    async def logs(self, run_id: str, offset: int, follow: bool) -> AsyncIterator[bytes]:
        """The output of a run from byte `offset` on. NOT_FOUND and UNIMPLEMENTED pass as `grpc.RpcError`."""
        async for message in self._stub.Logs(pb.LogsRequest(run_id=run_id, offset=offset, follow=follow)):
            yield message.chunk

    async def close(self) -> None:
        """Calls under way, and later ones, end with AdapterUnavailable."""
        self._closed = True
        await self._channel.close()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        if self._is_closed():
            raise self._gone()
        try:
            yield
        except asyncio.CancelledError as error:
            # gRPC cancels the calls of a channel that is closed. That is not the end of the task that made them.
            task = asyncio.current_task()
            if self._is_closed() and task is not None and not task.cancelling():
                raise self._gone() from error
            raise
        except InvalidMessage as error:
            raise AdapterMisbehaved(f"{self._endpoint}: {error}") from error
        except grpc.RpcError as error:
            failure = details_of(error)
            if failure.reason == STALE_EPOCH:
                raise StaleEpoch(failure.message) from error
            if failure.reason == CURSOR_EXPIRED:
                raise CursorExpired(failure.message) from error
            if failure.code is grpc.StatusCode.UNIMPLEMENTED:
                raise CapabilityMissing(f"{self._endpoint}: {failure.message}") from error
            said = failure.message.partition("\n")[0]  # gRPC's core may add a trace of its own source
            raise AdapterUnavailable(f"{self._endpoint}: {failure.code.name} {said}") from error

    def _is_closed(self) -> bool:
        """A call under way may find it otherwise than it was when it began."""
        return self._closed

    def _gone(self) -> AdapterUnavailable:
        return AdapterUnavailable(f"{self._endpoint}: 连接已关闭 / the connection was closed")


def _change_results(results: Sequence[pb.ChangeResult], run_ids: Sequence[str]) -> list[RunReport | Refusal]:
    _require_one_each([result.run_id for result in results], run_ids)
    return [
        report_from_wire(result.status)
        if result.HasField("status")
        else refusal_from_wire(result.run_id, result.error)
        for result in results
    ]


def _require_one_each(answered: Sequence[str], asked: Sequence[str]) -> None:
    if list(answered) != list(asked):
        raise AdapterMisbehaved(
            f"适配器须按序逐项作答 {len(asked)} 项，实际答了 {len(answered)} 项 / the adapter must answer the "
            f"{len(asked)} items in order, each once; it answered {len(answered)}"
        )

"""Lease expiry: a pool that hears nobody does with each run what its partition policy says, and no sooner."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace

import grpc

from adapters.conformance.busy_machines import patiently, too_busy
from adapters.conformance.programs import partition
from adapters.conformance.session import ENDED, RUNNING, STOPPED, Session, refusal_of, require
from adapters.conformance.spec import Broken, Need, Spec
from adapters.conformance.watching import cursor_now, watching
from xisuan.common.v1 import common_pb2
from xisuan.pool.v1 import pool_adapter_service_pb2 as pb

_SLACK_S = 0.3


async def _leased(
    s: Session, on_disconnect: common_pb2.OnDisconnect.ValueType = common_pb2.ON_DISCONNECT_STOP
) -> pb.LaunchItem:
    item = s.item()
    item.partition.CopyFrom(partition(s.lease_s, on_disconnect))
    await running_with_contact(s, item)
    return item


async def running_with_contact(s: Session, item: pb.LaunchItem) -> None:
    """Launches and waits until it runs, renewing all the while; the last contact is now."""
    lost_after_s = item.partition.lost_after.ToMilliseconds() / 1000
    heard = time.monotonic()
    await s.accepted(item)
    end = heard + s.options.patience_s
    longest_s = 0.0
    while True:
        await _renew(s)
        longest_s, heard = max(longest_s, time.monotonic() - heard), time.monotonic()
        status = await s.status(item.run_id)
        if status.lease_expired and longest_s > lost_after_s / 2:
            raise too_busy(longest_s)
        require(
            status.state not in ENDED and not status.lease_expired, "a run whose lease is renewed to start", status
        )
        if status.state == RUNNING:
            break
        require(time.monotonic() < end, "a run that starts", status)
        await asyncio.sleep(lost_after_s / 8)
    await _renew(s)


async def _renew(s: Session) -> pb.RenewLeasesResponse:
    answer: pb.RenewLeasesResponse = await s.stub.RenewLeases(pb.RenewLeasesRequest(epoch=s.epoch))
    return answer


async def _expires(s: Session, run_id: str) -> pb.RunStatus:
    """Waits, without a contact, until the lease has expired."""
    end = time.monotonic() + s.options.patience_s
    while not (status := await s.status(run_id)).lease_expired:
        require(time.monotonic() < end, "a lease that expires", status)
        await asyncio.sleep(0.05)
    return status


async def stops_by_itself(s: Session) -> None:
    item = await _leased(s)
    heard_ms = (await _renew(s)).now.ToMilliseconds()
    status = await s.until(item.run_id, {STOPPED})
    # By the adapter's own clock, as exact as it says: how late we look says nothing of when it acted.
    took_s = (status.ended_at.ToMilliseconds() - heard_ms + s.can.max_clock_skew.ToMilliseconds()) / 1000
    require(status.lease_expired, "lease_expired", status)
    require(bool(status.message), "a message that names the lease", status)
    require(took_s > s.lease_s - _SLACK_S, f"an end not before {s.lease_s:g} s", f"{took_s:.2f} s")


async def kept(s: Session) -> None:
    item = await _leased(s, common_pb2.ON_DISCONNECT_KEEP)
    status = await _expires(s, item.run_id)
    require(status.state == RUNNING, "a run that goes on", status)
    await _renew(s)
    require((await s.status(item.run_id)).lease_expired, "lease_expired for good", "it was forgotten")
    status = await s.stopped(item.run_id)
    require(status.lease_expired, "lease_expired in the end as well", status)


async def never(s: Session) -> None:
    item = s.item()
    await s.running(item)
    without = s.item()
    without.partition.on_disconnect = common_pb2.ON_DISCONNECT_STOP  # and no lost_after
    await s.running(without)
    await asyncio.sleep(s.lease_s + 1.0)
    for one in (item, without):
        status = await s.status(one.run_id)
        require(status.state == RUNNING and not status.lease_expired, "a run that is never given up", status)


async def _kept_alive_by(s: Session, contact: Callable[[], Awaitable[object]], *, alive: bool) -> None:
    item = await _leased(s)
    began = heard = time.monotonic()
    longest_s = 0.0
    while time.monotonic() < began + 2 * s.lease_s:
        await contact()
        longest_s, heard = max(longest_s, time.monotonic() - heard), time.monotonic()
        await asyncio.sleep(s.lease_s / 5)
    status = await s.status(item.run_id)
    if not alive:
        require(status.lease_expired, "a lease that this call does not renew to have expired", status)
        await s.until(item.run_id, {STOPPED})
    elif status.state != RUNNING or status.lease_expired:
        if longest_s > s.lease_s / 2:
            raise too_busy(longest_s)
        require(False, "a run whose lease is renewed to go on", status)


async def renewed(s: Session) -> None:
    await _kept_alive_by(s, lambda: _renew(s), alive=True)


async def renewed_by_changes(s: Session) -> None:
    await _kept_alive_by(s, s.stop, alive=True)
    await _kept_alive_by(s, s.launch, alive=True)


async def reading_is_no_contact(s: Session) -> None:
    async def read() -> None:
        await s.stub.GetVersion(pb.GetVersionRequest())
        await s.stub.GetCapabilities(pb.GetCapabilitiesRequest())
        await s.stub.List(pb.ListRequest(page_size=1))

    await _kept_alive_by(s, read, alive=False)


async def a_stale_leader_is_no_contact(s: Session) -> None:
    s.epoch += 1
    stale = s.epoch - 1

    async def renew_in_vain() -> None:
        failure = await refusal_of(s.stub.RenewLeases(pb.RenewLeasesRequest(epoch=stale)))
        require(failure.code is grpc.StatusCode.FAILED_PRECONDITION, "a stale leader refused", failure.code.name)

    await _kept_alive_by(s, renew_in_vain, alive=False)


async def told(s: Session) -> None:
    for on_disconnect in (common_pb2.ON_DISCONNECT_STOP, common_pb2.ON_DISCONNECT_KEEP):
        item = await _leased(s, on_disconnect)
        async with watching(s, await cursor_now(s)) as watcher:
            await watcher.until(
                lambda w, run_id=item.run_id: any(one.lease_expired for one in w.told(run_id)),  # type: ignore[misc]
                "the expiry told",
            )
        answer = await _renew(s)
        require(
            item.run_id in answer.expired_run_ids, "the run among expired_run_ids", list(answer.expired_run_ids)
        )


async def by_length(s: Session) -> None:
    """A short lease expires while a long one goes on."""
    long, short = s.item(), s.item()
    long.partition.CopyFrom(partition(3600))
    short.partition.CopyFrom(partition(s.lease_s))
    await s.running(long)
    await running_with_contact(s, short)
    await s.until(short.run_id, {STOPPED})
    status = await s.status(long.run_id)
    require(status.state == RUNNING and not status.lease_expired, "the longer lease to hold", status)


async def too_late(s: Session) -> None:
    """A contact after the expiry revives nothing: the run is stopped, and stays so."""
    item = await _leased(s)
    await _expires(s, item.run_id)
    await _renew(s)
    await s.until(item.run_id, {STOPPED})
    (result,) = await s.launch(item)
    if result.WhichOneof("outcome") == "accepted":
        require(result.accepted.state == STOPPED, "the run stopped for good", result)


async def cut_off(s: Session) -> None:
    """The whole line is down, not only the renewals: the pool acts all the same."""
    item = await _leased(s)
    s.proxy.faults.refuse = True
    s.proxy.cut()
    try:
        await asyncio.sleep(s.lease_s + 0.5)
    finally:
        s.proxy.faults.refuse = False
    await s.reconnected()
    status = await s.until(item.run_id, {STOPPED})
    if not status.lease_expired:
        raise Broken(f"expected lease_expired after a partition; saw {status.message}")


LEASES = (Need.LEASES,)
_SPECS = (
    Spec(
        "lease.stop",
        "A run that is to stop is stopped when its lease expires, and not before",
        "on_disconnect = stop：租约到期即停，不提前",
        stops_by_itself,
        LEASES,
    ),
    Spec(
        "lease.keep",
        "A run that is to be kept goes on, marked for good",
        "on_disconnect = keep：继续运行并留下标记",
        kept,
        LEASES,
    ),
    Spec(
        "lease.never",
        "A run without lost_after is never given up",
        "未给 lost_after 的运行永不放弃",
        never,
        LEASES,
    ),
    Spec("lease.renew", "A lease that is renewed does not expire", "续订的租约不到期", renewed, LEASES),
    Spec(
        "lease.change",
        "Launch and Stop are contacts too",
        "启动与停止也算联系",
        renewed_by_changes,
        LEASES,
    ),
    Spec("lease.read", "Reading is no contact", "读取不算联系", reading_is_no_contact, LEASES),
    Spec(
        "lease.stale",
        "A leader that has been replaced renews nothing",
        "旧领导不能续租",
        a_stale_leader_is_no_contact,
        LEASES,
    ),
    Spec(
        "lease.told",
        "Watchers and the next contact hear of the expiry",
        "到期会通知订阅者与下次联系",
        told,
        LEASES,
    ),
    Spec("lease.length", "Each lease has its own length", "各租约长短各自计算", by_length, LEASES),
    Spec(
        "lease.late",
        "A contact that comes too late revives nothing",
        "迟到的联系不能复活",
        too_late,
        LEASES,
    ),
    Spec("lease.cut", "A pool that is cut off acts by itself", "完全断线时池自行处置", cut_off, LEASES),
)
SPECS = tuple(replace(spec, run=patiently(spec.run)) for spec in _SPECS)

"""Clock skew: durations bind, timestamps inform, and the scheduler's clock decides nothing."""

from __future__ import annotations

import asyncio
import time

from google.protobuf.timestamp_pb2 import Timestamp

from adapters.conformance.busy_machines import patiently, too_busy
from adapters.conformance.programs import partition
from adapters.conformance.session import ENDED, RUNNING, STOPPED, SUCCEEDED, Session, require
from adapters.conformance.spec import Need, Spec
from xisuan.pool.v1 import pool_adapter_service_pb2 as pb

_HOUR_S = 3600
_SLACK_MS = 1500


async def _now_ms(s: Session) -> int:
    return int((await s.stub.GetVersion(pb.GetVersionRequest())).now.ToMilliseconds())


async def one_clock(s: Session) -> None:
    before_ms = await _now_ms(s)
    item = s.item(0.2)
    await s.accepted(item)
    status = await s.until(item.run_id, {SUCCEEDED})
    after_ms = await _now_ms(s)
    started_ms, ended_ms = status.started_at.ToMilliseconds(), status.ended_at.ToMilliseconds()
    require(started_ms <= ended_ms, "a start before the end", status)
    require(
        before_ms - _SLACK_MS <= started_ms and ended_ms <= after_ms + _SLACK_MS,
        f"times of the adapter's own clock, between {before_ms} and {after_ms}",
        f"{started_ms} and {ended_ms}",
    )


async def clock_goes(s: Session) -> None:
    first_ms = await _now_ms(s)
    await asyncio.sleep(0.5)
    second_ms = await _now_ms(s)
    require(second_ms > first_ms, "a clock that goes on", f"{first_ms}, then {second_ms}")


async def _skewed_renewals(s: Session, offset_s: int, *, seconds: float) -> tuple[str, float]:
    """Keeps a run for a while by renewals whose sent_at is wrong by `offset_s`; returns its id, and the longest time
    between two of them."""
    item = s.item()
    item.partition.CopyFrom(partition(s.lease_s))
    heard = time.monotonic()
    await s.accepted(item)
    end = heard + seconds
    longest_s = 0.0
    while time.monotonic() < end or (await s.status(item.run_id)).state not in (RUNNING, *ENDED):
        now_s = int(await _now_ms(s) / 1000)
        request = pb.RenewLeasesRequest(epoch=s.epoch, sent_at=Timestamp(seconds=now_s + offset_s))
        await s.stub.RenewLeases(request)
        longest_s, heard = max(longest_s, time.monotonic() - heard), time.monotonic()
        await asyncio.sleep(s.lease_s / 8)
        require(time.monotonic() < end + s.options.patience_s, "a run that starts", item.run_id)
    return item.run_id, longest_s


async def a_clock_that_is_slow(s: Session) -> None:
    run_id, longest_s = await _skewed_renewals(s, -_HOUR_S, seconds=2 * s.lease_s)
    status = await s.status(run_id)
    if status.lease_expired and longest_s > s.lease_s / 2:
        raise too_busy(longest_s)
    require(
        status.state == RUNNING and not status.lease_expired, "a lease that a slow clock does not shorten", status
    )


async def a_clock_that_is_fast(s: Session) -> None:
    run_id, _ = await _skewed_renewals(s, _HOUR_S, seconds=0.5)
    status = await s.until(run_id, {STOPPED})
    require(status.lease_expired, "a lease that a fast clock does not lengthen", status)


async def max_runtime_is_a_duration(s: Session) -> None:
    """max_runtime counts from the start on the adapter's side, not from any time of ours."""
    item = s.item(0.3)
    item.max_runtime.seconds = 60
    await s.accepted(item)
    status = await s.until(item.run_id, {SUCCEEDED})
    require(status.exit_code == 0, "a run well within its limit to succeed", status)


SPECS = (
    Spec(
        "clock.one",
        "The times of a run are of the adapter's own clock, the end after the start",
        "运行的时间出自适配器时钟，先始后终",
        one_clock,
        (Need.ENDS,),
    ),
    Spec("clock.goes", "The adapter's clock goes on", "适配器时钟向前走", clock_goes),
    Spec(
        "clock.slow",
        "A scheduler whose clock is an hour slow keeps its leases",
        "调度端时钟慢一小时，租约不缩短",
        patiently(a_clock_that_is_slow),
        (Need.LEASES,),
    ),
    Spec(
        "clock.fast",
        "A scheduler whose clock is an hour fast keeps no lease longer",
        "调度端时钟快一小时，租约不延长",
        a_clock_that_is_fast,
        (Need.LEASES,),
    ),
    Spec(
        "clock.duration",
        "A limit is a duration from the start",
        "时限自开始算起",
        max_runtime_is_a_duration,
        (Need.MAX_RUNTIME, Need.ENDS),
    ),
)

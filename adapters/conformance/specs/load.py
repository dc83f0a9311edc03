"""Load: launches at a rate that a busy pool sees, none of them lost, and watchers told soon."""

from __future__ import annotations

import asyncio
import time

from adapters.conformance.session import ENDED, Session, require
from adapters.conformance.spec import Broken, Need, Spec
from adapters.conformance.watching import Watcher, cursor_now, watching
from xisuan.pool.v1 import pool_adapter_service_pb2 as pb

_SECONDS = 3
_RESOURCE_EXHAUSTED, _UNAVAILABLE = 8, 14
LAG_S = 5.0


def promised_rate(s: Session) -> int:
    """What is asked: what the suite was told to ask, and no more than the pool promises."""
    return min(s.options.load_rate, s.can.launches_per_second or s.options.load_rate)


async def _launch_all(s: Session, items: list[pb.LaunchItem]) -> float:
    """Launches all, in batches, what is refused for want of room again; returns how long it took."""
    began = time.monotonic()
    end = began + s.options.patience_s
    waiting = items
    while waiting:
        require(time.monotonic() < end, "every launch accepted", f"{len(waiting)} of {len(items)} are not")
        batch, waiting = waiting[: s.can.max_batch], waiting[s.can.max_batch :]
        refused: list[pb.LaunchItem] = []
        for item, result in zip(batch, await s.launch(*batch), strict=True):
            if result.WhichOneof("outcome") == "error":
                if result.error.code not in (_RESOURCE_EXHAUSTED, _UNAVAILABLE):
                    raise Broken(f"expected {item.run_id} accepted; saw {result.error.message}")
                refused.append(item)
        if refused:
            await asyncio.sleep(0.05)
        waiting = refused + waiting
    return time.monotonic() - began


async def at_the_rate(s: Session) -> None:
    rate = promised_rate(s)
    items = [s.item(0.01) for _ in range(rate * _SECONDS)]
    for number, item in enumerate(items):
        item.nodes[:] = s.node(number)
    cursor = await cursor_now(s)
    took_s = await _launch_all(s, items)
    reached = len(items) / took_s
    require(reached >= rate, f"{rate} launches a second", f"{reached:.0f}: {len(items)} in {took_s:.2f} s")
    ids = {item.run_id for item in items}
    accepted_at = time.monotonic()

    def all_told(watcher: Watcher) -> bool:
        return ids <= {run.run_id for _, message in watcher.messages for run in message.runs}

    async with watching(s, cursor) as watcher:
        await watcher.until(all_told, "every launch told")
    lag_s = time.monotonic() - accepted_at
    require(lag_s < LAG_S, f"watchers told within {LAG_S:g} s", f"{lag_s:.1f} s")


async def none_is_lost(s: Session) -> None:
    count = promised_rate(s)
    items = [s.item(0.01) for _ in range(count)]
    for number, item in enumerate(items):
        item.nodes[:] = s.node(number)
    await _launch_all(s, items)
    ids = {item.run_id for item in items}
    end = time.monotonic() + s.options.patience_s + count / 10
    while True:
        listed = await s.listed()
        missing = ids - set(listed)
        require(not missing, "every run in List", f"{len(missing)} missing")
        left = [run_id for run_id in ids if listed[run_id].state not in ENDED]
        if not left:
            return
        require(time.monotonic() < end, "every run to end", f"{len(left)} have not")
        await asyncio.sleep(0.2)


SPECS = (
    Spec(
        "load.rate",
        "A hundred launches a second, or what the pool promises, are accepted, and told to watchers within seconds",
        "每秒接受一百个启动或该池所承诺之数，数秒内通知订阅者",
        at_the_rate,
        (Need.LOAD,),
    ),
    Spec(
        "load.lost",
        "Of a burst of launches none is lost, and all end",
        "突发启动一个不丢，全部结束",
        none_is_lost,
        (Need.LOAD, Need.ENDS),
    ),
)

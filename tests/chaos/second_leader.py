"""Another machine's control plane on the same store: `python -m tests.chaos.second_leader`, with XISUAN_STORE and
XISUAN_HOME set: its pools know the scheduler by the certificate in the home.

It stands by until the lease of the present leader has ended. It leads from the moment at which it prints its epoch, with
pool hosts of its own in its process, until it is deposed (exit code 3) or its standard input ends (exit code 0).
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from adapters.client import AdapterClient
from inventory.store.errors import StoreError
from scheduler.access.local import AccessFiles
from scheduler.access.transport import to_adapters
from scheduler.runtime.clock import SystemClock
from scheduler.runtime.control_plane import ControlPlane, ControlPlaneSettings
from scheduler.runtime.election import Election, ElectionClock
from scheduler.runtime.pool_host import PoolHost
from scheduler.runtime.pool_link import PoolReport
from scheduler.store.leader_lease import LeaseRow
from scheduler.store.opening import open_store
from scheduler.store.scheduler_store import SchedulerStore
from tests.chaos.schedule import LEASE_S

DEPOSED = 3
log = logging.getLogger("xisuan.second_leader")


async def main() -> int:
    planes: list[ControlPlane] = []
    ended = asyncio.Event()

    async def report(told: PoolReport) -> None:
        await planes[0].report(told)

    lease_ms = round(LEASE_S * 1000)
    store = SchedulerStore(open_store(os.environ["XISUAN_STORE"], idle_writer_ms=lease_ms))
    clock = ElectionClock(SystemClock().now_ms, time.monotonic)
    election = Election(LeaseRow(store.store.engine), "second-leader", lease_ms, clock, _deposed)
    settings = ControlPlaneSettings(actor="second-leader")
    tls = to_adapters(AccessFiles(Path(os.environ["XISUAN_HOME"]) / "access"))
    hosts = PoolHost(lambda endpoint: AdapterClient(endpoint, tls), report)
    plane = await _lead(election, lambda: ControlPlane(store, hosts, SystemClock(), settings, _deposed))
    election.epoch = plane.epoch
    planes.append(plane)
    plane.start()
    sys.stdout.write(f"{plane.epoch}\n")
    sys.stdout.flush()
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), ended.set)
    await ended.wait()
    await plane.close()
    await election.give_back()
    return 0


async def _lead(election: Election, begin: Callable[[], ControlPlane]) -> ControlPlane:
    """As soon as it may: a leader that is frozen within a transaction may hold the store's lock for a while."""
    while True:
        try:
            if await election.try_to_lead():
                return begin()
        except StoreError as error:
            log.warning("it is tried again: %s", error)
        await asyncio.sleep(election.look_every_s)


def _deposed() -> None:
    os._exit(DEPOSED)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))

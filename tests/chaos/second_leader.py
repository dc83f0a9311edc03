"""A second control plane on a store that has one: `python -m tests.chaos.second_leader`, with XISUAN_STORE and
XISUAN_HOME set: its pools know the scheduler by the certificate in the home.

It leads from the moment at which it prints its epoch, with pool hosts of its own in its process, until a newer leader
deposes it (exit code 3) or its standard input ends (exit code 0).
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from adapters.client import AdapterClient
from scheduler.access.local import AccessFiles
from scheduler.access.transport import to_adapters
from scheduler.runtime.clock import SystemClock
from scheduler.runtime.control_plane import ControlPlane, ControlPlaneSettings
from scheduler.runtime.pool_host import PoolHost
from scheduler.runtime.pool_link import PoolReport
from scheduler.store.opening import open_store
from scheduler.store.scheduler_store import SchedulerStore

DEPOSED = 3


async def main() -> int:
    planes: list[ControlPlane] = []
    ended = asyncio.Event()

    async def report(told: PoolReport) -> None:
        await planes[0].report(told)

    store = SchedulerStore(open_store(os.environ["XISUAN_STORE"]))
    settings = ControlPlaneSettings(actor="second-leader")
    tls = to_adapters(AccessFiles(Path(os.environ["XISUAN_HOME"]) / "access"))
    hosts = PoolHost(lambda endpoint: AdapterClient(endpoint, tls), report)
    plane = ControlPlane(store, hosts, SystemClock(), settings, lambda: os._exit(DEPOSED))
    planes.append(plane)
    plane.start()
    sys.stdout.write(f"{plane.epoch}\n")
    sys.stdout.flush()
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), ended.set)
    await ended.wait()
    await plane.close()
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))

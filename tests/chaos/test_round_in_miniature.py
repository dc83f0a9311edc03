"""A round without Ray, namespaces and processes: the same load, witnesses and judge on a control plane in this process.

It shows that load and judge agree with a service that keeps its promises through crashes of its leader and of an
adapter, and it runs with every change; `tests.chaos.rounds` does the same to the real service.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import grpc
import pytest

from adapters.client import AdapterClient
from adapters.sdk.changing import Memory
from adapters.sdk.fence import Fence
from adapters.sdk.journal import EventJournal
from adapters.sdk.leases import Clocks, LeaseBook
from inventory.model.pool import NodeGroup, Pool
from inventory.model.system import Architecture
from inventory.model.units import GIB, Resources
from scheduler.services.ports import Scheduling
from scheduler.services.server import UNGUARDED, Gateway, Ports
from tests.chaos import load as loads
from tests.chaos.checker import check
from tests.chaos.history import Call, Ended, History
from tests.chaos.load import Load
from tests.chaos.witness_pool import TECHNOLOGY, WitnessBackend, WitnessServicer, read_history
from tests.control_plane.site import Site, eventually
from tests.cycle.fakes import a_pool
from xisuan.client import Client
from xisuan.credentials import Credentials
from xisuan.pool.v1.pool_adapter_service_pb2_grpc import add_PoolAdapterServiceServicer_to_server

PATIENCE_S = 120.0


class Witness:
    """A witness pool's adapter in this process."""

    def __init__(self, pool_id: str, folder: Path) -> None:
        group = NodeGroup("node", 4, Architecture.X86_64, Resources(4_000, 16 * GIB))
        self.pool: Pool = a_pool(pool_id, adapter=TECHNOLOGY, node_groups=(group,))
        self.state_dir = folder / pool_id
        self.state_dir.mkdir()
        self.port = 0

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        clocks = Clocks(lambda: int(loop.time() * 1000), lambda: int(loop.time() * 1000))
        self._backend = WitnessBackend(self.pool, self.state_dir)
        journal = EventJournal(f"{self.pool.pool_id}-{loop.time()}")
        memory = Memory(Fence(self.state_dir / "epoch"), LeaseBook(self.state_dir, clocks))
        self._servicer = WitnessServicer(self._backend, journal, memory)
        await self._backend.start(journal)
        await self._servicer.start()
        self._server = grpc.aio.server()
        add_PoolAdapterServiceServicer_to_server(self._servicer, self._server)
        self.port = self._server.add_insecure_port(f"127.0.0.1:{self.port}")
        await self._server.start()

    async def crash(self) -> None:
        """Its memory is gone; its journal, and what runs, are not."""
        await self._server.stop(0)
        await self._servicer.close()
        await self._backend.close()


class CurrentLeader:
    """The control plane that leads now, whichever that is."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def __getattr__(self, name: str) -> Any:
        return getattr(self._site.plane, name)


class Miniature:
    def __init__(self, folder: Path) -> None:
        self.loop = asyncio.new_event_loop()
        self.site = Site(folder, AdapterClient)
        self.witnesses = [Witness(pool_id, folder) for pool_id in ("near-a", "far-a")]
        self.address = ""

    def do(self, what: Coroutine[Any, Any, Any]) -> Any:
        """From another thread than the loop's."""
        return asyncio.run_coroutine_threadsafe(what, self.loop).result(PATIENCE_S)

    async def start(self) -> None:
        self.site.start()
        for witness in self.witnesses:
            await witness.start()
            await self.site.register(witness.pool, f"127.0.0.1:{witness.port}")
        leader = CurrentLeader(self.site)
        others: Any = None  # nothing of this round calls them
        ports = Ports(cast(Scheduling, leader), others, others, others, others, others)
        self._gateway = Gateway(ports, UNGUARDED)
        self.address = f"127.0.0.1:{await self._gateway.start('127.0.0.1', 0)}"

    async def until_the_leader_acts(self) -> None:
        await eventually(lambda: self.site.plane.epoch in self.epochs(), "the leader acts")

    def epochs(self) -> set[int]:
        """Of the leaders whose calls have reached a pool."""
        pools = [read_history(one.pool, one.state_dir) for one in self.witnesses]
        return {entry.epoch for pool in pools for entry in pool.entries if isinstance(entry, Call)}

    async def close(self) -> None:
        await self._gateway.close()
        await self.site.close()
        for witness in self.witnesses:
            await witness.crash()

    def connect(self, patience_s: float) -> Client:
        return Client(self.address, patience_s=patience_s, credentials=Credentials())


@contextmanager
def running(folder: Path) -> Iterator[Miniature]:
    miniature = Miniature(folder)
    thread = threading.Thread(target=miniature.loop.run_forever)
    thread.start()
    try:
        miniature.do(miniature.start())
        yield miniature
        miniature.do(miniature.close())
    finally:
        miniature.loop.call_soon_threadsafe(miniature.loop.stop)
        thread.join()
        miniature.loop.close()


async def faults(miniature: Miniature) -> None:
    """Each when the leader has begun to act."""
    await miniature.until_the_leader_acts()
    await miniature.site.restart(keep_host=False)
    await miniature.until_the_leader_acts()
    await miniature.witnesses[0].crash()
    await asyncio.sleep(0.2)
    await miniature.witnesses[0].start()
    await miniature.site.restart(keep_host=True)
    await miniature.until_the_leader_acts()
    await asyncio.sleep(0.5)


@pytest.mark.faults
def test_load_and_judge_agree_with_a_service_that_crashes_and_keeps_its_promises(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loads, "LOAD_S", PATIENCE_S)  # until it is told to stop
    monkeypatch.setattr(loads, "FAR", ("far-a",))
    with running(tmp_path) as miniature:
        load = Load(1, miniature.connect)
        load.start()
        miniature.do(faults(miniature))
        load.stop()
        load.finish()
        history = History(
            asked=load.asked,
            acknowledged=tuple(load.acknowledged),
            cancelled=frozenset(load.cancelled),
            refusals=tuple(load.refusals),
            watched=tuple(watcher.watched() for watcher in load.watchers),
            stored=load.stored(),
            pools=tuple(read_history(one.pool, one.state_dir) for one in miniature.witnesses),
        )
    assert [str(violation) for violation in check(history)] == []
    assert len(history.stored) > 20
    assert miniature.epochs() == {1, 2, 3}
    ends = [entry for pool in history.pools for entry in pool.entries if isinstance(entry, Ended)]
    assert {entry.state for entry in ends} >= {"succeeded", "failed"}

"""Inside the sdk: callers that go away, silence, an adapter that stops, a backend that cannot keep its state."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn, cast

import grpc
import pytest

from adapters.contract import BackendFailed, Capabilities, EventSink, Launch, Page, Refusal, RunReport, Stop
from adapters.sdk.changing import Memory
from adapters.sdk.fence import Fence
from adapters.sdk.journal import EventJournal
from adapters.sdk.leases import Clocks, LeaseBook
from adapters.sdk.servicer import AdapterServicer
from adapters.wire.launches import launch_to_wire
from adapters.wire.status import details_of
from inventory.model.pool import Node
from inventory.model.units import Resources
from inventory.model.workload import Program, Requirements, RunState
from tests.adapters.adapter_process import PATIENCE_S, AdapterProcess, new_run_id
from xisuan.pool.v1 import pool_adapter_service_pb2 as pb


class SlowBackend:
    """A backend that takes its time to launch, notes whether two changes overlap, and can be made to fail."""

    capabilities = Capabilities("p", "slow", ("process",))
    shared_disk_bytes = 0

    def __init__(self, events: EventSink) -> None:
        self._events = events
        self.gate = asyncio.Event()
        self.entered = asyncio.Event()
        self.inside = self.most_inside = 0
        self.failing = False
        self.launched: list[str] = []

    async def start(self, events: EventSink) -> None:
        self._events = events

    async def close(self) -> None:
        self.gate.set()

    async def launch(self, launches: Sequence[Launch]) -> Sequence[RunReport | Refusal]:
        self.inside += 1
        self.most_inside = max(self.most_inside, self.inside)
        self.entered.set()
        await self.gate.wait()
        self.inside -= 1
        if self.failing:
            raise BackendFailed("disk full")
        reports = [RunReport(launch.run_id, RunState.STARTING, launch.nodes) for launch in launches]
        self.launched += [report.run_id for report in reports]
        self._events.publish(reports)
        return reports

    async def stop(self, stops: Sequence[Stop]) -> Sequence[RunReport]:
        return [RunReport(stop.run_id, RunState.STOPPED) for stop in stops]

    async def inspect(self, run_id: str) -> RunReport | None:
        return None

    async def runs(self, after: str, limit: int) -> Page[RunReport]:
        return Page([])

    async def nodes(self, after: str, limit: int) -> Page[Node]:
        return Page([])


class Refused(Exception):
    """What the context of a call raises when the call is ended with a status."""


class Context:
    async def abort_with_status(self, status: Any) -> NoReturn:
        raise Refused(status.code.name)


CONTEXT = cast("grpc.aio.ServicerContext[Any, Any]", Context())


class Scene:
    """A servicer over a slow backend, without a network."""

    def __init__(self, folder: Path) -> None:
        self.journal = EventJournal("i")
        self.backend = SlowBackend(self.journal)
        leases = LeaseBook(folder, Clocks(lambda: time.monotonic_ns() // 1_000_000, lambda: 0))
        memory = Memory(Fence(folder / "epoch"), leases)
        self.servicer = AdapterServicer(self.backend, self.journal, memory, heartbeat_s=0.02)

    def launching(self, run_id: str, epoch: int = 1) -> asyncio.Task[pb.LaunchResponse]:
        item = launch_to_wire(
            Launch(run_id, "w", "n", Requirements(Resources(1, 1)), Program(("true",)), ("node",))
        )
        return asyncio.create_task(self.servicer.Launch(pb.LaunchRequest(epoch=epoch, items=[item]), CONTEXT))


def test_a_launch_whose_caller_goes_away_is_done_to_the_end_and_reported(tmp_path: Path) -> None:
    async def story() -> None:
        scene = Scene(tmp_path)
        call = scene.launching("r1")
        await scene.backend.entered.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        scene.backend.gate.set()
        await scene.servicer.close()
        assert scene.backend.launched == ["r1"]
        assert [r.run_id for r in scene.journal.read(scene.journal.oldest_cursor).reports] == ["r1"]

    asyncio.run(story())


def test_changes_never_overlap_and_an_old_leader_waits_its_turn_to_be_refused(tmp_path: Path) -> None:
    async def story() -> None:
        scene = Scene(tmp_path)
        old = scene.launching("of-the-old-leader", epoch=1)
        await scene.backend.entered.wait()
        new = scene.launching("of-the-new-leader", epoch=2)
        late = scene.launching("too-late", epoch=1)
        await asyncio.sleep(0)
        scene.backend.gate.set()
        await old
        await new
        with pytest.raises(Refused, match="FAILED_PRECONDITION"):
            await late
        assert scene.backend.launched == ["of-the-old-leader", "of-the-new-leader"]
        assert scene.backend.most_inside == 1

    asyncio.run(story())


def test_a_silent_pool_gives_signs_of_life_and_says_when_it_stops(tmp_path: Path) -> None:
    async def story() -> None:
        scene = Scene(tmp_path)
        responses = scene.servicer.Watch(pb.WatchRequest(), CONTEXT)
        for _ in range(3):
            assert await anext(responses) == pb.WatchResponse(cursor=scene.journal.cursor)
        await scene.servicer.close()
        with pytest.raises(Refused, match="UNAVAILABLE"):
            await anext(responses)

    asyncio.run(story())


def test_a_backend_that_cannot_keep_its_state_ends_the_adapter_and_the_caller_repeats(tmp_path: Path) -> None:
    async def story() -> None:
        scene = Scene(tmp_path)
        scene.backend.failing = True
        scene.backend.gate.set()
        with pytest.raises(Refused, match="UNAVAILABLE"):
            await scene.launching("r1")
        assert scene.journal.failed.is_set()
        assert "disk full" in scene.journal.failure

    asyncio.run(story())


@pytest.mark.faults
def test_a_simulated_pool_that_cannot_write_ends_and_a_restart_recovers(tmp_path: Path) -> None:
    adapter = AdapterProcess("simulated", tmp_path / "adapter")
    adapter.start()
    fates = adapter.state_dir / "fates.jsonl"
    fates.unlink()
    fates.mkdir()  # what is written now fails, as on a full disk
    run_id = new_run_id()
    with pytest.raises(grpc.RpcError) as error:
        adapter.launch(adapter.launching(run_id))
    assert details_of(error.value).code is grpc.StatusCode.UNAVAILABLE
    adapter.channel.close()
    assert adapter.process.wait(PATIENCE_S) == 1
    fates.rmdir()
    adapter.start()
    (result,) = adapter.launch(adapter.launching(run_id, 0))
    assert result.WhichOneof("outcome") == "accepted"
    adapter.ending(run_id)
    assert adapter.stop() == 0

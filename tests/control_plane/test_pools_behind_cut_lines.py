"""Real processes of local adapters behind a line that is cut: at most one run of a workload is effective."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from adapters.client import AdapterClient
from adapters.conformance.proxy import FaultProxy, Faults
from inventory.model.partition import OnDisconnect, OnReconnect, PartitionPolicy
from inventory.model.workload import Program, RunState, WorkloadState
from scheduler.runtime import control_plane
from tests.adapters.adapter_process import AdapterProcess, declared_pool
from tests.adapters.adapter_process import running as adapter_running
from tests.control_plane.site import Site, eventually, running, story
from tests.lifecycle.bookkeeping import submission

LOST, RUNNING, PREEMPTED = RunState.LOST, RunState.RUNNING, RunState.PREEMPTED
LOST_AFTER_MS = 2_000
# Whoever finds the folder finds another run at work, and says so.
ALONE = 'mkdir "$1/work" || echo overlap >> "$1/overlaps"; trap "rmdir $1/work; exit 0" TERM; sleep 600 & wait'


@pytest.fixture
def near(tmp_path: Path) -> Iterator[AdapterProcess]:
    with adapter_running(AdapterProcess("local", tmp_path / "near")) as adapter:
        yield adapter


@pytest.fixture
def far(tmp_path: Path) -> Iterator[AdapterProcess]:
    pool = replace(declared_pool("local"), pool_id="far-pool")
    with adapter_running(AdapterProcess("local", tmp_path / "far", pool=pool)) as adapter:
        yield adapter


@asynccontextmanager
async def behind_a_line(adapter: AdapterProcess) -> AsyncIterator[FaultProxy]:
    line = FaultProxy(adapter.endpoint)
    await line.start()
    try:
        yield line
    finally:
        await line.close()


async def run_far_then_cut(site: Site, line: FaultProxy, near: AdapterProcess, policy: PartitionPolicy) -> str:
    """A workload that runs in the far pool when its line is cut; the near pool is there to take it."""
    await site.register(replace(declared_pool("local"), pool_id="far-pool"), line.endpoint)
    program = Program(("sh", "-c", ALONE, "alone", str(near.folder.parent)))
    (asked,) = await site.submit(submission("a", program=program, partition=policy))
    await site.until_run(asked, RUNNING)
    await eventually((near.folder.parent / "work").exists, "it works")
    await site.register(declared_pool("local"), near.endpoint)
    line.faults = Faults(refuse=True)
    line.cut()
    return asked


async def state_at(adapter: AdapterProcess, run_id: str) -> RunState:
    return await asyncio.to_thread(adapter.state, run_id)


@story
async def test_two_processes_never_work_at_once_where_the_pool_stops_what_it_cannot_hear_of(
    tmp_path: Path, near: AdapterProcess, far: AdapterProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control_plane, "ENDING_MS", 6_000)
    policy = PartitionPolicy(LOST_AFTER_MS, OnDisconnect.STOP)
    async with running(Site(tmp_path, AdapterClient)) as site, behind_a_line(far) as line:
        asked = await run_far_then_cut(site, line, near, policy)
        await site.until_run(asked, LOST, RUNNING)
        await eventually((tmp_path / "work").exists, "the replacement works")
        assert await state_at(far, f"{asked}.1") is RunState.STOPPED
        line.mend()
        await site.until_health("far-pool", "ready")
        assert await site.runs(asked) == [LOST, RUNNING]
        assert not (tmp_path / "overlaps").exists()
        await site.plane.cancel(asked, "done")
        await site.until(WorkloadState.CANCELLED, [asked])


@pytest.mark.parametrize("keeps", list(OnReconnect))
@story
async def test_one_of_two_processes_is_stopped_when_the_line_is_mended(
    tmp_path: Path, near: AdapterProcess, far: AdapterProcess, keeps: OnReconnect
) -> None:
    policy = PartitionPolicy(LOST_AFTER_MS, OnDisconnect.KEEP, keeps)
    async with running(Site(tmp_path, AdapterClient)) as site, behind_a_line(far) as line:
        asked = await run_far_then_cut(site, line, near, policy)
        await site.until_run(asked, LOST, RUNNING)
        line.mend()
        if keeps is OnReconnect.KEEP_ORIGINAL:
            await site.until_run(asked, RUNNING, PREEMPTED)
            left, ended = (far, 1), (near, 2)
        else:
            left, ended = (near, 2), (far, 1)

        async def is_stopped() -> bool:
            return await state_at(ended[0], f"{asked}.{ended[1]}") is RunState.STOPPED

        await eventually(is_stopped, "one of the two is stopped")
        assert await state_at(left[0], f"{asked}.{left[1]}") is RUNNING

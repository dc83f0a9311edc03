"""Control plane and adapters as real processes over gRPC, killed without warning."""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from adapters.client import AdapterClient
from adapters.port import AdapterUnavailable
from inventory.model.workload import Program, RunState, WorkloadState
from inventory.store.engine import open_engine
from inventory.store.event_store import Store
from inventory.store.ledger.projection import LEDGER_PROJECTION
from inventory.store.verify import verify
from scheduler.store.projection import SCHEDULER
from scheduler.store.scheduler_store import SchedulerStore
from tests.adapters.adapter_process import AdapterProcess
from tests.adapters.adapter_process import running as adapter_running
from tests.control_plane.site import Site, running, story
from tests.lifecycle.bookkeeping import submission

SUCCEEDED, FAILED = WorkloadState.SUCCEEDED, WorkloadState.FAILED


@pytest.fixture
def simulated(tmp_path: Path) -> Iterator[AdapterProcess]:
    with adapter_running(AdapterProcess("simulated", tmp_path / "adapter")) as adapter:
        yield adapter


@pytest.fixture
def local(tmp_path: Path) -> Iterator[AdapterProcess]:
    with adapter_running(AdapterProcess("local", tmp_path / "adapter")) as adapter:
        yield adapter


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path, AdapterClient)


def launches(adapter: AdapterProcess) -> Counter[str]:
    """How often each run was started, by the adapter's own record: one line a decision, and none was stopped."""
    (record,) = [path for path in adapter.state_dir.iterdir() if path.suffix == ".jsonl"]
    lines = record.read_text(encoding="utf-8").splitlines()
    return Counter(json.loads(line)[0] for line in lines)


@story
async def test_a_burst_over_grpc_completes(site: Site, simulated: AdapterProcess) -> None:
    async with running(site):
        await site.register(simulated.pool, simulated.endpoint)
        ids = await site.submit(*(submission(f"k{i}", estimated_ms=10) for i in range(300)))
        await site.until(SUCCEEDED, ids)
        status = await site.pool(simulated.pool.pool_id)
        assert status.free == status.allocatable


@story
async def test_programs_of_the_local_pool_run_and_their_exit_codes_come_back(
    site: Site, local: AdapterProcess
) -> None:
    async with running(site):
        await site.register(local.pool, local.endpoint)
        fine, bad = await site.submit(
            submission("fine", program=Program(("sh", "-c", "echo $WORD"), None, {"WORD": "你好"})),
            submission("bad", program=Program(("sh", "-c", "exit 3"))),
        )
        await site.until(SUCCEEDED, [fine])
        await site.until(FAILED, [bad])
        assert (await site.plane.get(bad)).runs[0].exit_code == 3
        source = await site.plane.log_source(fine, 0)
        client = AdapterClient(source.endpoint)
        assert b"".join([chunk async for chunk in client.logs(source.run_id, 0, False)]) == "你好\n".encode()
        await client.close()


@story
async def test_closing_a_connection_ends_its_calls_and_not_the_tasks_that_made_them(
    simulated: AdapterProcess,
) -> None:
    client = AdapterClient(simulated.endpoint)
    stream = client.watch((await client.runs()).cursor)
    await anext(stream)

    async def follow() -> str:
        with pytest.raises(AdapterUnavailable):
            await anext(stream)
        return "goes on"

    following = asyncio.create_task(follow())
    await asyncio.sleep(0.01)
    await client.close()
    assert await following == "goes on"
    with pytest.raises(AdapterUnavailable):
        await client.capabilities()


@pytest.mark.faults
@story
async def test_an_adapter_that_is_killed_and_restarted_continues(site: Site, simulated: AdapterProcess) -> None:
    async with running(site):
        pool_id = simulated.pool.pool_id
        await site.register(simulated.pool, simulated.endpoint)
        long, *short = await site.submit(
            submission("long", estimated_ms=600_000), *(submission(f"k{i}", estimated_ms=400) for i in range(5))
        )
        await site.until_run(long, RunState.RUNNING)
        simulated.kill()
        await site.until_health(pool_id, "unreachable")
        (late,) = await site.submit(submission("late", estimated_ms=10))
        simulated.start()
        await site.register(simulated.pool, simulated.endpoint)  # it has another port now
        await site.until(SUCCEEDED, [*short, late])
        assert await site.runs(long) == [RunState.RUNNING]
        assert set(launches(simulated).values()) == {1}


@pytest.mark.faults
@story
async def test_an_adapter_that_lost_its_state_has_its_runs_placed_anew(
    site: Site, simulated: AdapterProcess
) -> None:
    async with running(site):
        await site.register(simulated.pool, simulated.endpoint)
        (a,) = await site.submit(submission("a", estimated_ms=1_500))
        await site.until_run(a, RunState.RUNNING)
        simulated.kill()
        shutil.rmtree(simulated.state_dir)
        simulated.start()
        await site.register(simulated.pool, simulated.endpoint)
        await site.until_run(a, RunState.LOST, RunState.SUCCEEDED)


@pytest.mark.faults
def test_a_control_plane_killed_at_any_moment_loses_nothing_and_starts_nothing_twice(
    tmp_path: Path, simulated: AdapterProcess
) -> None:
    chance = random.Random(20251122)
    wanted = 210
    acknowledged: dict[str, None] = {}
    for _ in range(4):
        with plane(tmp_path, simulated, wanted) as process:
            for _ in range(chance.randint(1, 25)):
                acknowledged |= dict.fromkeys(read_ids(process))
            with suppress(subprocess.TimeoutExpired):
                process.wait(chance.random() * 0.08)  # not at a line's end but somewhere in what follows it
        assert_sound(tmp_path, acknowledged).store.close()
    with plane(tmp_path, simulated, wanted) as process:
        for line in process.stdout or ():
            if line.startswith("done"):
                assert int(line.split()[1]) > 0, "nothing was stored before the last process"
                break
            acknowledged |= dict.fromkeys(line.split())
        else:
            pytest.fail(f"the control plane ended: {process.wait()}")
        assert process.wait(20) == 0
    store = assert_sound(tmp_path, acknowledged)
    assert len(acknowledged) == wanted
    for workload, runs in map(store.workload, acknowledged):  # type: ignore[misc]  # assert_sound found them all
        assert (workload.state, [run.state for run in runs]) == (SUCCEEDED, [RunState.SUCCEEDED])
    assert launches(simulated) == {f"{workload_id}.1": 1 for workload_id in acknowledged}
    store.store.close()


class plane:
    """A control plane in a process of its own; killed at the end of the block where it still runs."""

    def __init__(self, folder: Path, adapter: AdapterProcess, wanted: int) -> None:
        module = "tests.control_plane.plane_process"
        self._command = [sys.executable, "-m", module, str(folder), adapter.endpoint, str(wanted)]

    def __enter__(self) -> subprocess.Popen[str]:
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True)
        return self._process

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


def read_ids(process: subprocess.Popen[str]) -> list[str]:
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, f"the control plane ended: {process.wait()}"
    return line.split()


def assert_sound(folder: Path, acknowledged: dict[str, None]) -> SchedulerStore:
    store = SchedulerStore(Store(open_engine(f"sqlite:///{folder}/xisuan.db"), (LEDGER_PROJECTION, SCHEDULER)))
    report = verify(store.store)
    assert (report.chain_break, report.differences) == (None, ())
    assert [workload_id for workload_id in acknowledged if store.workload(workload_id) is None] == []
    return store


def test_the_record_that_is_counted_is_the_adapters_own(tmp_path: Path, simulated: AdapterProcess) -> None:
    """The tests above count launches in it: they would say nothing if it were empty."""
    simulated.launch(simulated.launching("one", 0.01), simulated.launching("two", 0.01))
    simulated.launch(simulated.launching("one", 0.01))
    assert launches(simulated) == {"one": 1, "two": 1}

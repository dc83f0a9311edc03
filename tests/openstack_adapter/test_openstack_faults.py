"""What the adapter does when OpenStack answers late, not at all, or differently than hoped: against a Nova in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from adapters.contract import Launch, Refusal, RefusalCode, RunReport, Stop
from adapters.openstack import engine
from adapters.openstack.backend import OpenStackBackend
from adapters.openstack.departures import Departures
from adapters.openstack.engine import OpenStackEngine
from adapters.openstack.order import MachineSettings
from adapters.sdk.engine import Seen
from inventory.model.units import GIB, Resources
from inventory.model.workload import Program, Requirements, RunState
from tests.openstack_adapter.conftest import cloud_pool
from tests.openstack_adapter.pretended_nova import PretendedNova

POOL = cloud_pool()
LAUNCH = Launch(
    run_id="r-1",
    workload_id="w-1",
    name="a machine",
    requirements=Requirements(Resources(1000, 64 * GIB // 1024)),
    program=Program(image="busybox"),
    nodes=("c1",),
    runtime="virtual-machine",
)
_PATIENCE_S = 20.0


class Told:
    """The sink of a backend: what was told of each run, in order."""

    def __init__(self) -> None:
        self.reports: list[RunReport] = []

    def publish(self, reports: Sequence[RunReport], *, nodes_changed: bool = False) -> None:
        self.reports += reports

    def fail(self, message: str) -> None:
        raise AssertionError(message)

    def states(self, run_id: str) -> list[RunState]:
        return [report.state for report in self.reports if report.run_id == run_id]


class Adapter:
    """A backend over a pretended Nova, as the sdk would drive it."""

    def __init__(self, nova: PretendedNova, folder: Path, *, sees_hosts: bool = True) -> None:
        over_nova = OpenStackEngine(
            POOL,
            nova,  # type: ignore[arg-type]  # it answers all that the adapter asks
            MachineSettings(("none",)),
            sees_hosts=sees_hosts,
            makes_flavors=False,
        )
        self.backend = OpenStackBackend(over_nova, folder)
        self.told = Told()

    async def __aenter__(self) -> Adapter:
        await self.backend.start(self.told)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.backend.close()

    async def launch(self, *run_ids: str, **changes: object) -> list[RunReport | Refusal]:
        launches = [replace(LAUNCH, run_id=one, **changes) for one in run_ids]  # type: ignore[arg-type]  # fields
        return list(await self.backend.launch(launches))

    async def until(self, run_id: str, state: RunState) -> RunReport:
        return await self.when(run_id, lambda report: report.state is state)

    async def when(self, run_id: str, holds: Callable[[RunReport], bool]) -> RunReport:
        async with asyncio.timeout(_PATIENCE_S):
            while True:
                report = await self.backend.inspect(run_id)
                if report is not None and holds(report):
                    return report
                await asyncio.sleep(0.02)


def on(
    nova: PretendedNova, folder: Path, story: Callable[[Adapter], Awaitable[None]], *, sees_hosts: bool = True
) -> Adapter:
    """Tells the story to a fresh life of the adapter on this folder."""

    async def live() -> Adapter:
        async with Adapter(nova, folder, sees_hosts=sees_hosts) as adapter:
            await story(adapter)
        return adapter

    return asyncio.run(live())


def test_each_state_is_told_once_and_a_polite_stop_is_no_suspension(tmp_path: Path) -> None:
    nova = PretendedNova()

    async def story(adapter: Adapter) -> None:
        await adapter.launch("r-1")
        await adapter.until("r-1", RunState.RUNNING)
        await adapter.backend.stop([Stop("r-1", grace_ms=5000)])
        await adapter.backend.stop([Stop("r-1", grace_ms=5000)])
        await adapter.until("r-1", RunState.STOPPED)

    adapter = on(nova, tmp_path, story)
    assert adapter.told.states("r-1") == [RunState.STARTING, RunState.RUNNING, RunState.STOPPED]
    assert nova.alive() == []


def test_a_machine_that_is_stopped_before_it_has_a_host_is_told_soon_though_nova_forgets_it(
    tmp_path: Path,
) -> None:
    nova = PretendedNova()
    nova.builds_nothing = True

    async def story(adapter: Adapter) -> None:
        await adapter.launch("r-1")
        await adapter.backend.stop([Stop("r-1", grace_ms=0)])
        await adapter.until("r-1", RunState.STOPPED)

    on(nova, tmp_path, story)
    assert nova.servers == {}


def test_a_machine_that_somebody_has_locked_is_deleted_once_it_is_unlocked(tmp_path: Path) -> None:
    nova = PretendedNova()
    nova.is_locked = True

    async def story(adapter: Adapter) -> None:
        await adapter.launch("r-1")
        await adapter.until("r-1", RunState.RUNNING)
        await adapter.backend.stop([Stop("r-1", grace_ms=0)])
        await asyncio.sleep(0.5)
        assert nova.alive() == ["m-1"]
        nova.is_locked = False
        await adapter.until("r-1", RunState.STOPPED)

    on(nova, tmp_path, story)
    assert nova.alive() == []


@pytest.mark.parametrize("fault", ["lost_answers", "late_orders"])
def test_an_order_whose_answer_is_lost_is_one_machine_in_the_end(tmp_path: Path, fault: str) -> None:
    """Carried out before it is repeated, or after: then the second machine goes."""
    nova = PretendedNova()
    setattr(nova, fault, 1)

    async def story(adapter: Adapter) -> None:
        (first,) = await adapter.launch("r-1")
        assert isinstance(first, Refusal)
        assert first.code is RefusalCode.UNAVAILABLE
        (again,) = await adapter.launch("r-1")
        assert isinstance(again, RunReport)
        await adapter.until("r-1", RunState.RUNNING)
        nova.arrive()
        adapter.backend.gap()
        async with asyncio.timeout(_PATIENCE_S):
            while len(nova.alive()) != 1:
                await asyncio.sleep(0.02)
        assert (await adapter.until("r-1", RunState.RUNNING)).message == ""

    on(nova, tmp_path, story)
    assert len(nova.alive()) == 1


def test_a_run_goes_on_over_a_restart_and_over_the_loss_of_the_disk(tmp_path: Path) -> None:
    nova = PretendedNova()

    async def begin(adapter: Adapter) -> None:
        await adapter.launch("r-1")
        await adapter.until("r-1", RunState.RUNNING)

    async def again(adapter: Adapter) -> None:
        (report,) = await adapter.launch("r-1")
        assert isinstance(report, RunReport)
        await adapter.until("r-1", RunState.RUNNING)

    old, new = tmp_path / "old", tmp_path / "new"
    for folder in (old, new):
        folder.mkdir()
    on(nova, old, begin)
    on(nova, old, again)
    on(nova, new, again)
    assert nova.alive() == ["m-1"]


def test_what_was_deleted_while_the_adapter_was_down_is_stopped(tmp_path: Path) -> None:
    nova = PretendedNova()

    async def begin(adapter: Adapter) -> None:
        await adapter.launch("r-1")
        await adapter.until("r-1", RunState.RUNNING)

    async def again(adapter: Adapter) -> None:
        assert "deleted in the cloud" in (await adapter.until("r-1", RunState.STOPPED)).message

    on(nova, tmp_path, begin)
    asyncio.run(nova.delete("compute", "/servers/m-1"))
    on(nova, tmp_path, again)


def test_while_nova_is_deaf_nothing_is_concluded_and_a_stop_is_carried_out_later(tmp_path: Path) -> None:
    nova = PretendedNova()

    async def story(adapter: Adapter) -> None:
        await adapter.launch("r-1")
        await adapter.until("r-1", RunState.RUNNING)
        nova.is_deaf = True
        (report,) = await adapter.backend.stop([Stop("r-1", grace_ms=0)])
        assert report.state is RunState.RUNNING
        await asyncio.sleep(0.5)
        assert (await adapter.until("r-1", RunState.RUNNING)).state is RunState.RUNNING
        nova.is_deaf = False
        await adapter.until("r-1", RunState.STOPPED)

    on(nova, tmp_path, story)
    assert nova.alive() == []


def test_an_end_is_told_when_its_room_is_free_and_the_room_is_given_at_once(tmp_path: Path) -> None:
    nova = PretendedNova(cpus=2)
    nova.deleted_at_once = False

    async def story(adapter: Adapter) -> None:
        for run_id in ("a", "b"):
            await adapter.launch(run_id)
            await adapter.until(run_id, RunState.RUNNING)
        (full,) = await adapter.launch("c")
        assert isinstance(full, Refusal)
        assert full.code is RefusalCode.RESOURCE_EXHAUSTED
        await adapter.backend.stop([Stop("a", grace_ms=0)])
        await nova_lists_as_deleted(nova, "m-1")
        await asyncio.sleep(0.7)
        assert (await adapter.until("a", RunState.RUNNING)).state is RunState.RUNNING
        nova.settle()
        await adapter.until("a", RunState.STOPPED)
        (answer,) = await adapter.launch("c")
        assert isinstance(answer, RunReport)

    on(nova, tmp_path, story)


def test_a_launch_waits_for_what_is_on_its_way_out(tmp_path: Path) -> None:
    nova = PretendedNova(cpus=1)
    nova.deleted_at_once = False

    async def story(adapter: Adapter) -> None:
        await adapter.launch("a")
        await adapter.until("a", RunState.RUNNING)
        await adapter.backend.stop([Stop("a", grace_ms=0)])
        asyncio.get_running_loop().call_later(0.5, nova.settle)
        (answer,) = await adapter.launch("c")
        assert isinstance(answer, RunReport)

    on(nova, tmp_path, story)


def test_an_end_whose_room_is_held_over_a_restart_is_told_when_it_is_free(tmp_path: Path) -> None:
    """The next life remembers no deletion: it reads in Placement that the machine holds its place still."""
    nova = PretendedNova(cpus=1)
    nova.deleted_at_once = False

    async def before(adapter: Adapter) -> None:
        await adapter.launch("a")
        await adapter.until("a", RunState.RUNNING)
        await adapter.backend.stop([Stop("a", grace_ms=0)])
        await nova_lists_as_deleted(nova, "m-1")

    async def after(adapter: Adapter) -> None:
        assert (await adapter.until("a", RunState.RUNNING)).state is RunState.RUNNING
        asyncio.get_running_loop().call_later(0.5, nova.settle)
        (answer,) = await adapter.launch("c")
        assert isinstance(answer, RunReport), "waited for, as in the life that asked for the deletion"
        await adapter.until("a", RunState.STOPPED)

    on(nova, tmp_path, before)
    assert on(nova, tmp_path, after).told.states("a") == [RunState.STOPPED]


async def nova_lists_as_deleted(nova: PretendedNova, machine_id: str) -> None:
    async with asyncio.timeout(_PATIENCE_S):
        while nova.servers[machine_id]["status"] != "DELETED":
            await asyncio.sleep(0.02)


def test_what_placement_never_frees_is_told_after_all() -> None:
    nova = PretendedNova()
    nova.held["m-9"] = "c1"
    end = Seen(RunReport("r-9", RunState.STOPPED), "m-9")

    async def freed_after(longest_s: float) -> list[Seen]:
        departures = Departures(nova, longest_s)  # type: ignore[arg-type]  # it answers what is asked
        departures.add(end)
        await asyncio.sleep(0.01)
        return await departures.take_freed()

    assert asyncio.run(freed_after(60)) == []
    assert asyncio.run(freed_after(0)) == [end]


def test_a_hypervisor_that_was_missed_for_a_moment_takes_machines_once_it_is_back(tmp_path: Path) -> None:
    nova = PretendedNova()
    nova.down = {"c1"}

    async def story(adapter: Adapter) -> None:
        (refused,) = await adapter.launch("a")
        assert isinstance(refused, Refusal)
        assert (refused.code, "down" in refused.message) == (RefusalCode.RESOURCE_EXHAUSTED, True)
        nova.down = set()
        (answer,) = await adapter.launch("a")
        assert isinstance(answer, RunReport)

    on(nova, tmp_path, story)


def test_a_batch_takes_no_more_than_there_is_room_for_and_the_first_have_it(tmp_path: Path) -> None:
    nova = PretendedNova(cpus=2)

    async def story(adapter: Adapter) -> None:
        answers = await adapter.launch("a", "b", "c")
        assert [isinstance(one, RunReport) for one in answers] == [True, True, False]

    on(nova, tmp_path, story)
    assert len(nova.alive()) == 2


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"nodes": ("c9",)}, RefusalCode.NOT_FOUND),
        ({"program": Program(image="nothing")}, RefusalCode.INVALID_ARGUMENT),
        ({"requirements": Requirements(Resources(2000, GIB))}, RefusalCode.INVALID_ARGUMENT),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_kept_of_it(
    tmp_path: Path, changes: dict[str, object], code: RefusalCode
) -> None:
    nova = PretendedNova()

    async def story(adapter: Adapter) -> None:
        (answer,) = await adapter.launch("r-1", **changes)
        assert isinstance(answer, Refusal)
        assert answer.code is code
        assert await adapter.backend.inspect("r-1") is None

    on(nova, tmp_path, story)
    assert nova.alive() == []


def test_a_tenant_lists_no_nodes_and_is_refused_beyond_the_quota(tmp_path: Path) -> None:
    nova = PretendedNova()
    nova.quota_is_used_up = True

    async def story(adapter: Adapter) -> None:
        assert list((await adapter.backend.nodes("", 10)).items) == []
        (placed,) = await adapter.launch("r-1")
        assert isinstance(placed, Refusal)
        assert placed.code is RefusalCode.NOT_FOUND
        (answer,) = await adapter.launch("r-1", nodes=())
        assert isinstance(answer, Refusal)
        assert answer.code is RefusalCode.RESOURCE_EXHAUSTED

    on(nova, tmp_path, story, sees_hosts=False)


def test_a_machine_whose_time_is_up_fails_and_is_deleted(tmp_path: Path) -> None:
    nova = PretendedNova()

    async def story(adapter: Adapter) -> None:
        await adapter.launch("r-1", max_runtime_ms=500)
        report = await adapter.until("r-1", RunState.FAILED)
        assert "max_runtime" in report.message
        assert report.started_ms is not None
        assert report.ended_ms is not None
        assert report.ended_ms - report.started_ms >= 500
        async with asyncio.timeout(_PATIENCE_S):
            while nova.alive():
                await asyncio.sleep(0.02)

    adapter = on(nova, tmp_path, story)
    assert adapter.told.states("r-1")[-1] is RunState.FAILED


def test_a_machine_in_error_fails_with_its_fault_and_its_room_is_offered_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_NODES_EVERY_S", 0.05)
    nova = PretendedNova(cpus=4)

    async def story(adapter: Adapter) -> None:
        await adapter.launch("r-1")
        await adapter.until("r-1", RunState.RUNNING)
        nova.change("m-1", status="ERROR", fault={"message": "the disk is gone"})
        assert "the disk is gone" in (await adapter.until("r-1", RunState.FAILED)).message
        async with asyncio.timeout(_PATIENCE_S):
            while (await adapter.backend.nodes("", 10)).items[0].allocatable.cpu_milli != 3000:
                await asyncio.sleep(0.02)

    on(nova, tmp_path, story)
    assert nova.alive() == ["m-1"]  # it ran: its disk is the operator's


def test_suspending_is_told_once_and_resuming_undoes_what_halted_it(tmp_path: Path) -> None:
    nova = PretendedNova()

    async def story(adapter: Adapter) -> None:
        await adapter.launch("r-1")
        await adapter.until("r-1", RunState.RUNNING)
        for _ in range(2):
            (report,) = await adapter.backend.suspend(["r-1"])
            assert isinstance(report, RunReport)
            assert report.suspended
        nova.change("m-1", status="SHUTOFF")
        (report,) = await adapter.backend.resume(["r-1"])
        assert isinstance(report, RunReport)
        assert not report.suspended
        assert nova.servers["m-1"]["status"] == "ACTIVE"
        (nobody,) = await adapter.backend.suspend(["nobody"])
        assert isinstance(nobody, Refusal)
        assert nobody.code is RefusalCode.NOT_FOUND

    adapter = on(nova, tmp_path, story)
    shown = [(one.state, one.suspended) for one in adapter.told.reports]
    assert shown.count((RunState.RUNNING, True)) == 1


def test_the_console_is_read_from_any_byte(tmp_path: Path) -> None:
    nova = PretendedNova()

    async def story(adapter: Adapter) -> None:
        await adapter.launch("r-1")
        await adapter.until("r-1", RunState.RUNNING)
        for offset, text in ((0, b"console\n"), (3, b"sole\n"), (99, b"")):
            read = [piece async for piece in adapter.backend.logs("r-1", offset, False)]
            assert b"".join(read) == text

    on(nova, tmp_path, story)

"""What an adapter remembers when it is killed: the epoch, the runs, and what became of them meanwhile."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import psutil
import pytest

from adapters.wire.status import CURSOR_EXPIRED, STALE_EPOCH, details_of
from inventory.model.workload import Program, RunState
from tests.adapters.adapter_process import (
    PATIENCE_S,
    TECHNOLOGIES,
    AdapterProcess,
    eventually,
    new_run_id,
    running,
)
from xisuan.pool.v1 import pool_adapter_service_pb2 as pb

pytestmark = pytest.mark.faults


@dataclass(frozen=True)
class Survivor:
    """An adapter that was killed while it had these runs, and has been started again with the same state folder."""

    adapter: AdapterProcess
    going_on: str
    over: str
    how_it_ended: pb.RunStatus
    stopped_first: str
    node: str
    cursor: str
    replaced_epoch: int


@pytest.fixture(scope="module", params=TECHNOLOGIES)
def survivor(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Survivor]:
    with running(AdapterProcess(request.param, tmp_path_factory.mktemp(f"killed-{request.param}"))) as adapter:
        going_on, over, stopped_first = new_run_id(), new_run_id(), new_run_id()
        node = adapter.nodes[-1]
        big = adapter.launching(going_on, node=node)
        big.requirements.per_task.cpu_milli = adapter.pool.node_groups[0].capacity.cpu_milli - 500
        adapter.launch(big, adapter.launching(over, 0, node=node))
        replaced_epoch, adapter.epoch = adapter.epoch, adapter.epoch + 5
        adapter.halt(stopped_first)
        adapter.wait_for(going_on, RunState.RUNNING)
        how_it_ended = adapter.ending(over)
        cursor = adapter.stub.List(pb.ListRequest()).cursor
        adapter.restart()
        yield Survivor(adapter, going_on, over, how_it_ended, stopped_first, node, cursor, replaced_epoch)


def refused_as_stale(call: Callable[[], object]) -> bool:
    with pytest.raises(grpc.RpcError) as error:
        call()
    failure = details_of(error.value)
    return failure.code is grpc.StatusCode.FAILED_PRECONDITION and failure.reason == STALE_EPOCH


def test_a_leader_that_was_replaced_can_neither_launch_nor_stop_after_a_restart(survivor: Survivor) -> None:
    adapter, replaced = survivor.adapter, survivor.replaced_epoch
    assert refused_as_stale(lambda: adapter.stub.Launch(pb.LaunchRequest(epoch=replaced), timeout=PATIENCE_S))
    assert refused_as_stale(lambda: adapter.stub.Stop(pb.StopRequest(epoch=replaced), timeout=PATIENCE_S))
    assert refused_as_stale(lambda: adapter.stub.Stop(pb.StopRequest(epoch=adapter.epoch - 1), timeout=PATIENCE_S))
    assert adapter.launch() == [], "the present leader still leads"


def test_nothing_of_a_stale_batch_is_looked_at(survivor: Survivor) -> None:
    adapter, run_id = survivor.adapter, new_run_id()
    batch = pb.LaunchRequest(epoch=survivor.replaced_epoch, items=[adapter.launching(run_id)])
    assert refused_as_stale(lambda: adapter.stub.Launch(batch, timeout=PATIENCE_S))
    with pytest.raises(grpc.RpcError) as error:
        adapter.status(run_id)
    assert details_of(error.value).code is grpc.StatusCode.NOT_FOUND


def test_what_ran_goes_on_and_what_had_ended_is_as_it_ended(survivor: Survivor) -> None:
    assert survivor.adapter.state(survivor.going_on) is RunState.RUNNING
    assert survivor.adapter.status(survivor.over) == survivor.how_it_ended


def test_what_runs_still_counts_against_capacity_after_a_restart(survivor: Survivor) -> None:
    adapter = survivor.adapter
    one_core = adapter.launching(new_run_id(), node=survivor.node)
    one_core.requirements.per_task.cpu_milli = 1000
    (refused,) = adapter.launch(one_core)
    assert refused.error.code == 8


def test_the_same_launches_after_a_restart_start_nothing_again(survivor: Survivor) -> None:
    adapter = survivor.adapter
    again = adapter.launch(adapter.launching(survivor.over, 0), adapter.launching(survivor.going_on))
    assert again[0].accepted == survivor.how_it_ended
    assert again[1].accepted == adapter.status(survivor.going_on)


def test_a_launch_that_was_stopped_before_the_restart_is_refused_after_it(survivor: Survivor) -> None:
    (late,) = survivor.adapter.launch(survivor.adapter.launching(survivor.stopped_first))
    assert late.error.code == 9


def test_a_cursor_of_before_the_restart_has_expired_and_the_list_takes_its_place(survivor: Survivor) -> None:
    stub = survivor.adapter.stub
    with pytest.raises(grpc.RpcError) as error:
        next(iter(stub.Watch(pb.WatchRequest(cursor=survivor.cursor), timeout=PATIENCE_S)))
    assert details_of(error.value).reason == CURSOR_EXPIRED
    listed = stub.List(pb.ListRequest())
    assert {survivor.going_on, survivor.over, survivor.stopped_first} <= {run.run_id for run in listed.runs}
    call = stub.Watch(pb.WatchRequest(cursor=listed.cursor), timeout=PATIENCE_S)
    assert next(iter(call)).cursor == listed.cursor
    call.cancel()


@pytest.fixture(scope="module")
def mortal_local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AdapterProcess]:
    """A local adapter that every test below kills and starts again, with the same state folder throughout."""
    with running(AdapterProcess("local", tmp_path_factory.mktemp("mortal"))) as adapter:
        yield adapter


# -- real processes ---------------------------------------------------------------------------------------------


def test_a_process_goes_on_while_its_adapter_is_dead_and_its_exit_code_is_there_afterwards(
    mortal_local: AdapterProcess, tmp_path: Path
) -> None:
    run_id, signpost = new_run_id(), tmp_path / "go"
    script = f"echo before; while [ ! -e {signpost} ]; do sleep 0.02; done; echo after; exit 42"
    mortal_local.launch(mortal_local.launching(run_id, program=Program(("sh", "-c", script))))
    mortal_local.wait_for(run_id, RunState.RUNNING)
    mortal_local.kill()
    signpost.touch()
    ended = mortal_local.state_dir / "runs" / run_id / "ended.json"
    eventually(ended.exists, "the supervisor writes the end without an adapter")
    mortal_local.start()
    status = mortal_local.status(run_id)
    assert (mortal_local.state(run_id), status.exit_code) == (RunState.FAILED, 42)
    assert mortal_local.output(run_id) == b"before\nafter\n"


def test_a_process_that_outlives_its_adapter_is_reported_by_the_next_one(
    mortal_local: AdapterProcess, tmp_path: Path
) -> None:
    run_id, signpost = new_run_id(), tmp_path / "go"
    script = f"while [ ! -e {signpost} ]; do sleep 0.02; done; exit 5"
    mortal_local.launch(mortal_local.launching(run_id, program=Program(("sh", "-c", script))))
    mortal_local.wait_for(run_id, RunState.RUNNING)
    mortal_local.restart()
    cursor = mortal_local.stub.List(pb.ListRequest()).cursor
    signpost.touch()
    changes: list[pb.RunStatus] = []
    call = mortal_local.stub.Watch(pb.WatchRequest(cursor=cursor), timeout=PATIENCE_S)
    for response in call:
        changes += response.runs
        if changes:
            break
    call.cancel()
    assert [(run.run_id, run.exit_code) for run in changes] == [(run_id, 5)]


def test_a_run_whose_supervisor_was_killed_is_lost_and_leaves_no_process(mortal_local: AdapterProcess) -> None:
    run_id = new_run_id()
    mortal_local.launch(mortal_local.launching(run_id))
    mortal_local.wait_for(run_id, RunState.RUNNING)
    os.kill(supervisor_of(mortal_local, run_id).pid, signal.SIGKILL)
    assert mortal_local.ending(run_id).message
    assert mortal_local.state(run_id) is RunState.LOST
    eventually(lambda: not tasks_of(mortal_local, run_id), "the orphan is killed")


def test_a_run_whose_supervisor_was_killed_while_the_adapter_was_dead_is_lost_as_well(
    mortal_local: AdapterProcess,
) -> None:
    run_id = new_run_id()
    mortal_local.launch(mortal_local.launching(run_id))
    mortal_local.wait_for(run_id, RunState.RUNNING)
    supervisor = supervisor_of(mortal_local, run_id)
    mortal_local.kill()
    supervisor.kill()
    mortal_local.start()
    mortal_local.ending(run_id)
    assert mortal_local.state(run_id) is RunState.LOST
    eventually(lambda: not tasks_of(mortal_local, run_id), "the orphan is killed")


def test_a_run_that_was_accepted_but_not_yet_supervised_starts_after_the_restart(
    mortal_local: AdapterProcess,
) -> None:
    donor, run_id = new_run_id(), new_run_id()
    mortal_local.launch(mortal_local.launching(donor, 0))
    mortal_local.ending(donor)
    mortal_local.kill()
    # What a crash between accepting and starting leaves behind: the specification, and no supervisor.
    runs = mortal_local.state_dir / "runs"
    (runs / run_id / "work").mkdir(parents=True)
    specification = (runs / donor / "spec.json").read_text(encoding="utf-8").replace(donor, run_id)
    (runs / run_id / "spec.json").write_text(specification, encoding="utf-8")
    (runs / "half-made" / "work").mkdir(parents=True)
    mortal_local.start()
    mortal_local.ending(run_id)
    assert mortal_local.state(run_id) is RunState.SUCCEEDED
    assert not (runs / "half-made").exists()


def supervisor_of(adapter: AdapterProcess, run_id: str) -> psutil.Process:
    ends = str(adapter.state_dir / "runs" / run_id)
    (found,) = [p for p in adapter.processes() if p.cmdline() and p.cmdline()[-1] == ends]
    return found


def tasks_of(adapter: AdapterProcess, run_id: str) -> list[psutil.Process]:
    return [p for p in adapter.processes() if p.cmdline()[:1] == ["sleep"] and f"/{run_id}/" in p.cwd()]

"""What an adapter remembers when it is killed: the epoch, the runs, and what became of them meanwhile."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
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


@pytest.fixture(scope="module", params=TECHNOLOGIES)
def mortal(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AdapterProcess]:
    """An adapter that every test here kills and starts again, with the same state folder throughout."""
    with running(AdapterProcess(request.param, tmp_path_factory.mktemp(f"mortal-{request.param}"))) as adapter:
        yield adapter


@pytest.fixture(scope="module")
def mortal_local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AdapterProcess]:
    with running(AdapterProcess("local", tmp_path_factory.mktemp("mortal"))) as adapter:
        yield adapter


def refused_as_stale(adapter: AdapterProcess, epoch: int) -> bool:
    with pytest.raises(grpc.RpcError) as error:
        adapter.stub.Launch(pb.LaunchRequest(epoch=epoch), timeout=PATIENCE_S)
    failure = details_of(error.value)
    return failure.code is grpc.StatusCode.FAILED_PRECONDITION and failure.reason == STALE_EPOCH


def test_a_leader_that_was_replaced_can_neither_launch_nor_stop_even_after_a_restart(
    mortal: AdapterProcess,
) -> None:
    replaced = mortal.epoch
    mortal.epoch += 5
    mortal.launch()
    assert refused_as_stale(mortal, replaced)
    mortal.restart()
    assert refused_as_stale(mortal, replaced)
    with pytest.raises(grpc.RpcError) as error:
        mortal.stub.Stop(pb.StopRequest(epoch=replaced), timeout=PATIENCE_S)
    assert details_of(error.value).reason == STALE_EPOCH
    mortal.launch()  # the epoch of the present leader is still good


def test_nothing_of_a_stale_batch_is_looked_at(mortal: AdapterProcess) -> None:
    mortal.epoch += 1
    mortal.launch()
    run_id = new_run_id()
    with pytest.raises(grpc.RpcError):
        mortal.stub.Launch(pb.LaunchRequest(epoch=mortal.epoch - 1, items=[mortal.launching(run_id)]))
    with pytest.raises(grpc.RpcError) as error:
        mortal.status(run_id)
    assert details_of(error.value).code is grpc.StatusCode.NOT_FOUND


def test_runs_tombstones_and_endings_survive_a_kill(mortal: AdapterProcess) -> None:
    going_on, over, stopped_first = new_run_id(), new_run_id(), new_run_id()
    mortal.launch(mortal.launching(going_on), mortal.launching(over, 0))
    mortal.halt(stopped_first)
    mortal.wait_for(going_on, RunState.RUNNING)
    ended = mortal.ending(over)
    mortal.restart()
    assert mortal.state(going_on) is RunState.RUNNING
    assert mortal.status(over) == ended
    (late,) = mortal.launch(mortal.launching(stopped_first))
    assert late.error.code == 9
    mortal.halt(going_on)
    mortal.ending(going_on)
    assert mortal.state(going_on) is RunState.STOPPED


def test_what_runs_still_counts_against_capacity_after_a_restart(mortal: AdapterProcess) -> None:
    node = mortal.nodes[-1]
    first = mortal.launching(new_run_id(), node=node)
    cores = mortal.pool.node_groups[0].capacity.cpu_milli
    big = mortal.launching(new_run_id(), node=node)
    big.requirements.per_task.cpu_milli = cores - 500
    accepted = mortal.launch(first, big)
    assert [result.WhichOneof("outcome") for result in accepted] == ["accepted", "accepted"]
    mortal.restart()
    (refused,) = mortal.launch(mortal.launching(new_run_id(), node=node))
    assert refused.error.code == 8
    mortal.halt(first.run_id, big.run_id)
    mortal.ending(first.run_id)
    mortal.ending(big.run_id)


def test_a_cursor_of_before_the_restart_has_expired_and_the_list_takes_its_place(
    mortal: AdapterProcess,
) -> None:
    run_id = new_run_id()
    mortal.launch(mortal.launching(run_id))
    cursor = mortal.stub.List(pb.ListRequest()).cursor
    mortal.restart()
    with pytest.raises(grpc.RpcError) as error:
        next(iter(mortal.stub.Watch(pb.WatchRequest(cursor=cursor), timeout=PATIENCE_S)))
    assert details_of(error.value).reason == CURSOR_EXPIRED
    listed = mortal.stub.List(pb.ListRequest())
    assert run_id in [run.run_id for run in listed.runs]
    call = mortal.stub.Watch(pb.WatchRequest(cursor=listed.cursor), timeout=PATIENCE_S)
    assert next(iter(call)).cursor == listed.cursor
    call.cancel()


def test_the_same_launch_after_a_restart_does_not_run_again(mortal: AdapterProcess) -> None:
    run_id = new_run_id()
    item = mortal.launching(run_id, 0)
    mortal.launch(item)
    ended = mortal.ending(run_id)
    mortal.restart()
    (again,) = mortal.launch(item)
    assert again.accepted == ended


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

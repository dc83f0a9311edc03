"""Runs on a real Slurm: placed where they were put, ended as they ended, and never started twice."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from inventory.model.units import GIB, Resources
from inventory.model.workload import Program, Requirements, RunState
from tests.adapters.adapter_process import AdapterProcess, eventually, new_run_id, running
from tests.servers.slurm_cluster import start_slurmd
from tests.slurm_adapter.conftest import ask, new_adapter
from xisuan.pool.v1 import pool_adapter_service_pb2 as pb

TWO_CARDS = Requirements(Resources(2000, GIB, 0, 2000))


def shell(text: str) -> Program:
    return Program(("sh", "-c", text))


def test_a_run_ends_on_its_node_with_its_output(slurm: AdapterProcess) -> None:
    run_id = new_run_id("slurm")
    slurm.launch(slurm.launching(run_id, node="n3", program=shell("echo $SLURMD_NODENAME $GREETING")))
    status = slurm.wait_for(run_id, RunState.SUCCEEDED)
    assert (list(status.nodes), status.exit_code) == (["n3"], 0)
    assert slurm.output(run_id).decode().split() == ["n3"]


def test_a_failing_program_is_a_failed_run_with_its_exit_code(slurm: AdapterProcess) -> None:
    run_id = new_run_id("slurm")
    slurm.launch(slurm.launching(run_id, program=shell("exit 7")))
    status = slurm.wait_for(run_id, RunState.FAILED)
    assert status.exit_code == 7
    assert "退出码 7" in status.message


def test_cards_are_allocated_as_generic_resources(slurm: AdapterProcess) -> None:
    run_id = new_run_id("slurm")
    slurm.launch(
        slurm.launching(run_id, node="n2", requirements=TWO_CARDS, program=shell("echo $CUDA_VISIBLE_DEVICES"))
    )
    slurm.wait_for(run_id, RunState.SUCCEEDED)
    assert len(slurm.output(run_id).decode().strip().split(",")) == 2


def test_task_i_of_a_gang_runs_on_node_i(slurm: AdapterProcess) -> None:
    run_id = new_run_id("slurm")
    nodes = ("n5", "n4", "n5", "n4")
    requirements = Requirements(Resources(1000, GIB), tasks=4)
    slurm.launch(
        slurm.launching(
            run_id, nodes=nodes, requirements=requirements, program=shell("echo $XISUAN_TASK $SLURMD_NODENAME")
        )
    )
    status = slurm.wait_for(run_id, RunState.SUCCEEDED)
    assert tuple(status.nodes) == nodes
    assert sorted(slurm.output(run_id).decode().splitlines()) == [f"{i} {node}" for i, node in enumerate(nodes)]


def test_a_run_whose_node_dies_is_lost(slurm: AdapterProcess, slurm_cluster: Path) -> None:
    run_id = new_run_id("slurm")
    slurm.launch(slurm.launching(run_id, node="n8"))
    slurm.wait_for(run_id, RunState.RUNNING)
    os.kill(int((slurm_cluster / "n8.pid").read_text(encoding="ascii")), signal.SIGKILL)
    ask(slurm_cluster, "scontrol", "update", "NodeName=n8", "State=DOWN", "Reason=test")
    try:
        slurm.wait_for(run_id, RunState.LOST)
        eventually(lambda: is_cordoned(slurm, "n8"), "a node that is down takes no new runs")
    finally:
        start_slurmd(slurm_cluster, "n8")
        eventually(lambda: resumed(slurm_cluster, "n8"), "the controller takes the node back")
    eventually(lambda: not is_cordoned(slurm, "n8"), "the node is back")


def resumed(cluster: Path, name: str) -> bool:
    """Whether it was taken back: a node that has registered by itself meanwhile is in no state to be resumed from."""
    try:
        ask(cluster, "scontrol", "update", f"NodeName={name}", "State=RESUME")
    except subprocess.CalledProcessError:
        return "DOWN" not in ask(cluster, "scontrol", "show", "node", name)
    return True


def is_cordoned(adapter: AdapterProcess, name: str) -> bool:
    nodes = adapter.stub.ListNodes(pb.ListNodesRequest(), timeout=20).nodes
    return next(node.cordoned for node in nodes if node.node_id == name)


def test_jobs_of_others_are_taken_off_what_nodes_offer(slurm: AdapterProcess, slurm_cluster: Path) -> None:
    job_id = ask(
        slurm_cluster, "sbatch", "--parsable", "--nodelist=n7", "--cpus-per-task=6", "--mem=8G", "--gres=gpu:1",
        "--output=/dev/null", "--wrap", "sleep 100",
    ).strip()  # fmt: skip

    def offered() -> tuple[int, int]:
        nodes = slurm.stub.ListNodes(pb.ListNodesRequest(), timeout=20).nodes
        amount = next(node.allocatable for node in nodes if node.node_id == "n7")
        return amount.cpu_milli, amount.accelerator_milli

    eventually(lambda: offered() == (506_000, 7_000), "6 CPUs and a card are taken off")
    ask(slurm_cluster, "scancel", job_id)
    eventually(lambda: offered() == (512_000, 8_000), "they are offered again")


def test_a_job_that_somebody_cancels_in_slurm_is_stopped(slurm: AdapterProcess, slurm_cluster: Path) -> None:
    run_id = new_run_id("slurm")
    slurm.launch(slurm.launching(run_id))
    slurm.wait_for(run_id, RunState.RUNNING)
    listed = ask(slurm_cluster, "squeue", "--noheader", "--format=%A %k")
    job_id = next(line.split()[0] for line in listed.splitlines() if run_id in line.split())
    ask(slurm_cluster, "scancel", job_id)
    assert "CANCELLED" in slurm.wait_for(run_id, RunState.STOPPED).message


def test_a_launch_repeated_after_a_kill_of_the_adapter_is_one_job(slurm_cluster: Path, tmp_path: Path) -> None:
    adapter = new_adapter(slurm_cluster, tmp_path, "killed-slurm")
    with running(adapter):
        run_id = new_run_id("once")
        item = adapter.launching(run_id)
        adapter.launch(item)
        (tmp_path / "state" / "runs.db").unlink()  # the adapter dies with its disk: Slurm alone remembers
        adapter.kill()
        adapter.start()
        adapter.launch(item)
        listed = ask(slurm_cluster, "squeue", "--noheader", "--states=all", "--format=%k").splitlines()
        assert sum(line.startswith(f"{run_id} ") for line in listed) == 1


def test_backfill_estimates_are_handed_on(slurm: AdapterProcess) -> None:
    request = pb.EstimateStartsRequest(items=[slurm.launching(new_run_id("estimate"), node="n1")])
    (estimate,) = slurm.stub.EstimateStarts(request, timeout=20).estimates
    assert estimate.HasField("starts_in")
    assert estimate.starts_in.seconds < 60


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"node": "n99"}, "n99"),
        ({"requirements": Requirements(Resources(1000, GIB, 0, 300))}, "整卡"),
        ({"requirements": Requirements(Resources(513_000, GIB))}, "Slurm"),
    ],
)
def test_what_slurm_cannot_run_is_refused_with_the_rule(
    slurm: AdapterProcess, changes: dict[str, object], said: str
) -> None:
    (result,) = slurm.launch(slurm.launching(new_run_id("refused"), **changes))  # type: ignore[arg-type]
    assert result.HasField("error")
    assert said in result.error.message

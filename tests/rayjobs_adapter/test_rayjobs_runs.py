"""Runs on a real Ray: placed where they were put, ended as they ended, and never started twice."""

from __future__ import annotations

import json
import urllib.request
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from inventory.model.units import GIB, Resources
from inventory.model.workload import Program, Requirements, RunState
from tests.adapters import adapter_process
from tests.adapters.adapter_process import AdapterProcess, new_run_id, running
from tests.rayjobs_adapter.conftest import new_adapter, ray_pool
from tests.servers.ray_cluster import RAY_HEAD, RAY_NODE
from xisuan.pool.v1 import pool_adapter_service_pb2 as pb

pytestmark = pytest.mark.ray
ONE_CARD = Requirements(Resources(1000, GIB, 0, 1000))


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A job of Ray is a new Python process: on a busy machine it takes many seconds to start."""
    monkeypatch.setattr(adapter_process, "PATIENCE_S", 120.0)


def shell(text: str) -> Program:
    return Program(("sh", "-c", text))


def launching(adapter: AdapterProcess, run_id: str, node: str | None = RAY_NODE, **changes: Any) -> pb.LaunchItem:
    item = adapter.launching(run_id, node=node, runtime="ray-job", **changes)
    if node is None:
        del item.nodes[:]
    return item


def listed(address: str) -> list[dict[str, Any]]:
    """What Ray itself says, as a person with a browser would ask."""
    with urllib.request.urlopen(f"{address}/api/jobs/", timeout=60) as answer:
        found: list[dict[str, Any]] = json.load(answer)
    return found


def test_nodes_offer_cpus_memory_and_cards(ray: AdapterProcess) -> None:
    nodes = {node.node_id: node for node in ray.stub.ListNodes(pb.ListNodesRequest(), timeout=60).nodes}
    assert set(nodes) == {RAY_HEAD, RAY_NODE}
    amount = nodes[RAY_NODE].allocatable
    assert (amount.cpu_milli, amount.memory_bytes, amount.accelerator_milli) == (8000, 8 * GIB, 2000)
    assert nodes[RAY_NODE].accelerator == "A100"
    assert nodes[RAY_HEAD].allocatable.accelerator_milli == 0


def test_a_run_ends_on_its_node_with_its_card_its_settings_and_its_output(ray: AdapterProcess) -> None:
    run_id = new_run_id("ray")
    program = Program(
        ("sh", "-c", 'echo "$WORD on card $CUDA_VISIBLE_DEVICES"; exit 7'), environment={"WORD": "西算"}
    )
    ray.launch(launching(ray, run_id, requirements=ONE_CARD, program=program))
    status = ray.wait_for(run_id, RunState.FAILED)
    assert (list(status.nodes), status.exit_code) == ([RAY_NODE], 7)
    assert ray.output(run_id).decode() in {"西算 on card 0\n", "西算 on card 1\n"}


def test_a_program_of_ray_finds_its_cluster_and_its_tasks_take_other_resources(ray: AdapterProcess) -> None:
    run_id = new_run_id("tasks")
    text = "import ray; ray.init(); print(ray.get(ray.remote(lambda: 6 * 7).options(resources={'probe': 1}).remote()))"
    ray.launch(launching(ray, run_id, node=RAY_HEAD, program=Program(("python", "-c", text))))
    status = ray.ending(run_id)
    assert ray.output(run_id).decode().splitlines()[-1] == "42", status


def test_output_is_followed_while_the_run_goes_on(ray: AdapterProcess) -> None:
    run_id = new_run_id("followed")
    ray.launch(launching(ray, run_id, program=shell("echo one; sleep 3; echo two")))
    assert ray.output(run_id, follow=True) == b"one\ntwo\n"
    assert ray.output(run_id, 4) == b"two\n"


def test_ray_chooses_where_no_node_is_named(ray: AdapterProcess) -> None:
    run_id = new_run_id("free")
    ray.launch(launching(ray, run_id, node=None, requirements=ONE_CARD, program=shell("true")))
    assert list(ray.wait_for(run_id, RunState.SUCCEEDED).nodes) == [RAY_NODE]


def test_npus_are_custom_resources_of_ray(ray_cluster: str, tmp_path: Path) -> None:
    pool = replace(ray_pool("npu-pool"), accelerator="Ascend910B", cards=4)
    with running(new_adapter(ray_cluster, tmp_path, pool, "--accelerator-resource", "NPU=Ascend910B")) as adapter:
        nodes = {node.node_id: node for node in adapter.stub.ListNodes(pb.ListNodesRequest(), timeout=60).nodes}
        assert nodes[RAY_NODE].allocatable.accelerator_milli == 4000
        run_id = new_run_id("npu")
        adapter.launch(launching(adapter, run_id, requirements=ONE_CARD, program=shell("true")))
        adapter.wait_for(run_id, RunState.SUCCEEDED)
        (job,) = [one for one in listed(ray_cluster) if (one["submission_id"] or "").endswith(run_id)]
        assert job["entrypoint"] == "exec sh -c true"


def test_a_launch_repeated_after_the_adapter_lost_its_memory_is_one_job(ray_cluster: str, tmp_path: Path) -> None:
    adapter = new_adapter(ray_cluster, tmp_path, ray_pool("forgetful-ray"))
    with running(adapter):
        run_id = new_run_id("once")
        item = launching(adapter, run_id)
        adapter.launch(item)
        (tmp_path / "state" / "runs.db").unlink()  # the adapter dies with its disk: Ray alone remembers
        adapter.kill()
        adapter.start()
        (again,) = adapter.launch(item)
        assert again.HasField("accepted")
        assert sum((one["submission_id"] or "").endswith(run_id) for one in listed(ray_cluster)) == 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"node": "127.0.0.9"}, "127.0.0.9"),
        ({"node": RAY_HEAD, "requirements": ONE_CARD}, "加速卡"),
        ({"requirements": Requirements(Resources(1000, GIB, 0, 1500))}, "1500"),
        ({"requirements": Requirements(Resources(1000, GIB), tasks=2), "nodes": (RAY_NODE, RAY_NODE)}, "tasks"),
    ],
)
def test_what_ray_cannot_run_is_refused_with_the_rule(
    ray: AdapterProcess, changes: dict[str, Any], said: str
) -> None:
    (result,) = ray.launch(launching(ray, new_run_id("refused"), **changes))
    assert result.HasField("error")
    assert said in result.error.message

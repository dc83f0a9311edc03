"""Runs on a real Kubernetes: launched as Jobs and Deployments, watched to their ends, stopped, and found again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from adapters.kubernetes import naming
from inventory.model.units import GIB, Resources
from inventory.model.workload import Requirements, RunState
from tests.adapters.adapter_process import AdapterProcess, eventually, new_run_id, running
from tests.kubernetes_adapter.conftest import ClusterClient, container, new_adapter

CARD = Resources(1000, GIB, 0, 1000)


def job_of(cluster: ClusterClient, run_id: str) -> dict | None:
    label = f"{naming.RUN_LABEL}%3D{naming.digest(run_id)}"
    found = cluster.items(f"/apis/batch/v1/jobs?labelSelector={label}")
    return found[0] if found else None


def has_ended(cluster: ClusterClient, run_id: str) -> bool:
    job = job_of(cluster, run_id)
    return job is not None and job["status"].get("succeeded") == 1


def test_a_run_that_ends_well_succeeds_on_the_node_that_was_chosen(kubernetes: AdapterProcess) -> None:
    run_id = new_run_id()
    (result,) = kubernetes.launch(kubernetes.launching(run_id, node="cpu-3", program=container("sleep", "1")))
    assert result.accepted.run_id == run_id
    status = kubernetes.wait_for(run_id, RunState.SUCCEEDED)
    assert list(status.nodes) == ["cpu-3"]
    assert status.exit_code == 0
    assert status.ended_at.seconds >= status.started_at.seconds > 0


def test_a_program_that_fails_is_a_failed_run_with_its_exit_code(kubernetes: AdapterProcess) -> None:
    run_id = new_run_id()
    kubernetes.launch(kubernetes.launching(run_id, program=container("false")))
    status = kubernetes.wait_for(run_id, RunState.FAILED)
    assert status.exit_code == 1
    assert "退出码 1" in status.message


def test_the_tasks_of_a_gang_run_on_their_nodes_and_end_together(kubernetes: AdapterProcess) -> None:
    run_id = new_run_id("gang")
    nodes = ("cpu-1", "cpu-2", "cpu-4")
    requirements = Requirements(Resources(1000, GIB), tasks=3)
    kubernetes.launch(
        kubernetes.launching(run_id, nodes=nodes, requirements=requirements, program=container("sleep", "1"))
    )
    status = kubernetes.wait_for(run_id, RunState.SUCCEEDED)
    assert tuple(status.nodes) == nodes


@pytest.mark.parametrize(
    ("node", "resource"),
    [("gpu-1", "nvidia.com/gpu"), ("ascend-1", "huawei.com/Ascend910"), ("mlu-1", "cambricon.com/mlu")],
)
def test_cards_are_asked_of_the_device_plugin_of_their_maker(
    kubernetes: AdapterProcess, cluster: ClusterClient, node: str, resource: str
) -> None:
    run_id = new_run_id("card")
    kubernetes.launch(
        kubernetes.launching(
            run_id, node=node, requirements=Requirements(CARD * 2), program=container("sleep", "1")
        )
    )
    status = kubernetes.wait_for(run_id, RunState.SUCCEEDED)
    assert list(status.nodes) == [node]
    job = job_of(cluster, run_id)
    assert job is not None
    assert job["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"][resource] == "2"


def test_a_stopped_run_leaves_nothing_in_the_cluster(kubernetes: AdapterProcess, cluster: ClusterClient) -> None:
    run_id = new_run_id("stop")
    kubernetes.launch(kubernetes.launching(run_id, program=container("sleep", "600")))
    kubernetes.wait_for(run_id, RunState.RUNNING)
    kubernetes.halt(run_id)
    assert kubernetes.ending(run_id).state == kubernetes.status(run_id).state
    assert kubernetes.state(run_id) is RunState.STOPPED
    assert job_of(cluster, run_id) is None


def test_a_run_whose_job_somebody_deletes_is_lost(kubernetes: AdapterProcess, cluster: ClusterClient) -> None:
    run_id = new_run_id("lost")
    kubernetes.launch(kubernetes.launching(run_id, program=container("sleep", "600")))
    kubernetes.wait_for(run_id, RunState.RUNNING)
    job = job_of(cluster, run_id)
    assert job is not None
    name = f"{job['metadata']['namespace']}/jobs/{job['metadata']['name']}"
    cluster.ask("DELETE", f"/apis/batch/v1/namespaces/{name}?propagationPolicy=Background")
    assert "deleted" in kubernetes.wait_for(run_id, RunState.LOST).message


def test_a_run_longer_than_its_maximum_fails(kubernetes: AdapterProcess) -> None:
    run_id = new_run_id("long")
    kubernetes.launch(kubernetes.launching(run_id, program=container("sleep", "600"), max_runtime_ms=1000))
    assert "最长运行时间" in kubernetes.wait_for(run_id, RunState.FAILED).message


def test_a_service_is_a_deployment_that_runs_until_it_is_stopped(
    kubernetes: AdapterProcess, cluster: ClusterClient
) -> None:
    run_id = new_run_id("service")
    requirements = Requirements(Resources(500, GIB), tasks=2)
    kubernetes.launch(
        kubernetes.launching(
            run_id, nodes=("cpu-1", "cpu-2"), requirements=requirements, program=container("serve"), service=True
        )
    )
    assert sorted(kubernetes.wait_for(run_id, RunState.RUNNING).nodes) == ["cpu-1", "cpu-2"]
    kubernetes.halt(run_id)
    kubernetes.wait_for(run_id, RunState.STOPPED)
    assert not [d for d in cluster.items("/apis/apps/v1/deployments") if naming.object_name(run_id) in str(d)]


def test_a_run_without_nodes_goes_where_the_clusters_scheduler_puts_it(kubernetes: AdapterProcess) -> None:
    run_id = new_run_id("free")
    kubernetes.launch(kubernetes.launching(run_id, nodes=(), program=container("sleep", "1")))
    assert len(kubernetes.wait_for(run_id, RunState.SUCCEEDED).nodes) == 1


def test_departments_have_namespaces_with_the_quota_that_the_operator_gave(
    cluster: ClusterClient, tmp_path: Path
) -> None:
    quotas = tmp_path / "quotas.yaml"
    quotas.write_text("chongqing/yubei/civil-affairs: {cpu: '1', memory: 4Gi}\n", encoding="utf-8")
    adapter = new_adapter(cluster, tmp_path / "a", "--quotas", str(quotas), pool_id="quota-pool")
    with running(adapter):
        run_id = new_run_id("quota")
        adapter.launch(
            adapter.launching(
                run_id, queue="chongqing/yubei/civil-affairs/marriages", program=container("sleep", "1")
            )
        )
        adapter.wait_for(run_id, RunState.SUCCEEDED)
        job = job_of(cluster, run_id)
        assert job is not None
        namespace = job["metadata"]["namespace"]
        (quota,) = cluster.items(f"/api/v1/namespaces/{namespace}/resourcequotas")
        assert quota["spec"]["hard"] == {"requests.cpu": "1", "requests.memory": "4Gi"}
        described = cluster.ask("GET", f"/api/v1/namespaces/{namespace}")["metadata"]
        assert described["annotations"][naming.QUEUE_NAME] == "chongqing/yubei/civil-affairs"


def test_runs_are_found_again_after_the_adapter_was_killed(cluster: ClusterClient, tmp_path: Path) -> None:
    adapter = new_adapter(cluster, tmp_path, pool_id="killed-pool")
    with running(adapter):
        goes_on, ends_meanwhile = new_run_id("on"), new_run_id("ends")
        adapter.launch(
            adapter.launching(goes_on, program=container("sleep", "600")),
            adapter.launching(ends_meanwhile, program=container("sleep", "1")),
        )
        adapter.wait_for(goes_on, RunState.RUNNING)
        adapter.kill()
        eventually(lambda: has_ended(cluster, ends_meanwhile), "the short run has ended in the cluster")
        adapter.start()
        assert adapter.state(ends_meanwhile) is RunState.SUCCEEDED
        assert adapter.state(goes_on) is RunState.RUNNING
        again = adapter.launch(adapter.launching(goes_on, program=container("sleep", "600")))
        assert again[0].accepted.run_id == goes_on
        assert len([j for j in cluster.items("/apis/batch/v1/jobs") if naming.object_name(goes_on) in str(j)]) == 1


def test_runs_of_a_pool_whose_memory_was_lost_are_listed_again(cluster: ClusterClient, tmp_path: Path) -> None:
    first = new_adapter(cluster, tmp_path / "first", pool_id="forgetful-pool")
    run_id = new_run_id("orphan")
    first.start()
    first.launch(first.launching(run_id, program=container("sleep", "600")))
    first.wait_for(run_id, RunState.RUNNING)
    assert first.stop() == 0
    second = new_adapter(cluster, tmp_path / "second", pool_id="forgetful-pool")
    with running(second):
        assert second.state(run_id) is RunState.RUNNING


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"node": "no-such-node"}, "no-such-node"),
        ({"program": replace(container("true"), image=None)}, "镜像"),
        ({"node": "cpu-1", "requirements": Requirements(CARD)}, "加速卡"),
        ({"node": "gpu-1", "requirements": Requirements(Resources(1000, GIB, 0, 500))}, "整卡"),
    ],
)
def test_what_a_cluster_cannot_run_is_refused_with_the_rule(
    kubernetes: AdapterProcess, changes: dict[str, object], said: str
) -> None:
    run_id = new_run_id("refused")
    (result,) = kubernetes.launch(kubernetes.launching(run_id, **{"program": container("true"), **changes}))
    assert result.HasField("error")
    assert said in result.error.message

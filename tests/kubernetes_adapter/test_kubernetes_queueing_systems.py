"""What Kueue and Volcano are given, where a cluster has them.

Neither is installed in the cluster under test: this file does to Jobs what Kueue's controller does (it lets them go, and
puts them back), and its PodGroup is a definition of this file with Volcano's group, kind and the two fields used.
"""

from __future__ import annotations

import urllib.error
from collections.abc import Iterator

import pytest

from adapters.kubernetes import naming
from inventory.model.units import GIB, Resources
from inventory.model.workload import Requirements, RunState
from tests.adapters.adapter_process import eventually, new_run_id, running
from tests.kubernetes_adapter.conftest import ClusterClient, KubernetesAdapter, container, new_adapter

TASKS = 3
GANG = Requirements(Resources(500, GIB), TASKS)
JOBS = "/apis/batch/v1/namespaces/xisuan/jobs"
GROUPS = "/apis/scheduling.volcano.sh/v1beta1/namespaces/xisuan/podgroups"
_SPEC = {"type": "object", "properties": {"minMember": {"type": "integer"}, "queue": {"type": "string"}}}
POD_GROUP = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "podgroups.scheduling.volcano.sh"},
    "spec": {
        "group": "scheduling.volcano.sh",
        "scope": "Namespaced",
        "names": {"kind": "PodGroup", "plural": "podgroups", "singular": "podgroup"},
        "versions": [
            {
                "name": "v1beta1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": _SPEC}}},
            }
        ],
    },
}


@pytest.fixture(scope="module")
def kueue(cluster: ClusterClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubernetesAdapter]:
    adapter = new_adapter(cluster, tmp_path_factory.mktemp("kueue"), "--local-queue", "team-a", pool_id="kueue")
    with running(adapter):
        yield adapter


@pytest.fixture(scope="module")
def volcano(cluster: ClusterClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubernetesAdapter]:
    cluster.ask("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", POD_GROUP)
    eventually(lambda: _is_there(cluster, "/apis/scheduling.volcano.sh/v1beta1"), "PodGroups are served")
    adapter = new_adapter(
        cluster, tmp_path_factory.mktemp("volcano"), "--volcano-queue", "research", pool_id="volcano"
    )
    with running(adapter):
        yield adapter


def _is_there(cluster: ClusterClient, path: str) -> bool:
    try:
        cluster.ask("GET", path)
    except urllib.error.HTTPError:
        return False
    return True


def launched(adapter: KubernetesAdapter, **changes: object) -> str:
    """A run of the shared namespace, without nodes; returns its id."""
    run_id = new_run_id()
    item = adapter.launching(run_id, nodes=(), program=container("sleep", "1000"), **changes)
    (result,) = adapter.launch(item)
    assert result.HasField("accepted"), result
    return run_id


def let_go(cluster: ClusterClient, run_id: str, *, suspend: bool) -> None:
    cluster.ask("PATCH", f"{JOBS}/{naming.object_name(run_id)}", {"spec": {"suspend": suspend}})


def test_a_job_waits_until_kueue_lets_it_go(cluster: ClusterClient, kueue: KubernetesAdapter) -> None:
    run_id = launched(kueue)
    job = cluster.ask("GET", f"{JOBS}/{naming.object_name(run_id)}")
    assert job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "team-a"  # type: ignore[index]  # an object
    eventually(lambda: "job queue" in kueue.status(run_id).message, "it says what it waits for")
    assert kueue.state(run_id) is RunState.STARTING
    let_go(cluster, run_id, suspend=False)
    kueue.wait_for(run_id, RunState.RUNNING)
    kueue.halt(run_id)
    assert kueue.ending(run_id)


def test_a_run_that_kueue_puts_back_is_suspended_and_goes_on(
    cluster: ClusterClient, kueue: KubernetesAdapter
) -> None:
    run_id = launched(kueue)
    let_go(cluster, run_id, suspend=False)
    kueue.wait_for(run_id, RunState.RUNNING)
    let_go(cluster, run_id, suspend=True)
    eventually(lambda: kueue.status(run_id).suspended, "it is suspended")
    assert kueue.state(run_id) is RunState.RUNNING
    let_go(cluster, run_id, suspend=False)
    eventually(lambda: not kueue.status(run_id).suspended, "it goes on")
    kueue.halt(run_id)
    assert kueue.ending(run_id)


def test_a_service_carries_the_queue_for_kueue(cluster: ClusterClient, kueue: KubernetesAdapter) -> None:
    run_id = launched(kueue, service=True)
    path = f"/apis/apps/v1/namespaces/xisuan/deployments/{naming.object_name(run_id)}"
    labels = cluster.ask("GET", path)["metadata"]["labels"]  # type: ignore[index]  # an object
    assert labels["kueue.x-k8s.io/queue-name"] == "team-a"
    kueue.halt(run_id)


def test_a_gang_is_one_pod_group_of_volcano_that_its_pods_name(
    cluster: ClusterClient, volcano: KubernetesAdapter
) -> None:
    run_id = launched(volcano, requirements=GANG)
    name = naming.object_name(run_id)
    group = cluster.ask("GET", f"{GROUPS}/{name}")
    job = cluster.ask("GET", f"{JOBS}/{name}")
    assert group["spec"] == {"minMember": TASKS, "queue": "research"}
    assert group["metadata"]["ownerReferences"][0]["uid"] == job["metadata"]["uid"]  # type: ignore[index]  # objects
    selector = f"{naming.RUN_LABEL}%3D{naming.digest(run_id)}"
    pods = f"/api/v1/namespaces/xisuan/pods?labelSelector={selector}"
    eventually(lambda: len(cluster.items(pods)) == TASKS, "its pods are there")
    for pod in cluster.items(pods):
        assert pod["spec"]["schedulerName"] == "volcano"  # type: ignore[index]  # an object
        assert pod["metadata"]["annotations"]["scheduling.k8s.io/group-name"] == name  # type: ignore[index]
    assert volcano.state(run_id) is RunState.STARTING, "nobody here is Volcano's scheduler"
    volcano.halt(run_id)


def test_a_pod_group_that_a_crash_left_out_is_made_when_the_adapter_starts_again(
    cluster: ClusterClient, volcano: KubernetesAdapter
) -> None:
    run_id = launched(volcano, requirements=GANG)
    path = f"{GROUPS}/{naming.object_name(run_id)}"
    cluster.ask("DELETE", path)
    volcano.restart()
    assert _is_there(cluster, path)
    volcano.halt(run_id)

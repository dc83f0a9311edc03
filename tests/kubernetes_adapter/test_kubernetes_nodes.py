"""Nodes of a real Kubernetes as the scheduler sees them: cards, architectures, racks, taints, and pods of others."""

from __future__ import annotations

from inventory.model.units import GIB
from tests.adapters.adapter_process import AdapterProcess, eventually
from tests.kubernetes_adapter.conftest import IMAGE, ClusterClient
from xisuan.common.v1 import common_pb2
from xisuan.pool.v1 import pool_adapter_service_pb2 as pb


def node(adapter: AdapterProcess, name: str) -> pb.Node:
    listed = adapter.stub.ListNodes(pb.ListNodesRequest(), timeout=20).nodes
    return next(one for one in listed if one.node_id == name)


def test_cards_are_counted_and_named(kubernetes: AdapterProcess) -> None:
    found = {
        name: (node(kubernetes, name).allocatable.accelerator_milli, node(kubernetes, name).accelerator)
        for name in ("cpu-1", "gpu-1", "ascend-2", "mlu-1")
    }
    assert found == {
        "cpu-1": (0, ""),
        "gpu-1": (8000, "A100-SXM4-80GB"),
        "ascend-2": (8000, "Ascend910"),
        "mlu-1": (4000, "MLU"),
    }


def test_amounts_architecture_and_rack_are_those_of_the_node(kubernetes: AdapterProcess) -> None:
    one = node(kubernetes, "cpu-1")
    assert (one.allocatable.cpu_milli, one.allocatable.memory_bytes) == (64_000, 256 * GIB)
    assert one.rack == "rack-1"
    assert node(kubernetes, "arm-1").architecture == common_pb2.ARCHITECTURE_ARM64


def test_what_pods_of_others_request_is_not_offered(kubernetes: AdapterProcess, cluster: ClusterClient) -> None:
    amounts = {"cpu": "4", "memory": "8Gi"}
    container = {"name": "other", "image": IMAGE, "resources": {"requests": amounts}}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "of-somebody-else"},
        "spec": {"nodeName": "cpu-7", "containers": [container]},
    }
    cluster.ask("POST", "/api/v1/namespaces/default/pods", pod)
    eventually(lambda: node(kubernetes, "cpu-7").allocatable.cpu_milli == 60_000, "4 CPUs are taken off")
    assert node(kubernetes, "cpu-7").allocatable.memory_bytes == 248 * GIB
    cluster.ask("DELETE", "/api/v1/namespaces/default/pods/of-somebody-else?gracePeriodSeconds=0")
    eventually(lambda: node(kubernetes, "cpu-7").allocatable.cpu_milli == 64_000, "they are offered again")


def test_a_node_that_is_cordoned_in_the_cluster_is_cordoned_here(
    kubernetes: AdapterProcess, cluster: ClusterClient
) -> None:
    cluster.ask("PATCH", "/api/v1/nodes/cpu-6", {"spec": {"unschedulable": True}})
    eventually(lambda: node(kubernetes, "cpu-6").cordoned, "cpu-6 is cordoned")
    cluster.ask("PATCH", "/api/v1/nodes/cpu-6", {"spec": {"unschedulable": None}})
    eventually(lambda: not node(kubernetes, "cpu-6").cordoned, "cpu-6 is open again")


def test_taints_are_told_and_node_conditions_are_not_taints(
    kubernetes: AdapterProcess, cluster: ClusterClient
) -> None:
    taint = {"key": "dedicated", "value": "civil-affairs", "effect": "NoSchedule"}
    cluster.ask("PATCH", "/api/v1/nodes/cpu-5", {"spec": {"taints": [taint]}})
    eventually(lambda: len(node(kubernetes, "cpu-5").taints) == 1, "the taint is told")
    assert node(kubernetes, "cpu-5").taints[0].key == "dedicated"
    cluster.ask("PATCH", "/api/v1/nodes/cpu-5", {"spec": {"taints": None}})
    eventually(lambda: not node(kubernetes, "cpu-5").taints, "the taint is gone")

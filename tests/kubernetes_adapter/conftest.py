"""A Kubernetes adapter over a real control plane with twelve pretended nodes: four of them with cards, one in arm64."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from inventory.model.workload import Program
from tests.adapters.adapter_process import AdapterProcess, declared_pool, running
from xisuan.pool.v1 import pool_adapter_service_pb2 as pb

IMAGE = "registry.example/system:1"


class ClusterClient:
    """An administrator of the cluster under test who knows nothing of the adapter: bare HTTP, bare JSON."""

    def __init__(self, folder: Path) -> None:
        self.kubeconfig = folder / "kubeconfig"
        settings = yaml.safe_load(self.kubeconfig.read_text(encoding="utf-8"))
        self._server = settings["clusters"][0]["cluster"]["server"]
        self._token = settings["users"][0]["user"]["token"]
        self._trust = ssl.create_default_context()
        self._trust.check_hostname = False
        self._trust.verify_mode = ssl.CERT_NONE

    def ask(self, method: str, path: str, body: object = None) -> dict[str, object]:
        content = None if body is None else json.dumps(body).encode()
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": kind}
        request = urllib.request.Request(self._server + path, content, headers, method=method)
        with urllib.request.urlopen(request, timeout=20, context=self._trust) as response:
            return json.load(response)

    def items(self, path: str) -> list[dict[str, object]]:
        return self.ask("GET", path)["items"]  # type: ignore[return-value]  # a list, by the API's conventions

    def add_node(self, name: str, *, arch: str = "amd64", **more: str) -> None:
        """A node of 64 CPUs and 256 GiB; `more` are extended resources and labels (those with "label_" before)."""
        labels = {"kubernetes.io/hostname": name, "kubernetes.io/arch": arch}
        labels |= {key.removeprefix("label_"): value for key, value in more.items() if key.startswith("label_")}
        amounts = {"cpu": "64", "memory": "256Gi", "pods": "200"}
        amounts |= {key: value for key, value in more.items() if not key.startswith("label_")}
        metadata = {"name": name, "labels": labels, "annotations": {"kwok.x-k8s.io/node": "fake"}}
        status = {"allocatable": amounts, "capacity": amounts, "nodeInfo": {"architecture": arch}}
        self.ask(
            "POST", "/api/v1/nodes", {"apiVersion": "v1", "kind": "Node", "metadata": metadata, "status": status}
        )


@pytest.fixture(scope="session")
def cluster(kubernetes_cluster: Path) -> ClusterClient:
    client = ClusterClient(kubernetes_cluster)
    for i in range(1, 8):
        client.add_node(f"cpu-{i}", **{"label_topology.kubernetes.io/rack": f"rack-{i % 2}"})
    client.add_node("arm-1", arch="arm64")
    for i in range(1, 3):
        client.add_node(f"ascend-{i}", **{"huawei.com/Ascend910": "8"})
    client.add_node("gpu-1", **{"nvidia.com/gpu": "8", "label_nvidia.com/gpu.product": "A100-SXM4-80GB"})
    client.add_node("mlu-1", **{"cambricon.com/mlu": "4"})
    return client


@pytest.fixture(scope="session")
def kubernetes(cluster: ClusterClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AdapterProcess]:
    adapter = new_adapter(cluster, tmp_path_factory.mktemp("kubernetes"))
    with running(adapter):
        yield adapter


class KubernetesAdapter(AdapterProcess):
    """An adapter whose test runs are containers."""

    def launching(self, run_id: str, seconds: float = 600, **changes: object) -> pb.LaunchItem:  # type: ignore[override]
        return super().launching(run_id, seconds, **{"runtime": "container", **changes})  # type: ignore[arg-type]


def new_adapter(
    cluster: ClusterClient, folder: Path, *options: str, pool_id: str = "kubernetes-pool"
) -> KubernetesAdapter:
    pool = replace(declared_pool("kubernetes"), pool_id=pool_id)
    return KubernetesAdapter(
        "kubernetes", folder, pool=pool, options=["--kubeconfig", str(cluster.kubeconfig), *options]
    )


def container(*command: str) -> Program:
    return Program(command, IMAGE)

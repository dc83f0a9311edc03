"""The Kubernetes adapter obeys every law of the contract that its capabilities do not excuse it from.

The control plane is real, and the nodes run programs as processes of this machine (`tests.servers.process_kubelet`).
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from adapters.conformance.spec import Outcome
from adapters.wire.pools import write_pool_file
from tests.adapters.adapter_process import declared_pool, eventually
from tests.conformance.killed_and_started import PARTS, KilledAndStarted, ask_all
from tests.kubernetes_adapter.conftest import ClusterClient
from tests.servers.required import free_port

DECLARED_SKIPS = {"suspend", "start_estimates", "reservations", "checkpoints", "refuses_when_full"}


@pytest.fixture
def executing_nodes(cluster: ClusterClient, kubernetes_cluster: Path, tmp_path: Path) -> Iterator[None]:
    certificates = kubernetes_cluster / "certificates"
    words = [
        str(cluster.kubeconfig),
        str(certificates / "apiserver.crt"),
        str(certificates / "apiserver.key"),
        str(tmp_path),
        "process-1",
        "process-2",
    ]
    command = [sys.executable, "-m", "tests.servers.process_kubelet", *words]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as kubelet:
        try:
            eventually(lambda: len(ready_nodes(cluster)) == 2, "two nodes that execute")
            yield
        finally:
            assert kubelet.poll() is None, "the kubelet lived as long as the test"
            kubelet.communicate()
            for node in ("process-1", "process-2"):
                cluster.ask("DELETE", f"/api/v1/nodes/{node}")


def ready_nodes(cluster: ClusterClient) -> list[str]:
    nodes = cluster.items("/api/v1/nodes?labelSelector=kubelet%3Dprocess")
    return [node["metadata"]["name"] for node in nodes if "True" in str(node["status"].get("conditions"))]


def command(cluster: ClusterClient, folder: Path, pool_id: str, port: int) -> list[str]:
    folder.mkdir()
    write_pool_file(folder / "pool.json", replace(declared_pool("kubernetes"), pool_id=pool_id))
    return [
        sys.executable, "-m", "adapters.kubernetes",
        "--kubeconfig", str(cluster.kubeconfig), "--node-selector", "kubelet=process",
        "--pool-spec", str(folder / "pool.json"), "--state-dir", str(folder / "state"),
        "--port", str(port), "--exit-with-parent",
    ]  # fmt: skip


@pytest.mark.long
@pytest.mark.faults
@pytest.mark.usefixtures("executing_nodes")
def test_it_conforms_and_skips_nothing_that_it_does_not_declare(cluster: ClusterClient, tmp_path: Path) -> None:
    adapters = []
    for part in range(len(PARTS)):
        port = free_port()
        pool_id = f"lawful-{part}"
        adapters.append(KilledAndStarted(command(cluster, tmp_path / pool_id, pool_id, port), port))
    (reports,) = ask_all([adapters], ["kubernetes"])
    verdicts = [verdict for report in reports for verdict in report.verdicts]
    assert {v.spec.name: v.message for v in verdicts if v.outcome is Outcome.FAILED} == {}
    assert {v.excused_by for v in verdicts if v.outcome is Outcome.SKIPPED} <= DECLARED_SKIPS
    assert all(report.conforms and not report.left_running for report in reports)

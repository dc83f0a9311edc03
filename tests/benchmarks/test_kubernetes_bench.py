"""The Kubernetes adapter against the API server alone, and how late its news are, at 1,000 nodes and 5,000 pods.

Both rates are measured in the same run on the same cluster: bare client calls, 32 at a time, and launches through
the adapter over gRPC. Issue: no fewer launches a second than the API server alone; watch lag p99 under 1 s.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from adapters.contract import Launch
from adapters.kubernetes import manifests, naming
from adapters.kubernetes.api import Api
from adapters.wire.scalars import RUN_STATE_OF
from inventory.model.units import GIB, Resources
from inventory.model.workload import Requirements, RunState
from tests.adapters.adapter_process import eventually, running
from tests.kubernetes_adapter.conftest import ClusterClient, KubernetesAdapter, container, new_adapter
from xisuan.pool.v1 import pool_adapter_service_pb2 as pb

NODES, PODS, LAUNCHES, PROBES, BATCH = 1_000, 5_000, 1_000, 300, 250
SETTLING_S = 600
SMALL = Requirements(Resources(100, GIB // 8))


@pytest.fixture(scope="module")
def large(kubernetes_cluster: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubernetesAdapter]:
    client = ClusterClient(kubernetes_cluster)
    for i in range(NODES):
        client.add_node(f"large-{i}", label_size="large")
    adapter = new_adapter(
        client, tmp_path_factory.mktemp("large"), "--node-selector", "size=large", pool_id="large-pool"
    )
    with running(adapter):
        eventually(
            lambda: len(adapter.stub.ListNodes(pb.ListNodesRequest(page_size=2000)).nodes) == NODES, "1,000 nodes"
        )
        adapter.nodes = [f"large-{i}" for i in range(NODES)]
        yield adapter


def items(adapter: KubernetesAdapter, word: str, count: int, seconds: str) -> list[pb.LaunchItem]:
    return [
        adapter.launching(
            f"{word}-{i}",
            node=adapter.nodes[i % NODES],
            requirements=SMALL,
            program=container("sleep", seconds),
            queue="city/district/department",
        )
        for i in range(count)
    ]


def launch_all(adapter: KubernetesAdapter, launches: list[pb.LaunchItem]) -> None:
    for i in range(0, len(launches), BATCH):
        results = adapter.stub.Launch(
            pb.LaunchRequest(epoch=adapter.epoch, items=launches[i : i + BATCH]), timeout=300
        ).results
        assert all(result.HasField("accepted") for result in results)


def bare_rate(kubeconfig: Path) -> float:
    """Jobs created a second by bare client calls, 32 at a time, with bodies made beforehand."""

    async def create() -> float:
        api = Api(kubeconfig, None)
        await api.open()
        target = manifests.Target("bare-pool", None, manifests.PodSettings())
        bodies = [
            manifests.job(
                Launch(f"bare-{i}", "w", "bare", SMALL, container("sleep", "1"), (f"large-{i % NODES}",)), target
            )
            for i in range(LAUNCHES)
        ]
        at_once = asyncio.Semaphore(32)

        async def one(body: dict[str, object]) -> None:
            async with at_once:
                await api.create("/apis/batch/v1/namespaces/default/jobs", body)

        begun = time.perf_counter()
        await asyncio.gather(*(one(body) for body in bodies))
        rate = LAUNCHES / (time.perf_counter() - begun)
        await api.close()
        return rate

    return asyncio.run(create())


def settle(adapter: KubernetesAdapter, word: str, count: int, state: RunState) -> None:
    """Waits until all of these runs are in `state`: 5,000 pods take the real controllers minutes on two cores."""
    wanted = {f"{word}-{i}" for i in range(count)}
    end = time.monotonic() + SETTLING_S
    while time.monotonic() < end:
        states = {run.run_id: RUN_STATE_OF[run.state] for run in all_runs(adapter)}
        if all(states[run_id] is state for run_id in wanted):
            return
        time.sleep(2)
    raise AssertionError(f"{word}: not {state} within {SETTLING_S} s")


def all_runs(adapter: KubernetesAdapter) -> Iterator[pb.RunStatus]:
    token = ""
    while True:
        page = adapter.stub.List(pb.ListRequest(page_token=token, page_size=1000), timeout=60)
        yield from page.runs
        token = page.next_page_token
        if not token:
            return


class Arrivals:
    """When each probe was first seen running: by our Watch, and by a bare watch of pods."""

    def __init__(self, adapter: KubernetesAdapter, kubeconfig: Path) -> None:
        self.ours: dict[str, float] = {}
        self.bare: dict[str, float] = {}
        self._adapter = adapter
        self._kubeconfig = kubeconfig
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=watch, daemon=True) for watch in (self._watch_ours, self._watch_bare)
        ]

    def begin(self) -> None:
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """Both watches end at their next change or sign of life."""
        self._over.set()

    def _watch_ours(self) -> None:
        cursor = self._adapter.stub.List(pb.ListRequest(page_size=1)).cursor
        for response in self._adapter.stub.Watch(pb.WatchRequest(cursor=cursor)):
            for run in response.runs:
                if run.run_id.startswith("probe") and RUN_STATE_OF[run.state] is RunState.RUNNING:
                    self.ours.setdefault(run.run_id, time.monotonic())
            if self._over.is_set():
                return

    def _watch_bare(self) -> None:
        asyncio.run(self._follow_pods())

    async def _follow_pods(self) -> None:
        api = Api(self._kubeconfig, None)
        await api.open()
        page = await api.get("/api/v1/pods", {"limit": "1"})
        query = {"watch": "true", "resourceVersion": page["metadata"]["resourceVersion"]}
        async for line in api.lines("/api/v1/pods", query, 120):
            pod = json.loads(line)["object"]
            run_id = pod["metadata"].get("annotations", {}).get(naming.RUN_ID, "")
            if run_id.startswith("probe") and pod.get("status", {}).get("phase") == "Running":
                self.bare.setdefault(run_id, time.monotonic())
            if self._over.is_set():
                break
        await api.close()


def test_launches_a_second_against_the_api_server_alone(
    benchmark: BenchmarkFixture, large: KubernetesAdapter, kubernetes_cluster: Path
) -> None:
    bare = bare_rate(kubernetes_cluster / "kubeconfig")
    time.sleep(20)  # the controllers are done with those Jobs
    launches = items(large, "rate", LAUNCHES, "1")
    benchmark.pedantic(launch_all, (large, launches), rounds=1)
    through = LAUNCHES / benchmark.stats.stats.median
    benchmark.extra_info.update(
        bare_per_second=round(bare), adapter_per_second=round(through), ratio=round(through / bare, 2)
    )
    settle(large, "rate", LAUNCHES, RunState.SUCCEEDED)


def test_watch_lag_with_five_thousand_pods(
    benchmark: BenchmarkFixture, large: KubernetesAdapter, kubernetes_cluster: Path
) -> None:
    """Lag: from a bare watch's news that a pod runs to our Watch's news that its run does."""
    launch_all(large, items(large, "many", PODS, "100000"))
    settle(large, "many", PODS, RunState.RUNNING)
    arrivals = Arrivals(large, kubernetes_cluster / "kubeconfig")
    arrivals.begin()
    time.sleep(2)
    benchmark.pedantic(launch_all, (large, items(large, "probe", PROBES, "100000")), rounds=1)
    settle(large, "probe", PROBES, RunState.RUNNING)
    arrivals.end()
    lags = sorted(arrivals.ours[run_id] - arrivals.bare[run_id] for run_id in arrivals.ours.keys() & arrivals.bare)
    assert len(lags) > PROBES * 0.9
    benchmark.extra_info.update(
        lag_p50_ms=round(1000 * statistics.median(lags)), lag_p99_ms=round(1000 * lags[int(len(lags) * 0.99)])
    )

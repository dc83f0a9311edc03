"""The Kubernetes adapter against the API server alone, and how late its news are, at 1,000 nodes and 5,000 pods.

Both rates are measured in the same run on the same cluster, in turns: bare calls of the official client, 64 at a time,
with bodies made beforehand, and launches through the adapter over gRPC. Issue: no fewer launches a second than the API
server alone; watch lag p99 under 1 s. Ask for one with `-k launches` (a minute), `-k lag` (two); `-s` shows the result.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import statistics
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import grpc
import pytest
from kubernetes.aio import client, config
from pytest_benchmark.fixture import BenchmarkFixture

from adapters.contract import Launch
from adapters.kubernetes import manifests, naming
from adapters.kubernetes.api import Api
from adapters.sdk.engine import EngineUnavailable
from adapters.wire.scalars import RUN_STATE_OF
from inventory.model.units import GIB, Resources
from inventory.model.workload import Requirements, RunState
from tests.adapters.adapter_process import eventually
from tests.kubernetes_adapter.conftest import ClusterClient, KubernetesAdapter, container, new_adapter
from xisuan.pool.v1 import pool_adapter_service_pb2 as pb

NODES, PODS, LAUNCHES, PROBES, BATCH = 1_000, 5_000, 1_000, 300, 250
TASKS = 10  # pods of each run that is only there to be there
AT_ONCE = 64
TURN = 250
TYPED = 100
SETTLING_S = 600
SMALL = Requirements(Resources(100, GIB // 8))


@pytest.fixture(scope="module")
def large(kubernetes_cluster: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubernetesAdapter]:
    client = ClusterClient(kubernetes_cluster)
    asyncio.run(create_nodes(client.kubeconfig))
    adapter = new_adapter(
        client, tmp_path_factory.mktemp("large"), "--node-selector", "size=large", pool_id="large-pool"
    )
    adapter.start()
    eventually(
        lambda: len(adapter.stub.ListNodes(pb.ListNodesRequest(page_size=2000)).nodes) == NODES, "1,000 nodes"
    )
    adapter.nodes = [f"large-{i}" for i in range(NODES)]
    yield adapter
    adapter.stop()  # its runs go with the cluster


def show(benchmark: BenchmarkFixture) -> None:
    sys.stdout.write(f"{json.dumps(benchmark.extra_info)}\n")


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


async def all_at_once(api: Api, path: str, bodies: list[dict[str, object]]) -> float:
    """Creates these objects, 64 at a time; returns the seconds that it took."""
    at_once = asyncio.Semaphore(AT_ONCE)

    async def one(body: dict[str, object]) -> None:
        async with at_once:
            await api.create(path, body)

    begun = time.perf_counter()
    await asyncio.gather(*(one(body) for body in bodies))
    return time.perf_counter() - begun


async def create_nodes(kubeconfig: Path) -> None:
    amounts = {"cpu": "64", "memory": "256Gi", "pods": "200"}
    status = {"allocatable": amounts, "capacity": amounts, "nodeInfo": {"architecture": "amd64"}}
    labels = {"size": "large", "kubernetes.io/arch": "amd64"}
    metadata = [
        {"name": f"large-{i}", "labels": labels, "annotations": {"kwok.x-k8s.io/node": "fake"}}
        for i in range(NODES)
    ]
    api = Api(kubeconfig, None)
    await api.open()
    await all_at_once(api, "/api/v1/nodes", [{"metadata": one, "status": status} for one in metadata])
    await api.close()


class BareClient:
    """The API server alone: the official client, which keeps its connections and creates Jobs whose bodies are there.

    Its answers are asked for as metadata alone and read, and not made into objects: the least that a caller of this
    client can do. `typed` does what its reference shows first, `create_namespaced_job`, which takes several times that.
    """

    _ACCEPT = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"

    def __init__(self, kubeconfig: Path) -> None:
        self._loop = asyncio.new_event_loop()
        self._loop.run_until_complete(self._open(kubeconfig))

    async def _open(self, kubeconfig: Path) -> None:
        settings = client.Configuration()
        await config.load_kube_config(str(kubeconfig), client_configuration=settings)
        settings.connection_pool_maxsize = AT_ONCE
        settings.client_session_kwargs = {"trust_env": False}
        self._client = client.ApiClient(settings)

    def close(self) -> None:
        self._loop.run_until_complete(self._client.close())
        self._loop.close()

    def seconds(self, word: str, count: int) -> float:
        """How long so many Jobs take."""
        return self._loop.run_until_complete(self._at_once(self._create, bare_jobs(word, count)))

    def typed_seconds(self, word: str, count: int) -> float:
        jobs = client.BatchV1Api(self._client)

        async def create(body: dict[str, object]) -> None:
            await jobs.create_namespaced_job("default", body)

        return self._loop.run_until_complete(self._at_once(create, bare_jobs(word, count)))

    async def _create(self, body: dict[str, object]) -> None:
        path = "/apis/batch/v1/namespaces/default/jobs"
        method, url, headers, _, _ = await self._client.param_serialize(
            "POST", path, header_params={"Accept": self._ACCEPT}, auth_settings=["BearerToken"]
        )
        answer = await self._client.call_api(method, url, headers, body)
        await answer.read()
        assert answer.status == 201, await answer.read()

    async def _at_once(
        self, create: Callable[[dict[str, object]], Awaitable[None]], bodies: list[dict[str, object]]
    ) -> float:
        at_once = asyncio.Semaphore(AT_ONCE)

        async def one(body: dict[str, object]) -> None:
            async with at_once:
                await create(body)

        begun = time.perf_counter()
        await asyncio.gather(*(one(body) for body in bodies))
        return time.perf_counter() - begun


def bare_jobs(word: str, count: int) -> list[dict[str, object]]:
    """The same Jobs as the adapter makes, of a pool that it does not follow."""
    target = manifests.Target("bare-pool", None, manifests.PodSettings())
    return [
        manifests.job(
            Launch(f"{word}-{i}", "w", "bare", SMALL, container("sleep", "1"), (f"large-{i % NODES}",)), target
        )
        for i in range(count)
    ]


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
        try:
            for response in self._adapter.stub.Watch(pb.WatchRequest(cursor=cursor)):
                for run in response.runs:
                    if run.run_id.startswith("probe") and RUN_STATE_OF[run.state] is RunState.RUNNING:
                        self.ours.setdefault(run.run_id, time.monotonic())
                if self._over.is_set():
                    return
        except grpc.RpcError:
            if not self._over.is_set():  # the adapter went before its next sign of life
                raise

    def _watch_bare(self) -> None:
        asyncio.run(self._follow_pods())

    async def _follow_pods(self) -> None:
        api = Api(self._kubeconfig, None)
        await api.open()
        page = await api.get("/api/v1/pods", {"limit": "1"})
        query = {"watch": "true", "resourceVersion": page["metadata"]["resourceVersion"]}
        try:
            async for line in api.lines("/api/v1/pods", query, 120):
                pod = json.loads(line)["object"]
                run_id = pod["metadata"].get("annotations", {}).get(naming.RUN_ID, "")
                if run_id.startswith("probe") and pod.get("status", {}).get("phase") == "Running":
                    self.bare.setdefault(run_id, time.monotonic())
                if self._over.is_set():
                    break
        except EngineUnavailable:
            if not self._over.is_set():  # nothing changed any more until the cluster went
                raise
        finally:
            await api.close()


def test_launches_a_second_against_the_api_server_alone(
    benchmark: BenchmarkFixture, large: KubernetesAdapter, kubernetes_cluster: Path
) -> None:
    """In short turns, so that whatever the controllers do meanwhile with what is there falls on all alike. `ratio`: to the
    least that a caller of the client can do; `ratio_to_typed`: to its own `create_namespaced_job`."""
    rounds = itertools.count()
    alone = BareClient(kubernetes_cluster / "kubeconfig")
    bare: list[float] = []
    typed: list[float] = []

    def in_turn() -> tuple[tuple[KubernetesAdapter, list[pb.LaunchItem]], dict[str, object]]:
        number = next(rounds)
        typed.append(TYPED / alone.typed_seconds(f"typed-{number}", TYPED))
        bare.append(TURN / alone.seconds(f"bare-{number}", TURN))
        return (large, items(large, f"rate-{number}", TURN, "1")), {}

    in_turn()  # the namespaces are made, and connections are open
    launch_all(large, items(large, "first", TURN, "1"))
    bare.clear()
    typed.clear()
    benchmark.pedantic(launch_all, setup=in_turn, rounds=LAUNCHES // TURN)
    through = TURN / benchmark.stats.stats.median
    benchmark.extra_info.update(
        bare_per_second=round(statistics.median(bare)),
        adapter_per_second=round(through),
        ratio=round(through / statistics.median(bare), 2),
        typed_per_second=round(statistics.median(typed)),
        ratio_to_typed=round(through / statistics.median(typed), 2),
    )
    show(benchmark)
    alone.close()
    known = {run.run_id for run in all_runs(large)}
    assert {f"rate-{number}-{i}" for number in range(1, LAUNCHES // TURN + 1) for i in range(TURN)} <= known


def test_watch_lag_with_five_thousand_pods(
    benchmark: BenchmarkFixture, large: KubernetesAdapter, kubernetes_cluster: Path
) -> None:
    """Lag: from a bare watch's news that a pod runs to our Watch's news that its run does."""
    many = [
        large.launching(
            f"many-{i}",
            nodes=(large.nodes[i],) * TASKS,
            requirements=Requirements(SMALL.per_task, TASKS),
            program=container("sleep", "100000"),
        )
        for i in range(PODS // TASKS)
    ]
    launch_all(large, many)
    settle(large, "many", len(many), RunState.RUNNING)
    arrivals = Arrivals(large, kubernetes_cluster / "kubeconfig")
    arrivals.begin()
    time.sleep(2)
    benchmark.pedantic(launch_all, (large, items(large, "probe", PROBES, "100000")), rounds=1)
    settle(large, "probe", PROBES, RunState.RUNNING)
    arrivals.end()
    lags = sorted(arrivals.ours[run_id] - arrivals.bare[run_id] for run_id in arrivals.ours.keys() & arrivals.bare)
    assert len(lags) > PROBES * 0.9
    benchmark.extra_info.update(
        lag_p50_ms=round(1000 * statistics.median(lags)),
        lag_p99_ms=round(1000 * lags[int(len(lags) * 0.99)]),
        lag_max_ms=round(1000 * lags[-1]),
        probes=len(lags),
    )
    show(benchmark)

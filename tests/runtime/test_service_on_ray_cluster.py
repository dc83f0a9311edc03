"""The service on a Ray cluster of three nodes with PostgreSQL: two gateways, two pool hosts, and a node that is lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path

import psutil
import pytest

from inventory.store.verify import verify
from scheduler.store.opening import open_store
from tests.runtime.service import POOLS, Service, until, workload
from tests.servers.required import free_port
from xisuan.client import FINAL_STATES, WORKLOAD_STATE_SUCCEEDED, Client
from xisuan.credentials import of_home

pytestmark = [pytest.mark.ray, pytest.mark.postgres]

ACTORS = ("ControlPlaneShell", "PoolHostShell", "GatewayShell")


class Nodes:
    """Three Ray nodes (`tests.runtime.ray_nodes`), the head first."""

    def __init__(self, folder: Path) -> None:
        with (folder.parent / "nodes.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.runtime.ray_nodes", str(folder)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        assert self._process.stdout is not None
        said = self._process.stdout.readline()
        assert said, (folder.parent / "nodes.log").read_text(encoding="utf-8")[-2000:]
        started = json.loads(said)
        self.address: str = started["address"]
        self.raylets: list[int] = started["raylets"]

    def actors(self) -> list[list[str]]:
        """Which actors each node runs, by the names of their classes; a lost node runs none."""
        return [
            [actor for words in _below(raylet) for actor in ACTORS if actor in words] for raylet in self.raylets
        ]

    def all_actors(self) -> list[str]:
        return sorted(chain.from_iterable(self.actors()))

    def lose(self, number: int) -> None:
        """kill -9 of everything on a node at once."""
        raylet = psutil.Process(self.raylets[number])
        for process in [raylet, *raylet.children(recursive=True)]:
            process.kill()

    def close(self) -> None:
        self._process.communicate()
        self._process.wait(30)


class OnCluster(Service):
    """`xisuan up` as the driver of a cluster, with two gateways and two pool hosts."""

    def __init__(self, home: Path, store_url: str, nodes: Nodes) -> None:
        self._nodes = nodes
        self._store_url = store_url
        self.ports = [port := free_port(following=1), port + 1]
        super().__init__(home)

    def start(self) -> subprocess.Popen[bytes]:
        self.home.mkdir(parents=True)
        command = [sys.executable, "-m", "console", "up", "--speed", "30", "--port", str(self.ports[0])]
        command += ["--pools", str(POOLS / "pools.csv"), "--node-groups", str(POOLS / "node-groups.csv")]
        command += ["--gateways", "2", "--pool-hosts", "2"]
        known = {"XISUAN_HOME": str(self.home), "XISUAN_STORE": self._store_url, "RAY_AUTH_MODE": "disabled"}
        with (self.home / "up.log").open("ab") as log:
            self.process = subprocess.Popen(
                command, env=os.environ | known | {"RAY_ADDRESS": self._nodes.address}, stdout=log, stderr=log
            )
        until(self._is_up, f"the start of the service ({self.home / 'up.log'})", 120)
        with self.operations() as operations:
            until(lambda: self._all_ready(operations), "readiness of all pools", 120)
        return self.process

    def gateway(self, number: int) -> Client:
        return Client(f"127.0.0.1:{self.ports[number]}", patience_s=90, credentials=of_home(self.home))


def _below(pid: int) -> list[str]:
    """What the processes below this one call themselves."""
    try:
        return [" ".join(process.cmdline()) for process in psutil.Process(pid).children(recursive=True)]
    except psutil.Error:
        return []


@pytest.fixture
def nodes() -> Iterator[Nodes]:
    # Sockets lie below it, and their paths must be short.
    with tempfile.TemporaryDirectory(prefix="xrc-") as folder:
        started = Nodes(Path(folder) / "r")
        yield started
        started.close()


def test_two_gateways_and_two_pool_hosts_on_three_nodes_outlive_the_loss_of_one(
    nodes: Nodes, new_postgres_database: Callable[[], str], tmp_path: Path
) -> None:
    url = new_postgres_database()
    with OnCluster(tmp_path / "home", url, nodes) as service:
        assert nodes.all_actors() == ["ControlPlaneShell", *["GatewayShell"] * 2, *["PoolHostShell"] * 2]
        placed = nodes.actors()
        assert sum(bool(actors) for actors in placed) >= 2, placed
        assert "GatewayShell" not in placed[0]  # gateways run where they are offered room

        ids = _submit(service, "before", seconds=60)
        # The worker with the control plane, if one has it: the head, which ends with the cluster, is not lost here.
        lost = max((1, 2), key=lambda number: ("ControlPlaneShell" in placed[number], len(placed[number])))
        assert placed[lost]
        nodes.lose(lost)
        ids += _submit(service, "after", seconds=30)

        with service.gateway(0) as client:
            finished = [client.wait(workload_id) for workload_id in ids]
        assert {one.state for one in finished} == {WORKLOAD_STATE_SUCCEEDED}
        assert {len(one.runs) for one in finished} == {1}
        with service.gateway(1) as client:
            assert {one.workload_id for one in client.list()} == set(ids)
            assert {one.state for one in client.list()} <= FINAL_STATES
        until(lambda: len(nodes.all_actors()) == len(ACTORS) + 2, "every actor on the nodes that are left")
        assert nodes.actors()[lost] == []
        assert service.stop() == 0
    store = open_store(url)
    assert verify(store).holds
    store.close()


def _submit(service: OnCluster, key: str, *, seconds: int) -> Sequence[str]:
    """Through both gateways; ids of what was acknowledged, which is everything."""
    ids = []
    for number in (0, 1):
        with service.gateway(number) as client:
            specs = [workload(f"{key}-{number}-{each}", seconds=seconds) for each in range(20)]
            ids += [result.accepted.workload.workload_id for result in client.submit_batch(specs)]
    assert len(set(ids)) == 40
    return ids

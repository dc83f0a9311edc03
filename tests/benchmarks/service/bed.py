"""The service under test: `xisuan up` on a home and pools made for one measurement, and its processes' memory.

Each measurement of `tests.benchmarks.service.measurements` brings up a bed of its own, so that none inherits the
queue, the store or the memory of another.
"""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.request import urlopen

import psutil
from prometheus_client.parser import text_string_to_metric_families

from console.connection import credentials_of, operations, require_service, workloads
from console.home import Endpoint, Home
from tests.shared_inputs import REPOSITORY
from xisuan.calls import Channel
from xisuan.client import Client, Program, Requirements, Resources, WorkloadSpec
from xisuan.operations import PoolHealth

PATIENCE_S = 300.0
_OPTIONS = ("--simulate", "--metrics-port", "0")
_EXAMPLE = REPOSITORY / "examples" / "pools" / "pools.csv"


@dataclass(frozen=True, slots=True)
class Pools:
    """Simulated pools of equal nodes (64 cores, 256 GB each); a run takes its estimate."""

    pools: int
    nodes_each: int
    cores_a_node: int = 64

    def write(self, folder: Path) -> tuple[Path, Path]:
        """The two files of `xisuan up`: pools and node groups."""
        with _EXAMPLE.open(encoding="utf-8", newline="") as file:
            row = next(one for one in csv.DictReader(file) if not one["accel"])
        pools, groups = folder / "pools.csv", folder / "node-groups.csv"
        with pools.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, row)
            writer.writeheader()
            writer.writerows({**row, "pool_id": f"bench-{n:03d}", "name": f"示例-{n}"} for n in range(self.pools))
        with groups.open("w", encoding="utf-8", newline="") as file:
            file.write("pool_id,group,nodes,arch,vcpu,mem_gb,accel,cards\n")
            file.writelines(
                f"bench-{n:03d},general,{self.nodes_each},x86_64,{self.cores_a_node},256,,0\n"
                for n in range(self.pools)
            )
        return pools, groups


class Bed:
    """One `xisuan up`; the process and all that it started are gone afterwards."""

    def __init__(self, folder: Path, pools: Pools) -> None:
        self.home = Home(folder / "home", "")
        self.home.folder.mkdir(parents=True, exist_ok=True)
        self._files = pools.write(folder)
        self._wanted = pools.pools
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> float:
        """Starts it (again); the seconds until every pool is ready to take work."""
        begin = time.perf_counter()
        (self.home.folder / "endpoint.json").unlink(missing_ok=True)
        pools, groups = map(str, self._files)
        with (self.home.folder / "up.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "console", "up", "--pools", pools, "--node-groups", groups, *_OPTIONS],
                env=self._environment(),
                cwd=REPOSITORY,
                stdout=log,
                stderr=log,
            )
        until(lambda: self._process_lives() and self.home.read_endpoint() is not None, "the service is up")
        until(lambda: self._ready_pools() == self._wanted, "every pool is ready")
        return time.perf_counter() - begin

    def stop(self) -> None:
        """Asks for an orderly end, and waits for it."""
        if self._process is not None:
            parts = self._tree()
            self._process.send_signal(signal.SIGTERM)
            psutil.wait_procs(parts, timeout=PATIENCE_S)
            self._process.wait(PATIENCE_S)
            self._process = None

    def client(self) -> AbstractContextManager[Client]:
        """As the command line connects: with the credentials of the home."""
        return workloads(self.home)

    def channel(self) -> Channel:
        """For calls that are begun and not waited for, which the client has not."""
        address = require_service(self.home)
        return Channel(address, patience_s=0.0, credentials=credentials_of(self.home, address))

    @property
    def endpoint(self) -> Endpoint:
        endpoint = self.home.read_endpoint()
        assert endpoint is not None, "the service is not up"
        return endpoint

    def counted(self, name: str) -> float:
        """The sum of all samples of this name that the service exposes now."""
        with urlopen(f"http://{self.endpoint.metrics}/metrics", timeout=30) as answer:
            families = text_string_to_metric_families(answer.read().decode())
            return sum(one.value for family in families for one in family.samples if one.name == name)

    def memory_bytes(self) -> int:
        """Proportional set size of the whole tree: shared pages count once."""
        return sum(part.memory_full_info().pss for part in self._tree())

    def _tree(self) -> list[psutil.Process]:
        assert self._process is not None
        root = psutil.Process(self._process.pid)
        return [root, *root.children(recursive=True)]

    def _process_lives(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise SystemExit((self.home.folder / "up.log").read_text(encoding="utf-8")[-2000:])
        return True

    def _environment(self) -> dict[str, str]:
        return os.environ | {"XISUAN_HOME": str(self.home.folder)}

    def _ready_pools(self) -> int:
        with operations(self.home) as service:
            return sum(pool.health == PoolHealth.POOL_HEALTH_READY for pool in service.pools())


def spec(queue: str, key: str, *, seconds: int = 30, cpu_milli: int = 100) -> WorkloadSpec:
    """One task of a tenth of a core that runs for so long on a simulated pool."""
    made = WorkloadSpec(
        queue=queue,
        client_key=key,
        requirements=Requirements(per_task=Resources(cpu_milli=cpu_milli, memory_bytes=64 * 1024**2)),
        program=Program(command=["true"]),
    )
    made.estimated_runtime.FromSeconds(seconds)
    return made


def until(holds: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + PATIENCE_S
    while not holds():
        if time.monotonic() > end:
            raise SystemExit(f"not within {PATIENCE_S:g} s: {what}")
        time.sleep(0.05)

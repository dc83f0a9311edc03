"""`xisuan up` as a process: start it, find its parts, kill any of them, see what it leaves behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import grpc
import psutil

from tests.shared_inputs import REPOSITORY
from xisuan.client import Client, Program, Requirements, Resources, WorkloadSpec
from xisuan.credentials import of_home
from xisuan.operations import Operations, PoolHealth

# Generous, because a test machine may be busy; nothing waits longer than it must.
START_S = 180.0
POOLS = REPOSITORY / "examples" / "pools"
Found = TypeVar("Found")


def until(look: Callable[[], Found | None], what: str, within_s: float = 60.0) -> Found:
    """Looks until there is something; fails with `what` was awaited."""
    deadline = time.monotonic() + within_s
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not happen within {within_s:.0f} s")
        time.sleep(0.05)


def workload(key: str, *, pool: str = "", seconds: int = 30, command: tuple[str, ...] = ("true",)) -> WorkloadSpec:
    spec = WorkloadSpec(
        queue="tests/runtime",
        client_key=key,
        requirements=Requirements(
            per_task=Resources(cpu_milli=100, memory_bytes=64 * 1024**2), pools=[pool] if pool else []
        ),
        program=Program(command=command),
        max_attempts=1,
    )
    spec.estimated_runtime.FromSeconds(seconds)
    return spec


class Service:
    """One `xisuan up` on a home of its own, with the example pools, thirty simulated seconds to the second."""

    def __init__(self, home: Path, speed: float = 30.0) -> None:
        self.home = home
        self._speed = speed
        self._started: list[psutil.Process] = []
        self.process = self.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        everything = {process.pid: process for process in self._started}.values()
        for process in everything:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(everything, timeout=30)

    @property
    def address(self) -> str:
        written = json.loads((self.home / "endpoint.json").read_text(encoding="utf-8"))
        return str(written["address"])

    def start(self) -> subprocess.Popen[bytes]:
        """Starts (again), and waits until every pool is ready."""
        (self.home / "endpoint.json").unlink(missing_ok=True)
        self.home.mkdir(parents=True, exist_ok=True)
        files = ("--pools", str(POOLS / "pools.csv"), "--node-groups", str(POOLS / "node-groups.csv"))
        with (self.home / "up.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "console", "up", *files, "--speed", str(self._speed)],
                env=os.environ | {"XISUAN_HOME": str(self.home)},
                stdout=log,
                stderr=log,
            )
        until(self._is_up, f"the start of the service ({self.home / 'up.log'})", START_S)
        with self.operations() as operations:
            until(lambda: self._all_ready(operations), "readiness of all pools", START_S)
        self._started += self.parts()
        return self.process

    def stop(self) -> int:
        """Asks for an orderly end and returns the exit code."""
        self._started += self.parts()
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def kill(self) -> None:
        """kill -9 of the process that the user started."""
        self._started += self.parts()
        self.process.kill()
        self.process.wait()

    def parts(self) -> list[psutil.Process]:
        """Every process below it."""
        try:
            return psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def part(self, name: str) -> psutil.Process:
        """The process whose command line has this text, for example ControlPlaneShell."""
        found = [part for part in self.parts() if name in " ".join(_command_line(part))]
        assert len(found) == 1, (name, [_command_line(part)[:3] for part in self.parts()])
        return found[0]

    def left_behind(self) -> list[psutil.Process]:
        """Processes of this service that still run although it ended, after a moment to end themselves."""
        _, alive = psutil.wait_procs({process.pid: process for process in self._started}.values(), timeout=60)
        return [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]

    def client(self) -> Client:
        return Client(self.address, patience_s=90, credentials=of_home(self.home))

    def operations(self) -> Operations:
        return Operations(self.address, patience_s=90, credentials=of_home(self.home))

    def channel(self) -> grpc.Channel:
        """For the stubs of others, with the local administrator's token in every call."""
        known = of_home(self.home)
        assert known.ca is not None
        secure = grpc.ssl_channel_credentials(known.ca.read_bytes())
        bearer = grpc.access_token_call_credentials(known.token)
        return grpc.secure_channel(self.address, grpc.composite_channel_credentials(secure, bearer))

    def run_command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """One `xisuan` command on this home, as a user types it."""
        return subprocess.run(
            [sys.executable, "-m", "console", *arguments],
            env=os.environ | {"XISUAN_HOME": str(self.home)},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def _is_up(self) -> bool:
        assert self.process.poll() is None, (self.home / "up.log").read_text(encoding="utf-8")[-2000:]
        return (self.home / "endpoint.json").exists()

    @staticmethod
    def _all_ready(operations: Operations) -> bool:
        pools = operations.pools()
        return bool(pools) and all(pool.health == PoolHealth.POOL_HEALTH_READY for pool in pools)


def _command_line(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []

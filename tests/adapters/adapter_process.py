"""Adapter processes for tests: started as the console starts them, and gone without a trace afterwards."""

from __future__ import annotations

import itertools
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import grpc
import psutil

from adapters.contract import Launch
from adapters.wire.launches import launch_to_wire
from adapters.wire.pools import write_pool_file
from adapters.wire.scalars import RUN_STATE_OF
from inventory.model.pool import NodeGroup, Pool
from inventory.model.system import Architecture, Zone
from inventory.model.units import GIB, TIB, Resources
from inventory.model.workload import Program, Requirements, RunState
from xisuan.pool.v1 import pool_adapter_service_pb2 as pb
from xisuan.pool.v1.pool_adapter_service_pb2_grpc import PoolAdapterServiceStub

TECHNOLOGIES = ("simulated", "local")
PATIENCE_S = 20.0
HALF_CORE = Resources(cpu_milli=500, memory_bytes=GIB)
_numbers = itertools.count(1)


HALTED_AT_ONCE = 50  # the smallest batch that an adapter of ours takes is 64


def new_run_id(word: str = "run") -> str:
    """A run id that no other test of this session uses: the adapters are shared."""
    return f"{word}-{next(_numbers)}"


def eventually(condition: Callable[[], bool], what: str, patience_s: float = PATIENCE_S) -> None:
    """Waits until the condition holds; fails with `what` when it does not in time."""
    end = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < end, f"not within {patience_s:g} s: {what}"
        time.sleep(0.02)


def declared_pool(technology: str, nodes: int | None = None) -> Pool:
    """Nodes of 8 cores and 16 GiB; the local pool is one of 64 cores: tests must not crowd each other out."""
    local = technology == "local"
    group = NodeGroup(
        "general",
        nodes if nodes is not None else 1 if local else 40,
        Architecture.X86_64,
        Resources(64_000, 256 * GIB) if local else Resources(8_000, 16 * GIB),
    )
    return Pool(
        pool_id=f"{technology}-pool",
        name="示例池",
        hub="成渝",
        adapter=technology,
        zones=frozenset({Zone.INTERNET}),
        protection_level=3,
        architectures=frozenset({Architecture.X86_64}),
        accelerator=None,
        cards=0,
        disk_bytes=TIB,
        one_way_ms=1.0,
        egress_gbps=1.0,
        pue=1.2,
        green_share=0.5,
        kwh_cny=0.5,
        card_hour_cny=None,
        vcpu_hour_cny=0.1,
        classes=frozenset({"通算"}),
        node_groups=(group,),
    )


class AdapterProcess:
    """One adapter under test, its channel, and what tests say most often. `patience_s` is for its engine."""

    patience_s = PATIENCE_S

    def __init__(
        self, technology: str, folder: Path, *, pool: Pool | None = None, options: Sequence[str] = ()
    ) -> None:
        self.technology = technology
        self.folder = folder
        self.state_dir = folder / "state"
        self._port_file = folder / "port"
        self._options = list(options)
        if technology == "simulated":
            self._options += ["--launch-latency-ms", "20"]
        self.pool = pool or declared_pool(technology)
        self.epoch = 1
        folder.mkdir(parents=True, exist_ok=True)
        write_pool_file(folder / "pool.json", self.pool)

    def command(self) -> list[str]:
        return [
            sys.executable, "-m", f"adapters.{self.technology}",
            "--pool-spec", str(self.folder / "pool.json"),
            "--state-dir", str(self.state_dir),
            "--port-file", str(self._port_file),
            "--exit-with-parent",
            *self._options,
        ]  # fmt: skip

    def start(self) -> None:
        self._port_file.unlink(missing_ok=True)
        self.process = subprocess.Popen(self.command(), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        eventually(self._port_file.exists, f"{self.technology} adapter is up", self.patience_s)
        self.endpoint = f"127.0.0.1:{self._port_file.read_text(encoding='ascii').strip()}"
        self.channel = grpc.insecure_channel(self.endpoint, options=(("grpc.enable_http_proxy", 0),))
        self.stub = PoolAdapterServiceStub(self.channel)
        nodes = self.stub.ListNodes(pb.ListNodesRequest(), timeout=self.patience_s).nodes
        self.node = nodes[0].node_id if nodes else ""  # a pool may disclose none
        self.nodes = [node.node_id for node in nodes]

    def kill(self) -> None:
        """kill -9: no goodbye."""
        self.process.kill()
        self._collect()

    def restart(self) -> None:
        """kill -9, and a new process with the same state folder."""
        self.kill()
        self.start()

    def stop(self) -> int:
        """SIGTERM; returns the exit code."""
        self.process.terminate()
        return self._collect()

    def _collect(self) -> int:
        self.channel.close()
        code = self.process.wait(PATIENCE_S)
        if self.process.stdin:
            self.process.stdin.close()
        return code

    def is_up(self) -> bool:
        return hasattr(self, "process") and self.process.poll() is None

    # -- runs ---------------------------------------------------------------------------------------------------

    def launching(
        self, run_id: str, seconds: float = 600, *, node: str | None = None, **changes: object
    ) -> pb.LaunchItem:
        """A run that takes `seconds`: a `sleep` to a real pool, an estimate to a simulated one."""
        fields: dict[str, object] = {
            "run_id": run_id,
            "workload_id": f"workload-of-{run_id}",
            "name": "a test",
            "requirements": Requirements(HALF_CORE),
            "program": Program(("sleep", f"{seconds:g}") if seconds else ("true",)),
            "nodes": (node or self.node,),
            "estimated_ms": max(1, int(seconds * 1000)),
            **changes,
        }
        return launch_to_wire(Launch(**fields))  # type: ignore[arg-type]  # the fields are spelled out above

    def launch(self, *items: pb.LaunchItem) -> list[pb.LaunchResult]:
        request = pb.LaunchRequest(epoch=self.epoch, items=items)
        return list(self.stub.Launch(request, timeout=self.patience_s).results)

    def halt(self, *run_ids: str, grace_ms: int = 2000) -> list[pb.StopResult]:
        request = pb.StopRequest(epoch=self.epoch)
        for run_id in run_ids:
            item = request.items.add(run_id=run_id)
            item.grace.FromMilliseconds(grace_ms)
        return list(self.stub.Stop(request, timeout=self.patience_s).results)

    def status(self, run_id: str) -> pb.RunStatus:
        return self.stub.Inspect(pb.InspectRequest(run_id=run_id), timeout=self.patience_s).status

    def state(self, run_id: str) -> RunState:
        return RUN_STATE_OF[self.status(run_id).state]

    def wait_for(self, run_id: str, *states: RunState) -> pb.RunStatus:
        eventually(lambda: self.state(run_id) in states, f"{run_id} is {' or '.join(states)}", self.patience_s)
        return self.status(run_id)

    def ending(self, run_id: str) -> pb.RunStatus:
        eventually(lambda: self.state(run_id).is_final, f"{run_id} has ended", self.patience_s)
        return self.status(run_id)

    def output(self, run_id: str, offset: int = 0, *, follow: bool = False) -> bytes:
        request = pb.LogsRequest(run_id=run_id, offset=offset, follow=follow)
        return b"".join(piece.chunk for piece in self.stub.Logs(request, timeout=self.patience_s))

    def processes(self) -> list[psutil.Process]:
        """Every process that has to do with this adapter's state folder: itself, supervisors, tasks."""
        return [process for process, _ in self._involved()]

    def places(self) -> list[str]:
        """Where these processes work."""
        return [place for _, place in self._involved()]

    def _involved(self) -> list[tuple[psutil.Process, str]]:
        found = []
        for process in psutil.process_iter():
            try:
                words, place = process.cmdline(), process.cwd()
            except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
                continue
            if any(str(self.folder) in word for word in (*words, place)):
                found.append((process, place))
        return found


@contextmanager
def running(adapter: AdapterProcess) -> Iterator[AdapterProcess]:
    """The adapter, up; afterwards it and everything that it started is gone, or the test fails."""
    adapter.start()
    try:
        yield adapter
    finally:
        if not adapter.is_up():
            adapter.start()
        active = [
            run.run_id for run in adapter.stub.List(pb.ListRequest()).runs if not RUN_STATE_OF[run.state].is_final
        ]
        adapter.epoch = 2**62
        for first in range(0, len(active), HALTED_AT_ONCE):
            adapter.halt(*active[first : first + HALTED_AT_ONCE], grace_ms=0)
        for run_id in active:
            adapter.ending(run_id)
        assert adapter.stop() == 0
        eventually(lambda: not adapter.processes(), f"nothing is left of {adapter.folder}")

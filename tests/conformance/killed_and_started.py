"""Adapters as processes that are killed and started again on one port, and the whole suite asked of them."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from adapters.conformance.report import Report, chosen
from adapters.conformance.runner import Suite, run_suite
from adapters.conformance.session import Options
from adapters.conformance.spec import Outcome
from adapters.conformance.specs import ALL
from adapters.wire.pools import write_pool_file
from tests.adapters.adapter_process import declared_pool
from tests.conformance.mutants import gather_limited

# Groups that are asked of one process; the parts are asked side by side, because most of them wait.
PARTS = (
    ("identity", "capabilities", "launch", "extras", "idempotency", "input", "limits", "load"),
    ("watch", "fencing", "partition"),
    ("lease", "clock"),
    ("recovery",),
)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def our_command(technology: str, folder: Path, port: int) -> list[str]:
    """How `python -m adapters.<technology>` is started on its pool in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    write_pool_file(folder / "pool.json", declared_pool(technology))
    extra = {"simulated": ["--launch-latency-ms", "20"], "local": ["--stop-runs-at-exit"]}
    return [
        sys.executable, "-m", f"adapters.{technology}",
        "--pool-spec", str(folder / "pool.json"),
        "--state-dir", str(folder / "state"),
        "--port", str(port),
        "--exit-with-parent",
        *extra.get(technology, []),
    ]  # fmt: skip


class KilledAndStarted:
    """An adapter process on one port for all its lives. Its first line says that it serves."""

    def __init__(self, command: Sequence[str], port: int) -> None:
        self._command = list(command)
        self.endpoint = f"127.0.0.1:{port}"

    def start(self) -> None:
        self.process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline()

    def end(self, number: int) -> None:
        self.process.send_signal(number)
        self.process.wait(30)
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()

    async def restart(self) -> None:
        await asyncio.to_thread(self.end, signal.SIGKILL)
        await asyncio.to_thread(self.start)


def ours(technology: str, folder: Path) -> KilledAndStarted:
    port = free_port()
    return KilledAndStarted(our_command(technology, folder, port), port)


async def ask_part(adapter: KilledAndStarted, groups: Sequence[str], prefix: str) -> Report:
    await asyncio.to_thread(adapter.start)
    try:
        suite = Suite(
            endpoint=adapter.endpoint,
            specs=chosen(ALL, [f"{group}." for group in groups]),
            # How many launches a second adapters take is measured by the benchmarks, on a quiet machine.
            options=Options(epoch=10, patience_s=120, call_s=30, load_rate=10),
            prefix=prefix,
            restart=adapter.restart,
        )
        return await run_suite(suite, lambda verdict: None)
    finally:
        await asyncio.to_thread(adapter.end, signal.SIGTERM)


def ask_all(adapters: Sequence[Sequence[KilledAndStarted]], names: Sequence[str]) -> list[list[Report]]:
    """The whole suite, part by part, of every adapter: one process for each part."""
    work = [
        ask_part(adapter, groups, f"suite-{name}-{number}")
        for name, parts in zip(names, adapters, strict=True)
        for number, (adapter, groups) in enumerate(zip(parts, PARTS, strict=True))
    ]
    found = iter(asyncio.run(gather_limited(work, len(work))))
    reports = [[next(found) for _ in parts] for parts in adapters]
    for name, parts_of in zip(names, reports, strict=True):
        sys.stdout.write(f"{name}: {counts(parts_of)}\n")
    return reports


def counts(reports: Sequence[Report]) -> str:
    """How many specs passed and failed, and how many each capability excused (`pytest -rP` shows it)."""
    verdicts = [verdict for report in reports for verdict in report.verdicts]
    outcomes = Counter(verdict.outcome.value for verdict in verdicts)
    excuses = Counter(verdict.excused_by for verdict in verdicts if verdict.outcome is Outcome.SKIPPED)
    return f"{dict(outcomes)}, excused by {dict(excuses)}"

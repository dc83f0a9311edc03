"""The Ray adapter obeys every law of the contract that its capabilities do not excuse it from.

Each job of Ray is a Python process of its own, which takes two to five seconds of processor time to start: the suite
is patient, and asks for the rate of launches that the adapter promises.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from adapters.conformance.report import Report, Verdict
from adapters.conformance.runner import Suite, run_suite
from adapters.conformance.session import Options
from adapters.conformance.spec import Outcome
from adapters.conformance.specs import ALL
from adapters.wire.pools import write_pool_file
from tests.conformance.killed_and_started import KilledAndStarted, counts
from tests.rayjobs_adapter.conftest import ray_pool
from tests.servers.required import free_port

DECLARED_SKIPS = {
    *("suspend", "exec", "start_estimates", "reservations", "checkpoints", "services", "gangs"),
    *("refuses_when_full", "zones"),
}
PATIENCE_S = 300.0
CALL_S = 60.0


def adapter_command(address: str, folder: Path, pool_id: str, port: int) -> list[str]:
    folder.mkdir()
    write_pool_file(folder / "pool.json", ray_pool(pool_id))
    return [
        sys.executable, "-m", "adapters.rayjobs", "--address", address, "--grace", "2",
        "--pool-spec", str(folder / "pool.json"), "--state-dir", str(folder / "state"),
        "--port", str(port), "--exit-with-parent",
    ]  # fmt: skip


def tell(verdict: Verdict) -> None:
    """The suite takes minutes: `pytest -s` shows where it is."""
    sys.stdout.write(f"{verdict.outcome} {verdict.spec.name} {verdict.seconds:.1f} s {verdict.message}\n")
    sys.stdout.flush()


async def ask(adapter: KilledAndStarted) -> Report:
    await asyncio.to_thread(adapter.start)
    try:
        suite = Suite(
            endpoint=adapter.endpoint,
            specs=ALL,
            options=Options(epoch=10, patience_s=PATIENCE_S, call_s=CALL_S),
            prefix="suite-ray",
            restart=adapter.restart,
        )
        return await run_suite(suite, tell)
    finally:
        await asyncio.to_thread(adapter.end, signal.SIGTERM)


@pytest.mark.ray
@pytest.mark.long
@pytest.mark.faults
@pytest.mark.skipif(
    "ray" not in os.environ.get("XISUAN_REQUIRE", "").replace(",", " ").split(),
    reason="more than a hundred Ray jobs take many minutes: XISUAN_REQUIRE=ray asks for them",
)
def test_ray_conforms_and_skips_nothing_that_it_does_not_declare(ray_cluster: str, tmp_path: Path) -> None:
    port = free_port()
    command = adapter_command(ray_cluster, tmp_path / "lawful-ray", "lawful-ray", port)
    report = asyncio.run(ask(KilledAndStarted(command, port)))
    sys.stdout.write(f"ray: {counts([report])}\n")
    failed = [f"{v.spec.name}: {v.message}" for v in report.verdicts if v.outcome is Outcome.FAILED]
    assert not failed, "\n".join(failed)
    assert {v.excused_by for v in report.verdicts if v.outcome is Outcome.SKIPPED} <= DECLARED_SKIPS
    assert report.conforms and not report.left_running

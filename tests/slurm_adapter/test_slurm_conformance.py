"""The Slurm adapter obeys every law of the contract that its capabilities do not excuse it from."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from adapters.conformance.spec import Outcome
from adapters.wire.pools import write_pool_file
from tests.conformance.killed_and_started import PARTS, KilledAndStarted, ask_all
from tests.servers.required import free_port
from tests.slurm_adapter.conftest import slurm_pool

DECLARED_SKIPS = {"checkpoints", "services", "refuses_when_full"}


@pytest.mark.long
@pytest.mark.faults
def test_slurm_conforms_and_skips_nothing_that_it_does_not_declare(slurm_cluster: Path, tmp_path: Path) -> None:
    adapters = []
    for part in range(len(PARTS)):
        folder, port = tmp_path / str(part), free_port()
        folder.mkdir()
        write_pool_file(folder / "pool.json", slurm_pool(f"lawful-slurm-{part}"))
        command = [
            sys.executable, "-m", "adapters.slurm", "--slurm-conf", str(slurm_cluster / "slurm.conf"),
            "--pool-spec", str(folder / "pool.json"), "--state-dir", str(folder / "state"),
            "--port", str(port), "--exit-with-parent",
        ]  # fmt: skip
        adapters.append(KilledAndStarted(command, port))
    (reports,) = ask_all([adapters], ["slurm"])
    verdicts = [verdict for report in reports for verdict in report.verdicts]
    failed = [f"{v.spec.name}: {v.message}" for v in verdicts if v.outcome is Outcome.FAILED]
    assert not failed, "\n".join(failed)
    assert {v.excused_by for v in verdicts if v.outcome is Outcome.SKIPPED} <= DECLARED_SKIPS
    assert all(report.conforms and not report.left_running for report in reports)

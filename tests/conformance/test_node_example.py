"""The example adapter in Node passes the suite, restarts included, with nothing of ours in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.conformance.spec import Outcome
from tests.conformance.killed_and_started import PARTS, KilledAndStarted, ask_all, free_port
from tests.node_packages import with_packages

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "adapters" / "node"
UNDECLARED = frozenset(
    {"simulates", "logs", "leases", "suspend", "exec", "checkpoints", "reservations", "services", "chooses_nodes"}
    | {"start_estimates"}
)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return with_packages(EXAMPLE, tmp_path_factory.mktemp("node"), "the Node example")


@pytest.mark.faults
def test_the_node_example_conforms(installed: Path) -> None:
    adapters = []
    for part in range(len(PARTS)):
        port = free_port()
        words = [
            "--proto-dir",
            str(ROOT / "proto"),
            "--state-dir",
            str(installed / f"state{part}"),
            "--port",
            str(port),
        ]
        adapters.append(KilledAndStarted(["node", str(installed / "adapter.mjs"), *words], port))
    (reports,) = ask_all([adapters], ["node"])
    verdicts = [verdict for report in reports for verdict in report.verdicts]
    assert {v.spec.name: v.message for v in verdicts if v.outcome is Outcome.FAILED} == {}
    assert {v.excused_by for v in verdicts if v.outcome is Outcome.SKIPPED} <= UNDECLARED
    assert sum(v.outcome is Outcome.PASSED for v in verdicts) > 80


def test_the_example_names_exact_versions_and_vendors_nothing() -> None:
    package = (EXAMPLE / "package.json").read_text(encoding="utf-8")
    assert "^" not in package and "~" not in package and "://" not in package
    assert {path.name for path in EXAMPLE.iterdir()} <= {
        "adapter.mjs", "errors.mjs", "package.json", "pool.mjs", "rules.mjs", "README.md",
    }  # fmt: skip

"""Our own adapters conform, each as a process that is killed and started again, with no skip that they don't declare;
and the command tells it to people and programs."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from adapters.conformance.report import Report, Verdict
from adapters.conformance.spec import Need, Outcome
from adapters.conformance.specs import ALL, GROUPS
from tests.adapters.adapter_process import TECHNOLOGIES, eventually
from tests.conformance.killed_and_started import PARTS, KilledAndStarted, ask_all, ours

OURS = (*TECHNOLOGIES, "template")
_PRETENDS = frozenset(
    {"simulates", "logs", "suspend", "exec", "checkpoints", "reservations", "services", "chooses_nodes"}
    | {"start_estimates"}
)
DECLARED: Mapping[str, frozenset[str]] = {
    "simulated": _PRETENDS,
    "template": _PRETENDS,
    "local": frozenset({"suspend", "checkpoints", "reservations", "services", "chooses_nodes", "start_estimates"}),
}


@dataclass(frozen=True, slots=True)
class Asked:
    """The whole suite, part by part, asked of one adapter of ours."""

    technology: str
    reports: Sequence[Report]

    def verdicts(self, outcome: Outcome) -> list[Verdict]:
        return [verdict for report in self.reports for verdict in report.verdicts if verdict.outcome is outcome]


@pytest.fixture(scope="module", params=OURS)
def asked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Asked:
    root = tmp_path_factory.mktemp(request.param)
    (reports,) = ask_all([[ours(request.param, root / str(part)) for part in range(len(PARTS))]], [request.param])
    return Asked(request.param, reports)


@pytest.mark.long
@pytest.mark.faults
def test_it_conforms(asked: Asked) -> None:
    assert {verdict.spec.name: verdict.message for verdict in asked.verdicts(Outcome.FAILED)} == {}
    assert all(report.conforms and not report.left_running for report in asked.reports)


@pytest.mark.long
@pytest.mark.faults
def test_it_skips_nothing_that_it_does_not_declare(asked: Asked) -> None:
    excuses = {verdict.excused_by for verdict in asked.verdicts(Outcome.SKIPPED)}
    # An empty excuse is that of a machine too busy to tell the time by.
    assert excuses <= DECLARED[asked.technology] | {""}
    assert sum(len(report.verdicts) for report in asked.reports) == len(ALL)


def test_the_parts_are_all_groups() -> None:
    assert {group for part in PARTS for group in part} == set(GROUPS) == {spec.group for spec in ALL}


# -- the command ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KilledAndStarted]:
    adapter = ours("simulated", tmp_path_factory.mktemp("asked"))
    adapter.start()
    yield adapter
    adapter.end(signal.SIGTERM)


def _run(*words: str) -> subprocess.CompletedProcess[str]:
    code = "import sys; from console.entry import run; sys.exit(run(sys.argv[1:]))"
    return subprocess.run(
        [sys.executable, "-c", code, "adapter", "conformance", *words],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_the_command_tells_laws_and_counts_and_writes_the_report(
    adapter: KilledAndStarted, tmp_path: Path
) -> None:
    said = _run(
        adapter.endpoint, "--only", "identity", "--only", "recovery.life", "--report", str(tmp_path / "r.json")
    )
    assert said.returncode == 0, said.stderr
    assert "身份 / identity" in said.stdout
    assert "no --restart-command was given" in said.stdout
    report = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    assert report["conforms"] is True
    assert report["counts"] == {"passed": 6, "failed": 0, "skipped": 1}
    assert report["coverage"]["specs"] == pytest.approx(6 / 7, abs=1e-3)
    (skipped,) = [spec for spec in report["specs"] if spec["outcome"] == "skipped"]
    assert skipped["excused_by"] == Need.RESTART.value


def test_an_adapter_that_does_not_conform_is_answered_with_no(adapter: KilledAndStarted, tmp_path: Path) -> None:
    """A restart command that restarts nothing: the adapter says that it is the same life."""
    words = ("--only", "recovery.life", "--restart-command", "true", "--epoch", "4000000000")
    said = _run(adapter.endpoint, *words, "--report", str(tmp_path / "r.json"))
    assert said.returncode == 3
    assert "does not conform: 1 specs failed" in said.stderr
    assert json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))["conforms"] is False


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nowhere",), "HOST:PORT"),
        (("127.0.0.1:1", "--patience", "0.5"), "no good answer from an adapter there"),
        (("127.0.0.1:1", "--only", "nonsense"), "no such spec; the groups are identity"),
    ],
)
def test_what_the_user_got_wrong_is_one_line(words: tuple[str, ...], said: str) -> None:
    result = _run(*words)
    assert result.returncode == 2
    assert said in result.stderr and result.stderr.count("\n") == 1


def test_an_epoch_that_is_too_low_is_said_before_anything_is_asked(adapter: KilledAndStarted) -> None:
    assert _run(adapter.endpoint, "--only", "fencing.empty", "--epoch", "4100000000").returncode == 0
    result = _run(adapter.endpoint, "--only", "identity", "--epoch", "1")
    assert result.returncode == 2
    assert "give a higher --epoch" in result.stderr


@pytest.mark.faults
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_suite_stops_what_it_launched(number: int, tmp_path: Path) -> None:
    adapter = ours("simulated", tmp_path / "adapter")
    adapter.start()
    try:
        code = "import sys; from console.entry import run; sys.exit(run(sys.argv[1:]))"
        suite = subprocess.Popen(
            [sys.executable, "-c", code, "adapter", "conformance", adapter.endpoint, "--only", "lease.never"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        eventually(lambda: len(_states(adapter)) >= 2, "the suite has launched its runs")
        suite.send_signal(number)
        suite.communicate(timeout=60)
        assert suite.returncode == 130
        assert set(_states(adapter)) == {"stopped"}
    finally:
        adapter.end(signal.SIGTERM)


def _states(adapter: KilledAndStarted) -> list[str]:
    from adapters.client import AdapterClient

    async def ask() -> list[str]:
        client = AdapterClient(adapter.endpoint)
        try:
            return [run.state.value for run in (await client.runs()).runs]
        finally:
            await client.close()

    time.sleep(0.05)
    return asyncio.run(ask())

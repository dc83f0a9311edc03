"""Every example scenario runs, each of its policies; and the command line answers each question on one of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from console.app import run_command
from console.scenario_access import first_of_each, read_scenario
from simulations.scenarios.cell import cells

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples" / "scenarios").glob("*.yaml"))
BACKFILL = str(ROOT / "examples" / "scenarios" / "backfill.yaml")


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_policy_of_every_example_simulates_all_its_jobs(path: Path) -> None:
    scenario = read_scenario(path)
    variants = {"policies": scenario.policies, "failures": scenario.failures}
    once = first_of_each(scenario).model_copy(update=variants)  # the second trace may be a million jobs
    for cell in cells(once, str(path.parent), "v"):
        outcome = cell.prepare().simulate(cell.trace())
        finished = outcome.runs.job[outcome.runs.ending == 0]
        assert sorted(finished.tolist()) == list(range(len(outcome.trace))), cell.label


def document(capsys: pytest.CaptureFixture[str], *words: str) -> object:
    assert run_command(["sim", *words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_one_simulation_is_a_document_with_its_provenance(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    out = tmp_path / "one.json"
    found = document(capsys, "run", BACKFILL, "--policy", "easy", "--out", str(out))
    assert isinstance(found, dict) and found["label"]["policy"] == "easy"
    assert set(found["provenance"]) == {"scenario", "scenario_hash", "trace_hash", "code_version"}
    assert json.loads(out.read_text(encoding="utf-8")) == found


def test_a_portfolio_is_compared(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert document(capsys, "portfolio", BACKFILL, "--out", str(tmp_path)) == {
        "done": 3, "kept": 0, "failed": 0, "out": str(tmp_path),
    }  # fmt: skip
    rows = document(capsys, "compare", str(tmp_path), "--base", "fcfs", "--metric", "wait_mean")
    assert isinstance(rows, list)
    waits = {row["policy"]: row["values"]["wait_mean"]["mean"] for row in rows}
    assert waits["easy"] < waits["fcfs"]


def test_questions_are_answered_as_documents(capsys: pytest.CaptureFixture[str]) -> None:
    smallest = document(capsys, "capacity", BACKFILL, "--limit", "1m")
    assert isinstance(smallest, dict) and smallest["best"]["nodes"] == 2
    grown = document(capsys, "saturation", BACKFILL, "--growth", "10", "--horizon", "2d", "--every", "1d")
    assert isinstance(grown, dict) and list(grown["days"]) == ["demo"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("run", "no.yaml"), "no.yaml"),
        (("run", BACKFILL, "--policy", "x"), "fcfs, easy, conservative"),
        (("lose-pool", BACKFILL), "one pool demo"),
        (("capacity", BACKFILL, "--limit", "soon"), "must be a duration"),
        (("capacity", BACKFILL, "--limit", "1m", "--metric", "jain"), "lower is better"),
        (("capacity", BACKFILL, "--limit", "1m", "--pool", "x"), "there are demo"),
        (("saturation", BACKFILL, "--growth", "9999"), "between -90 and 1000"),
        (("compare", "no-folder"), "run a portfolio first"),
        (("waves", BACKFILL, "--plan", "no.json"), "no.json"),
    ],
)
def test_what_cannot_be_asked_is_one_clear_line(
    words: tuple[str, ...],
    said: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_command(["sim", *words]) == 2
    captured = capsys.readouterr()
    assert said in captured.err and "Traceback" not in captured.err
    assert len(captured.err.splitlines()) == 1

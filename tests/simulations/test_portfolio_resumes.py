"""Portfolios: the same bytes on one core and on many, whole files or none, and going on after an interruption."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from simulations.metrics.result import Label
from simulations.portfolio import ADDRESS, PortfolioRun, run_portfolio
from simulations.result_file import SUFFIX, ResultFileError, read_result, read_results
from simulations.scenarios.cell import Cell, cells
from simulations.scenarios.reading import parse_scenario

ROOT = Path(__file__).parents[2]
SCENARIO = """
name: portfolio
traces:
  busy:
    demand: 1.5
    jobs:
      - {id: a, at: 0s, runtime: 40s, estimate: 1m, cpu: 2, queue: gov, count: 12, every: 5s}
      - {id: b, at: 3s, runtime: 90s, estimate: 2m, cpu: 5, queue: lab, count: 6, every: 11s}
capacities:
  small: {pools: [{id: p, nodes: [{count: 2, cpu: 8, memory: 64Gi}]}, {id: q, nodes: [{count: 1, cpu: 8, memory: 64Gi}]}]}
policies:
  easy: {backfill: easy}
  fcfs: {backfill: none}
failures:
  none: {}
  weibull: {nodes: {mean_up: 5m, mean_repair: 30s}}
seeds: 0-2
until: 1h
"""


@pytest.fixture(autouse=True)
def no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ADDRESS, raising=False)


def the_cells(code: str = "v1") -> list[Cell]:
    return list(cells(parse_scenario(yaml.safe_load(SCENARIO), "s.yaml"), ".", code))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The portfolio as one core simulates it without interruption; to be read, not written."""
    folder = tmp_path_factory.mktemp("whole")
    assert run_portfolio(the_cells(), folder) == PortfolioRun(done=12, kept=0, failures=())
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


class StopAfter:
    """A progress that interrupts as Ctrl-C does, once so many cells have finished."""

    def __init__(self, finished: int) -> None:
        self.finished = finished

    def __call__(self, finished: int, count: int, last: Label | None) -> None:
        if finished == self.finished and last is not None:
            raise KeyboardInterrupt


def test_a_portfolio_is_the_product_of_its_variants_and_seeds(whole: Path) -> None:
    labels = [result.label for result in read_results(whole)]
    assert len(set(labels)) == 12 and labels == sorted(labels)
    assert {label.failures for label in labels} == {"none", "weibull"}


def test_a_seed_changes_the_result_and_a_label_says_which_it_is(whole: Path) -> None:
    waits = {
        r.label.seed: r.measures.metrics["wait_mean"] for r in read_results(whole) if r.label.policy == "easy"
    }
    assert len(set(waits.values())) == 3


@pytest.mark.parametrize("interrupted_after", [7])
def test_an_interrupted_portfolio_goes_on_where_it_stopped(
    interrupted_after: int, whole: Path, tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        run_portfolio(the_cells(), tmp_path, progress=StopAfter(interrupted_after))
    assert len(contents(tmp_path)) == interrupted_after
    told: list[tuple[int, int]] = []
    again = run_portfolio(
        the_cells(), tmp_path, progress=lambda finished, count, _: told.append((finished, count))
    )
    assert again == PortfolioRun(12 - interrupted_after, interrupted_after, ())
    assert told == [(n, 12) for n in range(interrupted_after, 13)]
    assert contents(tmp_path) == contents(whole)


def test_a_result_of_other_code_or_a_broken_file_is_made_again(whole: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(whole, tmp_path / "copy"))
    some = sorted(folder.iterdir())[4]
    some.write_bytes(some.read_bytes()[:200])
    assert run_portfolio(the_cells(), folder) == PortfolioRun(1, 11, ())
    assert contents(folder) == contents(whole)
    assert run_portfolio(the_cells("v2"), folder) == PortfolioRun(12, 0, ())


def test_a_cell_that_cannot_be_simulated_does_not_stop_the_others(tmp_path: Path) -> None:
    document = yaml.safe_load(SCENARIO)
    document["capacities"]["tiny"] = {"pools": [{"id": "p", "nodes": [{"count": 1, "cpu": 4, "memory": "8Gi"}]}]}
    done = run_portfolio(list(cells(parse_scenario(document, "s"), ".", "v")), tmp_path)
    assert done.done == 12 and len(done.failures) == 12
    assert all(
        failure.label.capacity == "tiny" and "fit into no pool" in failure.message for failure in done.failures
    )


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"format": 99}', b'{"format": 1, "label": {}}', b"\xff\xfe"]
)
def test_what_is_no_result_file_is_named(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / f"x{SUFFIX}"
    path.write_bytes(content)
    with pytest.raises(ResultFileError, match=r"x\.result\.json"):
        read_result(path)


def test_a_folder_without_results_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ResultFileError, match="run a portfolio first"):
        read_results(tmp_path)


RUN_IT = """
import sys
from pathlib import Path
from tests.simulations.test_portfolio_resumes import the_cells
from simulations.portfolio import run_portfolio
print("ready", flush=True)
run_portfolio(the_cells(), Path(sys.argv[1]), int(sys.argv[2]))
"""


def start(folder: Path, workers: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", RUN_IT, str(folder), str(workers)]
    environment = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0", "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.faults
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_process_that_is_killed_half_way_leaves_a_portfolio_that_can_be_completed(
    how: signal.Signals, whole: Path, tmp_path: Path
) -> None:
    killed = tmp_path
    process = start(killed, workers=1)
    wait_for(lambda: len(list(killed.glob(f"*{SUFFIX}"))) >= 3 or process.poll() is not None)
    process.send_signal(how)
    process.communicate(timeout=60)
    for path in killed.glob(f"*{SUFFIX}"):
        assert path.read_bytes() == (whole / path.name).read_bytes()
    run_portfolio(the_cells(), killed)
    for path in killed.glob("*.partial"):
        path.unlink()
    assert contents(killed) == contents(whole)


@pytest.mark.ray
def test_many_cores_write_the_bytes_that_one_core_writes(whole: Path, tmp_path: Path) -> None:
    """In a process of its own: the Ray that it starts ends with it."""
    process = start(tmp_path / "many", workers=2)
    process.communicate(timeout=180)
    assert process.returncode == 0
    assert contents(tmp_path / "many") == contents(whole)

"""Portfolios: all cells of a scenario, here or fanned out as Ray tasks, resumable, with the same bytes either way.

`xisuan sim portfolio` and the questions call `run_portfolio`. Each result is a file of its own, written whole or not
at all; a portfolio that was interrupted goes on where it stopped. What reads files happens in this process, before
anything runs: a mistake in the scenario shows at once, and a cluster's machines need none of the files.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simulations.metrics.result import Label
from simulations.result_file import ResultFileError, file_name, read_result, result_bytes, write_atomically
from simulations.scenarios.cell import Cell, PreparedCell
from simulations.traces.bad_rows import TraceError
from simulations.traces.trace import Trace

Progress = Callable[[int, int, Label | None], None]
ADDRESS = "RAY_ADDRESS"


@dataclass(frozen=True, slots=True)
class CellFailure:
    """A cell that could not be simulated, and why."""

    label: Label
    message: str


@dataclass(frozen=True, slots=True)
class PortfolioRun:
    """`done` were simulated now, `kept` had a result of the same scenario, trace and code already."""

    done: int
    kept: int
    failures: tuple[CellFailure, ...]


def run_portfolio(
    cells: Sequence[Cell], folder: Path, workers: int = 1, progress: Progress | None = None
) -> PortfolioRun:
    """Results of all cells in `folder`, one file each. Idempotent.

    `workers` 1 simulates in this process unless `RAY_ADDRESS` is set; more are Ray tasks, on that cluster or on a
    Ray of our own. `progress(finished, all, last)` is told after each cell. Cells that fail do not stop the others.
    Raises ValueError or TraceError for input that cannot be used, before anything is simulated; KeyboardInterrupt
    and any other end leave a folder that the next call completes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    labels = [cell.label for cell in cells]
    if len(set(labels)) < len(labels):
        raise ValueError("a portfolio names a cell twice")
    prepared = [(cell.prepare(), cell) for cell in cells]
    missing = [entry for entry in prepared if not _is_there(entry[0], folder)]
    kept = len(prepared) - len(missing)
    report = progress or _silent
    report(kept, len(prepared), None)
    failures: list[CellFailure] = []
    # The order of traces: cells of one trace stand together, so that few traces are in memory at a time.
    with _runner(workers, len(missing)) as run:
        for finished, (ready, outcome) in enumerate(run(missing), start=kept + 1):
            if isinstance(outcome, bytes):
                write_atomically(outcome, folder / file_name(ready.label))
            else:
                failures.append(CellFailure(ready.label, outcome))
            report(finished, len(prepared), ready.label)
    return PortfolioRun(len(missing) - len(failures), kept, tuple(failures))


def simulate_to_bytes(ready: PreparedCell, trace: Trace) -> bytes | str:
    """The content of the result file; or, where the input is to blame, one line that says why."""
    try:
        return result_bytes(ready.result(trace))
    except (TraceError, ValueError) as error:
        return str(error)


Entry = tuple[PreparedCell, Cell]
Run = Callable[[Sequence[Entry]], Iterator[tuple[PreparedCell, bytes | str]]]


def _silent(finished: int, count: int, last: Label | None) -> None:
    """Nobody looks."""


def _is_there(ready: PreparedCell, folder: Path) -> bool:
    """A result of the same scenario, trace and code. Another one, or a broken file, is simulated again."""
    path = folder / file_name(ready.label)
    if not path.exists():
        return False
    try:
        return read_result(path).provenance == ready.provenance
    except ResultFileError:
        return False


@contextmanager
def _runner(workers: int, cells: int) -> Iterator[Run]:
    if not cells or (workers == 1 and not os.environ.get(ADDRESS)):
        yield _run_here
        return
    import ray  # here, because it takes seconds and one core needs none of it

    ours = not ray.is_initialized()
    if ours and os.environ.get(ADDRESS):
        ray.init(log_to_driver=False, logging_level=logging.ERROR)
    elif ours:
        ray.init(
            num_cpus=min(workers, cells),
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            _node_ip_address="127.0.0.1",
        )
    try:
        yield _RayRun(ray)
    finally:
        if ours:
            ray.shutdown()


def _run_here(entries: Sequence[Entry]) -> Iterator[tuple[PreparedCell, bytes | str]]:
    for ready, cell in entries:
        yield ready, simulate_to_bytes(ready, cell.trace())


class _RayRun:
    """Tasks on Ray, a few more under way than there are processors, each trace sent once."""

    def __init__(self, ray: Any) -> None:
        self._ray = ray

    def __call__(self, entries: Sequence[Entry]) -> Iterator[tuple[PreparedCell, bytes | str]]:
        ray = self._ray
        task = ray.remote(simulate_to_bytes)
        at_once = 2 * max(1, int(ray.cluster_resources().get("CPU", 1)))
        waiting = list(reversed(entries))
        running: dict[Any, PreparedCell] = {}
        sent: dict[str, Any] = {}
        try:
            while waiting or running:
                while waiting and len(running) < at_once:
                    ready, cell = waiting.pop()
                    digest = ready.provenance.trace_hash
                    if digest not in sent:
                        sent[digest] = ray.put(cell.trace())
                    running[task.remote(ready, sent[digest])] = ready
                (finished, *_), _ = ray.wait(list(running), num_returns=1)
                yield running.pop(finished), ray.get(finished)
        finally:
            for unfinished in running:
                ray.cancel(unfinished, force=True)

"""Progress bars of simulations, on standard error of a terminal; elsewhere nothing, so that logs stay readable."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from simulations.metrics.result import Label


@contextmanager
def cells_progress(name: str) -> Iterator[Callable[[int, int, Label | None], None]]:
    """Of a portfolio: told (finished, all, the last one)."""
    with _bar() as bar:
        task = bar.add_task(name, total=None)

        def told(finished: int, count: int, last: Label | None) -> None:
            words = name if last is None else f"{name} · {last.policy} · {last.seed}"
            bar.update(task, completed=finished, total=count, description=words)

        yield told


@contextmanager
def jobs_progress(count: int) -> Iterator[Callable[[int], None]]:
    """Of one simulation: told how many jobs have arrived."""
    with _bar() as bar:
        task = bar.add_task("作业到达 / jobs arrived", total=count)
        yield lambda arrived: bar.update(task, completed=arrived)


def _bar() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(file=sys.stderr),
        disable=not sys.stderr.isatty(),
        transient=True,
    )

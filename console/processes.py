"""The planner's parallel map where no service runs: parts of a large wave problem in processes of this machine.

Who calls this: `console.planning`. A task is bounded by effort alone, so the plan is the same with one process or many.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any

from scheduler.core.waves.solve import ParallelMap


class _Processes:
    """Like the built-in `map`. The processes start with the first round that has several tasks."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._pool: ProcessPoolExecutor | None = None

    def __call__(self, function: Callable[[Any], Any], tasks: Iterable[Any], /) -> Iterator[Any]:
        waiting = list(tasks)
        if len(waiting) < 2:
            yield from map(function, waiting)
            return
        if self._pool is None:
            # Spawned, not forked: the solver's threads may run in this process.
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(self._workers, mp_context=context)
        yield from self._pool.map(function, waiting)

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)


@contextmanager
def process_map(workers: int) -> Iterator[ParallelMap]:
    """With one worker the built-in map."""
    if workers < 2:
        yield map
        return
    processes = _Processes(workers)
    try:
        yield processes
    finally:
        processes.close()

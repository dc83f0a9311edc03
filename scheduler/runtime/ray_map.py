"""The planner's parallel map in the service: parts of a large wave problem as Ray tasks.

The control plane's actor gives one to the migration desk. A task is a function of plain values that is bounded by effort
alone (`scheduler.core.waves.neighbourhoods.Task`), so a plan is the same on one processor or many.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import ray


class RayMap:
    """Like the built-in `map`: results in the order of the tasks. A cluster with one processor for tasks, or a single
    task, gains nothing by a journey to another process, and is served here."""

    def __init__(self) -> None:
        self._remote: dict[Callable[[Any], Any], Any] = {}

    def __call__(self, function: Callable[[Any], Any], tasks: Iterable[Any], /) -> Iterator[Any]:
        waiting = list(tasks)
        offered: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]  # Ray gives it no types
        if len(waiting) < 2 or offered.get("CPU", 0) < 2:
            yield from map(function, waiting)
            return
        remote = self._remote.get(function)
        if remote is None:
            remote = self._remote[function] = ray.remote(num_cpus=1)(function)
        references = [remote.remote(task) for task in waiting]
        for reference in references:
            yield ray.get(reference)

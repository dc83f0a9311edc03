"""Which workloads are traced, from their submission until their run has been launched.

The control plane keeps one: gateways hand in the trace of a submission, commits add the span of the placement, and the
dispatcher's launches carry it on. Kept in memory and bounded: a trace that a restart cuts off is worth less than a column
in the store would cost.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeVar

from adapters.tracing import is_tracing, launching, record_span
from scheduler.core.changes import Change, RunPlaced

Kept = TypeVar("Kept")
# The traces that are remembered; the oldest is given up first.
MOST_TRACES = 10_000
# Of one submission so many workloads are followed: a batch of ten thousand is one trace, which nobody could read.
MOST_OF_A_BATCH = 100


class RunTraces:
    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self._of_workloads: dict[str, tuple[str, int]] = {}  # traceparent, since when
        self._of_runs: dict[str, str] = {}

    def accepted(self, workload_ids: Iterable[str], traceparent: str, began_ms: int) -> None:
        """These were stored for a call that belongs to this trace."""
        if not traceparent or not is_tracing():
            return
        for workload_id in list(workload_ids)[:MOST_OF_A_BATCH]:
            now_ms = self._now_ms()
            own = record_span("store", traceparent, (began_ms, now_ms), {"xisuan.workload_id": workload_id})
            _remember(self._of_workloads, workload_id, (own, now_ms))

    def committed(self, changes: Sequence[Change]) -> None:
        """On the writer's thread: placements of traced workloads become spans."""
        if not self._of_workloads:
            return
        for change in changes:
            if isinstance(change, RunPlaced) and change.run.workload_id in self._of_workloads:
                run = change.run
                parent, since_ms = self._of_workloads.pop(run.workload_id)
                said = {
                    "xisuan.workload_id": run.workload_id,
                    "xisuan.run_id": run.run_id,
                    "xisuan.pool_id": run.pool_id,
                }
                own = record_span("place", parent, (since_ms, self._now_ms()), said)
                _remember(self._of_runs, run.run_id, own)

    def launching(self, run_ids: Iterable[str]) -> Mapping[str, str]:
        """The traces of these runs, by run id; empty, at no cost, where nothing is traced."""
        if not self._of_runs:
            return {}
        return {run_id: self._of_runs[run_id] for run_id in run_ids if run_id in self._of_runs}

    @contextmanager
    def sending(self, run_ids: Iterable[str], pool_id: str) -> Iterator[Mapping[str, str]]:
        """Around the call that launches these runs: gives the traces that go with it; its answer ends them."""
        traced = self.launching(run_ids)
        token = launching.set(traced)
        began_ms = self._now_ms() if traced else 0
        try:
            yield traced
        finally:
            launching.reset(token)
        if traced:
            ended_ms = self._now_ms()
            for run_id, parent in traced.items():
                said = {"xisuan.run_id": run_id, "xisuan.pool_id": pool_id}
                record_span("launch", parent, (began_ms, ended_ms), said)
                self._of_runs.pop(run_id, None)


def _remember(kept: dict[str, Kept], key: str, value: Kept) -> None:
    while len(kept) >= MOST_TRACES:
        kept.pop(next(iter(kept)))
    kept[key] = value


# Of this process: there is one control plane in it, or none.
RUN_TRACES = RunTraces(lambda: time.time_ns() // 1_000_000)

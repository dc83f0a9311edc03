"""From what a commit stored to the numbers of the metrics: one pass over its changes, on the writer's thread.

The control plane calls `CommitMeter.committed` after each durable group. Nothing here waits for anybody.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Protocol

from inventory.model.workload import RunState
from scheduler.core.book import Book
from scheduler.core.changes import Change, RunChanged, RunPlaced, WorkloadChanged, WorkloadSubmitted
from scheduler.operation import instruments
from scheduler.operation.run_traces import RUN_TRACES
from scheduler.operation.workload_log import log_changes


class BookReader(Protocol):
    def glance(self) -> Book | None: ...


class CommitMeter:
    def __init__(self, writer: BookReader, now_ms: Callable[[], int]) -> None:
        self._writer = writer
        self._now_ms = now_ms

    def committed(self, changes: Sequence[Change]) -> None:
        if not changes:
            return
        log_changes(changes)
        RUN_TRACES.committed(changes)
        submitted = 0
        placed: list[RunPlaced] = []
        started: list[str] = []
        ended: Counter[str] = Counter()
        finished: Counter[str] = Counter()
        for change in changes:
            match change:
                case WorkloadSubmitted():
                    submitted += 1
                case RunPlaced():
                    placed.append(change)
                case RunChanged():
                    if change.state is RunState.RUNNING:
                        started.append(change.run_id)
                    elif change.state.is_final:
                        ended[change.state.value] += 1
                case WorkloadChanged():
                    if change.state.is_final:
                        finished[change.state.value] += 1
        now_ms = self._now_ms()
        self._count(submitted, placed, ended, finished)
        if placed or started:
            self._measure(placed, started, now_ms)
        if started:
            instruments.STARTED.inc(len(started))
        happened = {
            "submitted": submitted,
            "placed": len(placed),
            "started": len(started),
            "finished": finished.total(),
        }
        instruments.RATES.add(happened, now_ms // 1000)

    def _count(
        self, submitted: int, placed: Sequence[RunPlaced], ended: Counter[str], finished: Counter[str]
    ) -> None:
        if submitted:
            instruments.SUBMITTED.inc(submitted)
        for pool_id, count in Counter(change.run.pool_id for change in placed).items():
            instruments.PLACED.labels(pool_id).inc(count)
        for state, count in ended.items():
            instruments.ENDED.labels(state).inc(count)
        for state, count in finished.items():
            instruments.FINISHED.labels(state).inc(count)

    def _measure(self, placed: Sequence[RunPlaced], started: Sequence[str], now_ms: int) -> None:
        """Waits are measured where the book still knows the workload; one that ended in the same group is over."""
        book = self._writer.glance()
        if book is None:
            return
        first = (change.run for change in placed if change.run.attempt == 1)
        known = ((run, book.workload(run.workload_id)) for run in first)
        waits = [(run.placed_ms - one.submitted_ms) / 1000 for run, one in known if one is not None]
        runs = [run for run_id in started if (run := book.run(run_id)) is not None]
        instruments.PLACEMENT_LATENCY.observe_many(waits)
        instruments.LAUNCH_LATENCY.observe_many([(now_ms - run.placed_ms) / 1000 for run in runs])

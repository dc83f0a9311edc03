"""What goes wrong with workloads, as log records with their ids: what failed, was lost, preempted or cancelled.

What goes well is in the store and in the metrics, and is not logged line by line: ten thousand a second would cost more
than the scheduling. `CommitMeter` hands over the changes of each commit.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

from inventory.model.workload import RunState, WorkloadState
from scheduler.core.changes import Change, RunChanged, WorkloadChanged
from scheduler.operation.logs import concerning

log = logging.getLogger("xisuan.workloads")
_TOLD_RUNS = frozenset({RunState.FAILED, RunState.LOST, RunState.PREEMPTED})
_TOLD_WORKLOADS = frozenset({WorkloadState.FAILED, WorkloadState.CANCELLED})
# A pool that fails with thousands of runs is one story, not thousands.
MOST_LINES = 100


def log_changes(changes: Iterable[Change]) -> None:
    """At most `MOST_LINES` records a commit, and one that says how many more there were."""
    told = left = 0
    for change in changes:
        is_run = isinstance(change, RunChanged) and change.state in _TOLD_RUNS
        is_workload = isinstance(change, WorkloadChanged) and change.state in _TOLD_WORKLOADS
        if not (is_run or is_workload):
            continue
        if told == MOST_LINES:
            left += 1
            continue
        told += 1
        if isinstance(change, RunChanged):
            workload_id = change.run_id.rpartition(".")[0]
            extra = concerning(workload_id, change.run_id, state=change.state.value, exit_code=change.exit_code)
            log.info("run %s: %s %s", change.run_id, change.state.value, change.message, extra=extra)
        elif isinstance(change, WorkloadChanged):
            extra = concerning(change.workload_id, state=change.state.value)
            log.info("workload %s: %s %s", change.workload_id, change.state.value, change.message, extra=extra)
    if left:
        log.info("%d more runs and workloads of this commit failed, were lost or cancelled", left)

"""The facts of scheduling: each is one thing that happened to a workload or a run.

Decisions (`scheduler.core.admission`, `scheduler.core.lifecycle`) return changes; the store makes them durable as
events; the book (`scheduler.core.book`) takes them in. Nothing alters a workload in any other way, so that the
state after a restart is the state before it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from inventory.model.retry import FailureCategory
from inventory.model.workload import Run, RunState, Workload, WorkloadState


@dataclass(frozen=True, slots=True)
class WorkloadSubmitted:
    """A workload was accepted; its state is `submitted` (it waits for others) or `queued`."""

    workload: Workload


class WorkloadChanged(NamedTuple):
    workload_id: str
    state: WorkloadState
    message: str = ""


@dataclass(frozen=True, slots=True)
class RunPlaced:
    """A plan was committed: the launch of this run is now owed to its pool. Its workload is active by it."""

    run: Run


class RunChanged(NamedTuple):
    """A pool reported a new state of a run. Times are UTC milliseconds; None where not known (yet).

    `returned`: the run was lost, and its pool, which is heard again, runs it still. `failure`: as the pool says it;
    `scheduler.core.lifecycle` sets it for every run that failed.
    """

    run_id: str
    state: RunState
    exit_code: int | None = None
    message: str = ""
    started_ms: int | None = None
    ended_ms: int | None = None
    returned: bool = False
    failure: FailureCategory | None = None


@dataclass(frozen=True, slots=True)
class DeadlineMissed:
    """A workload was not finished when it should have been. It goes on all the same."""

    workload_id: str
    finish_by_ms: int


Change = WorkloadSubmitted | WorkloadChanged | RunPlaced | RunChanged | DeadlineMissed

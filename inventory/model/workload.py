"""Workloads (作业) and runs: what is asked for, and each attempt at it.

A workload is what a system submits; a run is one attempt at it on one pool. Each has one enum of states and one
transition table; nothing else in the code decides which change is allowed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from inventory.model.constraints import (
    AcceleratorKind,
    Affinity,
    InputPlace,
    Labels,
    NodeSelector,
    Spread,
    Toleration,
)
from inventory.model.partition import NEVER_LOST, PartitionPolicy
from inventory.model.retry import AT_ONCE, FailureCategory, RetryPolicy
from inventory.model.system import Architecture, Zone
from inventory.model.units import Resources


class WorkloadState(StrEnum):
    SUBMITTED = (
        "submitted"  # stored and acknowledged; waits for those named in `after`, or for its turn in its array
    )
    QUEUED = "queued"  # may be placed by the next cycle
    ACTIVE = "active"  # one run is placed, starting or running
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        return not WORKLOAD_TRANSITIONS[self]


class RunState(StrEnum):
    PLACED = "placed"  # the plan is committed: the launch is owed to the adapter
    STARTING = "starting"  # the adapter has accepted the launch
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    STOPPED = "stopped"
    PREEMPTED = "preempted"
    LOST = "lost"  # the pool no longer knows the run

    @property
    def is_final(self) -> bool:
        return not RUN_TRANSITIONS[self]


WORKLOAD_TRANSITIONS: Mapping[WorkloadState, frozenset[WorkloadState]] = {
    WorkloadState.SUBMITTED: frozenset({WorkloadState.QUEUED, WorkloadState.FAILED, WorkloadState.CANCELLED}),
    WorkloadState.QUEUED: frozenset({WorkloadState.ACTIVE, WorkloadState.CANCELLED, WorkloadState.FAILED}),
    WorkloadState.ACTIVE: frozenset(
        {
            WorkloadState.QUEUED,  # the run was lost, preempted or failed, and another attempt is allowed
            WorkloadState.SUCCEEDED,
            WorkloadState.FAILED,
            WorkloadState.CANCELLED,
        }
    ),
    WorkloadState.SUCCEEDED: frozenset(),
    WorkloadState.FAILED: frozenset(),
    WorkloadState.CANCELLED: frozenset(),
}

_ENDINGS = frozenset({RunState.SUCCEEDED, RunState.FAILED, RunState.STOPPED, RunState.PREEMPTED, RunState.LOST})
RUN_TRANSITIONS: Mapping[RunState, frozenset[RunState]] = {
    # Adapter events can overtake the acknowledgement of the launch: a short run may end while still "placed".
    RunState.PLACED: _ENDINGS | {RunState.STARTING, RunState.RUNNING},
    RunState.STARTING: _ENDINGS | {RunState.RUNNING},
    RunState.RUNNING: _ENDINGS,
    **dict.fromkeys(_ENDINGS, frozenset()),
}


class IllegalTransition(ValueError):
    """A state change that the transition table does not allow."""


def advance_workload(current: WorkloadState, target: WorkloadState) -> WorkloadState:
    if target not in WORKLOAD_TRANSITIONS[current]:
        raise IllegalTransition(f"a workload that is {current} cannot become {target}")
    return target


def advance_run(current: RunState, target: RunState) -> RunState:
    if target not in RUN_TRANSITIONS[current]:
        raise IllegalTransition(f"a run that is {current} cannot become {target}")
    return target


@dataclass(frozen=True, slots=True)
class Requirements:
    """What a pool and its nodes must offer. Empty sets mean "any".

    `per_task` is the need of one task; all `tasks` start together or not at all (a gang), each on one node.
    `accelerator` names a card model (Ascend910B); it is required when `per_task.accelerator_milli` > 0 and the
    model matters, and None for "any card"; `accelerator_kind` names a family of cards instead. Cards are asked as a
    share of one (below 1000 milli) or as whole ones. Disk is taken from the pool's shared storage.

    `gang_topology` is a topology key: all tasks go to one domain of it. `tasks_per_node` limits how many tasks of
    this run one node gets (0: as many as fit). `placement_labels` are what affinities of others may name.
    """

    per_task: Resources
    tasks: int = 1
    zone: Zone | None = None
    protection_level: int = 0
    architectures: frozenset[Architecture] = frozenset()
    accelerator: str | None = None
    pools: frozenset[str] = frozenset()
    accelerator_kind: AcceleratorKind | None = None
    node_selectors: frozenset[NodeSelector] = frozenset()
    tolerations: frozenset[Toleration] = frozenset()
    placement_labels: Labels = frozenset()
    affinities: frozenset[Affinity] = frozenset()
    spreads: frozenset[Spread] = frozenset()
    gang_topology: str | None = None
    tasks_per_node: int = 0

    @property
    def total(self) -> Resources:
        return self.per_task * self.tasks


@dataclass(frozen=True, slots=True)
class Program:
    """What runs: a command on the pool's own runtime, or a container image with an optional command.

    `environment` holds plain settings; secrets are never given by value: `secrets` names, for a setting, the secret of
    the pool's own store and the key in it ("SECRET/KEY").
    """

    command: tuple[str, ...] = ()
    image: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class JobArray:
    """A submission for `count` elements, each a workload of its own that knows its index; at most `max_parallel` of
    them are queued or active at once (0: all)."""

    count: int
    max_parallel: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """What a system asks for, validated, before it has an id. Durations are milliseconds.

    `client_key` is the submitter's idempotency key, unique in its queue: the same key with the same body is the
    same workload. `after` names workloads that must succeed first, by workload id or by client key of the same
    queue. `max_attempts` counts runs that fail; a run that is lost or moved is not held against the workload.
    `estimated_ms` is the submitter's estimate of the running time (0: none given); `max_runtime_ms` stops a run
    that takes longer (0: no limit). `inputs` is the data that it reads: where it lies and how much it is. `partition`
    is what happens to a run whose pool cannot be heard. `retry` says which failures are tried again, how often and how
    soon. `finish_by_ms` (UTC milliseconds since 1970; 0: none) is a deadline: it orders, warns and is told when missed,
    and stops nothing.
    """

    queue: str
    client_key: str
    name: str
    requirements: Requirements
    program: Program
    priority: int = 0
    max_attempts: int = 1
    after: tuple[str, ...] = ()
    estimated_ms: int = 0
    max_runtime_ms: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)
    inputs: tuple[InputPlace, ...] = ()
    partition: PartitionPolicy = NEVER_LOST
    retry: RetryPolicy = AT_ONCE
    array: JobArray | None = None
    finish_by_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload(Submission):
    """A submission as stored: with its id, the ids it waits for, and its state.

    `submitted_ms` is UTC milliseconds since 1970. `after` holds workload ids only. `message` says why it is in
    this state, where that is not plain. `array_id` is the workload that is its array ("": it is no element), and
    `array_index` its place in it, from 0.
    """

    workload_id: str
    submitted_ms: int = 0
    state: WorkloadState = WorkloadState.SUBMITTED
    message: str = ""
    array_id: str = ""
    array_index: int = 0


@dataclass(frozen=True, slots=True)
class Run:
    """One attempt at a workload on one pool. `nodes` names one node for each task, in task order; `failure` is set where
    it failed."""

    run_id: str
    workload_id: str
    attempt: int
    pool_id: str
    nodes: tuple[str, ...]
    state: RunState
    exit_code: int | None = None
    message: str = ""
    placed_ms: int = 0
    started_ms: int | None = None
    ended_ms: int | None = None
    failure: FailureCategory | None = None

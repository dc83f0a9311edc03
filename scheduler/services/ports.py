"""What the gRPC servicers need from the control plane: the operations of scheduling, typed, without a wire.

The control plane implements `Scheduling`; the gateway's proxy implements it by calling the control-plane actor;
tests implement it in memory. Errors that the caller has to act on are `RequestError`s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Protocol

from inventory.model.maintenance import Maintenance
from inventory.model.pool import Pool, PoolHealth
from inventory.model.units import Resources
from inventory.model.workload import Run, Submission, Workload, WorkloadState
from scheduler.core.admission import Outcome
from scheduler.core.placement.explain import Explanation
from scheduler.forecast.forecast import StartForecast
from scheduler.services.outlooks import Outlook, Stopped, Warned


class ErrorCode(IntEnum):
    """The google.rpc.Code values that Xisuan answers with."""

    INVALID_ARGUMENT = 3
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    UNAVAILABLE = 14


class RequestError(Exception):
    """A request that was refused. `message` is one line: value, rule, remedy; `reason` is a stable word; `field` is the
    path of the one field that is at fault."""

    def __init__(
        self, code: ErrorCode, message: str, reason: str = "", retry_after_ms: int = 0, field: str = ""
    ) -> None:
        super().__init__(code, message, reason, retry_after_ms, field)
        self.code = code
        self.message = message
        self.reason = reason
        self.retry_after_ms = retry_after_ms
        self.field = field

    def __str__(self) -> str:
        return self.message


def unknown_workload(workload_id: str) -> RequestError:
    """The same words whether it does not exist or the caller may not see it."""
    return RequestError(
        ErrorCode.NOT_FOUND,
        f"没有作业 {workload_id}；用 xisuan workload ls 查看 / no workload {workload_id}; see xisuan workload ls",
    )


class ControlPlaneUnavailable(Exception):
    """The control plane does not answer now: it is starting, being restarted, or gone."""


@dataclass(frozen=True, slots=True)
class WorkloadRecord:
    """A workload with all its runs, first to last; of an array, how many elements are in each state."""

    workload: Workload
    runs: tuple[Run, ...] = ()
    elements: tuple[tuple[WorkloadState, int], ...] = ()


@dataclass(frozen=True, slots=True)
class WorkloadPage:
    """`next_token` is empty on the last page."""

    records: tuple[WorkloadRecord, ...]
    next_token: str = ""


@dataclass(frozen=True, slots=True)
class WatchFilter:
    """Which changes a watcher wants; empty means all."""

    workload_ids: frozenset[str] = frozenset()
    queue: str = ""
    labels: frozenset[tuple[str, str]] = frozenset()  # a workload must carry all of them
    within: tuple[str, ...] = ()  # subtrees of queues: what lies outside does not exist for this watcher


@dataclass(frozen=True, slots=True)
class ChangeNotice:
    """One change of state of a workload or of one of its runs, as watchers see it.

    `state` is None when the run changed and its workload did not; `run` is None when no run was concerned.
    """

    workload_id: str
    queue: str
    state: WorkloadState | None
    at_ms: int
    run: Run | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class ChangePage:
    """Changes after a cursor, and the cursor after them (the sequence number of the last event looked at)."""

    cursor: int
    notices: tuple[ChangeNotice, ...] = ()


@dataclass(frozen=True, slots=True)
class ArrayPlacement:
    """Where the elements of a job array would go: how many in which pool, how many would wait though it is their turn, and
    how many would wait for their turn."""

    placed: tuple[tuple[str, int], ...]
    waiting: int
    later: int


@dataclass(frozen=True, slots=True)
class DryRunPlacement:
    """Where a valid submission would go now; no pool: it would wait, until `forecast`, or start when its `victims` have
    ended. `carbon_g` None: the pool does not say, or no estimate. `staging_ms`: of its inputs, to the chosen pool.

    Of a job array: pool and nodes of its first element that finds a place, cost and carbon of all, the forecast of the
    first that would wait, and `array` counts them."""

    pool_id: str
    nodes: tuple[str, ...]
    explanation: Explanation
    estimated_cost_cny: float
    carbon_g: float | None = None
    staging_ms: int = 0
    forecast: StartForecast | None = None
    victims: tuple[Stopped, ...] = ()
    warnings: tuple[Warned, ...] = ()
    array: ArrayPlacement | None = None


@dataclass(frozen=True, slots=True)
class PoolStatus:
    """A registered pool, and what the control plane knows of it now."""

    pool: Pool
    endpoint: str
    health: PoolHealth = PoolHealth.UNKNOWN
    health_message: str = ""
    cordoned: bool = False
    draining: bool = False
    nodes: int = 0
    allocatable: Resources = field(default_factory=Resources)
    free: Resources = field(default_factory=Resources)
    active_runs: int = 0
    promised: Resources = field(default_factory=Resources)
    maintenance: tuple[Maintenance, ...] = ()
    drain_deadline_ms: int = 0


@dataclass(frozen=True, slots=True)
class LogSource:
    """Where the output of a run is to be had: the endpoint of its pool's adapter."""

    run_id: str
    endpoint: str


class Scheduling(Protocol):
    async def submit(self, submissions: Sequence[Submission]) -> list[Outcome]:
        """One outcome each, in order; accepted ones are durable when this returns."""

    async def get(self, workload_id: str) -> WorkloadRecord:
        """RequestError NOT_FOUND for an unknown id."""

    async def list_workloads(
        self,
        queue: str,
        states: frozenset[WorkloadState],
        page_size: int,
        page_token: str,
        array_id: str = "",
        within: tuple[str, ...] = (),
    ) -> WorkloadPage:
        """The elements of an array, or, without one, everything but elements; `within`: only queues in one of these
        subtrees (empty: all)."""

    async def changes(self, cursor: int | None, wanted: WatchFilter, wait_ms: int) -> ChangePage:
        """Changes after `cursor` (None: none, only the present cursor); waits up to `wait_ms` for the first."""

    async def cancel(self, workload_id: str, reason: str) -> WorkloadRecord: ...

    async def explain(self, workload_id: str) -> Explanation: ...

    async def outlook(self, workload_id: str, with_changes: bool) -> Outlook:
        """When it starts and, `with_changes`, what would let it start now. Takes seconds."""

    async def warnings(self, workload_ids: Sequence[str]) -> Mapping[str, Warned]:
        """About deadlines of workloads that were just accepted; only those that have something to be told."""

    async def dry_run(self, submissions: Sequence[Submission]) -> list[DryRunPlacement]: ...

    async def log_source(self, workload_id: str, attempt: int) -> LogSource: ...

    async def pools(self) -> tuple[PoolStatus, ...]: ...

    async def register_pool(self, pool: Pool, endpoint: str) -> PoolStatus: ...

    async def cordon_pool(self, pool_id: str, cordoned: bool, reason: str) -> PoolStatus: ...

    async def drain_pool(
        self, pool_id: str, reason: str, deadline_ms: int = 0
    ) -> tuple[PoolStatus, tuple[str, ...]]:
        """`deadline_ms` is how long runs may take to end before they are ended by force; 0: as always."""

    async def maintain_pool(self, pool_id: str, windows: Sequence[Maintenance]) -> PoolStatus:
        """These are the pool's windows now. RequestError INVALID_ARGUMENT for one that is over or runs backwards."""

    async def leave_pool(self, pool_id: str, reason: str) -> None:
        """RequestError FAILED_PRECONDITION while runs hold the pool."""

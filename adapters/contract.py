"""The adapter contract as plain values: what a pool is asked to do, and what it answers.

`proto/xisuan/pool/v1/pool_adapter_service.proto` is the contract on the wire; these are the same things inside a
process. `adapters.sdk` serves any `PoolBackend` over gRPC, `adapters.simulated.model` speaks them without gRPC
(the simulator's pools), and `adapters.wire` converts. Times are UTC milliseconds since 1970.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Generic, Protocol, TypeVar, runtime_checkable

from inventory.model.partition import NEVER_LOST, PartitionPolicy
from inventory.model.pickling import pickled_by_values
from inventory.model.pool import Node
from inventory.model.retry import FailureCategory
from inventory.model.system import Zone
from inventory.model.units import Resources
from inventory.model.workload import Program, Requirements, RunState

CONTRACT_VERSION = 1
OLDEST_CONTRACT_VERSION = 1
# Initial metadata of GetVersion: the adapter's clock, UTC milliseconds. Optional: who does not tell is not compared.
TIME_KEY = "xisuan-time-ms"
RUNTIMES = ("process", "container", "batch-script", "ray-job", "virtual-machine")
DEFAULT_GRACE_MS = 10_000

MESSAGE_LIMIT = 64 * 1024 * 1024
"""Bytes in one gRPC message, for both sides: a batch of launches with large environments exceeds gRPC's 4 MiB."""

RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
"""Run ids are names of directories, jobs and pods somewhere: no slash, no space, at most 128 characters."""


@pickled_by_values
@dataclass(frozen=True, slots=True)
class Launch:
    """One run to be started. `nodes` names one node a task, in task order, or none where the pool chooses.

    0 ms: no limit, no estimate. `runtime` is one of those that the pool declares. The sdk gives a backend only what
    its capabilities cover: `service`, `reservation_id` and `restore_from` are unset where they are not declared.
    """

    run_id: str
    workload_id: str
    name: str
    requirements: Requirements
    program: Program
    nodes: tuple[str, ...]
    max_runtime_ms: int = 0
    estimated_ms: int = 0
    queue: str = ""
    partition: PartitionPolicy = NEVER_LOST
    runtime: str = "process"
    service: bool = False
    reservation_id: str = ""
    restore_from: str = ""


@dataclass(frozen=True, slots=True)
class Stop:
    """One run to be stopped; `grace_ms` lies between the polite and the forced end. `why`, where it is not empty,
    becomes the message of the stopped run."""

    run_id: str
    grace_ms: int = DEFAULT_GRACE_MS
    why: str = ""


@pickled_by_values
@dataclass(frozen=True, slots=True)
class RunReport:
    """What one run is now, as its pool says. `message` tells why, for endings that are not a success."""

    run_id: str
    state: RunState
    nodes: tuple[str, ...] = ()
    exit_code: int | None = None
    message: str = ""
    started_ms: int | None = None
    ended_ms: int | None = None
    suspended: bool = False
    lease_expired: bool = False  # the sdk keeps it: backends leave it alone
    estimated_start_ms: int | None = None
    failure: FailureCategory | None = None  # of failed runs, where the pool knows more than the exit code says


class RefusalCode(Enum):
    """Why an item is refused. The value is the google.rpc.Code on the wire."""

    INVALID_ARGUMENT = 3  # the item can never run here: the caller fixes it
    NOT_FOUND = 5  # no such node: the caller lists the nodes and places anew
    RESOURCE_EXHAUSTED = 8  # a node has no room: the caller places anew
    FAILED_PRECONDITION = 9  # stopped before it came: the caller gives up
    UNAVAILABLE = 14  # the pool cannot be asked now: the caller repeats the item

    @property
    def is_retryable(self) -> bool:
        """True when the same item may succeed later, unchanged."""
        return self in (RefusalCode.RESOURCE_EXHAUSTED, RefusalCode.UNAVAILABLE)


@dataclass(frozen=True, slots=True)
class Refusal:
    """One item that the pool did not take: one line with the value, the rule, the remedy."""

    run_id: str
    code: RefusalCode
    message: str


@dataclass(frozen=True, slots=True)
class AcceleratorSupport:
    """A card model that runs may ask for, in steps of `step_milli` (1000: whole cards only)."""

    model: str
    step_milli: int = 1000


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What this pool can do; field by field as in `GetCapabilitiesResponse`, which says what each means.

    `enforces` names what of `per_task` binds a running task ("cpu", "memory", "disk"); the rest is counted when
    nodes are chosen, and not enforced. `zones` and `accelerators` empty: one network that its owner declares, no
    cards. `leases` and `watch_window` are the sdk's own doing for every backend behind it. `launches_per_second` 0: the
    hundred that every pool is expected to take.
    """

    pool_id: str
    technology: str
    runtimes: tuple[str, ...]
    gangs: bool = True
    logs: bool = True
    max_runtime: bool = True
    max_batch: int = 1000
    enforces: tuple[str, ...] = ()
    accelerators: tuple[AcceleratorSupport, ...] = ()
    zones: tuple[Zone, ...] = ()
    chooses_nodes: bool = False
    services: bool = False
    reservations: bool = False
    start_estimates: bool = False
    suspend: bool = False
    checkpoints: bool = False
    exec: bool = False
    leases: bool = True
    max_clock_skew_ms: int = 0
    remembered_runs: int = 10_000
    watch_window: int = 100_000
    durable_cursors: bool = False
    refuses_when_full: bool = True
    simulates: bool = False
    secrets: bool = False
    launches_per_second: int = 0


@dataclass(frozen=True, slots=True)
class VersionAnswer:
    """Which contract versions an adapter speaks, and its clock (UTC milliseconds)."""

    oldest: int
    newest: int
    technology: str
    adapter_version: str
    instance_id: str
    now_ms: int


Item = TypeVar("Item")
_PAGE_WEIGHT = 100_000  # reports and the nodes that they name


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """Some items, and the key to ask for the next with; an empty key ends the list."""

    items: Sequence[Item]
    next_key: str = ""


def take_page(keyed: Iterable[tuple[str, RunReport]], limit: int) -> Page[RunReport]:
    """The first `limit` of these (key, report) pairs, fewer where gangs make them heavy."""
    taken: list[RunReport] = []
    weight, last = 0, ""
    for key, report in keyed:
        if len(taken) == limit or weight > _PAGE_WEIGHT:
            return Page(taken, last)
        taken.append(report)
        weight += 1 + len(report.nodes)
        last = key
    return Page(taken)


class BackendFailed(Exception):
    """The backend can no longer keep its promises (its state cannot be written): the adapter ends.

    A restart recovers: nothing that was acknowledged is lost.
    """


class EventSink(Protocol):
    """Where a backend reports what changed, in order, each change once."""

    def publish(self, reports: Sequence[RunReport], *, nodes_changed: bool = False) -> None: ...

    def fail(self, message: str) -> None:
        """Says that no more changes will come: the adapter ends, and a restart recovers."""


class PoolBackend(Protocol):
    """What one technology implements; the sdk adds gRPC, validation, fencing, cursors and pages.

    The sdk never calls `launch` and `stop` concurrently, and never with a run id that does not match RUN_ID.
    A change is published when it has become durable, and not before.
    """

    @property
    def capabilities(self) -> Capabilities: ...

    async def start(self, events: EventSink) -> None:
        """Recovers what ran before and begins to report changes. Raises OSError when its state is unusable."""

    async def close(self) -> None:
        """Ends the adapter's own work. Runs of a real pool go on."""

    async def launch(self, launches: Sequence[Launch]) -> Sequence[RunReport | Refusal]:
        """A result per item, in order. Idempotent on the run id; what is accepted survives a restart."""

    async def stop(self, stops: Sequence[Stop]) -> Sequence[RunReport]:
        """A result per item, in order. A run id that is not known is remembered as stopped."""

    async def inspect(self, run_id: str) -> RunReport | None:
        """What the run is now; None when this pool has never heard of it."""

    async def runs(self, after: str, limit: int) -> Page[RunReport]:
        """Remembered runs in a stable order, from the key `after` on. Raises ValueError for a key not its own."""

    async def nodes(self, after: str, limit: int) -> Page[Node]:
        """Nodes in a stable order, from the key `after` on. Raises ValueError for a key not its own."""

    @property
    def shared_disk_bytes(self) -> int: ...


@runtime_checkable
class LogSource(Protocol):
    """A backend that declares the capability `logs` implements this as well."""

    def logs(self, run_id: str, offset: int, follow: bool) -> AsyncIterator[bytes]:
        """The output of a known run from byte `offset`, in pieces; with `follow`, until the run has ended."""


@runtime_checkable
class Suspender(Protocol):
    """A backend that declares the capability `suspend` implements this as well. Both are idempotent."""

    async def suspend(self, run_ids: Sequence[str]) -> Sequence[RunReport | Refusal]:
        """Halts running runs, a result per item: NOT_FOUND for unknown ones, FAILED_PRECONDITION before the start."""

    async def resume(self, run_ids: Sequence[str]) -> Sequence[RunReport | Refusal]:
        """Lets them go on, a result per item, with the same refusals."""


@dataclass(frozen=True, slots=True)
class CheckpointTaken:
    checkpoint_id: str
    taken_ms: int
    size_bytes: int


@runtime_checkable
class Checkpointer(Protocol):
    """A backend that declares the capability `checkpoints` implements this as well."""

    async def checkpoint(self, run_id: str, checkpoint_id: str) -> CheckpointTaken | Refusal:
        """Saves what a known run has reached; the same id again gives the same answer."""


@dataclass(frozen=True, slots=True)
class Execution:
    """A command beside task number `task` (from 0) of a run."""

    run_id: str
    task: int
    command: tuple[str, ...]
    standard_input: bytes = b""
    timeout_ms: int = 60_000


@dataclass(frozen=True, slots=True)
class ExecutionOutput:
    standard_output: bytes = b""
    standard_error: bytes = b""
    exit_code: int | None = None


@runtime_checkable
class Executor(Protocol):
    """A backend that declares the capability `exec` implements this as well."""

    def execute(self, execution: Execution) -> AsyncIterator[ExecutionOutput]:
        """Output as it comes; the last piece alone has an exit code. The run is known, and is running."""


@dataclass(frozen=True, slots=True)
class StartEstimate:
    run_id: str
    starts_in_ms: int


@runtime_checkable
class StartEstimator(Protocol):
    """A backend that declares the capability `start_estimates` implements this as well."""

    async def estimate_starts(self, launches: Sequence[Launch]) -> Sequence[StartEstimate | Refusal]:
        """When each would start if it came now, a result per item; nothing is launched."""


@dataclass(frozen=True, slots=True)
class Reservation:
    """Nodes held for a time to come, `begins_ms` to `ends_ms`; `nodes` as in a launch."""

    reservation_id: str
    requirements: Requirements
    nodes: tuple[str, ...]
    begins_ms: int
    ends_ms: int


@runtime_checkable
class Reserver(Protocol):
    """A backend that declares the capability `reservations` implements this as well. Both are idempotent."""

    async def reserve(self, reservations: Sequence[Reservation]) -> Sequence[Reservation | Refusal]:
        """A result per item, with the nodes that were chosen; `Refusal.run_id` holds the reservation's id."""

    async def unreserve(self, reservation_ids: Sequence[str]) -> Sequence[Refusal | None]:
        """A result per item; None where it is gone, or never was."""


def task_load(launch: Launch) -> Resources:
    """What one task takes on its node: disk is left out, it comes from the pool's shared storage."""
    need = launch.requirements.per_task
    return Resources(need.cpu_milli, need.memory_bytes, 0, need.accelerator_milli)

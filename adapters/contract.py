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

from inventory.model.pool import Node
from inventory.model.units import Resources
from inventory.model.workload import Program, Requirements, RunState

CONTRACT_VERSION = 1
DEFAULT_GRACE_MS = 10_000

MESSAGE_LIMIT = 64 * 1024 * 1024
"""Bytes in one gRPC message, for both sides: a batch of launches with large environments exceeds gRPC's 4 MiB."""

RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
"""Run ids are names of directories, jobs and pods somewhere: no slash, no space, at most 128 characters."""


@dataclass(frozen=True, slots=True)
class Launch:
    """One run to be started. `nodes` names one node a task, in task order; 0 ms: no limit, no estimate."""

    run_id: str
    workload_id: str
    name: str
    requirements: Requirements
    program: Program
    nodes: tuple[str, ...]
    max_runtime_ms: int = 0
    estimated_ms: int = 0


@dataclass(frozen=True, slots=True)
class Stop:
    """One run to be stopped; `grace_ms` lies between the polite and the forced end."""

    run_id: str
    grace_ms: int = DEFAULT_GRACE_MS


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
class Capabilities:
    """What this pool can do. `enforces` names what of `per_task` binds a running task ("cpu", "memory", "disk");
    the rest is counted when nodes are chosen, and not enforced."""

    pool_id: str
    technology: str
    runtimes: tuple[str, ...]
    gangs: bool = True
    logs: bool = True
    max_runtime: bool = True
    max_batch: int = 1000
    enforces: tuple[str, ...] = ()


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


def task_load(launch: Launch) -> Resources:
    """What one task takes on its node: disk is left out, it comes from the pool's shared storage."""
    need = launch.requirements.per_task
    return Resources(need.cpu_milli, need.memory_bytes, 0, need.accelerator_milli)

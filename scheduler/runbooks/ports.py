"""What runbooks need from outside: the time, workloads on pools, capacity that is held, and the values of secrets.

The composition root (`console.runbook_host`) gives real ones; tests give clocks that they move and pools in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol


class Clock(Protocol):
    def now_ms(self) -> int:
        """UTC milliseconds since 1970."""


@dataclass(frozen=True, slots=True)
class PoolTask:
    """One workload of a step. `key` makes it idempotent: the same key is the same workload."""

    key: str
    name: str
    pool_id: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    cpu_milli: int
    memory_bytes: int
    estimated_ms: int = 0


@dataclass(frozen=True, slots=True)
class TaskState:
    """`state` is queued, running, succeeded, failed or cancelled."""

    workload_id: str
    state: str
    message: str = ""


class PoolUnavailable(Exception):
    """The service that runs workloads does not answer now; asking again later is safe."""


class Workloads(Protocol):
    """Workloads on pools. Every method may raise PoolUnavailable."""

    def submit(self, task: PoolTask) -> str:
        """Returns the workload's id; the same key and task again return the same id."""

    def state(self, workload_id: str) -> TaskState: ...

    def cancel(self, workload_id: str, reason: str) -> None:
        """Ends it; one that has ended already is left as it is."""


@dataclass(frozen=True, slots=True)
class Capacity:
    """What a run holds of a pool. `hold_id` is the caller's: the same id is the same hold."""

    hold_id: str
    pool_id: str
    cpu_milli: int
    memory_bytes: int


class Reservations(Protocol):
    """Capacity that nothing else may take, from approval to acceptance, or from then on for good. Both are idempotent on
    the hold's id."""

    def hold(self, capacity: Capacity) -> str:
        """Returns in words what is held. Raises CapacityRefused where the pool has no room, PoolUnavailable."""

    def release(self, hold_id: str, *, as_allocation: bool) -> None:
        """It is held no more; `as_allocation`: it is no longer the run's, and is the steady load of what it built."""


class CapacityRefused(Exception):
    """The pool cannot hold that much: one line with what is wanted and what is free."""


SecretValue = Callable[[str], str]
"""The value of a named secret, read at the moment of use. Raises StepImpossible where it is not set."""

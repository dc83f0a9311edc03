"""What was seen of a round from outside: what clients asked and were told, and what pools did.

`tests.chaos.load` and the journals of `tests.chaos.witness_pool` fill it, `tests.chaos.checker` judges it. Nothing in
here comes from the scheduler's own code: states are the words of the contract.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

# Where a workload's program ends by itself.
SUCCEEDS, FAILS = "succeeds", "fails"


@dataclass(frozen=True, slots=True)
class Asked:
    """One submission: `key` is the client's own, `course` how its program ends, `after` keys that it waits for."""

    key: str
    course: str = SUCCEEDS
    after: tuple[str, ...] = ()
    max_attempts: int = 1


@dataclass(frozen=True, slots=True)
class Change:
    """One change as a watcher was told it; `state` is "" where only the run changed, `run_id` "" where none did."""

    workload_id: str
    state: str = ""
    run_id: str = ""
    run_state: str = ""


@dataclass(frozen=True, slots=True)
class Watched:
    """What one watcher saw, through every interruption, and what the service tells of the same stretch afterwards, in
    one go. Both end with the last change of the round."""

    watcher: str
    live: tuple[Change, ...]
    again: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """A call that was answered with an error: its code and the line for people."""

    call: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class StoredWorkload:
    """A workload as the service lists it at the end."""

    workload_id: str
    key: str
    state: str
    run_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Call:
    """A launch or stop that reached a pool, with the leader's epoch, and whether the pool obeyed."""

    epoch: int
    obeyed: bool


@dataclass(frozen=True, slots=True)
class Began:
    """A pool began a run: each task takes `load` (milli-CPU, bytes) on its node. `at_ns` is the machine's clock."""

    at_ns: int
    run_id: str
    workload_id: str
    nodes: tuple[str, ...]
    load: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Ended:
    """A pool ended a run; `state` is succeeded, failed or stopped."""

    at_ns: int
    run_id: str
    state: str


@dataclass(frozen=True, slots=True)
class PoolHistory:
    """One pool's own journal, in order, and what each of its nodes has."""

    pool_id: str
    capacity: Mapping[str, tuple[int, int]]
    entries: tuple[Call | Began | Ended, ...]


@dataclass(frozen=True, slots=True)
class History:
    """One round. `acknowledged` has the workload id that each key was acknowledged with, every time that it was."""

    asked: Mapping[str, Asked]
    acknowledged: tuple[tuple[str, str], ...]
    cancelled: frozenset[str] = frozenset()
    refusals: tuple[Refused, ...] = ()
    watched: tuple[Watched, ...] = ()
    stored: tuple[StoredWorkload, ...] = ()
    pools: tuple[PoolHistory, ...] = field(default=())

"""The states of a migration run and of its steps: one enum and one transition table each.

`run.fold` asserts every change against these tables, so a history that could not have happened is refused, and not
read as something else.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class MigrationState(StrEnum):
    """Where a run as a whole stands."""

    RUNNING = "running"
    WAITING = "waiting"  # for a person's approval, or for its window
    PAUSED = "paused"  # a person stopped it between two steps
    HELD = "held"  # a step failed, or its outcome is not known: a person decides
    ROLLING_BACK = "rolling_back"
    ROLLBACK_HELD = "rollback_held"  # a compensation failed: a person decides
    ROLLED_BACK = "rolled_back"
    COMPLETED = "completed"

    @property
    def is_final(self) -> bool:
        return self in (MigrationState.ROLLED_BACK, MigrationState.COMPLETED)


class StepState(StrEnum):
    """Where one step stands. A step runs forward at most once to success, and is compensated at most once."""

    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    UNKNOWN = "unknown"  # it began, and nobody can tell how it ended; it is not idempotent
    SKIPPED = "skipped"
    COMPENSATING = "compensating"
    COMPENSATED = "compensated"
    COMPENSATION_FAILED = "compensation_failed"


_R = MigrationState
RUN_TRANSITIONS: Final[Mapping[MigrationState, frozenset[MigrationState]]] = {
    _R.RUNNING: frozenset({_R.WAITING, _R.PAUSED, _R.HELD, _R.ROLLING_BACK, _R.COMPLETED}),
    _R.WAITING: frozenset({_R.RUNNING, _R.PAUSED, _R.HELD, _R.ROLLING_BACK}),
    _R.PAUSED: frozenset({_R.RUNNING, _R.ROLLING_BACK}),
    _R.HELD: frozenset({_R.RUNNING, _R.ROLLING_BACK}),
    _R.ROLLING_BACK: frozenset({_R.ROLLBACK_HELD, _R.ROLLED_BACK}),
    _R.ROLLBACK_HELD: frozenset({_R.ROLLING_BACK}),
    _R.ROLLED_BACK: frozenset(),
    _R.COMPLETED: frozenset(),
}

_S = StepState
STEP_TRANSITIONS: Final[Mapping[StepState, frozenset[StepState]]] = {
    _S.PENDING: frozenset({_S.RUNNING, _S.SKIPPED}),
    _S.RUNNING: frozenset({_S.DONE, _S.FAILED, _S.UNKNOWN}),
    _S.DONE: frozenset({_S.COMPENSATING}),
    # A failed step may have done half of its work: it is retried, skipped, or compensated.
    _S.FAILED: frozenset({_S.RUNNING, _S.SKIPPED, _S.COMPENSATING}),
    _S.UNKNOWN: frozenset({_S.RUNNING, _S.SKIPPED, _S.COMPENSATING}),
    # Skipped after a failed attempt: there may be something to undo.
    _S.SKIPPED: frozenset({_S.COMPENSATING}),
    _S.COMPENSATING: frozenset({_S.COMPENSATED, _S.COMPENSATION_FAILED}),
    _S.COMPENSATION_FAILED: frozenset({_S.COMPENSATING, _S.COMPENSATED}),
    _S.COMPENSATED: frozenset(),
}


class IllegalChange(ValueError):
    """A change that the tables do not allow: what is recorded cannot be what happened."""


def advance_run(current: MigrationState, target: MigrationState) -> MigrationState:
    if target not in RUN_TRANSITIONS[current]:
        raise IllegalChange(f"a run that is {current} cannot become {target}")
    return target


def advance_step(current: StepState, target: StepState) -> StepState:
    if target not in STEP_TRANSITIONS[current]:
        raise IllegalChange(f"a step that is {current} cannot become {target}")
    return target

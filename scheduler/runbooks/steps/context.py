"""What a step gets and what it gives back.

The driver makes a `StepContext` for each attempt and each compensation, and records the `StepResult`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scheduler.core.migration.run import MigrationRun, Step
from scheduler.core.migration.transitions import StepState
from scheduler.runbooks.ports import Clock, Reservations, SecretValue, Workloads

POLL_S = 0.05
LONGEST_PAUSE_S = 0.5


@dataclass(frozen=True, slots=True)
class StepPorts:
    """The outside world of the steps. `folder` is where commands run and leave their output."""

    clock: Clock
    workloads: Workloads
    reservations: Reservations
    folder: Path


@dataclass(frozen=True, slots=True)
class StepContext:
    """One attempt of one step, or of its compensation: `action` is what to do, `attempt_key` names the attempt for
    ever (the same key after a restart is the same attempt). `deadline_ms` is a UTC moment of the run's clock."""

    run: MigrationRun
    step: Step
    action: Mapping[str, Any]
    attempt_key: str
    is_compensation: bool
    ports: StepPorts
    secret: SecretValue
    deadline_ms: int | None
    is_abandoned: Callable[[], bool] = lambda: False
    began_s: float = field(default_factory=time.monotonic)

    @property
    def is_out_of_time(self) -> bool:
        """True when the attempt must be given up: its own timeout, the window's last moment, or a rollback that a
        person has asked for."""
        if self.is_abandoned() or self.seconds_left <= 0:
            return True
        return self.deadline_ms is not None and self.ports.clock.now_ms() >= self.deadline_ms

    @property
    def seconds_left(self) -> float:
        """Of the attempt's own timeout; negative when it is over."""
        return self.began_s + self.step.timeout_ms / 1000 - time.monotonic()

    def until(self, ready: Callable[[], StepResult | None]) -> StepResult | None:
        """Asks until there is a result, less often the longer it takes; None when the time is up."""
        pause_s = POLL_S
        while True:
            result = ready()
            if result is not None or self.is_out_of_time:
                return result
            time.sleep(pause_s)
            pause_s = min(pause_s * 1.5, LONGEST_PAUSE_S)

    @property
    def folder(self) -> Path:
        return self.ports.folder / self.run.run_id / self.attempt_key


@dataclass(frozen=True, slots=True)
class StepResult:
    """How an attempt ended: done, failed, or unknown. `message` is one line "中文 / English"; `evidence` holds JSON
    values, `value` among them where the step measures a number."""

    state: StepState
    message: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_done(self) -> bool:
        return self.state is StepState.DONE


def done(**evidence: Any) -> StepResult:
    return StepResult(StepState.DONE, "", evidence)


def failed(message: str, **evidence: Any) -> StepResult:
    return StepResult(StepState.FAILED, message, evidence)

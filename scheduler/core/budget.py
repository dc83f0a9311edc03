"""How much a search may spend: solver effort that is the same on every machine, and seconds that are not.

Who calls this: the planners (`scheduler.core.waves`, `scheduler.core.projects`) get one from their caller. The core
reads no clock: whoever wants a limit in seconds lends one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

_WITHOUT_CLOCK = 60.0
_WITH_CLOCK = 1e9
_UNSAID = math.nan


@dataclass(frozen=True, slots=True)
class Budget:
    """`effort` is deterministic time in the sense of CP-SAT (about a second of one core): with one worker, one seed
    and no clock, the result is a function of the input. Where none is said it is 60, and no limit beside a clock.
    `clock` gives seconds from any origin and `ends_at` is on it; both None: no limit in seconds. `workers` are threads
    of the solver; with several and a clock, equal runs may differ. `schedules` bounds a heuristic's tries."""

    effort: float = _UNSAID
    clock: Callable[[], float] | None = None
    ends_at: float | None = None
    workers: int = 1
    schedules: int = 30_000

    def __post_init__(self) -> None:
        """Raises ValueError that names the value and the rule."""
        if math.isnan(self.effort):
            object.__setattr__(self, "effort", _WITHOUT_CLOCK if self.clock is None else _WITH_CLOCK)
        if self.effort <= 0 or self.workers < 1 or self.schedules < 1:
            raise ValueError(
                f"求解预算须为正：effort={self.effort}，workers={self.workers}，schedules={self.schedules}"
                " / a search budget must be positive; give a larger one"
            )
        if (self.clock is None) != (self.ends_at is None):
            raise ValueError("clock 与 ends_at 须同时给出 / clock and ends_at are given together or not at all")

    @property
    def seconds_left(self) -> float | None:
        """Never negative; None where seconds do not count."""
        if self.clock is None or self.ends_at is None:
            return None
        return max(0.0, self.ends_at - self.clock())

    @property
    def is_spent(self) -> bool:
        left = self.seconds_left
        return left is not None and left <= 0

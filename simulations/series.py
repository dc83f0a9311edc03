"""A quantity that changes over time in steps: the price of electricity, the carbon intensity of the grid.

The engine asks what holds now and when it changes next; energy accounts ask for integrals over many intervals.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Int64s = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class StepSeries:
    """`values[i]` holds from `at_ms[i]` until `at_ms[i + 1]`; the first one also before, the last one for ever.

    `at_ms` (n) rises strictly; n >= 1. With `period_ms` the whole repeats every so many milliseconds from
    `at_ms[0]` on, in both directions.
    """

    at_ms: Int64s
    values: Floats
    period_ms: int = 0
    _sums: Floats = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if len(self.at_ms) == 0 or len(self.at_ms) != len(self.values):
            raise ValueError("a series needs as many times as values, and at least one")
        if (np.diff(self.at_ms) <= 0).any():
            raise ValueError("the times of a series must rise")
        if self.period_ms and self.at_ms[-1] - self.at_ms[0] >= self.period_ms:
            raise ValueError("a repeating series must be shorter than its period")
        lengths = np.diff(self.at_ms).astype(np.float64)
        object.__setattr__(self, "_sums", np.concatenate(([0.0], np.cumsum(lengths * self.values[:-1]))))

    @classmethod
    def constant(cls, value: float) -> StepSeries:
        return cls(np.zeros(1, dtype=np.int64), np.array([value], dtype=np.float64))

    @property
    def is_constant(self) -> bool:
        return len(self.values) == 1

    def at(self, now_ms: int) -> float:
        """What holds at this moment."""
        moment = int(self._folded(np.array([now_ms]))[0]) if self.period_ms else now_ms
        return float(self.values[max(0, bisect_right(self.at_ms, moment) - 1)])

    def next_change_ms(self, now_ms: int) -> int | None:
        """When another value begins; None when none does any more."""
        if self.is_constant:
            return None
        turn = 0
        moment = now_ms
        if self.period_ms:
            turn = (now_ms - int(self.at_ms[0])) // self.period_ms * self.period_ms
            moment = now_ms - turn
        i = bisect_right(self.at_ms, moment)
        if i < len(self.at_ms):
            return int(self.at_ms[i]) + turn
        return int(self.at_ms[0]) + turn + self.period_ms if self.period_ms else None

    def integral(self, until_ms: Int64s) -> Floats:
        """The integral of the values from `at_ms[0]` to each of `until_ms` (negative before), in value x ms."""
        if not self.period_ms:
            return self._within(until_ms)
        turns = (until_ms - self.at_ms[0]) // self.period_ms
        whole = self._within(np.array([self.at_ms[0] + self.period_ms]))[0]
        return np.asarray(turns * whole + self._within(self._folded(until_ms)), dtype=np.float64)

    def _within(self, until_ms: Int64s) -> Floats:
        i = np.maximum(np.searchsorted(self.at_ms, until_ms, side="right") - 1, 0)
        since: Floats = (until_ms - self.at_ms[i]).astype(np.float64)
        return np.asarray(self._sums[i] + since * self.values[i], dtype=np.float64)

    def _folded(self, moments: Int64s) -> Int64s:
        folded: Int64s = self.at_ms[0] + (moments - self.at_ms[0]) % self.period_ms
        return folded

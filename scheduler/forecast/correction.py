"""What forecasts are off by, learned from those whose workloads have started.

Conformal prediction over a sliding window (Vovk et al. 2005; normalised scores after Lei et al., JASA 2018): how far the
newest starts lay from the middle of their forecasts, in half-widths of the futures' own interval, says how wide the next
interval must be for the asked part to hold. Each side is corrected on its own, so a bias is taken away as well.

Queues drift: what held for the last hundred need not hold for the next. So the part that may miss is itself moved after
each start, down after a miss and up otherwise, until the asked part misses in the long run whatever the drift (adaptive
conformal inference: Gibbs and Candès, NeurIPS 2021).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

import numpy as np

KEPT: Final = 100
ENOUGH: Final = 20  # fewer scores than these correct nothing
MISS: Final = 0.1  # a tenth of the starts may come before the interval, a tenth after
# How far one start moves the part that may miss (their gamma), and between which limits it stays.
STEP: Final = 0.02
LEAST_MISS, MOST_MISS = 0.01, 0.3
Raw = tuple[int, int, int]


@dataclass(slots=True)
class Correction:
    """The scores of the newest forecasts, on the side of early and of late starts, and the parts that may miss there."""

    _early: deque[float] = field(default_factory=lambda: deque(maxlen=KEPT))
    _late: deque[float] = field(default_factory=lambda: deque(maxlen=KEPT))
    _early_miss: float = MISS
    _late_miss: float = MISS

    @property
    def scored(self) -> int:
        return len(self._late)

    def widened(self, raw: Raw) -> tuple[int, int]:
        """The interval around (first, middle, last) waiting times of the futures, in ms; never before now."""
        if len(self._late) < ENOUGH:
            return raw[0], raw[2]
        middle, (below, above) = raw[1], _half_widths(raw)
        low = max(0, int(middle - _factor(self._early, self._early_miss) * below))
        return low, max(low, int(middle + _factor(self._late, self._late_miss) * above))

    def score(self, raw: Raw, waited_ms: int) -> None:
        """A workload that was forecast so has started after this wait."""
        low, high = self.widened(raw)
        if len(self._late) >= ENOUGH:
            self._early_miss = _moved(self._early_miss, missed=waited_ms < low)
            self._late_miss = _moved(self._late_miss, missed=waited_ms > high)
        below, above = _half_widths(raw)
        self._early.append((raw[1] - waited_ms) / below)
        self._late.append((waited_ms - raw[1]) / above)


def _half_widths(raw: Raw) -> tuple[float, float]:
    """An interval of no width has nothing to be widened by: a twentieth of the wait, and a second, stand in."""
    first, middle, last = raw
    least = max(1_000.0, middle / 20)
    return max(float(middle - first), least), max(float(last - middle), least)


def _moved(miss: float, *, missed: bool) -> float:
    return min(MOST_MISS, max(LEAST_MISS, miss + STEP * (MISS - missed)))


def _factor(scores: deque[float], miss: float) -> float:
    """The quantile that leaves out the part that may miss, with the correction for so few scores."""
    rank = min(1.0, (1 - miss) * (1 + 1 / len(scores)))
    return float(np.quantile(np.asarray(scores), rank, method="higher"))

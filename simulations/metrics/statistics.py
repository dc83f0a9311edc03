"""How sure one may be: confidence intervals over seeds, and paired differences between policies.

Tables and reports call it. Seeds are independent repetitions; runs of two policies under one seed met the same jobs
and failures, so their difference is taken seed by seed and the luck of the seed falls out of it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over n seeds. `half_width` of its 95 % confidence interval, None for a single seed: one repetition says
    nothing about the spread."""

    mean: float
    half_width: float | None
    seeds: int

    @property
    def low(self) -> float | None:
        return None if self.half_width is None else self.mean - self.half_width

    @property
    def high(self) -> float | None:
        return None if self.half_width is None else self.mean + self.half_width

    @property
    def is_clear(self) -> bool:
        """Whether the interval leaves 0 out: for a difference, that there is one."""
        return self.half_width is not None and abs(self.mean) > self.half_width


def estimate(values: Sequence[float]) -> Estimate:
    """Mean and Student's t interval, mean ± t(0.975, n - 1) s / sqrt(n), of n >= 1 values. Source: Student, "The
    probable error of a mean", Biometrika 1908. It holds for means over seeds that are about normally distributed;
    seeds of one simulation usually are, for each is itself a mean over many jobs."""
    if not values:
        raise ValueError("an estimate needs at least one value")
    if len(values) == 1:
        return Estimate(float(values[0]), None, 1)
    numbers = np.asarray(values, dtype=np.float64)
    t = float(stdtrit(len(values) - 1, (1 + CONFIDENCE) / 2))
    return Estimate(float(numbers.mean()), t * float(numbers.std(ddof=1)) / math.sqrt(len(values)), len(values))


def paired_difference(base: Mapping[int, float], other: Mapping[int, float]) -> Estimate | None:
    """other - base, by seed, over the seeds that both have; None where they share none."""
    shared = sorted(base.keys() & other.keys())
    return estimate([other[seed] - base[seed] for seed in shared]) if shared else None

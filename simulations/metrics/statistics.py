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
    """A mean over n seeds. `half_width` of its confidence interval (95 % unless asked otherwise), None for a single
    seed: one repetition says nothing about the spread."""

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


def estimate(values: Sequence[float], confidence: float = CONFIDENCE) -> Estimate:
    """Mean and Student's t interval, mean ± t((1 + confidence) / 2, n - 1) s / sqrt(n), of n >= 1 values. Source: Student, "The
    probable error of a mean", Biometrika 1908. It holds for means over seeds that are about normally distributed;
    seeds of one simulation usually are, for each is itself a mean over many jobs."""
    if not values:
        raise ValueError("an estimate needs at least one value")
    if len(values) == 1:
        return Estimate(float(values[0]), None, 1)
    numbers = np.asarray(values, dtype=np.float64)
    t = float(stdtrit(len(values) - 1, (1 + confidence) / 2))
    return Estimate(float(numbers.mean()), t * float(numbers.std(ddof=1)) / math.sqrt(len(values)), len(values))


def paired_difference(
    base: Mapping[int, float], other: Mapping[int, float], confidence: float = CONFIDENCE
) -> Estimate | None:
    """other - base, by seed, over the seeds that both have; None where they share none."""
    shared = sorted(base.keys() & other.keys())
    return estimate([other[seed] - base[seed] for seed in shared], confidence) if shared else None


def shared_confidence(comparisons: int) -> float:
    """The confidence of each of several intervals for which all hold together with at least 95 %. Source: Bonferroni
    1936. Whoever says "better than all others" must use it: of twenty equal policies one looks better by chance."""
    return 1 - (1 - CONFIDENCE) / max(1, comparisons)


def seeds_needed(difference: Estimate) -> int | None:
    """About how many seeds would make this difference clear, if its mean and spread stay: the half width falls with
    the root of their number. None for a difference of 0 or a single seed."""
    if difference.half_width is None or difference.mean == 0:
        return None
    return math.ceil(difference.seeds * (difference.half_width / difference.mean) ** 2) + 1

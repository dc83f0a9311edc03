"""Random numbers that are the same on every machine and version: the raw output of PCG64, which numpy keeps for ever,
turned into uniform, normal and log-normal values here. Generators of workloads draw from it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Int64s = npt.NDArray[np.int64]


class Stream:
    """One stream for each (seed, purpose): drawing more for one purpose changes nothing for another."""

    def __init__(self, seed: int, purpose: int) -> None:
        self._bits = np.random.PCG64(np.random.SeedSequence([seed, purpose]))

    def uniform(self, count: int) -> Floats:
        """In (0, 1), with 53 random bits."""
        return ((self._bits.random_raw(count) >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53

    def below(self, limit: int, count: int) -> Int64s:
        """Whole numbers 0..limit - 1."""
        return np.minimum((self.uniform(count) * limit).astype(np.int64), limit - 1)

    def normal(self, count: int) -> Floats:
        """Standard normal (Box and Muller 1958)."""
        radius = np.sqrt(-2.0 * np.log(self.uniform(count)))
        return np.asarray(radius * np.cos(2.0 * np.pi * self.uniform(count)))

    def lognormal(self, mean: float, sigma: float, count: int) -> Floats:
        """With this mean; sigma is the standard deviation of the logarithm."""
        return np.asarray(np.exp(np.log(mean) - sigma**2 / 2 + sigma * self.normal(count)))

    def moments(self, span: int, count: int) -> Int64s:
        """`count` arrivals of a Poisson process known to have so many in [0, span): sorted uniform times."""
        return np.sort((self.uniform(count) * span).astype(np.int64))

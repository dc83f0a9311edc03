"""When nodes and pools are away: failures from a trace or drawn from Weibull distributions, and maintenance.

A scenario names the models; the engine turns what they give into events. Everything is drawn before the simulation
begins, from the seed alone: a policy that schedules otherwise meets the same failures.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from simulations.engine.outcome import Ending

_PURPOSE = 7201  # keeps this stream of random numbers apart from others of the same seed


@dataclass(frozen=True, slots=True)
class Outage:
    """Node number `node` of pool `pool` (positions), or the whole pool (None), offers nothing from `from_ms` until
    `until_ms` (None: for ever). Runs there end with `cause` at `from_ms`. `notice_ms` before it nothing new starts
    there."""

    pool: int
    node: int | None
    from_ms: int
    until_ms: int | None
    cause: Ending = Ending.FAILED
    notice_ms: int = 0


@dataclass(frozen=True, slots=True)
class WeibullFailures:
    """Independent renewals of every node: up for a Weibull(shape, scale) time, then away for an exponential one.

    `mean_up_ms` is the mean time between failures of one node; `shape` below 1 gives early failures, 1 a constant
    rate, above 1 wear (measured clusters lie at 0.7 to 0.8: Schroeder and Gibson, DSN 2006). `mean_repair_ms` is
    the mean time to repair. `whole_pool` lets pools fail instead of nodes.
    """

    mean_up_ms: float
    shape: float
    mean_repair_ms: float
    whole_pool: bool = False

    def outages(self, pools: Sequence[tuple[str, int]], span: tuple[int, int], seed: int) -> list[Outage]:
        """All outages that begin within `span`; `pools` are the id and the number of nodes of each pool."""
        scale = self.mean_up_ms / math.gamma(1 + 1 / self.shape)
        found: list[Outage] = []
        for pool, (pool_id, count) in enumerate(pools):
            units: Iterable[int | None] = (None,) if self.whole_pool else range(count)
            for unit in units:
                found.extend(self._of_unit(_stream(seed, pool_id, unit), (pool, unit), span, scale))
        return sorted(found, key=lambda outage: (outage.from_ms, outage.pool, outage.node or 0))

    def _of_unit(
        self, bits: np.random.PCG64, unit: tuple[int, int | None], span: tuple[int, int], scale: float
    ) -> list[Outage]:
        at, end = float(span[0]), span[1]
        found: list[Outage] = []
        while True:
            at += scale * (-math.log(_uniform(bits))) ** (1 / self.shape)
            if at >= end:
                return found
            repaired = at + max(1.0, -math.log(_uniform(bits)) * self.mean_repair_ms)
            found.append(Outage(*unit, int(at), math.ceil(repaired)))
            at = repaired


def _stream(seed: int, pool_id: str, node: int | None) -> np.random.PCG64:
    """A stream for each unit: a node more, or another pool, changes nothing for it."""
    name = int.from_bytes(hashlib.blake2b(pool_id.encode(), digest_size=8).digest())
    return np.random.PCG64(np.random.SeedSequence([_PURPOSE, seed, name, 0 if node is None else node + 1]))


def _uniform(bits: np.random.PCG64) -> float:
    """In (0, 1): the raw 64 bits, whose stream numpy keeps for ever."""
    return (int(bits.random_raw()) >> 11) * 2.0**-53 + 2.0**-54

"""An open-loop load generator: single submissions leave at times drawn beforehand, whether or not earlier ones were
answered, as independent systems send them.

`tests.benchmarks.service.measurements` drives a service with it. Latency counts from the moment in which a call was
due, not from the one in which it was sent: a generator that waits for a slow service hides its slowness ("coordinated
omission").
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from xisuan.client import CallError


def poisson(rate_per_s: float, seconds: float, seed: int) -> Iterator[float]:
    """Arrival times in seconds from the begin: a Poisson process of this rate."""
    draw = random.Random(seed)
    at = draw.expovariate(rate_per_s)
    while at < seconds:
        yield at
        at += draw.expovariate(rate_per_s)


class Latencies:
    """Seconds from due to answered, and how many calls failed."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.failed = 0
        self._lock = threading.Lock()

    def took(self, seconds: float) -> None:
        with self._lock:
            self.seconds.append(seconds)

    def fail(self) -> None:
        with self._lock:
            self.failed += 1


def drive(arrivals: Sequence[float], call: Callable[[int], None], workers: int) -> Latencies:
    """Makes call number n when arrival n is due. `workers` bounds the calls under way; one that finds no worker
    waits, and its wait counts."""
    found = Latencies()
    begin = time.perf_counter()

    def make(number: int, due: float) -> None:
        try:
            call(number)
        except CallError:
            found.fail()
        else:
            found.took(time.perf_counter() - begin - due)

    with ThreadPoolExecutor(workers) as pool:
        for number, due in enumerate(arrivals):
            time.sleep(max(0.0, begin + due - time.perf_counter()))
            pool.submit(make, number, due)
    return found


def quantiles_ms(seconds: Sequence[float]) -> dict[str, float]:
    """Median, 90th, 99th percentile (nearest rank) and maximum, in milliseconds; empty of nothing."""
    ranked = sorted(seconds)
    if not ranked:
        return {}
    ranks = {"p50": 0.50, "p90": 0.90, "p99": 0.99, "max": 1.0}
    return {
        name: round(1000 * ranked[max(0, -int(-len(ranked) * rank // 1) - 1)], 2) for name, rank in ranks.items()
    }

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
from typing import Protocol


def poisson(rate_per_s: float, seconds: float, seed: int) -> Iterator[float]:
    """Arrival times in seconds from the begin: a Poisson process of this rate."""
    draw = random.Random(seed)
    at = draw.expovariate(rate_per_s)
    while at < seconds:
        yield at
        at += draw.expovariate(rate_per_s)


class Call(Protocol):
    """A call that was begun, as gRPC's futures are."""

    def add_done_callback(self, callback: Callable[[Call], None], /) -> None: ...
    def exception(self) -> BaseException | None: ...


class Latencies:
    """Seconds from due to answered, and how many calls failed."""

    def __init__(self, calls: int) -> None:
        self.seconds: list[float] = []
        self.failed = 0
        self._lock = threading.Lock()
        self._open = calls
        self._over = threading.Event()

    def ended(self, seconds: float, *, failed: bool) -> None:
        with self._lock:
            if failed:
                self.failed += 1
            else:
                self.seconds.append(seconds)
            self._open -= 1
            if not self._open:
                self._over.set()

    def wait(self, seconds: float) -> None:
        """Until every call has ended. Raises TimeoutError when one has not."""
        if not self._over.wait(seconds):
            raise TimeoutError(f"{self._open} calls were not answered within {seconds:g} s")


def drive(arrivals: Sequence[float], begin_call: Callable[[int], Call], patience_s: float = 300.0) -> Latencies:
    """Begins call number n when arrival n is due, however many are under way; returns when all have ended."""
    found = Latencies(len(arrivals))
    calls: list[Call] = []  # held until they end: a future that nobody holds may be cancelled
    begin = time.perf_counter()

    def begin_one(number: int, due: float) -> None:
        def ended(call: Call) -> None:
            found.ended(time.perf_counter() - begin - due, failed=call.exception() is not None)

        calls.append(begin_call(number))
        calls[-1].add_done_callback(ended)

    for number, due in enumerate(arrivals):
        time.sleep(max(0.0, begin + due - time.perf_counter()))
        begin_one(number, due)
    found.wait(patience_s)
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

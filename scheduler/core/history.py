"""What is known of running times and arrivals, from workloads that have come and gone: what futures are drawn from.

The book feeds one while it changes, simulations while they run; `scheduler.forecast` draws. Bounded: only the newest of
each kind count, and only so many kinds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np

from scheduler.core.placement.protocol import Shape

# Fewer finished runs than these say too little: the next wider circle is asked.
ENOUGH: Final = 8
KEPT_ALIKE: Final = 64  # runs of one queue and shape
KEPT_QUEUE: Final = 256
KEPT_ALL: Final = 1024
KEPT_ARRIVALS: Final = 512
KEPT_STARTS: Final = 4096
KEPT_KINDS: Final = 4096  # queues with their shapes; the oldest is forgotten
# What is assumed while nothing has finished: log-uniform parts of the estimate (people ask for one to twenty times what
# they need: Mu'alem and Feitelson, TPDS 2001), or log-uniform times from a minute to a day where there is none.
_LEAST_PART, _MOST_PART = 0.05, 1.0
_LEAST_MS, _MOST_MS = 60_000, 86_400_000


class Arrival(NamedTuple):
    """One submission: what a row of the waiting table says of it, free of the numbers of one table."""

    at_ms: int
    queue: str
    shape: Shape
    priority: int
    estimated_ms: int


@dataclass(slots=True)
class History:
    """Running times by queue and shape, by queue, and of all, as parts of their estimates and (where there was none) in
    milliseconds; the newest arrivals; and when the newest placed workloads were first placed."""

    arrivals: deque[Arrival] = field(default_factory=lambda: deque(maxlen=KEPT_ARRIVALS))
    starts: dict[str, int] = field(default_factory=dict)
    _parts: dict[Hashable, deque[float]] = field(default_factory=dict)
    _times: dict[Hashable, deque[float]] = field(default_factory=dict)
    # Of `_parts` and `_times` by queue and shape: whoever hashes a shape three times a run pays for it.
    _routes: dict[tuple[str, Shape, bool], tuple[deque[float], ...]] = field(default_factory=dict)

    def arrive(self, arrival: Arrival) -> None:
        self.arrivals.append(arrival)

    def start(self, workload_id: str, at_ms: int) -> None:
        """A workload was placed; only its first time counts."""
        if workload_id not in self.starts:
            if len(self.starts) >= KEPT_STARTS:
                del self.starts[next(iter(self.starts))]
            self.starts[workload_id] = at_ms

    def finish(self, queue: str, shape: Shape, estimated_ms: int, ran_ms: int) -> None:
        """A run has ended by itself after `ran_ms`."""
        route = self._routes.get((queue, shape, bool(estimated_ms)))
        if route is None:
            route = self._route(queue, shape, bool(estimated_ms))
        alike, of_queue, of_all, *parts = route
        took = float(max(1, ran_ms))
        alike.append(took)
        of_queue.append(took)
        of_all.append(took)
        for part in parts:
            part.append(took / estimated_ms)

    def _route(self, queue: str, shape: Shape, estimated: bool) -> tuple[deque[float], ...]:
        """Where the values of such a run are kept: times of its like, of its queue and of all, then its parts likewise."""
        route: list[deque[float]] = []
        for kept in (self._times, self._parts) if estimated else (self._times,):
            for key, most in (((queue, shape), KEPT_ALIKE), (queue, KEPT_QUEUE), (None, KEPT_ALL)):
                if key not in kept and len(kept) >= KEPT_KINDS:
                    del kept[next(iter(kept))]
                    self._routes.clear()  # one of them may lead to what is forgotten
                route.append(kept.setdefault(key, deque(maxlen=most)))
        return self._routes.setdefault((queue, shape, estimated), tuple(route))

    def clone(self) -> History:
        """As it is now, for whoever reads it while this one goes on."""
        parts = {key: deque(values, values.maxlen) for key, values in self._parts.items()}
        times = {key: deque(values, values.maxlen) for key, values in self._times.items()}
        return History(deque(self.arrivals, self.arrivals.maxlen), dict(self.starts), parts, times)

    def without_arrivals(self) -> History:
        """The same running times, and nobody else comes. To be read only: the times are those of this one."""
        return replace(self, arrivals=deque(maxlen=KEPT_ARRIVALS))

    def is_known(self, queue: str, shape: Shape, estimated_ms: int) -> bool:
        """False where nothing but the assumption is left."""
        return self._sample(self._parts if estimated_ms else self._times, queue, shape) is not None

    def draw_ms(
        self, queue: str, shape: Shape, estimated_ms: int, elapsed_ms: int, random: np.random.Generator
    ) -> int:
        """How long a run takes in all, given that it has lasted `elapsed_ms` already; more than that."""
        sample = self._sample(self._parts if estimated_ms else self._times, queue, shape)
        if sample is None:
            least, most = (_LEAST_PART, _MOST_PART) if estimated_ms else (_LEAST_MS, _MOST_MS)
            values = np.exp(random.uniform(np.log(least), np.log(most), 8))
        else:
            values = np.asarray(sample)
        lengths = values * estimated_ms if estimated_ms else values
        longer = lengths[lengths > elapsed_ms]
        if len(longer):
            return max(elapsed_ms + 1, int(longer[random.integers(len(longer))]))
        # It has outlasted everything known: as long again, at most (Gott's rule at one half).
        return elapsed_ms + 1 + int(random.random() * max(1000, elapsed_ms))

    def future_arrivals(self, now_ms: int, random: np.random.Generator) -> Iterator[Arrival]:
        """Arrivals after now, without end, as bursty as those of the past: a stretch of it from a random place on, again
        and again (a block bootstrap). None while too few have come."""
        past = list(self.arrivals)
        if len(past) < ENOUGH:
            return
        span_ms = max(1, past[-1].at_ms - past[0].at_ms)
        gaps = [max(0, after.at_ms - before.at_ms) for before, after in pairwise(past)]
        gaps.append(span_ms // max(1, len(gaps)))  # from the last round to the first
        at_ms, k = now_ms, int(random.integers(len(past)))
        # Where we stand in the first gap is not known: part of it has passed.
        at_ms += int(gaps[k] * random.random())
        while True:
            k = (k + 1) % len(past)
            one = past[k]
            yield Arrival(at_ms, one.queue, one.shape, one.priority, one.estimated_ms)
            at_ms += max(1, gaps[k])

    @staticmethod
    def _sample(kept: dict[Hashable, deque[float]], queue: str, shape: Shape) -> Sequence[float] | None:
        for key in ((queue, shape), queue, None):
            sample = kept.get(key)
            if sample is not None and len(sample) >= ENOUGH:
                return list(sample)
        return None

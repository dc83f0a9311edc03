"""A histogram that takes whole batches: what a commit of a thousand placements costs is one pass over an array.

`prometheus_client.Histogram` takes a lock and searches its buckets for each value, which at ten thousand placements a
second is a visible part of a core. `scheduler.operation.instruments` makes these for everything that happens to
workloads one by one; what happens once a call or once a commit uses the library's own.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Iterator, Sequence

import numpy as np
from prometheus_client import CollectorRegistry
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

# Below this a loop is faster than making an array.
_ARRAY_FROM = 16


class BatchHistogram(Collector):
    """Counts by bucket; `buckets` are upper bounds in seconds, inclusive, rising, without the infinite one."""

    def __init__(
        self, name: str, documentation: str, buckets: Sequence[float], registry: CollectorRegistry
    ) -> None:
        self._name = name
        self._documentation = documentation
        self._bounds = [float(bound) for bound in buckets]
        self._counts = [0] * (len(self._bounds) + 1)
        self._sum = 0.0
        self._lock = threading.Lock()
        registry.register(self)

    def observe_many(self, seconds: Sequence[float]) -> None:
        """Each value once. Negative ones (clocks of two machines) count as zero."""
        if not seconds:
            return
        values = [max(value, 0.0) for value in seconds]
        if len(values) < _ARRAY_FROM:
            places = [bisect_left(self._bounds, value) for value in values]
            with self._lock:
                for place in places:
                    self._counts[place] += 1
                self._sum += sum(values)
            return
        found = np.searchsorted(self._bounds, values, side="left")
        counts = np.bincount(found, minlength=len(self._counts)).tolist()
        with self._lock:
            self._counts = [before + new for before, new in zip(self._counts, counts, strict=True)]
            self._sum += sum(values)

    def collect(self) -> Iterator[Metric]:
        with self._lock:
            counts, total = list(self._counts), self._sum
        rising, buckets = 0, []
        for bound, count in zip([*self._bounds, float("inf")], counts, strict=True):
            rising += count
            buckets.append(("+Inf" if bound == float("inf") else repr(bound), float(rising)))
        family = HistogramMetricFamily(self._name, self._documentation)
        family.add_metric([], buckets, total)
        yield family

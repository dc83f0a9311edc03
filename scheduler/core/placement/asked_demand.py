"""What a pool has been asked for, as the typical demand that policies which look ahead measure against.

`PoolState` counts every batch; where the pool's policy reads demand, it takes the new picture over now and then.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from inventory.model.workload import Requirements
from scheduler.core.placement.policies.demand import Demand
from scheduler.core.placement.policies.encode import Int64s
from scheduler.core.placement.policies.shape import TaskShape
from scheduler.core.placement.pool_arrays import NO_DEMAND, task_shape

FIRST = 64  # tasks asked before the first picture; each next one waits for as many tasks as were seen so far
MEMORY = 8_192  # tasks; older ones fade: where more are counted, all counts are halved
MOST_SHAPES = 256  # in the picture, the most frequent ones


class AskedDemand:
    """Counts what is asked. `fixed` is a demand that is known beforehand, which is never replaced."""

    def __init__(self, fixed: Demand | None) -> None:
        self._counts: Counter[TaskShape] = Counter()
        self._since = 0  # tasks asked since the last picture
        self._due_at = FIRST
        self._learns = fixed is None
        self._demand = fixed or NO_DEMAND

    @property
    def is_due(self) -> bool:
        """Whether so much was asked since the last picture that a new one is worth making."""
        return self._learns and self._since >= self._due_at

    def count(self, shapes: Sequence[Requirements], numbers: Int64s) -> None:
        """Runs were asked for, each of the shape at its number."""
        if not self._learns:
            return
        for number, runs in enumerate(np.bincount(numbers, minlength=len(shapes)).tolist()):
            if runs:
                tasks = runs * shapes[number].tasks
                self._counts[replace(task_shape(shapes[number]), memory=0)] += tasks
                self._since += tasks

    def take(self) -> Demand:
        """The picture as it is now."""
        if self._learns and self._since >= self._due_at:
            total = sum(self._counts.values())
            if total > MEMORY:
                self._counts = Counter({shape: n // 2 for shape, n in self._counts.items() if n > 1})
            self._since = 0
            self._due_at = min(max(FIRST, total), MEMORY)
            typical = self._counts.most_common(MOST_SHAPES)
            self._demand = Demand(tuple(shape for shape, _ in typical), tuple(n for _, n in typical))
        return self._demand

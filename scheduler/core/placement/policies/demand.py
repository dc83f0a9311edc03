"""Typical demand: which tasks a pool should expect, as counts. What fragmentation is measured against.

Source: Weng et al., USENIX ATC'23, "target workload". The counts stay integers, so that a fragmentation is an
exact integer too (milli-cards times tasks) and near-equal nodes tie.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

from scheduler.core.placement.policies.shape import TaskShape

COVERED = (95, 100)  # typical tasks cover this share of all tasks


@dataclass(frozen=True)
class Demand:
    """Distinct shapes, memory left out (0), each with how often it was seen."""

    shapes: tuple[TaskShape, ...]
    counts: tuple[int, ...]

    @cached_property
    def total(self) -> int:
        return sum(self.counts)


def typical_demand(tasks: Iterable[TaskShape]) -> Demand:
    """The most frequent shapes that together cover 95 % of `tasks`; of equals the first seen comes first."""
    return most_of(Counter(replace(task, memory=0) for task in tasks))


def most_of(seen: Counter[TaskShape]) -> Demand:
    """The most frequent of these that together cover 95 %. Memory is 0 in all of them."""
    needed = sum(seen.values()) * COVERED[0]
    covered = 0
    shapes: list[TaskShape] = []
    counts: list[int] = []
    for shape, count in seen.most_common():
        if covered * COVERED[1] >= needed:
            break
        shapes.append(shape)
        counts.append(count)
        covered += count
    return Demand(tuple(shapes), tuple(counts))

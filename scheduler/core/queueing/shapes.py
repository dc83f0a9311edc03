"""Shapes as small numbers: what a million waiting workloads carry instead of their requirements.

The book and the simulator each own one `ShapeTable`; columns carry positions in it. It only grows, so a number that
was given once stays true, and what was computed for a shape in one cycle may be kept for the next.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

from inventory.model.units import Resources
from inventory.model.workload import Requirements, Workload
from scheduler.core.placement.protocol import Shape

Int32s = npt.NDArray[np.int32]
Int64s = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

DIMENSIONS: Final = 4
# Card models without a factor count as one card.
WHOLE_FACTOR: Final = 1000
_MOST_SEEN: Final = 4096


def vector(amount: Resources) -> tuple[int, int, int, int]:
    """The amount in the order of all columns: milli-CPU, bytes of memory, bytes of disk, milli-accelerators."""
    return amount.cpu_milli, amount.memory_bytes, amount.disk_bytes, amount.accelerator_milli


def resources(row: Int64s) -> Resources:
    """The inverse of `vector`."""
    return Resources(*(int(value) for value in row))


class ShapeTable:
    """Gives each distinct shape a number, from 0 on, in the order in which they come.

    `card_factors` normalises cards for budgets: thousandths of a normal card by accelerator model.
    """

    def __init__(self, card_factors: Mapping[str, int] | None = None) -> None:
        self.shapes: list[Shape] = []
        self.amounts: list[tuple[int, int, int, int]] = []  # `totals`, for whoever needs one at a time
        self._factors = card_factors or {}
        self._numbers: dict[Shape, int] = {}
        self._seen: dict[tuple[int, int, bool, bool], tuple[Requirements, object, int]] = {}
        self._totals = np.zeros((64, DIMENSIONS), dtype=np.int64)
        self._tasks = np.zeros(64, dtype=np.int32)
        self._card_rates = np.zeros(64, dtype=np.int64)

    def __len__(self) -> int:
        return len(self.shapes)

    def number(self, shape: Shape) -> int:
        """The position of this shape, new or known."""
        known = self._numbers.get(shape)
        if known is not None:
            return known
        number = self._numbers[shape] = len(self.shapes)
        self.shapes.append(shape)
        if number == len(self._totals):
            self._totals = np.concatenate([self._totals, np.zeros_like(self._totals)])
            self._tasks = np.concatenate([self._tasks, np.zeros_like(self._tasks)])
            self._card_rates = np.concatenate([self._card_rates, np.zeros_like(self._card_rates)])
        self.amounts.append(vector(shape.total))
        self._totals[number] = self.amounts[number]
        self._tasks[number] = shape.requirements.tasks
        self._card_rates[number] = self._card_rate(shape)
        return number

    def number_of(self, workload: Workload) -> int:
        """The position of the workload's shape. Workloads that share their requirements as one object are one look:
        to hash requirements costs more than all else that is done with a workload that comes or goes."""
        needs, program = workload.requirements, workload.program
        key = (id(needs), id(workload.inputs), program.image is None, bool(program.secrets))
        seen = self._seen.get(key)
        if seen is None:
            if len(self._seen) >= _MOST_SEEN:
                self._seen.clear()
            # The objects are kept with the number: as long as they live, nothing else has their identity.
            seen = self._seen[key] = needs, workload.inputs, self.number(Shape.of(workload))
        return seen[2]

    def clone(self) -> ShapeTable:
        """The same shapes under the same numbers; what either learns from now on the other does not."""
        copy = ShapeTable(self._factors)
        copy.shapes, copy._numbers, copy.amounts = list(self.shapes), dict(self._numbers), list(self.amounts)
        copy._totals, copy._tasks = self._totals.copy(), self._tasks.copy()
        copy._card_rates = self._card_rates.copy()
        return copy

    @property
    def totals(self) -> Int64s:
        """What all tasks of each shape need together (n, 4)."""
        return self._totals[: len(self.shapes)]

    @property
    def tasks(self) -> Int32s:
        return self._tasks[: len(self.shapes)]

    @property
    def card_rates(self) -> Int64s:
        """Normalised milli-cards that a run of each shape uses (n): what budgets count, times milliseconds."""
        return self._card_rates[: len(self.shapes)]

    def _card_rate(self, shape: Shape) -> int:
        factor = self._factors.get(shape.requirements.accelerator or "", WHOLE_FACTOR)
        return shape.total.accelerator_milli * factor // WHOLE_FACTOR

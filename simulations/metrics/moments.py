"""Evenly spaced moments of a simulation, and what held at each: the ground of curves and of fairness over time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Int32s = npt.NDArray[np.int32]
Int64s = npt.NDArray[np.int64]

COUNT = 256  # moments of a simulation; what happens between two of them curves do not show


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """The middles of `COUNT` equal parts of a stretch of time (int64, never falling)."""

    at_ms: Int64s

    @classmethod
    def of(cls, from_ms: int, until_ms: int) -> Moments:
        parts = np.arange(COUNT, dtype=np.int64) * 2 + 1
        # In two steps, because (until - from) * 511 may leave 64 bits for stretches of thousands of years.
        whole, rest = divmod(max(0, until_ms - from_ms), 2 * COUNT)
        return cls(from_ms + whole * parts + rest * parts // (2 * COUNT))

    def covered(self, from_ms: Int64s, until_ms: Int64s, amounts: Int64s) -> Int64s:
        """At each moment the sum of the amounts whose time [from, until) covers it (COUNT)."""
        one_row = np.zeros(len(amounts), dtype=np.int32)
        held: Int64s = self.covered_by_row(from_ms, until_ms, amounts, one_row, 1)[0]
        return held

    def covered_by_row(self, from_ms: Int64s, until_ms: Int64s, amounts: Int64s, row: Int32s, rows: int) -> Int64s:
        """As `covered`, kept apart by row number (rows, COUNT)."""
        width = COUNT + 1
        begin = row.astype(np.int64) * width + np.searchsorted(self.at_ms, from_ms, side="left")
        end = row.astype(np.int64) * width + np.searchsorted(self.at_ms, until_ms, side="left")
        change = np.zeros(rows * width, dtype=np.int64)  # integers: what has ended leaves exactly nothing behind
        np.add.at(change, begin, amounts)
        np.subtract.at(change, end, amounts)
        held: Int64s = np.cumsum(change.reshape(rows, width), axis=1)[:, :COUNT]
        return held

    def stepped(self, at_ms: Int64s, values: Floats) -> Floats:
        """At each moment the value of the last step at or before it (COUNT); 0 before the first step."""
        held = np.concatenate(([0.0], values))
        return held[np.searchsorted(at_ms, self.at_ms, side="right")]

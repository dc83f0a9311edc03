"""What a trace reader does with a row that it cannot use: one clear error, or (`skip_bad`) a counted skip.

Every reader goes through `BadRows`, so that no row is ever dropped in silence.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

SHOWN = 5  # bad rows that a report names; the rest it counts


class TraceError(Exception):
    """A trace that cannot be used. The text is one line for the person who asked (中文 / English)."""


@dataclass(frozen=True, slots=True)
class BadValue:
    """A value that breaks a rule. `rule_zh` / `rule_en` say what is allowed."""

    line: int
    column: str
    value: str
    rule_zh: str
    rule_en: str

    def describe(self, path: Path) -> str:
        return (
            f"{path.name} 第 {self.line} 行 {self.column} 列: {self.value!r} 不可用，{self.rule_zh} / "
            f"line {self.line}, column {self.column}: {self.value!r} cannot be used: {self.rule_en}"
        )


class BadRows:
    """The bad rows of one file. With `skip_bad` they are kept for the report, otherwise the first one raises."""

    def __init__(self, path: Path, skip_bad: bool) -> None:
        self._path = path
        self._skip_bad = skip_bad
        self._bad: list[BadValue] = []
        self._disordered: list[BadValue] = []
        self._remarks: Counter[str] = Counter()
        self._unordered: tuple[int, int] | None = None  # how many, and the first one's line

    def refuse(self, bad: BadValue) -> None:
        """Raises TraceError, or counts the row as skipped."""
        if not self._skip_bad:
            raise TraceError(
                f"{bad.describe(self._path)}; 请改正该行，或用 --skip-bad 跳过 / "
                "correct the row, or pass --skip-bad"
            )
        self._bad.append(bad)

    def disorder(self, bad: BadValue) -> None:
        """A usable row in the wrong place. Raises TraceError, or counts it: it is kept and sorted in."""
        if not self._skip_bad:
            raise TraceError(
                f"{bad.describe(self._path)}; 请排序，或用 --skip-bad 排入 / sort the file, or pass --skip-bad to have "
                "such rows sorted in"
            )
        self._disordered.append(bad)

    def remark(self, text: str) -> None:
        """Counts something that the form allows and the reader leaves out or assumes; it stands in the report."""
        self._remarks[text] += 1

    def sort_in(self, moments: npt.NDArray[np.int64], lines: Sequence[int]) -> None:
        """For forms whose rows need no order (public files of them have none): how many rows lie before the row above
        them stands in the report, and the first of them. `lines` are theirs, one a moment."""
        falls = np.flatnonzero(np.diff(moments) < 0)
        if len(falls):
            self._unordered = (len(falls), lines[int(falls[0]) + 1])

    @property
    def count(self) -> int:
        return len(self._bad)

    def report(self) -> list[str]:
        """Lines for the person: how many rows were skipped and why, and the first few by line. Empty: nothing odd."""
        lines = [f"{self._path.name}: {n} x {text}" for text, n in self._remarks.items()]
        if self._unordered is not None:
            count, line = self._unordered
            lines.append(
                f"{self._path.name}: {count} 行早于上一行（首个在第 {line} 行），此格式不要求有序，已按时间排好 / {count} rows "
                f"lie before the row above them, the first is line {line}; this form needs no order: they were sorted in"
            )
        for rows, zh, en in (
            (self._bad, "跳过 {} 行", "{} rows skipped"),
            (self._disordered, "{} 行时间倒退，已排入", "{} rows out of order were sorted in"),
        ):
            if not rows:
                continue
            lines.append(f"{self._path.name}: {zh.format(len(rows))} / {en.format(len(rows))}")
            kinds = Counter((bad.column, bad.rule_zh, bad.rule_en) for bad in rows)
            lines += [f"  {n} x {column}: {zh} / {en}" for (column, zh, en), n in kinds.most_common()]
            lines += [f"  {bad.describe(self._path)}" for bad in rows[:SHOWN]]
        return lines

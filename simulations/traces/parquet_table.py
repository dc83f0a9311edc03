"""Parquet tables read with care: every value checked, column by column, and a bad one named by row and column.

The readers of our own traces and of OpenDC's use it. Checks are vectorised: only bad rows cost Python time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from simulations.traces.bad_rows import BadRows, BadValue, TraceError

Int32s = npt.NDArray[np.int32]
Int64s = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Strings = npt.NDArray[np.object_]
Value = TypeVar("Value")


def open_parquet(path: Path, needed: Sequence[str]) -> pa.Table:
    """The whole table. Raises TraceError for a file that cannot be read, is cut short, or lacks a column."""
    try:
        table = pq.read_table(path)
    except OSError as error:
        if isinstance(error, FileNotFoundError | PermissionError | IsADirectoryError):
            raise TraceError(f"{path}: 无法读取 / cannot be read: {error.strerror}") from error
        raise TraceError(_broken(path, error)) from error
    except pa.ArrowException as error:
        raise TraceError(_broken(path, error)) from error
    missing = [column for column in needed if column not in table.column_names]
    if missing:
        raise TraceError(
            f"{path.name}: 缺少列 / missing columns: {', '.join(missing)}; 需要 / needed: {', '.join(needed)}; "
            f"现有 / present: {', '.join(table.column_names)}"
        )
    return table


def _broken(path: Path, error: Exception) -> str:
    said = str(error).splitlines()[0].strip() if str(error) else type(error).__name__
    return (
        f"{path.name}: 不是完整的 Parquet 文件（被截断或损坏），请重新获取 / not a whole Parquet file (cut short or "
        f"damaged): get it again ({said})"
    )


@dataclass(frozen=True, slots=True)
class Numbered(Generic[Value]):
    """Each row's position in a table of distinct values."""

    position: Int32s
    values: tuple[Value, ...]


class ParquetColumns:
    """The columns of one table, checked. `good` says which rows have passed every check so far.

    Rows are numbered from 1 in messages, as the "line" of a file without lines.
    """

    def __init__(self, table: pa.Table, path: Path, bad: BadRows) -> None:
        self._table, self._path, self._bad = table, path, bad
        self.good: Bools = np.ones(table.num_rows, dtype=np.bool_)

    def whole(self, name: str, least: int, most: int, absent: int | None = None) -> Int64s:
        """Whole numbers least..most; a float column must hold whole ones. A missing value is bad, or `absent`."""
        column = self._numeric(name)
        null = np.asarray(column.is_null().to_numpy(zero_copy_only=False), dtype=np.bool_)
        values = np.asarray(column.fill_null(0).to_numpy(zero_copy_only=False))
        wrong = (values < least) | (values > most)
        if values.dtype.kind == "f":
            with np.errstate(invalid="ignore"):
                wrong |= ~np.isfinite(values) | (values != np.rint(values))
        zh, en = f"须为 {least} 到 {most} 的整数", f"a whole number {least}..{most} is needed"
        unusable = wrong & ~null if absent is not None else wrong | null
        self.refuse(name, column, unusable, (zh, en))
        values = np.where(wrong | null, absent or 0, values)
        return values.astype(np.int64)

    def amounts(self, name: str) -> npt.NDArray[np.float64]:
        """Finite numbers from 0 on. A missing value is bad."""
        column = self._numeric(name)
        values = np.asarray(column.cast(pa.float64()).fill_null(float("nan")).to_numpy(zero_copy_only=False))
        wrong = ~(np.isfinite(values) & (values >= 0))
        self.refuse(name, column, wrong, ("须为不小于 0 的数", "a number from 0 on is needed"))
        return np.where(wrong, 0.0, values)

    def texts(self, name: str) -> Strings:
        """Non-empty texts for the job id; missing texts elsewhere are ""."""
        column = self._table[name].combine_chunks()
        if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
            try:
                column = column.cast(pa.string())
            except pa.ArrowException as error:
                raise TraceError(
                    f"{self._path.name}: {name} 列类型 {column.type} 不能作文本 / column {name} of type "
                    f"{column.type} is no text"
                ) from error
        return np.asarray(column.fill_null("").to_numpy(zero_copy_only=False), dtype=np.object_)

    def parsed(self, name: str, texts: Strings, parse: Callable[[str], Value]) -> Numbered[Value]:
        """Each distinct text is parsed once; rows whose text raises ValueError are bad."""
        numbered = self.numbered(texts)
        assert numbered is not None
        new = np.zeros(len(numbered.values), dtype=np.int32)
        values: list[Value] = []
        for old, text in enumerate(numbered.values):
            try:
                value = parse(text)
            except ValueError as error:
                rows = numbered.position == old
                self.refuse(name, None, rows, (str(error), "see there"), text)
                continue
            new[old] = len(values)
            values.append(value)
        return Numbered(new[numbered.position], tuple(values))

    def numbered(self, texts: Strings | None) -> Numbered[str] | None:
        if texts is None:
            return None
        encoded = pa.array(texts, pa.string()).dictionary_encode()
        return Numbered(
            np.asarray(encoded.indices.to_numpy(), dtype=np.int32), tuple(map(str, encoded.dictionary.to_pylist()))
        )

    def refuse_repeated(self, name: str, texts: Strings) -> None:
        """A second row with the same name is bad; so is an empty name."""
        if len(set(texts.tolist())) != len(texts):
            first = {text: row for row, text in reversed(list(enumerate(texts.tolist())))}
            again = np.array([first[text] != row for row, text in enumerate(texts.tolist())], dtype=np.bool_)
            self.refuse(name, texts, again, ("重复", "it came in an earlier row already"))
        self.refuse(name, texts, np.asarray(texts == "", dtype=np.bool_), ("名称不能为空", "a name is needed"))

    def refuse_falling(self, name: str, times: Int64s) -> None:
        """A time below that of an earlier good row is out of order."""
        highest = np.maximum.accumulate(np.where(self.good, times, np.iinfo(np.int64).min))
        for row in np.flatnonzero(self.good & (times < highest)).tolist():
            self._bad.disorder(BadValue(row + 1, name, str(times[row]), *OUT_OF_ORDER))

    def _numeric(self, name: str) -> pa.Array[Any]:
        column = self._table[name].combine_chunks()
        if pa.types.is_timestamp(column.type):
            return column.cast(pa.timestamp("ms")).cast(pa.int64())
        if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
            return column
        raise TraceError(
            f"{self._path.name}: {name} 列类型为 {column.type}，须为数值 / column {name} is {column.type}; "
            "numbers are needed"
        )

    def refuse(
        self, name: str, column: object, wrong: Bools, rule: tuple[str, str], value: str | None = None
    ) -> None:
        """The wrong rows are bad; `column` (or `value`) shows what stands there. Raises TraceError unless bad rows are
        skipped."""
        for row in np.flatnonzero(wrong & self.good).tolist():
            shown = value if value is not None else _shown(column, row)
            self._bad.refuse(BadValue(row + 1, name, shown, *rule))
        self.good &= ~wrong


OUT_OF_ORDER = ("早于前面的行，时间须不减", "it lies before an earlier row; times must not fall")


def _shown(column: object, row: int) -> str:
    value = column[row]  # type: ignore[index]  # an Arrow array or a numpy column
    return str(value.as_py() if isinstance(value, pa.Scalar) else value)

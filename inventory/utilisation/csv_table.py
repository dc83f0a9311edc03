"""A delimited table of measurements as rows of named cells: headings in Chinese or English, faults with their line.

Who calls this: the two readers beside it. Bytes in, rows out; nothing is guessed, the first fault ends the reading.
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date

from inventory.model.migration import Pair

_EMPTY = {"", "-", "—", "无", "null", "none", "n/a", "na"}
_DAY = re.compile(r"(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?|(\d{4})(\d{2})(\d{2})")
_MOST = 10**15


class MeasurementFileError(ValueError):
    """A file that cannot be read: one line (file, line, value, rule, remedy), "中文 / English"."""

    def __init__(self, file_name: str, line: int | None, text: Pair) -> None:
        place = file_name if line is None else f"{file_name}:{line}"
        super().__init__(f"{place}: {text[0]} / {text[1]}")


@dataclass(frozen=True, slots=True)
class Cells:
    """One row. Columns that the file lacks, and cells that are empty, are unknown."""

    file_name: str
    line: int
    cells: Mapping[str, str]

    def text(self, column: str) -> str | None:
        value = unicodedata.normalize("NFKC", self.cells.get(column, "")).strip()
        return None if value.casefold() in _EMPTY else value

    def required(self, column: str) -> str:
        value = self.text(column)
        if value is None:
            raise self.fault((f"缺少 {column}，请补上", f"{column} is missing; add it"))
        return value

    def day(self, column: str, last: date) -> date | None:
        """The day, which must not lie after `last`."""
        value = self.text(column)
        if value is None:
            return None
        match = _DAY.fullmatch(value.split(" ")[0].split("T")[0])
        try:
            if match is None:
                raise ValueError
            parts = [int(part) for part in match.groups() if part is not None]
            day = date(parts[0], parts[1], parts[2])
        except ValueError:
            raise self.fault(
                (
                    f"{column} {value!r} 不是日期，请写 YYYY-MM-DD",
                    f"{column} {value!r} is no day; write YYYY-MM-DD",
                )
            ) from None
        if day > last:
            raise self.fault(
                (
                    f"{column} {day} 在 {last} 之后，尚未到来，请核对",
                    f"{column} {day} is after {last}; check the day",
                )
            )
        return day

    def percent(self, column: str) -> float | None:
        """0 to 100; a percent sign may follow."""
        value = self.text(column)
        if value is None:
            return None
        number = _number(value.removesuffix("%").strip())
        if number is None or not 0 <= number <= 100:
            raise self.fault(
                (
                    f"{column} {value!r} 须为 0 至 100 的百分数",
                    f"{column} {value!r} must be a percentage, 0 to 100",
                )
            )
        return number

    def count(self, column: str) -> int | None:
        """A whole number, 0 or more; thousands may be separated by commas."""
        value = self.text(column)
        if value is None:
            return None
        number = _number(value.replace(",", ""))
        if number is None or number != int(number) or not 0 <= number <= _MOST:
            raise self.fault(
                (f"{column} {value!r} 须为非负整数", f"{column} {value!r} must be a whole number, 0 or more")
            )
        return int(number)

    def fault(self, text: Pair) -> MeasurementFileError:
        return MeasurementFileError(self.file_name, self.line, text)


def read_table(content: bytes, file_name: str, headings: Mapping[str, tuple[str, ...]]) -> Iterator[Cells]:
    """The rows under the headings. `headings` are the names that each column may have.

    Raises MeasurementFileError for bytes that are no text, a heading that stands twice, or a table without rows.
    """
    text = _decoded(content, file_name)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text), strict=True)
    columns: dict[int, str] | None = None
    found = False
    try:
        for row in reader:
            if not any(cell.strip() for cell in row):
                continue
            if columns is None:
                columns = _columns(row, file_name, reader.line_num, headings)
                continue
            found = True
            cells = {name: row[at] for at, name in columns.items() if at < len(row)}
            yield Cells(file_name, reader.line_num, cells)
    except csv.Error as error:
        raise MeasurementFileError(
            file_name, reader.line_num, (f"不是合法的 CSV（{error}）", f"is no valid CSV ({error})")
        ) from error
    if not found:
        raise MeasurementFileError(file_name, None, ("没有数据行", "there is no row under the headings"))


def _columns(row: list[str], file_name: str, line: int, headings: Mapping[str, tuple[str, ...]]) -> dict[int, str]:
    known = {_plain(name): column for column, names in headings.items() for name in (column, *names)}
    columns: dict[int, str] = {}
    for at, heading in enumerate(row):
        column = known.get(_plain(heading))
        if column is None:
            continue
        if column in columns.values():
            raise MeasurementFileError(
                file_name,
                line,
                (f"列 {heading!r} 重复，请删除其一", f"the column {heading!r} stands twice; remove one"),
            )
        columns[at] = column
    return columns


def require_columns(
    cells: Cells, needed: tuple[str, ...], one_of: tuple[str, ...], headings: Mapping[str, tuple[str, ...]]
) -> None:
    """Raises MeasurementFileError when the file lacks a needed column, or all of `one_of`."""
    missing = [name for name in needed if name not in cells.cells]
    if not missing and one_of and not any(name in cells.cells for name in one_of):
        missing = ["|".join(one_of)]
    if missing:
        listed = ", ".join(missing)
        known = "; ".join(f"{column}（{'、'.join(names)}）" for column, names in headings.items())
        raise MeasurementFileError(
            cells.file_name, None, (f"缺少列 {listed}；可用列：{known}", f"the columns {listed} are missing")
        )


def _plain(text: str) -> str:
    return re.sub(r"[\s_()（）%]", "", unicodedata.normalize("NFKC", text)).casefold()


def _decoded(content: bytes, file_name: str) -> str:
    """UTF-8 (with or without its mark), else GB18030, as Chinese spreadsheets write CSV."""
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\x00" not in text:
            return text
    raise MeasurementFileError(
        file_name, None, ("不是文本，请另存为 CSV（UTF-8）", "is no text; save it as CSV (UTF-8)")
    )


def _delimiter(text: str) -> str:
    first = text.lstrip("\ufeff\r\n ").split("\n", 1)[0]
    return max(",\t;|", key=first.count)


def _number(text: str) -> float | None:
    return float(text) if re.fullmatch(r"\d{1,16}(\.\d{1,9})?", text) else None

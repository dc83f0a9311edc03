"""The one shape in which every workbook is read: sheets of rows of values, whatever the file format.

The readers (`xlsx`, `xls`, `delimited`) produce it, `tables` and `read` consume it. Rows stream, so a sheet of
200,000 rows is never in memory as a whole; merges, which every format stores apart from the rows, are known first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache


class Percent(float):
    """A number in a cell formatted as percent: 0.27, which the sender sees as 27%."""

    __slots__ = ()


class Unevaluated(str):
    """What a cell holds instead of a value: an error (#N/A) or a formula that was saved without its result."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class CalendarDay:
    """A date cell. `precision` is what its format shows: "day", "month" or "year"."""

    day: date
    precision: str


Value = str | int | float | bool | CalendarDay | None


@dataclass(frozen=True, slots=True)
class Merge:
    """A merged range, inclusive; rows count from 1 as Excel does, columns from 0 as `Row.values` does."""

    top: int
    left: int
    bottom: int
    right: int


# A merge of more rows is looked up by comparison, not row by row.
TALL_MERGE_ROWS = 2_000


@dataclass(frozen=True, slots=True)
class Row:
    """`number` as Excel counts; `values` end at the row's last cell."""

    number: int
    values: list[Value]
    hidden: bool = False


@dataclass(frozen=True, slots=True)
class Sheet:
    """One sheet. `rows()` starts a new pass over the file each time; empty rows may be left out.

    `margin_text` is the printed header and footer, where a watermark may stand.
    """

    name: str
    rows: Callable[[], Iterator[Row]]
    merges: tuple[Merge, ...] = ()
    hidden: bool = False
    hidden_columns: tuple[int, ...] = ()
    margin_text: str = ""


@dataclass(frozen=True, slots=True)
class Workbook:
    """`format` is "xlsx", "xls" or "csv"."""

    format: str
    sheets: tuple[Sheet, ...] = field(default=())


def column_letters(column: int) -> str:
    """0 -> A, 26 -> AA."""
    letters = ""
    column += 1
    while column:
        column, digit = divmod(column - 1, 26)
        letters = chr(65 + digit) + letters
    return letters


@lru_cache(maxsize=20_000)
def column_index(letters: str) -> int:
    """A -> 0, AA -> 26. Raises ValueError for anything but one to three letters A-Z."""
    index = 0
    if not 1 <= len(letters) <= 3:
        raise ValueError(f"{letters!r} is no column")
    for letter in letters:
        if not "A" <= letter <= "Z":
            raise ValueError(f"{letters!r} is no column")
        index = index * 26 + ord(letter) - 64
    return index - 1


def address(row: int, column: int) -> str:
    """A1 address of a row (from 1) and a column (from 0)."""
    return f"{column_letters(column)}{row}"


def parse_range(reference: str) -> Merge | None:
    """The range of an A1 reference such as B5:B6; None when it is no finite range."""
    first, _, last = reference.replace("$", "").upper().partition(":")
    try:
        (left, top), (right, bottom) = _split(first), _split(last or first)
    except ValueError:
        return None
    return Merge(min(top, bottom), min(left, right), max(top, bottom), max(left, right))


def _split(reference: str) -> tuple[int, int]:
    letters = reference.rstrip("0123456789")
    return column_index(letters), int(reference[len(letters) :])

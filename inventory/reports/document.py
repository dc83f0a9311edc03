"""The monthly report as a document: what is sent over the wire, kept as JSON, and written as Word, Excel and HTML.

Every figure has a number (F001..) and names the rows it counts; every row has a number (R0001..) and names its place
in a sender's file. So whoever doubts a number finds it again in the annex, and opens its rows there.
"""

from __future__ import annotations

from datetime import date
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, model_validator

REPORT_FORM: Literal["xisuan-monthly-report/1"] = "xisuan-monthly-report/1"


class Form(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Row(Form):
    """A system (行). The district is as its sender reported it, and restated for the organisations of the day."""

    number: int
    system_key: str
    name: str
    department: str
    district: str
    restated_district: str
    ownership: str
    state: str
    sender: str
    import_id: str
    sheet: str
    row: int

    @property
    def label(self) -> str:
        return f"R{self.number:04d}"


class Figure(Form):
    """One figure (指标). A rate has a denominator; a count has none. `members` and `base` are row numbers: the rows
    of the numerator and of the denominator; of `unknown` the place is not known for want of a value.

    A figure with a `unit` is a sum of what its rows hold (万元/年, 核, GB) instead of their number: `amounts` has one
    entry for each of `members`, `base_amounts` one for each of `base`."""

    number: int
    name: str
    scope: str
    as_of: date
    percent: float | None
    is_rate: bool
    members: tuple[int, ...]
    base: tuple[int, ...] = ()
    unknown: tuple[int, ...] = ()
    unit: str = ""
    amounts: tuple[float, ...] = ()
    base_amounts: tuple[float, ...] = ()

    @model_validator(mode="after")
    def _has_an_amount_for_each_row(self) -> Self:
        rows, base = (self.members, self.base) if self.unit else ((), ())
        if (len(self.amounts), len(self.base_amounts)) != (len(rows), len(base)):
            raise ValueError(
                f"{self.name}: a figure with a unit has one amount for each row, and others have none"
            )
        return self

    @property
    def label(self) -> str:
        return f"F{self.number:03d}"

    @property
    def numerator(self) -> int:
        """How many rows; of a figure with a unit see `total`."""
        return len(self.members)

    @property
    def denominator(self) -> int:
        return len(self.base)

    @property
    def total(self) -> float:
        """The sum of a figure with a unit, to two decimals."""
        return round(sum(self.amounts), 2)

    @property
    def base_total(self) -> float:
        return round(sum(self.base_amounts), 2)

    @property
    def share(self) -> str:
        """`34/35` of a rate, `34` of a count, `105.6/480核` or `64.5万元/年` of a sum."""
        if self.unit:
            parts = f"{self.total:g}/{self.base_total:g}" if self.is_rate else f"{self.total:g}"
            return f"{parts}{self.unit}"
        return f"{self.numerator}/{self.denominator}" if self.is_rate else str(self.numerator)

    @property
    def shown(self) -> str:
        """`97.1%`, `—` where nothing can be divided, the sum with its unit, or the count."""
        if not self.is_rate:
            return self.share
        return "—" if self.percent is None else f"{self.percent:.1f}%"


class Table(Form):
    """Cells are texts as they are to be read. A cell that is a label (F001, R0001) refers to a figure or a row.

    `numeric` are the positions of columns that are set right. `empty` is what to say when there are no rows.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: tuple[int, ...] = ()
    note: str = ""
    empty: str = "本期无"


class Section(Form):
    """A numbered part of the report (一、二、……)."""

    code: str
    title: str
    paragraphs: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()


class Source(Form):
    """A ledger file that the rows come from."""

    import_id: str
    sender: str
    file_name: str
    sha256: str
    effective_on: date


class Signature(Form):
    """The footer that a report is signed with; an empty one leaves a line to write on."""

    unit: str = ""
    preparer: str = ""
    reviewer: str = ""
    phone: str = ""


class MonthlyReport(Form):
    """One month's report. `month` is YYYY-MM; `as_of` its last day, or the day of making where that comes first.

    `chain_seq` and `chain_hash` are the end of the event chain that it was made from.
    """

    form: Literal["xisuan-monthly-report/1"] = REPORT_FORM
    month: str
    title: str
    subtitle: str
    as_of: date
    scope: str
    illustrative: bool
    made_on: date
    chain_seq: int
    chain_hash: str
    summary: tuple[str, ...]
    headline: tuple[int, ...]
    sections: tuple[Section, ...]
    figures: tuple[Figure, ...]
    rows: tuple[Row, ...]
    sources: tuple[Source, ...]
    signature: Signature = Signature()

    def figure(self, number: int) -> Figure:
        return self.figures[number - 1]

"""Reads one sheet as a stream: titles, tables one below the other, and everything around them.

`read.read_ledger` calls `read_sheet` for each sheet of the workbook and puts the drafts together.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date

from inventory.ledger import findings
from inventory.ledger.cells import choices
from inventory.ledger.cells.dates import last_day_of, partial_date
from inventory.ledger.cells.text import Unreadable, narrow, packed, plain, says_none, written
from inventory.ledger.column_forms import is_organisation
from inventory.ledger.credentials import is_credential, is_withheld
from inventory.ledger.evidence import NamesOf, with_evidence
from inventory.ledger.findings import Finding
from inventory.ledger.grid import Row, Sheet, Value, address
from inventory.ledger.mapping import HeaderMapping
from inventory.ledger.rows import FillDown, RowKind, RowReader, carries_down, section_title
from inventory.ledger.systems import Draft, RowPlace, SystemReader
from inventory.ledger.tables import (
    HeadingReport,
    Learned,
    MergeIndex,
    Table,
    find_table,
    looks_like_heading,
    row_key,
)
from inventory.model.system import Ownership

_HEAD_ROWS = 60
_BLOCK_ROWS = 3
_SAMPLE_ROWS = 400
_OF_A_SYSTEM = frozenset((RowKind.SYSTEM, RowKind.NAMELESS, RowKind.CONTINUED))
_SENDER = re.compile(
    r"(?:填报|报送|填表|上报|编制)(?:单位|部门|机构)(?:[(（].{0,8}?[)）])?[:：]\s*(?P<text>[^\s,，;；:：]+)?"
)
_AS_OF = re.compile(
    r"(?:数据|统计)?(?:截[至止]|统计)(?:日期|时间|日|到)?[:：]?\s*(?P<text>\d{4}\s*[年./-][^)）,，;；、\s]*|\d{8})?"
)
_MONEY_LINE = re.compile(r"(?:金额|费用|经费|计量)?单位[:：]\s*(?:人民币)?\s*(亿元|百万元|万元|千元|元)")
_WATERMARK = re.compile(r"示例数据|演示数据|样例数据|模拟数据|虚构")
_TITLE = re.compile(r"^[^:：。；;]*(?:台账|系统|清单|统计|汇总|一览|情况表|登记表|名单)[^:：。；;]*$")
_WEAK_AS_OF = re.compile(
    r"(?:(?:填报|报送|填表|制表|更新)(?:日期|时间)[:：]\s*|^[(（])(?P<text>\d{4}\s*[年./-][^)）,，;；、\s]*|\d{8})(?:[)）]|$|\s)"
)
_BAND_LENGTH = 20
_MOST_NAMES = 50_000
_DISTRICT_IN_TITLE = re.compile(r"[\u4e00-\u9fff](?:区|县)(?![级域块内别间])")


@dataclass(slots=True)
class Surroundings:
    """What the text around the tables says."""

    sender: str | None = None
    as_of: date | None = None
    dated: date | None = None  # 填报日期 or a day in brackets below the title: the as-of where nothing says 截至
    money_unit: str | None = None
    illustrative: bool = False
    titles: list[str] = field(default_factory=list)


@dataclass(slots=True)
class SheetReading:
    """`skipped` says why the sheet is no ledger; None where it was read."""

    name: str
    drafts: list[Draft] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    headings: list[HeadingReport] = field(default_factory=list)
    around: Surroundings = field(default_factory=Surroundings)
    hidden_rows: list[int] = field(default_factory=list)
    skipped: str | None = None


class _RowStream:
    """Rows with look-ahead."""

    def __init__(self, rows: Iterator[Row]) -> None:
        self._rows = rows
        self._ahead: deque[Row] = deque()

    def peek(self, count: int) -> list[Row]:
        while len(self._ahead) < count:
            row = next(self._rows, None)
            if row is None:
                break
            self._ahead.append(row)
        return [self._ahead[index] for index in range(min(count, len(self._ahead)))]

    def take(self) -> Row | None:
        return self._ahead.popleft() if self._ahead else next(self._rows, None)


@dataclass(frozen=True, slots=True)
class WorkbookSays:
    """What a sheet may ask of the workbook around it: a person's mapping, the names of all systems, headings learned."""

    mapping: HeaderMapping | None
    names: NamesOf
    learned: Learned


def read_sheet(sheet: Sheet, says: WorkbookSays, tables_before: int) -> SheetReading:
    """Everything a sheet holds. `tables_before` numbers the tables through the workbook."""
    return _SheetReader(sheet, says, tables_before).read()


def can_profit(sheet: Sheet, reading: SheetReading, learned: Learned) -> bool:
    """Whether the sheet has a heading that was learned since it was read and that it made nothing of."""
    if reading.skipped is None:
        return any(report.heading in learned and not report.by_values for report in reading.headings)
    labels = {heading.split(" / ")[-1] for heading in learned}
    rows = _RowStream(sheet.rows()).peek(_HEAD_ROWS)
    return any(plain(value).strip() in labels for row in rows for value in row.values)


def names_of_systems(sheets: Sequence[Sheet], mapping: HeaderMapping | None, learned: Learned) -> set[str]:
    """What stands in the name columns of these sheets' first tables; read ahead of everything else, and only for that."""
    names: set[str] = set()
    for sheet in sheets:
        rows = _RowStream(sheet.rows())
        table = find_table(rows.peek(_HEAD_ROWS), MergeIndex(sheet.merges), sheet.name, mapping, learned)
        if table is None:
            continue
        index = table.columns["name"].index
        while (row := rows.take()) and len(names) < _MOST_NAMES:
            if row.number > table.bottom and index < len(row.values) and isinstance(row.values[index], str):
                names.add(written(row.values[index]))
    return names


class _SheetReader:
    def __init__(self, sheet: Sheet, says: WorkbookSays, tables_before: int) -> None:
        self._sheet = sheet
        self._says = says
        mapping = says.mapping
        self._merges = MergeIndex(sheet.merges)
        self._reading = SheetReading(sheet.name)
        self._table_number = tables_before
        self._pending_label: str | None = None
        choice = mapping.sheets.get(sheet.name) if mapping else None
        self._skip = choice == "skip"
        self._ownership = Ownership(choice) if choice and not self._skip else choices.ownership_in(sheet.name)
        self._ownership_given = self._ownership is not None
        self._band: str | None = None

    def read(self) -> SheetReading:
        stream = _RowStream(self._sheet.rows())
        self._look_around(self._sheet.margin_text)
        self._look_around(self._sheet.name)
        tables = 0
        while head := stream.peek(_HEAD_ROWS if not tables else _BLOCK_ROWS + 1):
            table = None if self._skip else self._find_table(head)
            if table is None:
                if not tables or not self._pass(stream):
                    break
                continue
            tables += 1
            self._table_number += 1
            self._read_table(table, stream)
        while row := stream.take():
            self._around_row(row)
        if not tables:
            self._reading.skipped = (
                "按映射文件跳过 / skipped by the mapping file"
                if self._skip
                else "没有含系统名称的表头，不是台账 / no heading with a system name"
            )
        return self._reading

    def _find_table(self, rows: Sequence[Row]) -> Table | None:
        return find_table(rows, self._merges, self._sheet.name, self._says.mapping, self._says.learned)

    def _pass(self, stream: _RowStream) -> bool:
        row = stream.take()
        if row is not None:
            self._around_row(row)
        return row is not None

    def _read_table(self, table: Table, stream: _RowStream) -> None:
        while (ahead := stream.peek(1)) and ahead[0].number <= table.bottom:
            row = ahead[0]
            stream.take()
            if row.number < table.top:
                self._around_row(row)
            else:
                self._refuse_credentials(row, None)
        sample = self._sample(RowReader(table, self._merges), stream)
        headings_say = _places(table)
        table = with_evidence(table, sample, self._says.names)
        self._reading.headings.extend(table.reports)
        rows = RowReader(table, self._merges)
        systems = SystemReader(rows, sample, self._reading.around.money_unit)
        departments = FillDown(rows, "department", carries_down(rows, sample, "department"))
        owners = FillDown(rows, "ownership", carries_down(rows, sample, "ownership"))
        if not self._ownership_given:
            self._ownership = self._ownership_of_titles()
        last: Draft | None = None
        while ahead := stream.peek(1):
            kind = rows.kind(ahead[0])
            if self._another_table(kind, stream, rows, headings_say):
                break
            stream.take()
            # Only a system's own cell under a credential heading is refused unread: hints and headings stand there too.
            row = self._refuse_credentials(ahead[0], table if kind in _OF_A_SYSTEM else None)
            if kind is RowKind.BAND:
                self._enter_band(row)
            elif kind is RowKind.NOT_DATA:
                self._around_row(row)
            elif kind is RowKind.CONTINUED and last is not None:
                self._reading.findings.extend(systems.continue_with(last, row))
            elif kind in _OF_A_SYSTEM:
                place = self._place(row, rows, departments, owners)
                if kind is RowKind.SYSTEM:
                    last = self._take_system(row, place, systems)
                else:
                    cell = table.address_of("name", row.number)
                    self._report(findings.missing_required(self._sheet.name, row.number, cell, "name"))

    def _sample(self, rows: RowReader, stream: _RowStream) -> list[Row]:
        sample = []
        for row in stream.peek(_SAMPLE_ROWS):
            kind = rows.kind(row)
            if kind is RowKind.SYSTEM:
                sample.append(row)
        return sample

    def _another_table(
        self, kind: RowKind, stream: _RowStream, rows: RowReader, headings_say: dict[str, int]
    ) -> bool:
        """True where the next rows are the headings of another table (the same headings again are passed over)."""
        if kind is RowKind.SYSTEM:
            return False
        table = rows.table
        ahead = stream.peek(_BLOCK_ROWS)
        for row in ahead[: 1 if kind is RowKind.CONTINUED else _BLOCK_ROWS]:
            if looks_like_heading(row) and row_key(row) not in table.heading_rows:
                again = self._find_table(ahead)
                return again is not None and _places(again) != headings_say
            if rows.kind(row) is RowKind.SYSTEM:
                return False
        return False

    def _take_system(self, row: Row, place: RowPlace, systems: SystemReader) -> Draft:
        draft, unreadable = systems.read(row, place, self._table_number)
        self._reading.drafts.append(draft)
        self._reading.findings.extend(unreadable)
        if row.hidden:
            self._reading.hidden_rows.append(row.number)
        if place.department is None:
            cell = draft.cell("department")
            self._report(findings.missing_required(self._sheet.name, row.number, cell, "department"))
        return draft

    def _place(self, row: Row, rows: RowReader, departments: FillDown, owners: FillDown) -> RowPlace:
        value = departments.value(row)
        department = None if says_none(value) else written(value)
        if department is None and "department" not in rows.table.columns:
            department = self._band or self._department_of_sheet()
        return RowPlace(self._sheet.name, department, self._owner(row, rows, owners))

    def _owner(self, row: Row, rows: RowReader, owners: FillDown) -> Ownership | None:
        value = owners.value(row)
        try:
            chosen = choices.ownership(value)
        except Unreadable:
            cell = rows.table.address_of("ownership", row.number)
            text = plain(value).strip()[:200]
            self._report(findings.unreadable_cell(self._sheet.name, row.number, cell, "ownership", text))
            chosen = None
        return chosen or self._ownership

    def _department_of_sheet(self) -> str | None:
        name = written(self._sheet.name)
        return name if is_organisation(name) else self._reading.around.sender

    def _enter_band(self, row: Row) -> None:
        self._around_row(row)
        text = next((value for value in row.values if isinstance(value, str) and packed(value)), "")
        title = section_title(text)
        owner = choices.ownership_in(title)
        if owner is not None and len(title) <= _BAND_LENGTH:
            self._ownership = owner
        elif 2 <= len(title) <= 30 and is_organisation(title):
            self._band = title

    def _ownership_of_titles(self) -> Ownership | None:
        titles = [title for title in self._reading.around.titles if _TITLE.search(title)]
        for title in reversed(titles):
            owner = choices.ownership_in(title)
            if owner is not None:
                return owner
        # A title that names the district and no other owner speaks of the district's own systems.
        return Ownership.DISTRICT if any(_DISTRICT_IN_TITLE.search(title) for title in titles) else None

    def _report(self, finding: Finding) -> None:
        self._reading.findings.append(finding)

    def _refuse_credentials(self, row: Row, table: Table | None) -> Row:
        """The row with every cell blanked that holds an account or password, each reported."""
        asked = table.credential_columns if table else frozenset()
        refused = [
            index
            for index, value in enumerate(row.values)
            if value is not None and ((index in asked and not is_withheld(value)) or is_credential(value))
        ]
        if not refused:
            return row
        values: list[Value] = list(row.values)
        for index in refused:
            values[index] = None
            cell = address(row.number, index)
            self._report(findings.credential_refused(self._sheet.name, row.number, cell))
        return Row(row.number, values, row.hidden)

    def _around_row(self, row: Row) -> None:
        """Text outside the systems: titles, sender, as-of, units, watermarks."""
        row = self._refuse_credentials(row, None)
        for value in row.values:
            if value is None:
                continue
            if self._pending_label:
                self._answer(self._pending_label, value)
            else:
                self._look_around(plain(value))
        self._pending_label = None

    def _answer(self, label: str, value: Value) -> None:
        """The cell to the right of a label that stands alone: 截至日期： | 2021-06-30."""
        self._pending_label = None
        around = self._reading.around
        if label == "as_of" and around.as_of is None:
            around.as_of = _day(value)
        elif label == "sender" and around.sender is None:
            around.sender = written(value) or None

    def _look_around(self, text: str) -> None:
        if not text:
            return
        around = self._reading.around
        spoken = narrow(text)
        around.illustrative = around.illustrative or bool(_WATERMARK.search(spoken))
        match = _SENDER.search(spoken)
        if match:
            if match["text"]:
                around.sender = around.sender or match["text"]
            else:
                self._pending_label = "sender"
        match = _AS_OF.search(spoken)
        if match:
            if match["text"]:
                around.as_of = around.as_of or _day(match["text"])
            elif len(spoken) < 12:
                self._pending_label = "as_of"
        match = _WEAK_AS_OF.search(spoken)
        if match:
            around.dated = around.dated or _day(match["text"])
        match = _MONEY_LINE.search(spoken)
        if match:
            around.money_unit = around.money_unit or match[1]
        if len(spoken) <= 60 and len(around.titles) < 50:
            around.titles.append(spoken)


def _places(table: Table) -> dict[str, int]:
    return {target: column.index for target, column in table.columns.items()}


def _day(value: Value) -> date | None:
    try:
        when = partial_date(value)
    except Unreadable:
        return None
    return last_day_of(when) if when else None

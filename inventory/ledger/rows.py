"""What a row below a heading is: a system, or one of the many things that are not.

Totals, notes, signatures, section bands, repeated headings, column numbers and filled-in examples stand between the
systems of a real ledger. `sheets` asks for each row; a row is a system unless there is a reason.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from inventory.ledger.cells.quantities import bare_number
from inventory.ledger.cells.text import is_ditto, packed, says_none, says_nothing
from inventory.ledger.grid import Row, Value
from inventory.ledger.tables import NAME, MergeIndex, Table, looks_like_heading, row_key

_TOTAL = re.compile(
    r"(?:本页|本表|本单位|全区|区级|市级|分类|部门)?(?:合计|小计|总计|共计|累计|汇总|总数|合 计)(?:[:：(（\d个].*)?"
)
_TOTAL_TAIL = re.compile(r".{1,24}(?:小计|合计|总计)(?:[:：(（]?\d*个?[)）]?)?")
_FOOTER = re.compile(
    r"(?:备?注|说明|填表说明|填报说明|注意事项|附注|附|编制说明)[:：\d]|(?:注|备注|说明)$|※|\*注"
    r"|(?:填表|填报|审核|制表|经办|复核|审签|签发|联系|负责|审批|校核)人(?:员)?(?:[(（]?签[字章名][)）]?)?(?:[:：]|$)"
    r"|(?:联系电话|联系方式|电话|手机|传真|邮箱|填报日期|填表日期|报送日期|制表日期|日期|填报时间|填报单位|单位负责人|单位(?:盖章|公章)|分管领导|主要领导)(?:[(（].{0,6}[)）])?[:：]"
    r"|[(（]?(?:单位)?(?:盖章|公章|签章)[)）]?$|第?\d+页"
)
_BAND = re.compile(
    r"(?:[一二三四五六七八九十]+[、.．]|[(（][一二三四五六七八九十\d]+[)）]|第[一二三四五六七八九十]+(?:部分|类))"
)
_EXAMPLE = re.compile(r"(?:示例|例如?|样例|填写示例|举例|填报示例|范例|模板)\d*[:：]?")
_HINT = re.compile(
    r"填写|必填|选填|下拉|请选择|格式[:：为]|例如|^如[:：]|单选|多选|限填|不超过\d+字|文本型?$|数值型?$|日期型?$|字符型?$"
)
_COLUMN_NUMBER = re.compile(r"[(（]?(?:\d{1,2}|[甲乙丙丁戊])[)）]?(?:=.*)?")
_SENTENCE = re.compile(r".*[。；;]$|[(（]?\d{1,2}[.、．)）].+")


class RowKind(Enum):
    SYSTEM = "system"
    NAMELESS = "nameless"  # content, but no name
    CONTINUED = "continued"  # below a vertically merged name: more machines of the system above
    BAND = "band"  # a section heading across the table
    HEADING = "heading"  # the table's own headings again
    NOT_DATA = "not data"


@dataclass(frozen=True, slots=True)
class RowReader:
    """Reads cells of a table's rows, seeing through merges where a value is meant for every row it covers."""

    table: Table
    merges: MergeIndex

    def value(self, row: Row, target: str) -> Value:
        """The cell of a field; None where the table has no such column or the row ends before it."""
        column = self.table.columns.get(target)
        if column is None or column.index >= len(row.values):
            return None
        return row.values[column.index]

    def kind(self, row: Row) -> RowKind:
        table = self.table
        if looks_like_heading(row) or (
            packed(row.values[0]) in table.first_words and row_key(row) in table.heading_rows
        ):
            return RowKind.HEADING
        filled: list[tuple[int, Value]] = [
            (index, value)
            for index, value in enumerate(row.values)
            if value is not None and (value.__class__ is not str or packed(value))
        ]
        if not filled:
            return RowKind.NOT_DATA
        name = self.value(row, NAME)
        name_column = table.columns[NAME].index
        first = packed(filled[0][1])
        if self._is_total(filled, name_column) or _FOOTER.match(first) or _is_instruction(row, table, filled):
            return RowKind.NOT_DATA
        if says_none(name) and self._lies_under_name(row):
            return RowKind.CONTINUED
        if _says_one_thing(filled) and self._is_band(row, filled[0][0], first):
            return RowKind.BAND
        if says_none(name):
            return self._kind_without_name(row, filled)
        return RowKind.NOT_DATA if _is_prose(packed(name), alone=len(filled) == 1) else RowKind.SYSTEM

    def _is_total(self, filled: list[tuple[int, Value]], name_column: int) -> bool:
        for index, value in filled:
            if index > name_column:
                return False
            text = packed(value)
            if _TOTAL.fullmatch(text) or (index < name_column and _TOTAL_TAIL.fullmatch(text)):
                return True
        return False

    def _is_band(self, row: Row, index: int, text: str) -> bool:
        merge = self.merges.covering(row.number, index)
        if merge is not None and merge.right - merge.left >= 2:
            return True
        if _BAND.match(text):
            return True
        name_column = self.table.columns[NAME].index
        department = self.table.columns.get("department")
        return index != name_column and (department is None or index != department.index)

    def _lies_under_name(self, row: Row) -> bool:
        """True below a vertically merged name."""
        merge = self.merges.covering(row.number, self.table.columns[NAME].index)
        return merge is not None and merge.top < row.number and merge.right == merge.left

    def _kind_without_name(self, row: Row, filled: list[tuple[int, Value]]) -> RowKind:
        told = [
            column.index
            for target, column in self.table.columns.items()
            if target not in (NAME, "department", "ownership", "remark", "alias")
            and column.index < len(row.values)
            and not says_nothing(row.values[column.index])
        ]
        if not told or not says_nothing(self.value(row, NAME)):
            # A department that writes 无 has no system: nothing is missing.
            return RowKind.NOT_DATA if len(told) < 3 else RowKind.NAMELESS
        sums = all(bare_number(value) is not None for index, value in filled)
        department = self.value(row, "department")
        only_sums = sums and says_nothing(department) and len(told) == len(filled)
        return RowKind.NOT_DATA if only_sums else RowKind.NAMELESS


def _is_instruction(row: Row, table: Table, filled: list[tuple[int, Value]]) -> bool:
    """Column numbers, hints how to fill in, and the filled-in example that forms carry below their headings."""
    if len(filled) >= 3 and all(_COLUMN_NUMBER.fullmatch(packed(value)) for _, value in filled):
        return True
    serial = packed(filled[0][1]) if filled[0][0] < table.columns[NAME].index else ""
    if _EXAMPLE.fullmatch(serial):
        return True
    if row.number - table.bottom > 2 or serial.isdigit():
        return False
    return sum(bool(_HINT.search(packed(value))) for _, value in filled) >= 2


def _says_one_thing(filled: list[tuple[int, Value]]) -> bool:
    """True when all filled cells hold the same text, as a band does that is written in each cell."""
    first = filled[0][1]
    return all(value is first or value == first for _, value in filled)


def _is_prose(name: str, alone: bool) -> bool:
    """A remark in the name column: a footer, a text too long for a name, a numbered line that stands alone."""
    if len(name) > 100 or _FOOTER.match(name):
        return True
    return bool(_SENTENCE.match(name)) and (len(name) > 24 or alone)


def section_title(text: str) -> str:
    """一、区级部门 -> 区级部门."""
    return _BAND.sub("", packed(text), count=1).strip("：:、. ")


class FillDown:
    """Departments (and ownerships) that are written once for several rows.

    `carries` is what the table's sample showed: where rows repeat the value themselves, or merges express the
    extent, an empty cell is a missing value and nothing is carried down to it.
    """

    def __init__(self, reader: RowReader, target: str, carries: bool) -> None:
        self._reader = reader
        self._target = target
        self._carries = carries
        self._last: Value = None
        self._merged_until = 0

    def value(self, row: Row) -> Value:
        own = self._reader.value(row, self._target)
        column = self._reader.table.columns.get(self._target)
        if column is None:
            return None
        if is_ditto(own):
            return self._last
        if not says_nothing(own):
            self._last = own
            merge = self._reader.merges.covering(row.number, column.index)
            self._merged_until = merge.bottom if merge else 0
            return own
        if row.number <= self._merged_until or self._carries:
            return self._last
        return None


def carries_down(reader: RowReader, sample: list[Row], target: str) -> bool:
    """Whether an empty cell of this column means "as above": judged from how the sample's rows are filled.

    Rows in a row that repeat a value, or vertical merges, show that the sender does not use empty cells for that.
    """
    column = reader.table.columns.get(target)
    if column is None:
        return False
    before = ""
    for row in sample:
        merge = reader.merges.covering(row.number, column.index)
        if merge is not None and merge.bottom > merge.top:
            return False
        value = reader.value(row, target)
        if is_ditto(value):
            continue  # 同上 twice repeats a mark, not a value
        text = packed(value)
        if text and text == before:
            return False
        before = text
    return True

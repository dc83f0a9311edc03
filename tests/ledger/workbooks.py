"""Small workbooks for tests: rows as a reader sees them, into bytes of each format."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Any

import xlwt
from openpyxl import Workbook

from inventory.ledger import LedgerReading, read_ledger
from inventory.model.system import System

Rows = Sequence[Any]
HEADINGS = ("序号", "单位名称", "系统名称", "用户规模", "服务器配置", "存储", "等保级别", "对接系统")


def xlsx(
    sheets: dict[str, Rows] | Rows,
    merges: dict[str, Sequence[str]] | None = None,
    touch: Callable[[Workbook], None] | None = None,
) -> bytes:
    """An .xlsx of named sheets (or of one called 区级系统); `touch` may change the workbook before it is saved.

    A value (number_format, value) is written with that format.
    """
    book = Workbook()
    book.remove(book.worksheets[0])
    named = sheets if isinstance(sheets, dict) else {"区级系统": sheets}
    for name, rows in named.items():
        sheet = book.create_sheet(name)
        for row, values in enumerate(rows, 1):
            for column, value in enumerate(values, 1):
                cell = sheet.cell(row, column)
                if isinstance(value, tuple):
                    cell.number_format, cell.value = value
                else:
                    cell.value = value
        for area in (merges or {}).get(name, ()):
            sheet.merge_cells(area)
    if touch:
        touch(book)
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def xls(rows: Rows, merges: Sequence[tuple[int, int, int, int]] = (), name: str = "区级系统") -> bytes:
    """An .xls; `merges` are xlwt's (top, bottom, left, right), from 0."""
    book = xlwt.Workbook(encoding="utf-8")
    sheet = book.add_sheet(name)
    covered = {
        (row, column): (top, left)
        for top, bottom, left, right in merges
        for row in range(top, bottom + 1)
        for column in range(left, right + 1)
    }
    for row, values in enumerate(rows):
        for column, value in enumerate(values):
            if value is None or (row, column) in covered:
                continue
            if isinstance(value, tuple):
                sheet.write(row, column, value[1], xlwt.easyxf(num_format_str=value[0]))
            else:
                sheet.write(row, column, value)
    for top, bottom, left, right in merges:
        sheet.write_merge(top, bottom, left, right, rows[top][left])
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def csv(rows: Rows, delimiter: str = ",", encoding: str = "utf-8") -> bytes:
    lines = [delimiter.join("" if value is None else str(value) for value in row) for row in rows]
    return "\r\n".join(lines).encode(encoding)


def reading(rows: dict[str, Rows] | Rows, *merges: str) -> LedgerReading:
    """The reading of an .xlsx with these rows; `merges` are of its one sheet."""
    return read_ledger(xlsx(rows, {"区级系统": merges}), "测试.xlsx")


def names(result: LedgerReading) -> list[str]:
    return [system.name for system in result.systems]


def by_name(result: LedgerReading) -> dict[str, System]:
    return {system.name: system for system in result.systems}


def kinds(result: LedgerReading) -> list[tuple[str, str]]:
    """(kind, cell) of every finding, in order."""
    return [(finding.kind.value, finding.cell) for finding in result.findings]

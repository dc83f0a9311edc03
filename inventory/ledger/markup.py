"""The marked-up workbook: the sender's file back, with a comment on each cell that needs him and refused cells blanked.

`xisuan ledger import --marked-up` writes it. An .xlsx keeps its looks; .xls and .csv come back as .xlsx with the same
cells. No credential survives anywhere in the copy: cells and comments are blanked, copies in pivot caches and links
are dropped, and the finished bytes are searched for what was refused before they are handed out.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections import defaultdict
from html import escape

from openpyxl import Workbook as OpenpyxlWorkbook
from openpyxl import load_workbook
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE, MergedCell
from openpyxl.comments import Comment
from openpyxl.styles import PatternFill
from openpyxl.worksheet.worksheet import Worksheet

from inventory.ledger import errors
from inventory.ledger.credentials import is_credential
from inventory.ledger.findings import Finding, FindingKind
from inventory.ledger.grid import CalendarDay, Merge, Percent, Sheet, Unevaluated, Value, address, parse_range
from inventory.ledger.grid import Workbook as SourceWorkbook
from inventory.ledger.reading import LedgerReading
from inventory.ledger.workbook import open_workbook

_AUTHOR = "Xisuan"
_MARKED = PatternFill("solid", fgColor="FFF2CC")
_REFUSED = PatternFill("solid", fgColor="F8CBAD")
_SEARCHED_LENGTH = 8
_VAST_MERGE = 200_000
_NOT_IN_SHEET_NAMES = re.compile(r"[\\/*?:\[\]\x00-\x1f]")


def mark_up(content: bytes, filename: str, reading: LedgerReading) -> bytes:
    """An .xlsx copy of `content` with the findings of `reading` as comments. Raises LedgerError subclasses only."""
    source = open_workbook(content, filename)
    refused = _refused_texts(source.sheets, reading)
    by_sheet: dict[str, list[Finding]] = defaultdict(list)
    for finding in reading.findings:
        by_sheet[finding.sheet].append(finding)
    book, named = _copy(content, source)
    for name, sheet in named:
        _drop_copies(sheet, refused)
        _mark_sheet(sheet, by_sheet.get(name, []))
    buffer = io.BytesIO()
    book.save(buffer)
    marked = buffer.getvalue()
    _assert_gone(marked, filename, refused)
    return marked


def _copy(content: bytes, source: SourceWorkbook) -> tuple[OpenpyxlWorkbook, list[tuple[str, Worksheet]]]:
    """A workbook to write into, and its sheets by the sender's names."""
    # openpyxl makes an object of each merged cell: a merge of the whole sheet would never end.
    if source.format == "xlsx" and not any(_is_vast(merge) for sheet in source.sheets for merge in sheet.merges):
        try:
            book: OpenpyxlWorkbook = load_workbook(io.BytesIO(content), keep_links=False)
        # openpyxl also reads what we do not (themes, drawings) and fails on damage there with whatever it runs into;
        # the cells have passed our own reader, so the copy is then made of them alone.
        except Exception:  # noqa: BLE001 - see above
            return _rebuilt(source.sheets)
        named: list[tuple[str, Worksheet]] = []
        for sheet in book.worksheets:
            if isinstance(sheet, Worksheet):
                named.append((sheet.title, sheet))
        visible = any(sheet.sheet_state == "visible" for sheet in book.worksheets)
        # A workbook that only hides its sheets cannot be saved, and one whose sheets go by other names not be marked.
        if visible and {name for name, _ in named} >= {sheet.name for sheet in source.sheets}:
            return book, named
    return _rebuilt(source.sheets)


def _refused_texts(sheets: tuple[Sheet, ...], reading: LedgerReading) -> set[str]:
    """The texts that were refused, read anew from the sender's bytes: the reading does not hold them."""
    wanted: dict[str, set[tuple[int, str]]] = defaultdict(set)
    for finding in reading.findings:
        if finding.kind is FindingKind.CREDENTIAL_REFUSED:
            wanted[finding.sheet].add((finding.row, finding.cell))
    texts: set[str] = set()
    for sheet in sheets:
        places = wanted.get(sheet.name, set())
        rows = {row for row, _ in places}
        for row in sheet.rows() if places else ():
            if row.number in rows:
                texts.update(
                    str(value)
                    for index, value in enumerate(row.values)
                    if (row.number, address(row.number, index)) in places
                )
    return texts


def _rebuilt(sheets: tuple[Sheet, ...]) -> tuple[OpenpyxlWorkbook, list[tuple[str, Worksheet]]]:
    book = OpenpyxlWorkbook()
    book.remove(book.worksheets[0])
    named = []
    for source in sheets:
        # A file's name (the sheet of a .csv) may hold what a sheet's may not.
        sheet = book.create_sheet(_NOT_IN_SHEET_NAMES.sub("_", source.name)[:31] or "Sheet")
        named.append((source.name, sheet))
        for row in source.rows():
            for index, value in enumerate(row.values):
                if value is not None:
                    _write(sheet, row.number, index + 1, value)
            if row.hidden:
                sheet.row_dimensions[row.number].hidden = True
        for merge in source.merges:
            if _is_vast(merge):
                continue
            sheet.merge_cells(
                start_row=merge.top, start_column=merge.left + 1, end_row=merge.bottom, end_column=merge.right + 1
            )
    return book, named


def _is_vast(merge: Merge) -> bool:
    return (merge.bottom - merge.top + 1) * (merge.right - merge.left + 1) > _VAST_MERGE


def _write(sheet: Worksheet, row: int, column: int, value: Value) -> None:
    cell = sheet.cell(row, column)
    if isinstance(value, CalendarDay):
        cell.value = value.day
        cell.number_format = {"day": "yyyy-mm-dd", "month": "yyyy-mm", "year": "yyyy"}[value.precision]
    elif isinstance(value, Percent):
        cell.value = float(value)
        cell.number_format = "0.0%"
    elif isinstance(value, str):
        cell.value = ILLEGAL_CHARACTERS_RE.sub("", str(value))
        # Text stays text: a cell of a .csv that begins with = must not become a formula.
        cell.data_type = "e" if isinstance(value, Unevaluated) and value.startswith("#") else "s"
    else:
        cell.value = value


def _drop_copies(sheet: Worksheet, refused: set[str]) -> None:
    """Blanks credentials wherever else a sheet keeps text, and drops the parts that copy cells."""
    # openpyxl has no public way to leave pivot tables, and with them their caches, out of what it saves.
    vars(sheet)["_pivots"] = []
    for row in sheet.iter_rows():
        for cell in row:
            if isinstance(cell, MergedCell):
                continue
            if isinstance(cell.value, str) and (cell.value in refused or is_credential(cell.value)):
                cell.value = None
            if cell.comment is not None and (is_credential(cell.comment.text) or cell.comment.text in refused):
                cell.comment = None
            if cell.hyperlink is not None and is_credential(
                f"{cell.hyperlink.target or ''} {cell.hyperlink.tooltip or ''}"
            ):
                cell.hyperlink = None


def _mark_sheet(sheet: Worksheet, found: list[Finding]) -> None:
    remarks: dict[str, list[Finding]] = defaultdict(list)
    for finding in found:
        remarks[_anchor(sheet, finding.cell)].append(finding)
    for place, group in remarks.items():
        cell = sheet[place]
        refused = any(finding.kind is FindingKind.CREDENTIAL_REFUSED for finding in group)
        if refused:
            cell.value = None
        before = f"{cell.comment.text}\n" if cell.comment is not None else ""
        cell.comment = Comment(
            before + "\n".join(f"[{finding.kind}] {finding.remedy}" for finding in group), _AUTHOR
        )
        cell.comment.width, cell.comment.height = 360, 120
        cell.fill = _REFUSED if refused else _MARKED


def _anchor(sheet: Worksheet, place: str) -> str:
    """The cell that can carry a comment: the first of a merged range."""
    if not isinstance(sheet[place], MergedCell):
        return place
    here = parse_range(place)
    for merged in sheet.merged_cells.ranges:
        if (
            here
            and merged.min_row <= here.top <= merged.max_row
            and merged.min_col - 1 <= here.left <= merged.max_col - 1
        ):
            return address(merged.min_row, merged.min_col - 1)
    return place


def _assert_gone(marked: bytes, filename: str, refused: set[str]) -> None:
    needles = {
        form.encode()
        for text in refused
        if len(text) >= _SEARCHED_LENGTH
        for form in (text, escape(text), escape(text, quote=False))
    }
    if not needles:
        return
    with zipfile.ZipFile(io.BytesIO(marked)) as archive:
        for part in archive.namelist():
            content = archive.read(part)
            if any(needle in content for needle in needles):
                raise errors.LedgerError(
                    f"{filename}：批注副本的 {part} 中仍含疑似口令，未输出；请先在原文件中删除再导入"
                    f" / {part} of the marked-up copy would still hold a credential; delete it in the file and import again"
                )

"""The monthly report as a Word document: what is edited, signed and sent on.

Text follows the customs of official documents (公文: title 小标宋, headings 黑体, body 仿宋, no red head); lists of many
columns turn to landscape pages. Fonts that a machine lacks fall back to the alternatives in `word_style`.
"""

from __future__ import annotations

import io
import re
import unicodedata
from collections.abc import Sequence
from datetime import UTC, datetime, time

from docx import Document
from docx.document import Document as WordDocument
from docx.enum.section import WD_ORIENT, WD_SECTION
from docx.enum.table import WD_CELL_VERTICAL_ALIGNMENT, WD_TABLE_ALIGNMENT
from docx.enum.text import WD_ALIGN_PARAGRAPH
from docx.shared import Length, Mm, Pt
from docx.table import _Cell

from console.monthly import word_style as style
from console.monthly.texts import clean, dateline, heading, signature_lines
from inventory.reports.document import MonthlyReport, Section, Table

_WIDE = 7  # so many columns need a landscape page
_BLANK = "＿＿＿＿"  # what is filled in by hand
_PORTRAIT, _LANDSCAPE = (Mm(210), Mm(297)), (Mm(297), Mm(210))
_CELL_WEIGHT = (4, 72)  # the narrowest and the widest column, in half characters
_HALF, _PADDING = Pt(5.4), Pt(12)  # what half a character of a cell takes, and both sides of the cell
_SEAM = re.compile(r"(?<=[0-9A-Za-z])(?=[\u4e00-\u9fff])|(?<=[\u4e00-\u9fff])(?=[0-9A-Za-z])")
_LONG_WORD = 30  # signs without a place to break
_UNBROKEN = 12  # half characters: what is no longer stays in one line
_MARK = 10  # half characters of a number, a day, a code
_SMALL = 14  # a table of so many lines is not cut by the end of a page


def write_word(report: MonthlyReport) -> bytes:
    document = Document()
    _describe(document, report)
    style.install(document)
    style.speak_chinese(document)
    _page(document, is_wide=False)
    style.page_furniture(document.sections[0], report)
    _title(document, report)
    is_wide = False
    for place, section in enumerate(report.sections, start=1):
        wants_wide = any(len(table.columns) >= _WIDE for table in section.tables) and section.code != "overview"
        if wants_wide != is_wide:
            document.add_section(WD_SECTION.NEW_PAGE)
            is_wide = wants_wide
            _page(document, is_wide=is_wide)
        _section(document, heading(place, section), section)
    _signature(document, report)
    style.chinese_marks(document)
    content = io.BytesIO()
    document.save(content)
    return content.getvalue()


def _describe(document: WordDocument, report: MonthlyReport) -> None:
    """The file's properties: without them python-docx signs with its template's author and day."""
    moment = datetime.combine(report.made_on, time(), UTC)
    properties = document.core_properties
    properties.title = f"{report.title}{report.subtitle}"
    properties.author = clean(report.signature.unit) or "西算 Xisuan"
    properties.comments = f"事件链 {report.chain_seq} {report.chain_hash}"
    properties.created = properties.modified = moment
    properties.last_modified_by = ""


def _page(document: WordDocument, *, is_wide: bool) -> None:
    page = document.sections[-1]
    page.orientation = WD_ORIENT.LANDSCAPE if is_wide else WD_ORIENT.PORTRAIT
    page.page_width, page.page_height = _LANDSCAPE if is_wide else _PORTRAIT
    top, bottom, left, right = (28, 22, 20, 20) if is_wide else (37, 30, 28, 26)
    page.top_margin, page.bottom_margin = Mm(top), Mm(bottom)
    page.left_margin, page.right_margin = Mm(left), Mm(right)


def _title(document: WordDocument, report: MonthlyReport) -> None:
    document.add_paragraph(report.title, style=style.TITLE)
    document.add_paragraph(report.subtitle, style=style.SUBTITLE)
    document.add_paragraph(clean(dateline(report)), style=style.DATELINE)
    if report.illustrative:
        document.add_paragraph("本报告含示例数据，仅供演示，不得作为考核依据", style=style.WARNING)
    for line in report.summary:
        document.add_paragraph(clean(line), style=style.BODY)


def _section(document: WordDocument, title: str, section: Section) -> None:
    document.add_paragraph(title, style=style.HEADING)
    for line in section.paragraphs:
        paragraph = document.add_paragraph(clean(line), style=style.BODY)
        if max(map(len, re.findall(r"[!-~]+", line)), default=0) > _LONG_WORD:
            paragraph.alignment = (
                WD_ALIGN_PARAGRAPH.LEFT
            )  # a hash: justified, the line before it would be torn apart
    for place, table in enumerate(section.tables, start=1):
        caption = table.title if len(section.tables) == 1 else f"（{_counted(place)}）{table.title}"
        document.add_paragraph(caption, style=style.CAPTION)
        if table.rows:
            _table(document, table)
        else:
            document.add_paragraph(table.empty, style=style.BODY)
        if table.note:
            document.add_paragraph(f"注：{clean(table.note)}", style=style.NOTE)


def _counted(place: int) -> str:
    return "一二三四五六七八九"[place - 1]


def _table(document: WordDocument, table: Table) -> None:
    drawn = document.add_table(rows=1, cols=len(table.columns), style="Table Grid")
    drawn.alignment = WD_TABLE_ALIGNMENT.CENTER
    drawn.autofit = False
    for cell, text in zip(drawn.rows[0].cells, table.columns, strict=True):
        cell.vertical_alignment = WD_CELL_VERTICAL_ALIGNMENT.CENTER
        _write(cell, text, WD_ALIGN_PARAGRAPH.CENTER, is_head=True)
    style.repeat_on_every_page(drawn.rows[0])
    # python-docx finds a row's cells by walking the table: rows are appended as copies instead.
    rows = style.append_rows(drawn, len(table.rows))
    alignments = [_alignment(at, table) for at in range(len(table.columns))]
    for row, texts in zip(rows, table.rows, strict=True):
        for cell, text, alignment in zip(row, texts, alignments, strict=True):
            _write(cell, text, alignment)
    widths = _widths(document, table)
    style.set_widths(drawn, widths)
    if sum(_lines(row, widths) for row in table.rows) <= _SMALL:
        style.keep_together(drawn)


def _lines(row: Sequence[str], widths: Sequence[Length]) -> int:
    """How many lines a row takes, about."""
    return max(
        -(-int(_breadth(text) * _HALF) // max(1, width - _PADDING))
        for text, width in zip(row, widths, strict=True)
    )


def _alignment(at: int, table: Table) -> WD_ALIGN_PARAGRAPH:
    """Of a whole column: amounts to the right, marks and days in the middle, texts to the left."""
    if at in table.numeric:
        return WD_ALIGN_PARAGRAPH.RIGHT
    is_short = all(_breadth(row[at]) <= _MARK for row in table.rows)
    return WD_ALIGN_PARAGRAPH.CENTER if is_short else WD_ALIGN_PARAGRAPH.LEFT


def _write(cell: _Cell, text: str, alignment: WD_ALIGN_PARAGRAPH, *, is_head: bool = False) -> None:
    paragraph = cell.paragraphs[0]
    paragraph.style = style.HEAD_CELL if is_head else style.CELL
    paragraph.alignment = alignment
    paragraph.add_run(clean(text))


def _widths(document: WordDocument, table: Table) -> list[Length]:
    """Column widths in the proportion of their longest texts, between bounds; numbers and marks are never broken, so short
    columns get what they need before long ones share the rest."""
    room = _room(document)
    least, most = _CELL_WEIGHT
    longest = [
        max(least, *(_breadth(text) for text in (head, *(row[at] for row in table.rows))))
        for at, head in enumerate(table.columns)
    ]
    needs = [int(breadth * _HALF + _PADDING) for breadth in longest]
    if sum(needs) <= room:
        return [Length(room * need // sum(needs)) for need in needs]
    short = {at for at, breadth in enumerate(longest) if breadth <= _UNBROKEN}
    left = room - sum(needs[at] for at in short)
    weights = {at: min(most, breadth) for at, breadth in enumerate(longest) if at not in short}
    widths = [
        needs[at] if at in short else left * weights[at] // sum(weights.values()) for at in range(len(needs))
    ]
    return [Length(width) for width in widths]


def _room(document: WordDocument) -> int:
    """Between the margins of the last page's section, in English metric units."""
    page = document.sections[-1]
    return int((page.page_width or 0) - (page.left_margin or 0) - (page.right_margin or 0))


def _breadth(text: str) -> int:
    """Half characters: a Chinese sign takes two, and Word sets a little space between it and a letter or digit."""
    signs = sum(2 if unicodedata.east_asian_width(sign) in "WFA" else 1 for sign in text)
    return signs + -(-len(_SEAM.findall(text)) // 2)


def _signature(document: WordDocument, report: MonthlyReport) -> None:
    """A line of text, not a table: below a table Word wants a paragraph, which may take an empty page of its own."""
    said = (f"{name}：{clean(value) or _BLANK}" for name, value in signature_lines(report))
    line = document.add_paragraph("　　".join(said), style=style.CELL)
    line.paragraph_format.space_before = Pt(24)

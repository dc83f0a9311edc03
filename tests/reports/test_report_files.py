"""The report's files as programs read them: the annex recounts every figure, the page's links lead somewhere, Word
opens and says that data is illustrative."""

from __future__ import annotations

import io
import re
import zipfile
from collections import Counter
from dataclasses import replace

import pytest
from docx import Document
from openpyxl import load_workbook

from console.monthly.page import write_page
from console.monthly.texts import WATERMARK
from console.monthly.word import write_word
from console.monthly.workbook import FIGURES, PARTS, ROWS, write_workbook
from inventory.reports.document import MonthlyReport
from inventory.reports.facts import Holding
from inventory.reports.monthly import compose
from tests.reports.months import counted, facts, published


@pytest.fixture(scope="module")
def report() -> MonthlyReport:
    odd = counted("=1+1<b>", system_key="x/odd", department="@部\x0b门")
    holdings = {
        "x/odd": Holding(vcpu=16, mem_gb=64, cpu_pct=12.5, opex_wan=3.2),
        "区示例局/待迁": Holding(vcpu=8, mem_gb=32, cpu_pct=40, mem_pct=33.3, is_measured=True),
        "区示例局/关停0": Holding(opex_wan=12.34),
        "区示例局/整合0": Holding(opex_wan=7),
    }
    return compose(replace(facts(*published(), odd), illustrative=True, holdings=holdings))


def test_the_annex_holds_the_rows_of_every_figure(report: MonthlyReport) -> None:
    book = load_workbook(io.BytesIO(write_workbook(report)), read_only=True)
    parts = Counter((row[0], row[1], row[2]) for row in book[PARTS].iter_rows(min_row=4, values_only=True))
    rows = {row[0] for row in book[ROWS].iter_rows(min_row=4, values_only=True)}
    assert rows == {row.label for row in report.rows}
    figures = list(book[FIGURES].iter_rows(min_row=4, values_only=True))
    assert [row[0] for row in figures] == [figure.label for figure in report.figures]
    for label, _, numerator, denominator, *_ in (row for row in figures if row[10] == "个"):
        assert parts[label, "分子", "是"] + parts[label, "分子", "否"] == numerator
        if denominator is not None:
            assert parts[label, "分子", "是"] + parts[label, "其余", "是"] == denominator
    assert WATERMARK in str(book[FIGURES]["A1"].value)


def test_the_annex_holds_what_each_row_adds_to_a_sum(report: MonthlyReport) -> None:
    book = load_workbook(io.BytesIO(write_workbook(report)))
    lines = list(book[PARTS].iter_rows(min_row=4, values_only=True))
    sums = {row[1]: row for row in book[FIGURES].iter_rows(min_row=4, values_only=True) if row[10] != "个"}
    assert [(name, row[2], row[3], row[10]) for name, row in sums.items()] == [
        ("CPU平均利用率", 5.2, 24, "核"),
        ("内存平均利用率", 10.66, 32, "GB"),
        ("累计节约运维经费", 19.34, None, "万元/年"),
        ("11月节约运维经费", 0, None, "万元/年"),
    ]
    for row in sums.values():
        mine = [line for line in lines if line[0] == row[0]]
        assert round(sum(line[7] or 0 for line in mine), 2) == row[2]
        assert sum(line[8] or 0 for line in mine) == (row[3] or 0)
        assert "SUMIFS" in row[8]


def test_a_name_that_looks_like_a_formula_stays_a_name(report: MonthlyReport) -> None:
    book = load_workbook(io.BytesIO(write_workbook(report)))
    cells = [cell for row in book[ROWS].iter_rows() for cell in row if cell.value == "=1+1<b>"]
    assert [cell.data_type for cell in cells] == ["s"]


def test_numbers_of_the_annex_are_numbers_in_every_table(report: MonthlyReport) -> None:
    """A number kept as text gets a green corner, and sorts 10 before 2."""
    book = load_workbook(io.BytesIO(write_workbook(report)))
    tables = [sheet for sheet in book if sheet["A3"].value in ("序号", "名次")]
    assert len(tables) >= 3
    texts = [
        (sheet.title, cell.coordinate, cell.value)
        for sheet in tables
        for row in sheet.iter_rows(min_row=4)
        for cell in row
        if isinstance(cell.value, str) and re.fullmatch(r"\d+(\.\d+)?%?", cell.value)
    ]
    assert texts == []


def test_a_column_of_word_takes_what_its_figures_need(report: MonthlyReport) -> None:
    """Half a character is at least 5.25 points wide; a figure's number that is broken over two lines is not one any more."""
    document = Document(io.BytesIO(write_word(report)))
    for table in document.tables:
        for row in table.rows:
            for cell in row.cells:
                text = cell.text
                if re.fullmatch(r"[A-Z]?\d+(\.\d)?%?", text):
                    assert cell.width is not None and cell.width.pt >= 5.25 * len(text) + 10.8, text


def test_every_link_of_the_page_leads_somewhere_and_nothing_is_loaded(report: MonthlyReport) -> None:
    page = write_page(report).decode()
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(re.findall(r'id="([^"]+)"', page))
    assert "<b>" not in re.sub(r"<b>(F\d+|分|行|未|分母)", "", page).replace("<b>分母其余", "")
    assert not re.findall(r'(?:src|href)="(?!#)', page) and "<script" not in page
    assert page.count(WATERMARK) == 1 and 'class="illustrative"' in page


def test_word_opens_with_its_tables_and_its_watermark(report: MonthlyReport) -> None:
    content = write_word(report)
    document = Document(io.BytesIO(content))
    assert document.paragraphs[0].text == "政务信息系统上云月报"
    assert [table.title for section in report.sections for table in section.tables if table.title == "主要指标"]
    assert document.tables[0].cell(1, 1).text == "34/36"
    headings = [
        one.text for one in document.paragraphs if one.style is not None and one.style.name == "月报一级标题"
    ]
    assert headings[0] == "一、总体情况" and headings[-1] == "十、口径与来源"
    with zipfile.ZipFile(io.BytesIO(content)) as parts:
        headers = "".join(parts.read(name).decode() for name in parts.namelist() if "header" in name)
    assert f'string="{WATERMARK}"' in headers


def test_real_data_bears_no_watermark() -> None:
    plain = compose(facts(*published()))
    assert WATERMARK not in write_page(plain).decode()
    with zipfile.ZipFile(io.BytesIO(write_word(plain))) as parts:
        assert not any(WATERMARK.encode() in parts.read(name) for name in parts.namelist())


def test_the_same_report_gives_the_same_page_and_survives_the_wire(report: MonthlyReport) -> None:
    again = MonthlyReport.model_validate_json(report.model_dump_json())
    assert again == report and write_page(again) == write_page(report)

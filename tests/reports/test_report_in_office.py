"""What an office reader of the report would complain of: Word's compatibility mode, foreign proofing, columns that are not
in line, rows that hide their text, rules by their program names."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from xml.etree import ElementTree

import pytest
from docx import Document
from docx.oxml.ns import qn
from openpyxl import load_workbook

from console.monthly.word import write_word
from console.monthly.workbook import write_workbook
from inventory.reports.document import MonthlyReport, Section
from inventory.reports.facts import Snapshot, Waiver
from inventory.reports.monthly import compose
from tests.reports.months import DAY, counted, facts, published

# CT_PPr and CT_TcPr of ECMA-376 part 1, A.1, as far as the report uses them: Word takes no other order.
_ORDER = {
    "pPr": "pStyle keepNext keepLines pageBreakBefore widowControl numPr pBdr shd tabs spacing ind jc outlineLvl rPr sectPr",
    "tcPr": "tcW gridSpan vMerge tcBorders shd noWrap tcMar vAlign",
    "sectPr": "footerReference headerReference type pgSz pgMar cols titlePg docGrid",
    "rPr": "rStyle rFonts b i color sz szCs u lang",
    "tblPr": "tblStyle tblW jc tblLayout tblLook",
}


@pytest.fixture(scope="module")
def report() -> MonthlyReport:
    waiver = Waiver("E1", "cap-x", "区示例局/待迁", "理由", "示函1号", "王局", DAY, date(2027, 1, 1), "默认上云")
    before = Snapshot(date(2026, 10, 31), tuple(replace(one, closed=False) for one in published()))
    return compose(replace(facts(*published(), before=before), illustrative=True, waivers=(waiver,)))


def part(report: MonthlyReport, code: str) -> Section:
    return next(section for section in report.sections if section.code == code)


def parts(content: bytes) -> Iterator[tuple[str, ElementTree.Element]]:
    with zipfile.ZipFile(io.BytesIO(content)) as package:
        for name in package.namelist():
            if name.startswith("word/") and name.endswith(".xml"):
                yield name, ElementTree.fromstring(package.read(name))


def test_word_reads_properties_in_the_order_of_the_standard_and_every_cell_has_a_paragraph(
    report: MonthlyReport,
) -> None:
    for name, root in parts(write_word(report)):
        if name not in ("word/document.xml", "word/header1.xml", "word/footer1.xml"):
            continue
        for kind, order in _ORDER.items():
            known = order.split()
            for element in root.iter(qn(f"w:{kind}")):
                found = [child.tag.rpartition("}")[2] for child in element]
                assert set(found) <= set(known), (name, kind, found)
                assert found == sorted(found, key=known.index), (name, kind, found)
        assert all(cell.find(qn("w:p")) is not None for cell in root.iter(qn("w:tc")))
        body = root.find(qn("w:body"))
        if body is not None:
            assert [child.tag for child in body][-2:] == [qn("w:p"), qn("w:sectPr")], "a paragraph ends the text"


def test_word_opens_it_as_a_chinese_document_of_today(report: MonthlyReport) -> None:
    found = dict(parts(write_word(report)))
    assert not [name for name in found if "stylesWithEffects" in name]
    languages = {one.get(qn("w:eastAsia")) for one in found["word/styles.xml"].iter(qn("w:lang"))}
    assert languages == {"zh-CN"}
    modes = [
        one.get(qn("w:val"))
        for one in found["word/settings.xml"].iter(qn("w:compatSetting"))
        if one.get(qn("w:name")) == "compatibilityMode"
    ]
    assert modes == ["15"]


def test_quotes_are_set_in_the_chinese_font(report: MonthlyReport) -> None:
    runs = [
        run
        for paragraph in Document(io.BytesIO(write_word(report))).paragraphs
        for run in paragraph.runs
        if "“" in run.text
    ]
    assert runs
    for run in runs:
        assert run._r.rPr is not None and run._r.rPr.rFonts.get(qn("w:hint")) == "eastAsia"


def test_a_column_stands_in_one_line(report: MonthlyReport) -> None:
    for table in Document(io.BytesIO(write_word(report))).tables:
        for column in table.columns:
            assert len({cell.paragraphs[0].alignment for cell in column.cells[1:]}) <= 1


def test_rows_of_the_annex_are_as_high_as_their_text_and_changes_are_numbers(report: MonthlyReport) -> None:
    book = load_workbook(io.BytesIO(write_workbook(report)))
    terms = book["口径说明"]
    longest = max(terms.iter_rows(min_row=4), key=lambda row: len(str(row[0].value)))[0]
    assert terms.row_dimensions[longest.row].height > 25
    balance = book["基数与应迁移的对账"]
    changed = [cell for row in balance.iter_rows(min_row=4) for cell in row if cell.number_format.startswith("+")]
    assert changed and all(isinstance(cell.value, int | float) for cell in changed)
    texts = [
        cell.value for sheet in book for row in sheet.iter_rows() for cell in row if isinstance(cell.value, str)
    ]
    assert not [text for text in texts if re.fullmatch(r"[+−]\d+(\.\d+)?", text)]


def test_every_rate_is_compared_with_the_month_before(report: MonthlyReport) -> None:
    rates = {row[0]: row[3] for row in part(report, "overview").tables[0].rows}
    assert rates["关停率"] == "+41.8" and rates["例外率"] == "持平"


def test_the_only_district_does_not_stand_before_every_department(report: MonthlyReport) -> None:
    assert part(report, "backlog").tables[0].rows[0][1] == "区示例局"
    several = compose(facts(counted("一"), counted("二", sender="沙坪坝区数据局", system_key="x/二")))
    assert {row[1].partition("／")[2] for row in part(several, "backlog").tables[0].rows} == {"区示例局"}


def test_without_a_plan_nothing_is_assumed_of_one(report: MonthlyReport) -> None:
    (table,) = part(report, "forecast").tables
    assert (table.rows, table.note) == ((), "")


def test_an_exception_names_its_rule_in_chinese(report: MonthlyReport) -> None:
    assert part(report, "exceptions").tables[0].rows[0][2] == "默认上云"

"""The copy that goes back to the sender: a comment on every cell that needs him, and otherwise his own workbook."""

from __future__ import annotations

import io

from openpyxl import Workbook, load_workbook
from openpyxl.styles import Font

from inventory.ledger import mark_up, read_ledger
from tests.ledger.workbooks import csv, xlsx

HEAD = ["单位名称", "系统名称", "用户规模", "登录账号密码", "对接系统"]
ROWS = [
    HEAD,
    ["区教委", "甲系统", "全体", "10.1.1.1/admin/Abc@123", "省平台"],
    [None, "乙系统", 3, None, "甲系统"],
    ["区财政局", None, 5, None, None],
]


def marked(content: bytes, filename: str = "a.xlsx") -> Workbook:
    return load_workbook(io.BytesIO(mark_up(content, filename, read_ledger(content, filename))))


def test_each_finding_is_a_comment_on_its_cell() -> None:
    sheet = marked(xlsx(ROWS))["区级系统"]
    comments = {cell.coordinate: cell.comment.text for row in sheet.iter_rows() for cell in row if cell.comment}
    assert sorted(comments) == ["B4", "C2", "D2", "E2"]
    assert "unreadable_cell" in comments["C2"]
    assert "Abc@123" not in comments["D2"]
    assert "省平台" in comments["E2"]


def test_refused_cells_are_blank_and_all_others_keep_value_and_looks() -> None:
    def bold(book: Workbook) -> None:
        book["区级系统"]["B3"].font = Font(bold=True)

    sheet = marked(xlsx(ROWS, {"区级系统": ["A2:A3"]}, bold))["区级系统"]
    assert sheet["D2"].value is None
    assert [cell.value for cell in sheet[3]] == [None, "乙系统", 3, None, "甲系统"]
    assert sheet["B3"].font.bold
    assert [str(area) for area in sheet.merged_cells.ranges] == ["A2:A3"]


def test_a_comment_inside_a_merge_stands_on_its_first_cell() -> None:
    rows = [[*HEAD], ["区教委", "甲系统", "全体", None, None], ["区教委", "乙系统", None, None, None]]
    sheet = marked(xlsx(rows, {"区级系统": ["C2:C3"]}))["区级系统"]
    assert sheet["C2"].comment is not None


def test_text_of_a_csv_that_looks_like_a_formula_stays_text() -> None:
    content = csv([HEAD, ["区教委", "=cmd|' /C calc'!A0", "全体", None, None]])
    sheet = marked(content, "台账[1].csv").worksheets[0]
    assert sheet["B2"].value == "=cmd|' /C calc'!A0"
    assert sheet["B2"].data_type == "s"
    assert sheet["C2"].comment is not None


def test_a_workbook_without_findings_comes_back_without_comments() -> None:
    sheet = marked(xlsx([HEAD, ["区教委", "甲系统", 3, None, None]]))["区级系统"]
    assert not [cell for row in sheet.iter_rows() for cell in row if cell.comment]

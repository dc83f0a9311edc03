"""Makes 示例区台账.xlsx, the illustrative workbook of `make demo`, from systems.csv. Run it after changing the data.

    python examples/ledger/make_workbook.py

All names and sizes are invented (示例数据). The four sheets differ on purpose as departments differ: two-row merged
headings with 16核32G*2台 texts, separate CPU and memory columns per server or altogether, 元 beside 万元, departments
merged, repeated or written once. It holds one credential, one possible duplicate, one unknown dependency and one
unreadable cell, so that the demo has something to find. The same data always gives the same parts.
"""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from openpyxl import Workbook
from openpyxl.styles import Alignment, Font
from openpyxl.worksheet.worksheet import Worksheet

FOLDER = Path(__file__).parent
WORKBOOK = FOLDER / "示例区台账.xlsx"
WATERMARK = "示例数据：单位、系统与规模均为虚构"
SENDER = "填报单位：示例区大数据中心"
AS_OF = "截至日期：2026年9月30日"
_FIXED_TIME = "2026-09-30T00:00:00Z"

Record = dict[str, str]
Column = tuple[str, str, Callable[[Record], Any]]
"""Group heading, heading, and what the cell holds for a record."""


def text(name: str) -> Callable[[Record], Any]:
    return lambda record: record[name] or None


def number(name: str) -> Callable[[Record], Any]:
    return lambda record: _number(record[name])


def _number(written: str) -> Any:
    try:
        value = float(written)
    except ValueError:
        return written or None
    return int(value) if value.is_integer() else value


def machines(record: Record) -> str:
    """The server text in one of the spellings that departments use, turn by turn."""
    servers, cores, mem = int(record["servers"]), record["cores"], record["mem_gb"]
    if servers == 1:
        return (f"{cores}核{mem}G", f"{cores}C/{mem}GB", f"CPU{cores}核，内存{mem}G")[len(record["name"]) % 3]
    return (f"{cores}核{mem}G*{servers}台", f"{servers}台（{cores}C/{mem}GB）", f"{servers}台{cores}核{mem}G")[
        len(record["name"]) % 3
    ]


def total(name: str) -> Callable[[Record], Any]:
    return lambda record: int(record["servers"]) * int(record[name])


def yuan(record: Record) -> int:
    return round(float(record["opex_wan"]) * 10_000)


def secret(record: Record) -> str | None:
    """The one cell that must never be imported."""
    return "10.0.0.8 / admin / Example@2026" if record["name"] == "信访受理系统" else None


DEPARTMENTS: list[Column] = [
    ("基本情况", "系统全称", text("name")), ("基本情况", "责任单位", text("department")),
    ("基本情况", "主要功能", text("function")),
    ("基本情况", "建成投用时间", text("golive")), ("基本情况", "使用人数", text("users")),
    ("迁移意见", "拟处置方式", text("disposition")),
    ("迁移意见", "并入系统", text("target")), ("迁移意见", "是否纳入上云范围", text("should")),
    ("迁移意见", "是否已迁移", text("migrated")),
    ("资源", "每台配置及台数", machines), ("资源", "硬盘", text("disk")), ("资源", "AI加速卡", text("gpu")),
    ("资源", "CPU使用率", text("cpu_pct")),
    ("软硬件", "芯片架构", text("arch")), ("软硬件", "数据库实例", text("instance")),
    ("网络安全", "网络环境", text("zone")), ("网络安全", "密级", text("classified")),
    ("网络安全", "定级情况", text("mlps")), ("网络安全", "密码应用方案", text("crypto")),
    ("网络安全", "是否编目", text("catalog")),
    ("网络安全", "登录账号及口令", secret), ("网络安全", "是否僵尸系统", text("zombie")),
    ("其他", "对接的系统名称", text("deps")),
    ("其他", "年运维费（万元）", number("opex_wan")), ("其他", "部署位置", text("env")),
]  # fmt: skip
BUREAUS: list[Column] = [
    ("", "主管部门", text("department")), ("", "应用名称", text("name")), ("", "系统归属", lambda _: "区属"),
    ("", "网络类型", text("zone")),
    ("", "是否涉密", lambda record: "否" if record["classified"] == "非涉密" else "是"), ("", "等级保护", text("mlps")),
    ("", "服务器数量（台）", number("servers")),
    ("", "单台CPU（核）", number("cores")), ("", "单台内存（GB）", number("mem_gb")),
    ("", "存储容量（GB）", number("disk")), ("", "GPU/NPU", text("gpu")),
    ("", "CPU平均利用率", number("cpu_pct")), ("", "CPU类型", text("arch")), ("", "启用年月", text("golive")),
    ("", "用户数（人）", number("users")),
    ("", "功能简介", text("function")), ("", "关联系统", text("deps")), ("", "共享数据库", text("instance")),
    ("", "年度运维费用（元）", yuan),
    ("", "是否有密码应用方案", number("crypto")), ("", "数据资源目录", number("catalog")),
    ("", "僵尸系统", number("zombie")), ("", "处置意见", text("disposition")),
    ("", "整合至系统", text("target")), ("", "应上云", text("should")), ("", "已上云", text("migrated")),
    ("", "部署环境", text("env")),
]  # fmt: skip
SUPERIORS: list[Column] = [
    ("", "使用单位", text("department")), ("", "信息系统名称", text("name")), ("", "业务描述", text("function")),
    ("", "所属网络", text("zone")), ("", "涉密情况", text("classified")),
    ("", "安全保护等级", text("mlps")), ("", "服务器规格", machines), ("", "存储空间", text("disk")),
    ("", "CPU利用率", text("cpu_pct")), ("", "服务器架构", text("arch")),
    ("", "上线日期", text("golive")), ("", "用户规模", text("users")), ("", "依赖系统", text("deps")),
    ("", "运维经费（万元）", number("opex_wan")),
    ("", "密码方案", text("crypto")), ("", "数据目录", text("catalog")), ("", "部署方式", text("env")),
]  # fmt: skip
COMPANIES: list[Column] = [
    ("", "单位", text("department")), ("", "平台名称", text("name")), ("", "用途", text("function")),
    ("", "接入网络", text("zone")), ("", "密级", text("classified")), ("", "等保等级", text("mlps")),
    ("", "台数", number("servers")), ("", "CPU总核数", total("cores")), ("", "内存总量（GB）", total("mem_gb")),
    ("", "磁盘容量（GB）", number("disk")),
    ("", "CPU平均使用率（%）", number("cpu_pct")), ("", "处理器", text("arch")), ("", "投用时间", text("golive")),
    ("", "用户数量", number("users")),
    ("", "年运维费（万元）", number("opex_wan")), ("", "密码应用方案", text("crypto")),
    ("", "数据资源目录", text("catalog")), ("", "部署地点", text("env")),
]  # fmt: skip


def make() -> bytes:
    """The workbook's bytes."""
    with (FOLDER / "systems.csv").open(encoding="utf-8", newline="") as source:
        records = list(csv.DictReader(source))
    book = Workbook()
    _instructions(book.worksheets[0])
    _grouped(book.create_sheet("区直部门"), [record for record in records if record["sheet"] == "A"])
    for name, key, columns in (
        ("委办局（本级）", "B", BUREAUS),
        ("市垂", "C", SUPERIORS),
        ("平台公司", "D", COMPANIES),
    ):
        _plain(book.create_sheet(name), columns, [record for record in records if record["sheet"] == key])
    buffer = io.BytesIO()
    book.save(buffer)
    return _with_fixed_times(buffer.getvalue())


def _instructions(sheet: Worksheet) -> None:
    sheet.title = "填表须知"
    sheet.append([WATERMARK])
    sheet.append(["一、系统名称填写全称，与备案一致；资源按实际分配填写。"])
    sheet.append(["二、账号、口令不得填入本表。"])
    _watermark(sheet)


def _grouped(sheet: Worksheet, records: list[Record]) -> None:
    """Two heading rows with merged groups, departments merged over their rows, totals and signatures below."""
    width = len(DEPARTMENTS)
    sheet.append([f"示例区政务信息系统台账（区直部门）  {WATERMARK}"])
    sheet.merge_cells(start_row=1, start_column=1, end_row=1, end_column=width)
    sheet.append([SENDER, None, None, None, AS_OF])
    start = 1
    for column, (group, heading, _) in enumerate(DEPARTMENTS, 1):
        sheet.cell(4, column, heading)
        if column == 1 or DEPARTMENTS[column - 2][0] != group:
            sheet.cell(3, column, group)
            start = column
        if column == width or DEPARTMENTS[column][0] != group:
            sheet.merge_cells(start_row=3, start_column=start, end_row=3, end_column=column)
    first = 5
    for row, record in enumerate(records, 5):
        for column, (_, _, value) in enumerate(DEPARTMENTS, 1):
            sheet.cell(row, column, value(record))
        last = row == 4 + len(records) or records[row - 4]["department"] != ""
        if last:
            if row > first:
                sheet.merge_cells(start_row=first, start_column=2, end_row=row, end_column=2)
            first = row + 1
    end = 5 + len(records)
    sheet.cell(end, 1, "合计")
    sheet.cell(end, 2, f"{len(records)}个")
    sheet.cell(end + 1, 1, "注：1.资源按实际分配填写；2.空白表示未知。")
    sheet.cell(end + 2, 1, "填表人：示例甲")
    sheet.cell(end + 2, 6, "审核人：示例乙")
    _looks(sheet, (1, 3, 4))


def _plain(sheet: Worksheet, columns: list[Column], records: list[Record]) -> None:
    """One heading row with a serial number before it."""
    sheet.append([f"示例区政务信息系统台账（{sheet.title}）  {WATERMARK}"])
    sheet.append([SENDER, None, None, AS_OF])
    sheet.append(["序号", *(heading for _, heading, _ in columns)])
    for serial, record in enumerate(records, 1):
        sheet.append([serial, *(value(record) for _, _, value in columns)])
        for column, (_, heading, _) in enumerate(columns, 2):
            if heading == "CPU平均利用率":
                sheet.cell(3 + serial, column).number_format = "0.0%"
    sheet.append(["小计", None, f"{len(records)}个"])
    _looks(sheet, (1, 3))


def _looks(sheet: Worksheet, bold: tuple[int, ...]) -> None:
    for row in bold:
        for cell in sheet[row]:
            cell.font = Font(bold=True)
            cell.alignment = Alignment(horizontal="center", vertical="center", wrap_text=True)
    sheet.freeze_panes = sheet.cell(max(bold) + 1, 1)
    sheet.page_setup.orientation = "landscape"
    _watermark(sheet)


def _watermark(sheet: Worksheet) -> None:
    sheet.oddHeader.center.text = WATERMARK
    sheet.oddFooter.center.text = "示例数据"


def _with_fixed_times(content: bytes) -> bytes:
    """The same parts with fixed times: openpyxl and zip write the clock into the file."""
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(content)) as source,
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as target,
    ):
        for name in source.namelist():
            part = source.read(name)
            if name == "docProps/core.xml":
                part = re.sub(rb"\d{4}-\d\d-\d\dT[\d:]+Z", _FIXED_TIME.encode(), part)
            target.writestr(zipfile.ZipInfo(name, (2026, 9, 30, 0, 0, 0)), part, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


if __name__ == "__main__":
    WORKBOOK.write_bytes(make())

"""The ledger written out again, as a workbook or CSV that a department can open, correct and send back.

`xisuan ledger export` calls this. The headings and values are ones that `read_ledger` understands, so that an
exported ledger, imported, gives the same systems. Illustrative data carries its watermark in the title row.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date

from openpyxl import Workbook
from openpyxl.cell import Cell, WriteOnlyCell
from openpyxl.styles import Font
from openpyxl.worksheet._write_only import WriteOnlyWorksheet

from inventory.model.system import Architecture, Disposition, Ownership, System

_OWNERSHIP = {Ownership.DISTRICT: "区级", Ownership.VERTICAL: "上级垂管", Ownership.SOE: "国有公司"}
_DISPOSITION = {
    Disposition.REHOST: "平迁",
    Disposition.REPLATFORM: "改造",
    Disposition.REFACTOR: "重构",
    Disposition.REPURCHASE: "替换",
    Disposition.CONSOLIDATE: "整合",
    Disposition.RETIRE: "关停",
    Disposition.RETAIN: "例外保留",
}
_ARCHITECTURE = {Architecture.X86_64: "x86", Architecture.ARM64: "ARM64", Architecture.C86: "海光"}
_LEVELS = {"none": "未定级", "1": "一级", "2": "二级", "3": "三级", "4": "四级"}
# What a spreadsheet takes for a formula when a cell of a CSV begins with it.
_FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class ExportTitle:
    """What the first row says: the day that the ledger is as of, and whether its data is invented."""

    as_of: date
    illustrative: bool

    @property
    def text(self) -> str:
        mark = "【示例数据】" if self.illustrative else ""
        return f"{mark}政务信息系统台账（截至 {self.as_of.year}年{self.as_of.month}月{self.as_of.day}日）"


def _yes_no(value: bool | None) -> str:
    return "" if value is None else "是" if value else "否"


def _plain(value: object) -> str:
    return "" if value is None else str(value)


def _gpu(system: System) -> str:
    return "" if system.gpu is None else f"{system.gpu.model}*{system.gpu.count}"


COLUMNS: Mapping[str, Callable[[System], str]] = {
    "系统名称": lambda system: system.name,
    "单位名称": lambda system: _plain(system.department),
    "系统归属": lambda system: _OWNERSHIP[system.ownership] if system.ownership else "",
    "网络类型": lambda system: _plain(system.zone),
    "涉密分类": lambda system: "" if system.classified is None else "涉密" if system.classified else "非涉密",
    "等保级别": lambda system: _LEVELS.get(system.mlps or "", ""),
    "服务器数量": lambda system: _plain(system.servers),
    "CPU总核数": lambda system: _plain(system.vcpu),
    "内存总量（GB）": lambda system: _plain(system.mem_gb),
    "存储总量（GB）": lambda system: _plain(system.disk_gb),
    "GPU": _gpu,
    "上线时间": lambda system: _plain(system.golive),
    "CPU架构": lambda system: _ARCHITECTURE[system.arch] if system.arch else "",
    "操作系统": lambda system: _plain(system.os),
    "数据库": lambda system: _plain(system.database),
    "数据库实例": lambda system: _plain(system.database_instance),
    "部署位置": lambda system: _plain(system.environment),
    "用户数": lambda system: _plain(system.users),
    "是否僵尸系统": lambda system: _yes_no(system.zombie),
    "CPU平均利用率": lambda system: "" if system.cpu_avg_pct is None else f"{system.cpu_avg_pct}%",
    "年度运维金额（万元）": lambda system: _plain(system.opex_wan),
    "密码应用方案": lambda system: _yes_no(system.crypto_plan),
    "数据资源目录": lambda system: _yes_no(system.data_catalog),
    "业务功能": lambda system: _plain(system.function),
    "对接系统名称": lambda system: "、".join(system.deps),
    "处置方式": lambda system: _DISPOSITION[system.disposition] if system.disposition else "",
    "整合目标系统": lambda system: _plain(system.merged_into),
    "是否应上云": lambda system: _yes_no(system.should_migrate),
    "是否已上云": lambda system: _yes_no(system.migrated),
    "暂缓原因": lambda system: _plain(system.defer_reason),
    "备注": lambda system: _plain(system.remark),
}


def export_workbook(systems: Iterable[System], title: ExportTitle) -> bytes:
    """An .xlsx with a title row, a heading row and one row a system. Texts stay texts, whatever they begin with."""
    book = Workbook(write_only=True)
    sheet = book.create_sheet("台账")
    sheet.freeze_panes = "C3"
    sheet.append([_cell(sheet, title.text, bold=True)])
    sheet.append([_cell(sheet, heading, bold=True) for heading in COLUMNS])
    for row in _rows(systems):
        sheet.append([_cell(sheet, text) for text in row])
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def export_csv(systems: Iterable[System], title: ExportTitle) -> bytes:
    """The same as CSV, in UTF-8 with the mark by which Excel knows it. A cell that Excel would take for a formula
    gets a ' in front."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)
    writer.writerow([title.text])
    writer.writerow(COLUMNS)
    writer.writerows([_disarmed(text) for text in row] for row in _rows(systems))
    return buffer.getvalue().encode("utf-8-sig")


def _rows(systems: Iterable[System]) -> Iterator[list[str]]:
    for system in systems:
        yield [write(system) for write in COLUMNS.values()]


def _cell(sheet: WriteOnlyWorksheet, text: str, *, bold: bool = False) -> Cell:
    cell = WriteOnlyCell(sheet, value=text or None)
    if text:
        cell.data_type = "s"
    if bold:
        cell.font = Font(bold=True)
    return cell


def _disarmed(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA_SIGNS) else text

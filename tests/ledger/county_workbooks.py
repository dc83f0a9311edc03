"""Three workbooks as county offices send them, with the systems of the published answer key in them.

`test_ledger_county_workbooks` reads them. The headings were chosen without a look at the lexicon; what must be read
is known from the key, so each workbook comes with the systems that its rows hold.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from random import Random
from typing import Any

import xlwt
from openpyxl import Workbook

System = dict[str, Any]
Writer = Callable[[System, Random], Any]
Column = tuple[str, Writer]


@dataclass(frozen=True, slots=True)
class County:
    """A workbook and what a reader must find in it."""

    filename: str
    content: bytes
    systems: list[System]


def _wide(text: str) -> str:
    return "".join(chr(ord(sign) + 0xFEE0) for sign in text)


def _one(name: str) -> Writer:
    return lambda system, rnd: system[name]


def _said(name: str, spellings: str) -> Writer:
    """One of the spellings of the field's value: "yes 是|√; no 否|×; - " (- is unknown; an empty spelling an empty cell)."""
    known = {"yes": True, "no": False, "-": None}
    choices: dict[Any, list[str]] = {}
    for entry in spellings.split("; "):
        value, _, texts = entry.partition(" ")
        choices[known.get(value, value)] = texts.split("|")
    return lambda system, rnd: rnd.choice(choices[system[name]]) or None


def _per_server(name: str, form: str = "{}") -> Writer:
    def write(system: System, rnd: Random) -> Any:
        amount = system[name] // system["servers"]
        return amount if form == "{}" else form.format(amount)

    return write


def _deps(*marks: str) -> Writer:
    return lambda system, rnd: rnd.choice(marks).join(system["deps"]) or rnd.choice((None, "无", "/"))


def _remark(system: System, rnd: Random) -> str | None:
    return rnd.choice(
        (
            None,
            None,
            "三级等保测评已过期，2021年6月重测",
            "与市里系统对接中",
            "16核32G为申请值",
            "原名同上",
            "√",
            "2020年",
            "Intel 服务器两台已报废",
        )
    )


def _golive_day(system: System) -> tuple[int, int, int]:
    year, month, *day = (int(part) for part in system["golive"].split("-"))
    return year, month, day[0] if day else 1


# --- 1. one sheet, an ownership column, headings in three rows with the units in the last -----------------------


def _date_cell(system: System, rnd: Random) -> Any:
    year, month, day = _golive_day(system)
    if system["golive_precision"] == "day":
        return rnd.choice(
            (datetime(year, month, day), f"{year}.{month:02d}.{day:02d}", f"{year}年{month}月{day}日")
        )
    return rnd.choice((("yyyy年m月", datetime(year, month, 1)), f"{year}年{month}月", f"{year}/{month:02d}"))


def _fraction(system: System, rnd: Random) -> Any:
    """0.27 in a cell without percent format, below a heading with %."""
    return None if system["cpu_avg_pct"] is None else round(system["cpu_avg_pct"] / 100, 4)


_THREE_ROWS: list[tuple[tuple[str, str, str], Writer]] = [
    (("序号", "", ""), _one("_serial")),
    (("系统归口", "", ""), _said("ownership", "district 县本级; vertical 市级垂管; soe 县属国企")),
    (("责任单位", "", ""), _one("department")),
    (("对口上级单位", "", ""), lambda s, r: "市" + s["department"][1:]),
    (("业务系统名称", "", ""), _one("name")),
    (("安全保密", "是否涉及国家秘密", ""), _said("classified", "yes 是|涉密; no 否|不涉及国家秘密|非涉密")),
    (
        ("安全保密", "等保定级", ""),
        _said("mlps", "none 未定级|尚未定级; 1 1级|第一级; 2 二级|2|S2A1G2; 3 三级|S3A3G3|第三级（等保2.0）"),
    ),
    (("安全保密", "密码应用方案是否编制", ""), _said("crypto_plan", "yes 是|√|有; no 否|×|无; - |")),
    (
        ("运行情况", "所处网络", ""),
        _said(
            "zone",
            "政务外网 政务外网|电子政务外网|政务外网互联网区; 互联网 互联网|公网|Internet; "
            "政务内网 政务内网; 业务专网 业务专网|行业专网",
        ),
    ),
    (("运行情况", "投运时间", ""), _date_cell),
    (
        ("运行情况", "使用人数", "（人）"),
        lambda s, r: r.choice((s["users"], f"{s['users']:,}", f"约{s['users']}", _wide(str(s["users"])))),
    ),
    (("运行情况", "是否属于僵尸系统", ""), _said("zombie", "yes 是|√|有; no 否|×|无; - |")),
    (("计算资源", "服务器数量", "（台）"), lambda s, r: r.choice((s["servers"], f"{s['servers']}台"))),
    (("计算资源", "单台CPU", "（核）"), _per_server("vcpu")),
    (("计算资源", "单台内存", "（GB）"), _per_server("mem_gb")),
    (("计算资源", "存储合计", "（GB）"), _one("disk_gb")),
    (("计算资源", "备份存储", "（GB）"), lambda s, r: s["disk_gb"] * 2),
    (
        ("计算资源", "主机品类", ""),
        _said("arch", "x86_64 x86|Intel|X86架构; arm64 鲲鹏|飞腾|ARM; c86 海光|海光C86"),
    ),
    (("计算资源", "CPU平均使用率", "（%）"), _fraction),
    (
        ("计算资源", "AI加速卡", ""),
        lambda s, r: None if s["gpu"] is None else f"{s['gpu']['model']}（{s['gpu']['count']}张）",
    ),
    (
        ("经费", "年度运维支出", "（万元）"),
        lambda s, r: r.choice((s["opex_wan"], f"{s['opex_wan']}万", _wide(str(s["opex_wan"])))),
    ),
    (("经费", "验收时间", ""), lambda s, r: s["golive"][:4] + "年"),
    (("数据", "数据资源目录编制情况", ""), _said("data_catalog", "yes 已编制|已完成; no 未编制|未完成; - ")),
    (("上云情况", "是否应上云", ""), _said("should_migrate", "yes 是|√|有; no 否|×|无; - |")),
    (("上云情况", "是否已上云", ""), _said("migrated", "yes 是|已上云; no 否|未上云; - ")),
    (
        ("上云情况", "处置意见", ""),
        _said(
            "disposition",
            "retire 关停|停用下线; consolidate 整合|优化整合; rehost 平迁|迁移上云; "
            "replatform 改造迁移; retain 暂缓|例外保留; - ",
        ),
    ),
    (("上云情况", "整合到哪个系统", ""), _one("merged_into")),
    (("对接系统", "", ""), _deps("、", "；", "\n")),
    (("备注", "", ""), _remark),
]


def three_row_headings(systems: Sequence[System], seed: int) -> County:
    """One sheet; the first row and column are empty; some amounts are formulas with their results."""
    rnd = Random(seed)
    book = Workbook()
    sheet = book.worksheets[0]
    sheet.title = "Sheet1"
    width = len(_THREE_ROWS)
    sheet.cell(2, 2, "附件2")
    sheet.cell(3, 2, "示例县政务信息系统底数及上云情况摸排表（示例数据）")
    sheet.merge_cells(start_row=3, start_column=2, end_row=3, end_column=width + 1)
    sheet.cell(4, 2, "填报单位（盖章）：示例县大数据发展中心")
    sheet.cell(4, 15, "统计截止时间：2023年6月30日")
    _heading_rows(sheet, 5, [path for path, _ in _THREE_ROWS])
    expected, formulas, row = [], {}, 7
    ordered = list(systems)
    rnd.shuffle(ordered)
    ordered.sort(key=lambda system: system["department"])
    before = None
    for number, system in enumerate(ordered, 1):
        row += 1
        for index, (path, write) in enumerate(_THREE_ROWS):
            value = write({**system, "_serial": number}, rnd)
            if path[0] == "责任单位" and value == before:
                value = rnd.choice((None, "同上", "〃", None))
            cell = sheet.cell(row, index + 2)
            if isinstance(value, tuple):
                cell.number_format, value = value
            cell.value = value
            if path[1] in ("存储合计", "单台内存") and rnd.random() < 0.4:
                formulas[cell.coordinate] = f"{value}*1"
        before = system["department"]
        expected.append({**system, "sheet": "Sheet1", "row": row})
    sheet.cell(row + 1, 2, "合计")
    sheet.cell(row + 1, 13, sum(system["servers"] for system in systems))
    formulas[sheet.cell(row + 1, 13).coordinate] = f"SUM(M8:M{row})"
    sheet.cell(row + 3, 2, "单位负责人：张某某      审核人：李某某      填表人：王某某")
    return County("附件2.xlsx", _with_formulas(_saved(book), formulas), expected)


def _heading_rows(sheet: Any, top: int, paths: Sequence[tuple[str, ...]]) -> None:
    height = len(paths[0])
    for index, path in enumerate(paths, 2):
        for level, text in enumerate(path):
            if text and not (level == 0 and index > 2 and paths[index - 3][0] == text):
                sheet.cell(top + level, index, text)
        if not any(path[1:]):
            sheet.merge_cells(start_row=top, start_column=index, end_row=top + height - 1, end_column=index)
    start = 0
    for index in range(1, len(paths) + 1):
        if index == len(paths) or paths[index][0] != paths[start][0]:
            if index - start > 1:
                sheet.merge_cells(start_row=top, start_column=start + 2, end_row=top, end_column=index + 1)
            start = index


def _saved(book: Workbook) -> bytes:
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def _with_formulas(content: bytes, formulas: dict[str, str]) -> bytes:
    """The workbook with formulas put beside the values of these cells of the first sheet, as Excel saves them."""
    target = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(content)) as source,
        zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as copy,
    ):
        for part in source.namelist():
            text = source.read(part)
            if part == "xl/worksheets/sheet1.xml":
                xml = text.decode()
                for cell, formula in formulas.items():
                    xml, count = re.subn(rf'(<c r="{cell}"[^>]*>)(<v>)', rf"\g<1><f>{formula}</f>\g<2>", xml)
                    assert count == 1, cell
                text = xml.encode()
            copy.writestr(part, text)
    return target.getvalue()


# --- 2. an .xls with a sheet for each department -----------------------------------------------------------------


def _serial_day(system: System, rnd: Random) -> Any:
    year, month, day = _golive_day(system)
    if system["golive_precision"] == "day":
        serial = (date(year, month, day) - date(1899, 12, 30)).days
        return rnd.choice((serial, f"{year}{month:02d}{day:02d}", f"{year}-{month}-{day}"))
    return rnd.choice((f"{year}.{month:02d}", f"{year}年{month}月份", f"{year}-{month:02d}"))


def _disk_text(system: System, rnd: Random) -> str:
    size = system["disk_gb"]
    if size == 1524:
        return rnd.choice(("500G+1T", "１Ｔ＋５００Ｇ", "系统盘500GB+数据盘1TB"))
    return f"{size // 1024}T" if size % 1024 == 0 else rnd.choice((f"{size}G", f"{size}GB"))


def _spec(system: System, rnd: Random) -> str:
    servers, cores, mem = (
        system["servers"],
        system["vcpu"] // system["servers"],
        system["mem_gb"] // system["servers"],
    )
    if servers == 1:
        return rnd.choice((f"{cores}核{mem}G", f"{cores}C/{mem}G", f"CPU：{cores}核 内存：{mem}G"))
    return rnd.choice(
        (f"{cores}核{mem}G*{servers}台", f"{servers}台（{cores}核/{mem}GB）", f"{cores}C{mem}G×{servers}")
    )


_BY_DEPARTMENT: list[Column] = [
    ("序号", _one("_serial")),
    ("填报的应用", _one("name")),
    ("系统层级", _said("ownership", "district 县级|本级自建; vertical 市级统建|上级垂管; soe 国有企业")),
    ("建成投用日期", _serial_day),
    (
        "走哪张网",
        _said("zone", "政务外网 政务外网|外网; 互联网 互联网; 政务内网 政务内网|内网; 业务专网 专网|业务专网"),
    ),
    ("保密属性", _said("classified", "yes 涉密; no 非涉密|非密")),
    ("信息安全等级", _said("mlps", "none 无|未定级; 1 一级; 2 二级|等保二级; 3 三级|等保三级")),
    ("云主机规格及数量", _spec),
    ("硬盘", _disk_text),
    ("主机芯", _said("arch", "x86_64 Intel Xeon Gold|X86; arm64 鲲鹏920|飞腾; c86 海光7285|海光")),
    ("显卡/加速卡", lambda s, r: None if s["gpu"] is None else f"{s['gpu']['count']}张{s['gpu']['model']}"),
    (
        "用户量",
        lambda s, r: (
            f"{s['users'] // 10000}万"
            if s["users"] >= 10000
            else r.choice((f"{s['users']}", f"{s['users']}人左右", s["users"]))
        ),
    ),
    ("CPU负载均值", lambda s, r: None if s["cpu_avg_pct"] is None else f"{s['cpu_avg_pct']:g}％"),
    ("每年维护费（元）", lambda s, r: round(s["opex_wan"] * 10000)),
    ("互联互通系统", _deps("、", "，")),
    ("密码应用方案（有/无）", _said("crypto_plan", "yes 有; no 无; - ")),
    ("数据目录（有/无）", _said("data_catalog", "yes 有; no 无; - ")),
    ("僵尸系统（是/否）", _said("zombie", "yes 是|√|有; no 否|×|无; - |")),
    ("应上云（是/否）", _said("should_migrate", "yes 是|√|有; no 否|×|无; - |")),
    ("已上云（是/否）", _said("migrated", "yes 是|√|有; no 否|×|无; - |")),
    (
        "怎么处理",
        _said(
            "disposition",
            "retire 关停|下线; consolidate 整合|并入; rehost 迁移|平迁; replatform 改造; retain 保留; - ",
        ),
    ),
    ("拟并入", _one("merged_into")),
]


def sheet_per_department(systems: Sequence[System], seed: int) -> County:
    """.xls; the department is nowhere but in the sheets' names; dates are serial numbers or text."""
    rnd = Random(seed)
    book = xlwt.Workbook(encoding="utf-8")
    expected = []
    cover = book.add_sheet("填报说明")
    cover.write(0, 0, "各单位按部门分表填报，示例数据，截至2022年12月31日")
    for department in dict.fromkeys(system["department"] for system in systems):
        sheet = book.add_sheet(department)
        sheet.write_merge(0, 0, 0, len(_BY_DEPARTMENT) - 1, f"{department}信息系统情况表")
        for index, (heading, _) in enumerate(_BY_DEPARTMENT):
            sheet.write(1, index, heading)
        own = [system for system in systems if system["department"] == department]
        for number, system in enumerate(own, 1):
            for index, (_, write) in enumerate(_BY_DEPARTMENT):
                value = write({**system, "_serial": number}, rnd)
                if value is not None:
                    sheet.write(number + 1, index, value)
            expected.append({**system, "sheet": department, "row": number + 2})
    buffer = io.BytesIO()
    book.save(buffer)
    return County("各部门.xls", buffer.getvalue(), expected)


# --- 3. a GBK text file with headings in two languages ------------------------------------------------------------

_MIXED: list[Column] = [
    ("No.", _one("_serial")),
    ("System Name 系统名称", _one("name")),
    ("Dept. 单位", _one("department")),
    ("Type 类别", _said("ownership", "district 县本级; vertical 市级垂管; soe 县属国企")),
    ("Network 网络", _said("zone", "政务外网 政务外网; 互联网 Internet|互联网; 政务内网 政务内网; 业务专网 专网")),
    ("涉密 Y/N", _said("classified", "yes Y; no N")),
    ("等保 MLPS", _said("mlps", "none 未定级; 1 一级; 2 2级; 3 三级")),
    ("Server台数", _one("servers")),
    ("vCPU（总核数）", _one("vcpu")),
    ("Memory合计(GB)", _one("mem_gb")),
    (
        "Storage 存储(TB)",
        lambda s, r: (
            f"{s['disk_gb'] / 1024:.6f}".rstrip("0").rstrip(".")
            if s["disk_gb"] % 1024 == 0
            else f"{s['disk_gb']}GB"
        ),
    ),
    ("Platform", _said("arch", "x86_64 x86_64|AMD64; arm64 aarch64|ARM64; c86 Hygon")),
    ("GPU/NPU", lambda s, r: None if s["gpu"] is None else f"{s['gpu']['model']}*{s['gpu']['count']}"),
    ("Go-live 上线时间", lambda s, r: s["golive"]),
    ("Users 用户数（万人）", lambda s, r: f"{s['users'] / 10000:g}"),
    (
        "CPU Util 利用率",
        lambda s, r: None if s["cpu_avg_pct"] is None else f"{s['cpu_avg_pct'] / 100:.4f}".rstrip("0"),
    ),
    ("OPEX 年运维费（千元）", lambda s, r: f"{s['opex_wan'] * 10:g}"),
    ("僵尸 Zombie", _said("zombie", "yes Y; no N; - ")),
    ("密码应用方案 Crypto", _said("crypto_plan", "yes Y; no N; - ")),
    ("数据目录 Catalog", _said("data_catalog", "yes Y; no N; - ")),
    ("应上云", _said("should_migrate", "yes Y; no N; - ")),
    ("已上云", _said("migrated", "yes Y; no N; - ")),
    (
        "处置 Disposition",
        _said(
            "disposition",
            "retire 关停; consolidate 整合; rehost rehost|平迁; replatform replatform; retain retain|暂缓; - ",
        ),
    ),
    ("Merge Into 整合目标", _one("merged_into")),
    ("Dependencies 对接", _deps("；", "、")),
]


def mixed_language_text(systems: Sequence[System], seed: int) -> County:
    """A .csv in GBK: numbers are text, thousands of 元, users in 万人, fractions without a percent sign."""
    rnd = Random(seed)
    lines = [
        "2023年系统清单（示例数据）" + "," * (len(_MIXED) - 1),
        ",".join(_quoted(heading) for heading, _ in _MIXED),
    ]
    expected = []
    for number, system in enumerate(systems, 1):
        values = [write({**system, "_serial": number}, rnd) for _, write in _MIXED]
        lines.append(",".join("" if value is None else _quoted(str(value)) for value in values))
        expected.append({**system, "sheet": "list", "row": number + 2})
    return County("list.csv", "\r\n".join(lines).encode("gbk"), expected)


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if "," in text or '"' in text else text

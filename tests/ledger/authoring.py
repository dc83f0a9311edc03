"""Writes ledgers as departments do, from systems whose true values are known. The tests read them back.

An Author chooses, from one seed, a layout and a spelling for every value. `expected` holds what the parser must find,
in the forms of the answer key. The dialects use headings of their own, many of which the lexicon does not hold.
"""

from __future__ import annotations

import io
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from openpyxl import Workbook
from openpyxl.worksheet.worksheet import Worksheet

FULL_WIDTH = str.maketrans(
    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ*/,:()",
    "０１２３４５６７８９ＡＢＣＤＥＦＧＨＩＪＫＬＭＮＯＰＱＲＳＴＵＶＷＸＹＺ＊／，：（）",
)
GROUPS = {
    "name": "基本情况", "department": "基本情况", "function": "基本情况", "golive": "基本情况", "users": "基本情况",
    "zombie": "基本情况",
    "zone": "网络与安全", "classified": "网络与安全", "mlps": "网络与安全", "crypto_plan": "网络与安全",
    "data_catalog": "网络与安全",
    "credential": "网络与安全", "spec": "资源情况", "servers": "资源情况", "vcpu": "资源情况", "mem": "资源情况",
    "disk": "资源情况",
    "gpu": "资源情况", "cpu_avg_pct": "资源情况", "arch": "软件环境", "os": "软件环境", "deps": "对接", "opex_wan": "经费",
    "disposition": "迁移情况", "merged_into": "迁移情况", "should_migrate": "迁移情况", "migrated": "迁移情况",
    "ownership": "基本情况", "remark": "其他",
}  # fmt: skip
DIALECTS: tuple[dict[str, str], ...] = (
    {
        "name": "信息系统全称", "department": "责任单位", "function": "主要功能", "golive": "建成时间", "users": "用户数",
        "zombie": "是否僵尸系统", "zone": "网络环境", "classified": "密级", "mlps": "定级情况", "crypto_plan": "密评方案",
        "data_catalog": "是否编目", "credential": "登录账号及口令", "spec": "每台配置", "servers": "台数", "vcpu": "CPU（核）",
        "mem": "内存（GB）", "disk": "硬盘", "gpu": "加速卡", "cpu_avg_pct": "CPU使用率", "arch": "芯片架构",
        "os": "服务器操作系统",
        "deps": "依赖系统", "opex_wan": "运维费用（元）", "disposition": "拟处置方式", "merged_into": "并入系统",
        "should_migrate": "是否纳入上云范围", "migrated": "是否已迁移", "ownership": "系统归属", "remark": "说明",
    },
    {
        "name": "应用名称", "department": "主管部门", "function": "系统用途", "golive": "投入使用时间", "users": "注册用户（人）",
        "zombie": "是否属于僵尸系统", "zone": "所属网络", "classified": "是否涉密", "mlps": "等级保护",
        "crypto_plan": "是否编制密码应用方案",
        "data_catalog": "数据资源目录编制情况", "credential": "管理员用户名/密码", "spec": "虚拟机规格",
        "servers": "虚拟机数量（台）",
        "vcpu": "vCPU总数", "mem": "内存总量(G)", "disk": "存储容量（T）", "gpu": "GPU/NPU", "cpu_avg_pct": "CPU平均使用率(%)",
        "arch": "处理器类型", "os": "操作系统及版本", "deps": "关联系统", "opex_wan": "年运维费（万元）",
        "disposition": "处置意见",
        "merged_into": "合并至", "should_migrate": "应上云", "migrated": "已上云", "ownership": "管理层级", "remark": "备注",
    },
    {
        "name": "*系统名称\n（全称）", "department": "使用单位", "function": "业务描述", "golive": "上线运行时间",
        "users": "使用人数",
        "zombie": "僵尸系统认定", "zone": "部署网络", "classified": "涉密情况", "mlps": "安全等级",
        "crypto_plan": "商用密码应用方案",
        "data_catalog": "数据目录是否编制", "credential": "系统IP、账号、密码", "spec": "服务器规格及数量",
        "servers": "服务器（台）",
        "vcpu": "单台CPU核数", "mem": "单台内存（GB）", "disk": "磁盘空间（GB）", "gpu": "AI加速卡",
        "cpu_avg_pct": "CPU占用率（均值）",
        "arch": "服务器架构", "os": "操作系统", "deps": "对接的系统名称", "opex_wan": "年度运维经费（千元）",
        "disposition": "处理方式",
        "merged_into": "整合至系统", "should_migrate": "是否需迁移上云", "migrated": "是否完成上云",
        "ownership": "权属类别", "remark": "其他说明",
    },
    {
        "name": "信息系统（平台）名称", "department": "单位", "function": "功能简介", "golive": "启用日期", "users": "用户数量",
        "zombie": "是否僵尸信息系统", "zone": "网络类型", "classified": "涉密属性", "mlps": "登保定级",
        "crypto_plan": "密码应用方案情况",
        "data_catalog": "数据编目", "credential": "访问地址账号密码", "spec": "云主机配置", "servers": "云主机台数",
        "vcpu": "CPU总核数", "mem": "总内存", "disk": "云存储", "gpu": "GPU卡", "cpu_avg_pct": "CPU平均利用率",
        "arch": "CPU类型", "os": "OS", "deps": "对接系统（平台）", "opex_wan": "运维经费", "disposition": "迁移方式",
        "merged_into": "归并目标系统", "should_migrate": "应迁移", "migrated": "迁移完成情况", "ownership": "层级",
        "remark": "备注说明",
    },
)  # fmt: skip
SHEET_NAMES = {
    "district": ("区属", "本级", "区本级信息系统", "附件1-区直部门"),
    "vertical": ("市垂", "条线", "上级统建", "附件2-垂直管理"),
    "soe": ("国企", "平台公司", "国资企业", "附件3-区属国有企业"),
}
OWNERS = {
    "district": ("区级", "区属", "本级"),
    "vertical": ("市级垂管", "垂管", "上级统建"),
    "soe": ("国有企业", "国企", "国有公司"),
}


@dataclass
class Author:
    """One sender's habits, all drawn from `rng`."""

    rng: random.Random
    dialect: dict[str, str]
    separate_capacity: bool = False
    department_style: str = "merge"  # merge, first, ditto, repeat
    group_headings: str = "none"  # none, merged, spread
    notes: bool = True
    full_width: bool = True
    repeat_heading: bool = False
    hide_some: bool = False
    columns: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, seed: int, dialect: int | None = None, one_sheet: bool = False) -> Author:
        rng = random.Random(seed)
        author = cls(
            rng,
            DIALECTS[rng.randrange(len(DIALECTS)) if dialect is None else dialect],
            separate_capacity=rng.random() < 0.5,
            department_style=rng.choice(("merge", "first", "ditto", "repeat")),
            group_headings=rng.choice(("none", "merged", "spread")),
            notes=rng.random() < 0.8,
            full_width=rng.random() < 0.7,
            repeat_heading=rng.random() < 0.3,
            hide_some=rng.random() < 0.3,
        )
        author.columns = author._column_order(one_sheet)
        return author

    def _column_order(self, one_sheet: bool) -> list[str]:
        capacity = ["servers", "vcpu", "mem"] if self.separate_capacity else ["spec"]
        fields = [
            "name", "function", "golive", "users", "zombie", "zone", "classified", "mlps", "crypto_plan", "data_catalog",
            "credential", *capacity, "disk", "gpu", "cpu_avg_pct", "arch", "os", "deps", "opex_wan", "disposition",
            "merged_into", "should_migrate", "migrated", "remark",
        ]  # fmt: skip
        if one_sheet:
            fields.append("ownership")
        if self.group_headings == "none":
            self.rng.shuffle(fields)
        else:
            order = list(dict.fromkeys(GROUPS[name] for name in fields))
            self.rng.shuffle(order)
            fields.sort(key=lambda name: (order.index(GROUPS[name]), self.rng.random()))
        return ["serial", "department", *fields]

    # How values are spelled. Every writer gives something that the reading must turn back into the value.

    def pick(self, *choices: Any) -> Any:
        return self.rng.choice(choices)

    def widened(self, text: str) -> str:
        return text.translate(FULL_WIDTH) if self.full_width and self.rng.random() < 0.15 else text

    def cell(self, target: str, system: dict[str, Any]) -> Any:
        writer: Callable[[dict[str, Any]], Any] | None = getattr(self, f"write_{target}", None)
        if writer is not None:
            return writer(system)
        return system.get(target)

    def write_name(self, system: dict[str, Any]) -> str:
        return str(system["name"]) + self.pick("", "", "", "\u3000", " ", "\u00a0")

    def write_zone(self, system: dict[str, Any]) -> str | None:
        spellings = {
            "互联网": ("互联网", "公网", "Internet", "因特网"),
            "政务外网": ("政务外网", "电子政务外网", "外网", "政务外网（公用区）"),
            "政务内网": ("政务内网", "电子政务内网"), "业务专网": ("业务专网", "专网", "部门专网"), None: (None, "", "不详"),
        }  # fmt: skip
        return self.pick(*spellings[system["zone"]])

    def write_classified(self, system: dict[str, Any]) -> str | None:
        return self.pick(
            *{True: ("涉密", "是"), False: ("非涉密", "否", "不涉密"), None: (None, "不详")}[system["classified"]]
        )

    def write_mlps(self, system: dict[str, Any]) -> Any:
        level = system["mlps"]
        if level is None:
            return None
        if level == "none":
            return self.pick("未定级", "无", "未备案")
        word = "零一二三四"[int(level)]
        return self.widened(
            self.pick(
                f"{word}级",
                f"等保{level}级",
                f"第{word}级",
                f"S{level}A{level}G{level}",
                f"等级保护{word}级",
                f"{level}级",
            )
        )

    def write_spec(self, system: dict[str, Any]) -> str | None:
        servers = system["servers"]
        if not servers or system["vcpu"] is None:
            return None
        cores, mem = system["vcpu"] // servers, system["mem_gb"] / servers
        mem_text = f"{mem:g}"
        if servers == 1:
            forms = (
                f"{cores}核{mem_text}G",
                f"{cores}C/{mem_text}GB",
                f"CPU{cores}核，内存{mem_text}G",
                f"{cores}vCPU {mem_text}GB",
                f"{cores}核/{mem_text}G*1台",
            )
        else:
            forms = (
                f"{cores}核{mem_text}G*{servers}台", f"{servers}台（{cores}C/{mem_text}GB）", f"{servers}台{cores}核{mem_text}G",
                f"{cores}核{mem_text}G×{servers}", f"{cores}C{mem_text}G x {servers}", f"每台{cores}核{mem_text}G，共{servers}台",
            )  # fmt: skip
        return self.widened(self.pick(*forms))

    def write_servers(self, system: dict[str, Any]) -> Any:
        servers = system["servers"]
        return None if servers is None else self.pick(servers, str(servers), f"{servers}台")

    def write_vcpu(self, system: dict[str, Any]) -> Any:
        amount = self._per_server(system, "vcpu")
        return None if amount is None else self.pick(amount, f"{amount}核", str(amount))

    def write_mem(self, system: dict[str, Any]) -> Any:
        amount = self._per_server(system, "mem_gb", "mem")
        return None if amount is None else self.pick(amount, f"{amount:g}G", f"{amount:g} GB")

    def _per_server(self, system: dict[str, Any], name: str, target: str | None = None) -> Any:
        amount, servers = system[name], system["servers"]
        if amount is None or not servers:
            return None
        each = "单台" in self.dialect[target or name]
        value = amount / servers if each else amount
        return int(value) if float(value).is_integer() else value

    def write_disk(self, system: dict[str, Any]) -> Any:
        gigabytes = system["disk_gb"]
        if gigabytes is None:
            return None
        forms = [f"{gigabytes:g}G", f"{gigabytes:g}GB", f"{gigabytes:g}g"]
        if gigabytes % 1024 == 0:
            forms += [f"{gigabytes // 1024}T", f"{gigabytes // 1024} TB"]
        if gigabytes > 1024 and gigabytes % 1024:
            forms.append(f"{gigabytes % 1024:g}G+{gigabytes // 1024:g}T")
        if gigabytes % 2 == 0:
            forms.append(f"{gigabytes // 2:g}G×2")
        heading = self.dialect["disk"]
        if "GB" in heading or "T" not in heading:
            forms.append(gigabytes)
        elif gigabytes % 1024 == 0:
            forms.append(gigabytes // 1024)
        return self.pick(*forms)

    def write_golive(self, system: dict[str, Any]) -> Any:
        text = system["golive"]
        if text is None:
            return self.pick(None, "不详")
        parts = [int(part) for part in text.split("-")]
        if len(parts) == 1:
            return self.pick(parts[0], f"{parts[0]}年")
        if len(parts) == 2:
            year, month = parts
            return self.pick(
                f"{year}年{month}月",
                f"{year}.{month}",
                f"{year}-{month:02d}",
                f"{year}/{month}",
                f"{year % 100:02d}-{month:02d}",
                f"{year}{month:02d}",
            )
        year, month, day = parts
        return self.pick(
            f"{year}年{month}月{day}日",
            f"{year}.{month}.{day}",
            text,
            f"{year}{month:02d}{day:02d}",
            f"{year}/{month}/{day}",
            f"{text} 00:00:00",
        )

    def write_arch(self, system: dict[str, Any]) -> str | None:
        spellings = {
            "x86_64": ("x86", "X86", "Intel", "x86_64", "AMD", "Intel至强", "兆芯"),
            "arm64": ("鲲鹏", "鲲鹏920", "飞腾", "ARM", "aarch64", "ARM（鲲鹏）"),
            "c86": ("海光", "海光C86", "Hygon"), None: (None, "", "—"),
        }  # fmt: skip
        return self.pick(*spellings[system["arch"]])

    def write_users(self, system: dict[str, Any]) -> Any:
        users = system["users"]
        if users is None:
            return self.pick(None, "不详")
        forms = [users, str(users), f"约{users}", f"{users}人", f"{users:,}"]
        if users and users % 10_000 == 0:
            forms += [f"{users // 10_000}万", f"约{users // 10_000}万人"]
        if users >= 1000 and users % 1000 == 0:
            forms.append(f"{users / 10_000:g}万")
        return self.pick(*forms)

    def _yes_no(self, answer: bool | None, yes: tuple[str, ...], no: tuple[str, ...]) -> Any:
        if answer is None:
            return self.pick(None, "")
        return self.pick(*(yes if answer else no))

    def write_zombie(self, system: dict[str, Any]) -> Any:
        return self._yes_no(system["zombie"], ("是", "√", "Y", "1"), ("否", "×", "N", "不是"))

    def write_crypto_plan(self, system: dict[str, Any]) -> Any:
        return self._yes_no(
            system["crypto_plan"],
            ("是", "有", "√", "已编制", "✓", "已完成"),
            ("否", "无", "×", "未编制", "编制中", "没有"),
        )

    def write_data_catalog(self, system: dict[str, Any]) -> Any:
        return self._yes_no(
            system["data_catalog"], ("是", "已编目", "Y", "已完成", "有"), ("否", "未编目", "N", "未完成", "✗")
        )

    def write_should_migrate(self, system: dict[str, Any]) -> Any:
        return self._yes_no(
            system["should_migrate"], ("是", "√", "Y", "应上云", "需要"), ("否", "×", "不需要", "N")
        )

    def write_migrated(self, system: dict[str, Any]) -> Any:
        return self._yes_no(
            system["migrated"],
            ("是", "√", "已上云", "已迁移", "已完成", "Y"),
            ("否", "×", "未上云", "未完成", "尚未迁移"),
        )

    def write_cpu_avg_pct(self, system: dict[str, Any]) -> Any:
        percent = system["cpu_avg_pct"]
        if percent is None:
            return None
        forms: list[Any] = [f"{percent}%", f"约{percent}%", ("0.0%", percent / 100)]
        if "%" in self.dialect["cpu_avg_pct"]:
            forms += [percent, str(percent)]
        return self.pick(*forms)

    def write_opex_wan(self, system: dict[str, Any]) -> Any:
        wan = system["opex_wan"]
        if wan is None:
            return None
        heading = self.dialect["opex_wan"]
        factor = 10_000 if "（元）" in heading else 10 if "千元" in heading else 1
        number = round(wan * factor, 4)
        return self.pick(int(number) if float(number).is_integer() else number, f"{wan:g}万元", f"{wan:g}万")

    def write_deps(self, system: dict[str, Any]) -> str | None:
        if not system["deps"]:
            return self.pick(None, "无", "—", "")
        return str(self.pick("；", ";", "、", "，", "\n", " ; ").join(system["deps"]))

    def write_disposition(self, system: dict[str, Any]) -> str | None:
        spellings = {
            "retire": ("关停", "已关停", "停用下线", "下线注销"), "consolidate": ("整合", "优化整合", "合并"),
            "rehost": ("平迁", "迁移", "直接迁移", "迁移（平迁）"),
            "replatform": ("改造", "改造迁移", "迁移（改造）", "适配改造后迁移"), "refactor": ("重构", "迁移（重构）"),
            "repurchase": ("替换", "采购替换"),
            "retain": ("例外保留", "暂缓", "保留"), None: (None, "", "待定"),
        }  # fmt: skip
        return self.pick(*spellings[system["disposition"]])

    def write_ownership(self, system: dict[str, Any]) -> str:
        return str(self.pick(*OWNERS[system["ownership"]]))

    def write_gpu(self, system: dict[str, Any]) -> str | None:
        gpu = system["gpu"]
        if gpu is None:
            return self.pick(None, "无", "—")
        model, count = gpu["model"], gpu["count"]
        return self.pick(
            f"{model}*{count}",
            f"{count}张{model}",
            f"{model}×{count}卡",
            f"{model} {count}张",
            f"{model}（{count}卡）",
        )


def write_workbook(
    author: Author, systems: list[dict[str, Any]], one_sheet: bool = False
) -> tuple[bytes, list[dict[str, Any]]]:
    """The workbook's bytes, and the systems with the sheet and row where each now stands."""
    book = Workbook()
    book.worksheets[0].title = "填报说明"
    book.worksheets[0].append(["一、请各单位如实填写系统名称、主管部门等信息。"])
    book.worksheets[0].append(["二、账号、密码不得填入本表。"])
    expected: list[dict[str, Any]] = []
    if one_sheet:
        expected += _write_sheet(book.create_sheet("系统清单"), author, systems)
    else:
        for owner, names in SHEET_NAMES.items():
            group = [system for system in systems if system["ownership"] == owner]
            if group:
                expected += _write_sheet(book.create_sheet(author.pick(*names)), author, group)
    codes = book.create_sheet("单位代码")
    for row in (["单位名称", "单位代码", "系统数量"], ["区教委", "A01", 5], ["区财政局", "A02", 3]):
        codes.append(row)
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue(), expected


def _write_sheet(sheet: Worksheet, author: Author, systems: list[dict[str, Any]]) -> list[dict[str, Any]]:
    width = len(author.columns)
    headings = ["序号" if name == "serial" else author.dialect[name] for name in author.columns]
    if author.notes:
        sheet.append(["示例区政务信息系统情况统计表"])
        sheet.merge_cells(start_row=1, start_column=1, end_row=1, end_column=width)
        sheet.append(["填报单位：示例区大数据中心", None, None, "截至日期：2024年3月31日"])
    top = sheet.max_row + (1 if author.notes else 0)
    if author.group_headings != "none":
        _write_groups(sheet, author, top)
        top += 1
    for column, heading in enumerate(headings, 1):
        if author.group_headings == "none" or column > 2:
            sheet.cell(top, column, heading)
    row = top + 1
    expected, run = [], row
    for index, system in enumerate(systems):
        if (
            author.repeat_heading
            and index
            and index % 9 == 0
            and systems[index - 1]["department"] != system["department"]
        ):
            for column, heading in enumerate(headings, 1):
                sheet.cell(row, column, heading)
            row += 1
        same = (
            index > 0
            and systems[index - 1]["department"] == system["department"]
            and expected[-1]["row"] == row - 1
        )
        if not same:
            _merge_run(sheet, author, run, expected[-1]["row"] if expected else 0)
            run = row
        _write_row(sheet, author, row, (index + 1, same), system)
        expected.append({**system, "sheet": sheet.title, "row": row})
        row += 1
    _merge_run(sheet, author, run, expected[-1]["row"])
    if author.notes:
        sheet.cell(row, author.rng.choice((1, 2)), author.pick("合计", "合 计", "总计"))
        sheet.cell(row, 3, f"{len(systems)}个")
        sheet.cell(
            row + 1, 1, author.pick("注：1.系统名称填写全称。", "备注：资源按实际分配填写", "说明：空白表示未知")
        )
        sheet.cell(row + 2, 1, "填表人：张三")
        sheet.cell(row + 2, 5, "审核人：李四")
        sheet.cell(row + 2, 9, "联系电话：02300000000")
    return expected


def _write_groups(sheet: Worksheet, author: Author, top: int) -> None:
    sheet.cell(top, 1, "序号")
    sheet.cell(top, 2, author.dialect["department"])
    if author.group_headings == "merged":
        for column in (1, 2):
            sheet.merge_cells(start_row=top, start_column=column, end_row=top + 1, end_column=column)
    column = 3
    while column <= len(author.columns):
        group = GROUPS[author.columns[column - 1]]
        end = column
        while end < len(author.columns) and GROUPS[author.columns[end]] == group:
            end += 1
        sheet.cell(top, column, group)
        if author.group_headings == "merged" and end > column:
            sheet.merge_cells(start_row=top, start_column=column, end_row=top, end_column=end)
        column = end + 1


def _write_row(
    sheet: Worksheet, author: Author, row: int, place: tuple[int, bool], system: dict[str, Any]
) -> None:
    serial, same = place
    for column, target in enumerate(author.columns, 1):
        if target == "serial":
            value: Any = serial
        elif target == "department":
            value = system["department"]
            if same and author.department_style in ("merge", "first"):
                value = None
            elif same and author.department_style == "ditto":
                value = author.pick("同上", "〃")
        elif target == "credential":
            value = system.get("credential")
        else:
            value = author.cell(target, system)
        cell = sheet.cell(row, column)
        if isinstance(value, tuple):
            cell.number_format, cell.value = value
        else:
            cell.value = value
    if author.hide_some and author.rng.random() < 0.1:
        sheet.row_dimensions[row].hidden = True


def _merge_run(sheet: Worksheet, author: Author, first: int, last: int) -> None:
    if author.department_style == "merge" and last > first:
        sheet.merge_cells(start_row=first, start_column=2, end_row=last, end_column=2)

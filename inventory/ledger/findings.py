"""Findings: what the parser could not take as it stands, each with its cell and what to do about it.

Intake stores them, the marked-up workbook shows them, the command line prints them. A finding about a credential
carries no text of the cell.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class FindingKind(StrEnum):
    CREDENTIAL_REFUSED = "credential_refused"
    POSSIBLE_DUPLICATE = "possible_duplicate"
    UNKNOWN_DEPENDENCY = "unknown_dependency"
    UNREADABLE_CELL = "unreadable_cell"
    MISSING_REQUIRED = "missing_required"
    CONFLICT = "conflict"


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding. `row` as Excel counts, `cell` an A1 address in `sheet`, `remedy` "中文 / English".

    `field` names the System field concerned; `of` the system that a duplicate or conflict is about; `value` the
    offending text, never for a credential.
    """

    kind: FindingKind
    sheet: str
    row: int
    cell: str
    remedy: str
    field: str | None = None
    of: str | None = None
    value: str | None = None


def credential_refused(sheet: str, row: int, cell: str) -> Finding:
    return Finding(
        FindingKind.CREDENTIAL_REFUSED, sheet, row, cell,
        "疑似账号口令，已拒收且未保存；请从台账中删除并尽快更换该口令"
        " / looks like an account or password and was not stored; delete it from the ledger and change it",
    )  # fmt: skip


def possible_duplicate(sheet: str, row: int, cell: str, of: str) -> Finding:
    return Finding(
        FindingKind.POSSIBLE_DUPLICATE, sheet, row, cell,
        f"与“{of}”数据相同，疑似同一系统，暂不计数；请确认是否为两个系统"
        f" / same data as {of}; held and not counted until a person says whether these are two systems",
        of=of,
    )  # fmt: skip


def unknown_dependency(sheet: str, row: int, cell: str, field: str, value: str) -> Finding:
    return Finding(
        FindingKind.UNKNOWN_DEPENDENCY, sheet, row, cell,
        f"本工作簿没有名为“{value}”的系统；请填写台账中的系统全称，或补登该系统"
        f" / no system of this workbook is named {value}; write the full name as in the ledger, or add the system",
        field=field, value=value,
    )  # fmt: skip


def unreadable_cell(sheet: str, row: int, cell: str, field: str, value: str) -> Finding:
    example, english = _EXAMPLES.get(field, ("按填报说明填写", "follow the instructions of the form"))
    return Finding(
        FindingKind.UNREADABLE_CELL, sheet, row, cell,
        f"“{value}”无法识别，按未知处理；请{example} / {value} cannot be read and counts as unknown; {english}",
        field=field, value=value,
    )  # fmt: skip


def missing_required(sheet: str, row: int, cell: str, field: str) -> Finding:
    chinese, english = {"name": ("系统名称", "the system's name"), "department": ("单位名称", "the department")}[
        field
    ]
    return Finding(
        FindingKind.MISSING_REQUIRED, sheet, row, cell,
        f"缺少{chinese}；请补填后重新导入 / {english} is missing; fill it in and import again",
        field=field,
    )  # fmt: skip


def conflict(sheet: str, row: int, cell: str, field: str, claim: tuple[str, str, str]) -> Finding:
    """`claim` is (name of the system, value here, value that stands)."""
    name, here, stands = claim
    return Finding(
        FindingKind.CONFLICT, sheet, row, cell,
        f"“{name}”的同一字段两处填报不一致：此处“{here}”，已采用“{stands}”；请核定其一"
        f" / {name} is claimed twice with different values: {here} here, {stands} kept; settle which one holds",
        field=field, of=name, value=here,
    )  # fmt: skip


_EXAMPLES = {
    "zone": ("填写一个网络：互联网、政务外网、政务内网或业务专网", "name one network: 互联网, 政务外网, 政务内网 or 业务专网"),
    "classified": ("填写“涉密”或“非涉密”", "write 涉密 or 非涉密"),
    "mlps": ("填写“未定级”或“一级”至“四级”", "write 未定级 or 一级 to 四级"),
    "spec": ("按“16核32G*2台”填写", "write for example 16核32G*2台"),
    "servers": ("填写台数，如 2", "write a number of servers such as 2"),
    "vcpu": ("填写核数，如 16", "write a number of cores such as 16"),
    "mem": ("填写内存，如 64G", "write an amount such as 64G"),
    "disk": ("填写存储，如 500G+1T", "write an amount such as 500G+1T"),
    "golive": ("按“2021年7月”或“2021-07-01”填写", "write a date such as 2021-07 or 2021-07-01"),
    "arch": ("填写 x86、鲲鹏、飞腾或海光之一（调度支持 x86_64、arm64、c86）", "name one of x86_64, arm64, c86"),
    "users": ("填写一个人数，如 300 或 6万", "write one number such as 300"),
    "zombie": ("填写“是”或“否”", "write 是 or 否"),
    "crypto_plan": ("填写“是”或“否”", "write 是 or 否"),
    "data_catalog": ("填写“是”或“否”", "write 是 or 否"),
    "should_migrate": ("填写“是”或“否”", "write 是 or 否"),
    "migrated": ("填写“是”或“否”", "write 是 or 否"),
    "cpu_avg_pct": ("填写 0% 至 100% 的百分比，如 27.0%", "write a percentage from 0% to 100% such as 27.0%"),
    "opex_wan": ("填写金额，如 12.5", "write an amount such as 12.5"),
    "gpu": ("写明型号与数量，如“昇腾910B*2”", "write model and number such as 昇腾910B*2"),
    "disposition": ("填写关停、整合、平迁、改造、重构、替换或例外保留", "name one disposition, for example 平迁 or 关停"),
    "ownership": ("填写区级、上级垂管或国有公司", "write 区级, 上级垂管 or 国有公司"),
}  # fmt: skip

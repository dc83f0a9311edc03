"""The ledger as people see it: what an import gave, what it changes, what waits for a person, the systems."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from console import printing
from console.ledger_access import Imported
from inventory.ledger import LedgerReading, totals
from scheduler.services.desk_ports import DiffAnswer, Document

SHOWN_ROWS = 40
# A heading that is one of the lexicon's own spellings is this sure, or surer; below it was a likeness.
SURE = 0.95
_STATUS = {
    "applied": ("已应用", "applied", "bold green"),
    "unchanged": ("无变化", "unchanged", "bold"),
    "pending": ("等待应用", "waits to be applied", "bold yellow"),
    "superseded": ("已被取代", "superseded", "bold"),
}
_KINDS = {
    "credential_refused": "账号口令，已拒收",
    "possible_duplicate": "疑似重复，待确认",
    "unknown_dependency": "依赖系统不存在",
    "unreadable_cell": "无法识别",
    "missing_required": "缺少必填",
    "conflict": "填报冲突",
}
_DIFF_WORDS = {"added": "新增", "changed": "变更", "missing": "文件中缺失"}


def show_import(imported: Imported) -> None:
    answer, reading = imported.answer, imported.reading
    zh, en, style = _STATUS[answer.status]
    printing.watermark(reading.illustrative)
    printing.say(
        f"{zh} / {en}: {answer.import_id}    填报单位 / sender: {answer.sender}    "
        f"自 / from {answer.effective_on.isoformat()} 起计",
        style,
    )
    _show_totals(reading)
    _show_findings(reading)
    if answer.status == "pending":
        _show_changes(answer.diff)
        printing.say(
            f"与现有台账不同，未生效；查看后运行 xisuan ledger apply {answer.import_id}"
            f" / differs from the ledger and is not in effect; look, then run xisuan ledger apply {answer.import_id}",
            "bold yellow",
        )
    if answer.questions:
        shown = ", ".join(answer.questions[:20]) + (" …" if len(answer.questions) > 20 else "")
        printing.say(
            f"{len(answer.questions)} 个问题待人裁定：{shown}；见 xisuan ledger findings"
            f" / {len(answer.questions)} questions wait for a person: {shown}; see xisuan ledger findings",
            "yellow",
        )
    _show_doubts(reading)


def _show_totals(reading: LedgerReading) -> None:
    counted = totals(reading.systems)
    rows = (
        ("系统 / systems", len(reading.systems)),
        ("区级 / district", counted.district),
        ("上级垂管 / run by superiors", counted.vertical),
        ("国有公司 / state-owned companies", counted.soe),
        ("暂不计数 / held", len(reading.held)),
        ("上云率 / cloud rate", _percent(counted.cloud_rate_pct, counted.migrated, counted.should_migrate)),
        (
            "整合率 / consolidation rate",
            _percent(counted.consolidation_rate_pct, counted.closed + counted.merged, counted.district),
        ),
    )
    printing.table(f"{reading.filename} 读出 / read", ("项目/item", "数量/number"), rows)


def _percent(percent: float | None, numerator: int, denominator: int) -> str:
    return f"{numerator}/{denominator}" + ("" if percent is None else f" = {percent:.1f}%")


def _show_findings(reading: LedgerReading) -> None:
    if not reading.findings:
        return
    kinds = Counter(finding.kind.value for finding in reading.findings)
    summary = ", ".join(f"{_KINDS[kind]} {kind} {count}" for kind, count in sorted(kinds.items()))
    rows = [
        (_KINDS[one.kind.value], f"{one.sheet}!{one.cell}", one.remedy) for one in reading.findings[:SHOWN_ROWS]
    ]
    printing.table(
        f"问题 / findings: {len(reading.findings)} ({summary})", ("种类/kind", "单元格/cell", "处理/remedy"), rows
    )
    _say_more(len(reading.findings))


def _show_doubts(reading: LedgerReading) -> None:
    """What the parser did that its sender may not expect: unsure headings, sheets left out, hidden rows read."""
    unsure = [one for one in reading.headings if one.target is None or one.confidence < SURE]
    if unsure:
        rows = [
            (f"{one.sheet}!{one.cell}", one.heading, one.target, f"{one.confidence:.0%}")
            for one in unsure[:SHOWN_ROWS]
        ]
        columns = ("单元格/cell", "表头/heading", "字段/field", "把握/confidence")
        printing.table("未采用或不确定的表头 / headings that are unused or unsure", columns, rows)
        _say_more(len(unsure))
    for sheet in reading.skipped_sheets:
        printing.say(f"跳过工作表 / sheet left out: {sheet.sheet}: {sheet.reason}")
    if reading.hidden_rows:
        names = ", ".join(f"{row.sheet}!{row.row} {row.name}" for row in reading.hidden_rows[:10])
        printing.say(
            f"{len(reading.hidden_rows)} 个隐藏行也已读入 / hidden rows were read too: {names}"
            + (" …" if len(reading.hidden_rows) > 10 else "")
        )


def show_diff(answer: DiffAnswer) -> None:
    zh, en, style = _STATUS[answer.status]
    printing.say(f"{answer.import_id}: {zh} / {en}", style)
    _show_changes(answer.diff)


def _show_changes(diff: Document) -> None:
    counts = diff["counts"]
    if not any(counts.values()) and not diff["findings_new"] and not diff["findings_gone"]:
        printing.say("没有变化 / no changes")
        return
    for name, zh in _DIFF_WORDS.items():
        if counts[name]:
            rows = [row for change in diff[name][:SHOWN_ROWS] for row in _change_rows(change)]
            columns = ("系统/system", "单位/department", "位置/place", "字段/field", "原值/old", "新值/new")
            printing.table(f"{zh} / {name}: {counts[name]}", columns, rows)
            _say_more(counts[name])
    for name, zh in (("findings_new", "新问题"), ("findings_gone", "已消除的问题")):
        if diff[name]:
            ids = ", ".join(diff[name][:20]) + (" …" if len(diff[name]) > 20 else "")
            printing.say(f"{zh} / {name.replace('_', ' ')}: {ids}")


def _change_rows(change: Mapping[str, Any]) -> list[tuple[object, ...]]:
    place = f"{change['sheet']}!{change['row']}"
    head = (change["name"], change["department"], place)
    held = "暂不计数/held" if change["held"] else ""
    if "fields" not in change:
        return [(*head, held, None, None)]
    return [(*head, one["field"], _value(one["old"]), _value(one["new"])) for one in change["fields"]]


def _value(value: object) -> object:
    return "、".join(str(item) for item in value) if isinstance(value, list) else value


def show_stored_findings(found: Sequence[Document]) -> None:
    rows = [
        (
            one["id"],
            _KINDS.get(one["kind"], one["kind"]),
            f"{one['sheet']}!{one['cell']}" if one.get("cell") else one.get("system_key", ""),
            one.get("sender") or one.get("claiming_sender"),
            one["state"]
            if one["state"] == "open"
            else f"{one['decision']}（{one['decided_by']}：{one['reason']}）",
            one["remedy"],
        )
        for one in found
    ]
    columns = ("编号/id", "种类/kind", "位置/place", "填报单位/sender", "状态/state", "处理/remedy")
    printing.table(f"问题 / findings: {len(found)}", columns, rows)


def show_systems(found: Sequence[Document]) -> None:
    rows = [
        (
            one["name"],
            one["department"],
            one["ownership"],
            one["zone"],
            one["mlps"],
            one["disposition"],
            one["should_migrate"],
            one["migrated"],
            f"{one['sheet']}!{one['row']}",
        )
        for one in found
    ]
    columns = (
        *("系统/system", "单位/department", "归属/ownership", "网络/zone", "等保/level"),
        *("处置/disposition", "应上云/should", "已上云/migrated", "位置/place"),
    )
    printing.table(f"系统 / systems: {len(found)}", columns, rows)


def _say_more(count: int) -> None:
    if count > SHOWN_ROWS:
        printing.say(
            f"… 另有 {count - SHOWN_ROWS} 条，用 --json 查看全部 / and {count - SHOWN_ROWS} more; --json has all of them"
        )

"""Assessments as people see them: tables with the rule, its reason and its source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from console import printing
from scheduler.services.desk_ports import Document

_SHOWN = 40
_GRADES = {"high": "高/high", "medium": "中/medium", "low": "低/low", "none": "无/none"}
_STATES = {
    "present": "在用/present",
    "migrated": "已迁/migrated",
    "closed": "已关停/closed",
    "merged": "已整合/merged",
}
_OUTCOMES = {
    "holds": "成立/holds",
    "blocked": "受阻/blocked",
    "waived": "例外/waived",
    "undecided": "缺事实/facts missing",
}


def both(text: Mapping[str, str]) -> str:
    return f"{text['zh']} / {text['en']}"


def show_report(report: Document, everything: bool) -> None:
    """The whole ledger: one line a system that is present, then caps, departments and expired exceptions."""
    printing.watermark(report["illustrative"])
    rows = [one for one in report["systems"] if everything or one["state"] == "present"]
    columns = (
        "系统/system",
        "状态/state",
        "建议/proposal",
        "依据/because",
        "就绪/ready",
        "风险/risk",
        "待办/to do",
    )
    printing.table(
        f"评估 / assessment {report['as_of']}: {len(rows)}",
        columns,
        [
            (
                one["system_key"],
                _STATES[one["state"]],
                _proposal(one),
                because(one),
                f"{one['readiness']['points']}",
                f"{one['risk']['points']} {_GRADES[one['risk']['level']]}",
                "；".join(found["title"]["zh"] for found in one["findings"] if found["outcome"] == "holds"),
            )
            for one in rows
        ],
    )
    show_caps(report["caps"])
    grown = [one for one in report["departments"] if one["has_grown"]]
    if grown:
        printing.table(
            "只减不增：超过基数的单位 / departments beyond their baseline",
            ("单位/department", "基数/baseline", "现有/living"),
            [(one["department"], one["baseline"], one["living"]) for one in grown],
        )
    for one in report["expired_exceptions"]:
        printing.say(
            f"例外已到期 / exception expired: {one['id']} {one['rule']} {one['subject']} {one['expires_on']}"
        )
    summary = report["summary"]
    counted = "，".join(f"{name} {number}" for name, number in summary["proposals"].items())
    printing.say(
        f"在用 / present {summary['present']} of {summary['systems']}；建议 / proposed: {counted}；"
        f"有利用率数据 / measured {summary['measured']}；就绪 / ready {summary['ready']}；"
        f"高风险 / high risk {summary['high_risk']}",
        "bold",
    )


def _proposal(one: Mapping[str, Any]) -> str:
    decided = one["decision"]
    proposed = one["proposal"] or "-"
    if decided is None:
        return proposed
    return f"{proposed} → {decided['disposition']}（{decided['document'] or decided['decided_by']}）"


def because(one: Mapping[str, Any]) -> str:
    """The proposal with its rule, and what kept earlier rules from proposing: "retire: … [rule]; blocked: …"."""
    parts = []
    for judged in one["dispositions"]:
        if judged["outcome"] == "blocked":
            blocked = "，".join(both(text) for text in judged["blocked_by"])
            parts.append(
                f"{judged['proposes']}: {both(judged['says'])} [{judged['rule']}]; 受阻/blocked: {blocked}"
            )
        elif judged["rule"] == one["proposed_by"]:
            parts.append(f"{judged['proposes']}: {both(judged['says'])} [{judged['rule']}]")
    return "；".join(parts) or "缺少事实，无建议 / facts are missing; nothing proposed"


def show_system(one: Document, as_of: str) -> None:
    """One system with every rule that holds, is blocked or lacks facts, and its whole trace."""
    printing.say(f"{one['system_key']}    {_STATES[one['state']]}    {as_of}", "bold")
    printing.say(f"建议 / proposal: {_proposal(one)}    台账 / ledger: {one['ledger_disposition'] or '-'}")
    for judged in one["dispositions"]:
        _show_judgement(judged)
    for judged in one["findings"]:
        _show_judgement(judged)
    for name, key in (("就绪度 / readiness", "readiness"), ("风险 / risk", "risk")):
        score = one[key]
        printing.say(f"{name}: {score['points']}/100 {_GRADES[score['level']]}")
        for reason in score["reasons"]:
            printing.say(f"    {reason['points']:>3}  {both(reason['says'])}  [{reason['rule']}]")


def _show_judgement(judged: Mapping[str, Any]) -> None:
    word = judged["proposes"] or judged["severity"]
    # The sentence of a rule whose facts are missing would say "unknown" all along: its title says it better.
    text = judged["title"] if judged["outcome"] == "undecided" else judged["says"]
    printing.say(f"{word}: {both(text)}  [{judged['rule']}] {_OUTCOMES[judged['outcome']]}", "bold")
    for text in judged["blocked_by"]:
        printing.say(f"    受阻 / blocked: {both(text)}")
    if judged["waived_by"] is not None:
        waiver = judged["waived_by"]
        printing.say(
            f"    例外 / exception {waiver['id']}: {waiver['reason']}，{waiver['document']}，"
            f"批准人 / approver {waiver['approver']}，至 / until {waiver['expires_on']}"
        )
    _show_trace(judged["trace"], 1)
    printing.say(f"    依据 / source: {both(judged['source']['says'])}")


_SIGNS = {"true": "✓", "false": "✗", "unknown": "?"}


def _show_trace(trace: Mapping[str, Any], depth: int) -> None:
    printing.say(f"{'    ' * depth}{_SIGNS[trace['truth']]} {both(trace['says'])}")
    for part in trace.get("parts", ()):
        _show_trace(part, depth + 1)


def show_caps(caps: Sequence[Mapping[str, Any]]) -> None:
    if not caps:
        return
    printing.table(
        f"超过上限的单位 / departments beyond a cap: {len(caps)}",
        ("规则/rule", "单位/department", "网络/zone", "上限/cap", "系统/systems", "例外/exception"),
        [
            (
                f"{both(one['title'])} [{one['rule']}]",
                one["department"],
                one["zone"],
                one["at_most"],
                f"{len(one['systems'])}: " + "、".join(key.partition("/")[2] for key in one["systems"]),
                None if one["waived_by"] is None else one["waived_by"]["id"],
            )
            for one in caps[:_SHOWN]
        ],
    )
    if len(caps) > _SHOWN:
        printing.say(f"… 另有 / and {len(caps) - _SHOWN} more, see --json")


def show_reviews(queue: Document) -> None:
    """The review queue with the steps that are open, and what is kept out of it."""
    printing.watermark(queue["illustrative"])
    printing.table(
        f"核查 / reviews {queue['as_of']}: {len(queue['cases'])}",
        (
            *("编号/id", "系统/system", "状态/state", "自/since", "缘由/why", "可办/open steps", "最早/from"),
            "通知/notices",
        ),
        [
            (
                one["id"],
                one["system_key"],
                both(one["says"]),
                one["since"],
                f"{both(one['evidence']['says'])} [{one['rule']}]",
                ", ".join(one["open_steps"]),
                _due(one["next_due"]),
                _told(one["notices"]),
            )
            for one in queue["cases"]
        ],
    )
    if queue["blocked"]:
        printing.table(
            "不入队列 / kept out of the queue",
            ("系统/system", "规则/rule", "受阻于/blocked by"),
            [
                (one["system_key"], one["rule"], "；".join(both(text) for text in one["blocked_by"]))
                for one in queue["blocked"]
            ],
        )


def _told(notices: Sequence[Mapping[str, Any]]) -> str:
    """Which notices were sent, and which are due and were not."""
    return "; ".join(f"{one['notice']} {one['sent_on'] or '未发/unsent'}" for one in notices)


def _due(due: Mapping[str, Any] | None) -> str | None:
    if due is None:
        return None
    day = due["day"] or "未知/unknown"
    return f"{due['action']} {day}（{both(due['because'])}）"


def show_case(case: Document) -> None:
    printing.say(f"{case['id']} {case['system_key']}: {both(case['says'])}    自 / since {case['since']}", "bold")
    for step in case["history"]:
        sha256 = f" sha256:{step['sha256'][:12]}" if step["sha256"] else ""
        printing.say(
            f"  {step['day']} {step['action']} → {step['state']}  {step['actor']}  {step['reason']}  "
            f"{step['document']}{sha256}"
        )
    printing.say(f"可办 / open steps: {', '.join(case['open_steps']) or '-'}    {_due(case['next_due']) or ''}")


def show_file(answer: Document) -> None:
    if not answer["import_id"]:
        printing.say(
            "文件中没有台账里的系统，未保存 / no system of the ledger stands in the file; nothing was kept"
        )
    else:
        new = "" if answer["is_new"] else "（与已有文件相同，未重复保存 / kept already）"
        span = f"{answer['first_day']}..{answer['last_day']}" if answer["first_day"] else ""
        printing.say(
            f"{answer['import_id']}{new}: {answer['systems']} 个系统 / systems，{answer['rows']} 行 / rows  {span}",
            "bold",
        )
    if answer["unknown"]:
        names = "、".join(answer["unknown"][:10])
        more = f" +{len(answer['unknown']) - 10}" if len(answer["unknown"]) > 10 else ""
        printing.say(f"台账中没有，未计入 / not in the ledger, left out: {names}{more}")


def show_exceptions(listed: Document) -> None:
    printing.table(
        f"例外台账 / exceptions {listed['as_of']}: {len(listed['exceptions'])}",
        (
            "编号/id",
            "规则/rule",
            "对象/subject",
            "理由/reason",
            "文号/document",
            "批准人/approver",
            "期限/until",
            "有效/valid",
        ),
        [
            (
                one["id"],
                one["rule"],
                one["subject"],
                one["reason"],
                one["document"],
                one["approver"],
                one["expires_on"],
                one["is_valid"],
            )
            for one in listed["exceptions"]
        ],
    )

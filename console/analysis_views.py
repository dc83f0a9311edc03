"""Dependencies, sizes, compatibility, approvals and rules as people see them. `console.commands.assess` calls it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from console import printing
from console.assessment_views import both
from scheduler.services.desk_ports import Document

_SHOWN = 40
_OBSERVED = {
    "confirmed": "证实/confirmed",
    "undeclared": "未申报/undeclared",
    "unseen": "未见流量/unseen",
    "unobserved": "未监测/unobserved",
}
_CAUSES = {"database": "共用数据库/database", "consolidation": "整合/consolidation", "declared": "申报/declared"}


def show_dependencies(analysis: Document) -> None:
    printing.say(
        f"系统 / systems {analysis['systems']}，依赖 / dependencies {analysis['dependencies']}，"
        f"循环 / cycles {len(analysis['cycles'])}",
        "bold",
    )
    printing.table(
        f"同批组 / move groups: {len(analysis['move_groups'])}",
        ("成员/members", "缘由/because"),
        [("、".join(group["members"]), _causes(group["causes"])) for group in analysis["move_groups"]],
    )
    show_cycles(analysis["cycles"])
    if analysis["widest_reach"]:
        printing.table(
            "影响范围最大 / widest reach",
            ("系统/system", "影响系统数/systems"),
            [(one["system"], one["reaches"]) for one in analysis["widest_reach"]],
        )
    path = analysis["critical_path"]
    steps = " → ".join("+".join(step) for step in path["steps"])
    printing.say(
        f"关键路径 / critical path: {path['days']} 天/days（按每天 {path['assumes_gb_a_day']} GB / GB a day）: {steps}"
    )
    if analysis["unresolved"]:
        printing.table(
            "不能确定的依赖 / dependencies that name no one system",
            ("系统/system", "写的是/names", "可能是/candidates"),
            [
                (one["system"], one["names"], "、".join(one["candidates"]))
                for one in analysis["unresolved"][:_SHOWN]
            ],
        )
    _show_traffic(analysis["traffic"])


def show_cycles(cycles: Sequence[Mapping[str, Any]]) -> None:
    for cycle in cycles:
        least = "最省/least" if cycle["is_least"] else "较省，未证最优/good, not proved least"
        bridges = "；".join(f"{one['user']} → {one['used']}（{one['cost']}）" for one in cycle["bridges"])
        printing.say(f"循环 / cycle of {len(cycle['members'])}: {'、'.join(cycle['members'])}")
        printing.say(f"    迁移顺序 / order: {' → '.join(cycle['order'])}")
        printing.say(f"    临时桥接 / bridges, {least}, {cycle['cost']}: {bridges}")


def show_system_dependencies(found: Document) -> None:
    printing.say(f"{found['system_key']}    {found['as_of']}", "bold")
    for words, name in (
        ("使用 / uses", "uses"),
        ("被使用 / used by", "used_by"),
        ("影响 / blast radius", "blast_radius"),
        ("同批 / moves with", "moves_with"),
        ("不能确定 / unresolved", "unresolved"),
    ):
        printing.say(f"{words}: {len(found[name])}  {'、'.join(found[name])}")
    if found["causes"]:
        printing.say(f"同批缘由 / because: {_causes(found['causes'])}")
    show_cycles(found["cycles"])
    _show_evidence(found["traffic"])


def _causes(causes: Sequence[Mapping[str, str]]) -> str:
    return "；".join(f"{_CAUSES[one['cause']]} {one['shares']}" for one in causes)


def _show_traffic(traffic: Mapping[str, Any]) -> None:
    if traffic["file"] is None:
        printing.say("没有实测流量；见 assess traffic / no measured traffic; see assess traffic")
        return
    file, counts = traffic["file"], traffic["counts"]
    counted = "，".join(f"{_OBSERVED[name]} {number}" for name, number in counts.items())
    printing.say(f"实测流量 / traffic {file['id']} {file['filename']}: {counted}")
    _show_evidence([one for one in traffic["dependencies"] if one["observation"] != "confirmed"])


def _show_evidence(rows: Sequence[Mapping[str, Any]]) -> None:
    if rows:
        printing.table(
            f"依赖与实测 / dependencies against traffic: {len(rows)}",
            ("使用者/user", "被使用者/used", "实测/observed", "请求/requests", "字节/bytes"),
            [
                (one["user"], one["used"], _OBSERVED[one["observation"]], one["requests"], one["bytes"])
                for one in rows[:_SHOWN]
            ],
        )


def show_sizes(sizes: Document) -> None:
    printing.watermark(sizes["illustrative"])
    measured = [one for one in sizes["systems"] if one["confidence"] != "none"]
    shown = measured or sizes["systems"][:_SHOWN]
    printing.table(
        f"合理规格 / right sizes {sizes['as_of']}: p{sizes['percentile']} × {sizes['comfort_pct'] / 100:g}",
        (
            "系统/system",
            "台数/servers",
            "vCPU",
            "建议/proposed",
            "内存/GB",
            "建议/proposed",
            "把握/confidence",
            "依据/because",
        ),
        [
            (
                one["system_key"],
                one["servers"],
                one["vcpu"],
                one["proposed_vcpu"],
                one["mem_gb"],
                one["proposed_mem_gb"],
                one["confidence"],
                "；".join(both(text) for text in one["reasons"]),
            )
            for one in shown
        ],
    )
    unmeasured = len(sizes["systems"]) - len(measured)
    printing.say(
        f"可省 / saved: {sizes['vcpu_saved']} vCPU，{sizes['mem_gb_saved']} GB；"
        f"数据不足、维持现规格 / too little data, kept as they are: {unmeasured}",
        "bold",
    )
    printing.say(f"依据 / source: {both(sizes['source']['says'])}")


def show_compatibility(found: Document) -> None:
    printing.watermark(found["illustrative"])
    printing.table(
        f"在 {found['target']} 上 / on {found['target']}: {len(found['systems'])}",
        ("系统/system", "结论/verdict", "各部分/parts"),
        [
            (
                one["system_key"],
                one["verdict"],
                "；".join(
                    f"{part['kind']} {part['stated'] or '?'}: {part['verdict']}（{both(part['says'])}）"
                    for part in one["parts"]
                ),
            )
            for one in found["systems"]
        ],
    )


_GATES = {
    "holds": "不符/refused",
    "undecided": "缺事实/facts missing",
    "waived": "例外/waived",
    "blocked": "受阻/blocked",
}


def show_approval(approval: Document) -> None:
    project = approval["project"]
    verdict = "不能批准 / not to be approved" if approval["is_refused"] else "可以批准 / may be approved"
    printing.say(f"{project['department']} · {project['name']}: {verdict}", "bold")
    for gate in approval["gates"]:
        printing.say(f"{_GATES[gate['outcome']]} [{gate['rule']}] {gate['severity']}: {both(gate['says'])}")
        if gate["waived_by"] is not None:
            waiver = gate["waived_by"]
            printing.say(
                f"    例外 / exception {waiver['id']}: {waiver['document']}，至 / until {waiver['expires_on']}"
            )
        printing.say(f"    依据 / source: {both(gate['source']['says'])}")
    if approval["lookalikes"]:
        printing.say("功能相近的系统 / systems that look alike:")
        show_matches(approval["lookalikes"])


def show_matches(matches: Sequence[Mapping[str, Any]]) -> None:
    printing.table(
        f"相近 / alike: {len(matches)}",
        ("系统/system", "相似度/likeness", "共同词/shared"),
        [(one["system_key"], f"{one['likeness_pct']}%", "、".join(one["shared"])) for one in matches],
    )


def show_rules(listed: Document) -> None:
    for section, rules in listed.items():
        printing.table(
            f"{section}: {len(rules)}",
            ("规则/rule", "说明/title", "轻重/severity", "来源/source"),
            [(one["rule"], both(one["title"]), one["severity"], both(one["source"]["says"])) for one in rules],
        )

"""The exception ledger (例外台账) and the list of zombies and closures (僵尸与关停): what is left out, and on whose word.

`monthly.compose` calls both parts. A zombie is a proposal: nothing here says that a system is closed before the
ledger does.
"""

from __future__ import annotations

from datetime import timedelta

from inventory.model.system import Disposition
from inventory.rates import CountedSystem
from inventory.reports.counting import NOWHERE, Counting
from inventory.reports.document import Section, Table
from inventory.reports.facts import ReviewCase, Waiver

_STAYS = "migrate-by-default"
_SOON = timedelta(days=30)
_WORKFLOWS = {"closure": "僵尸核查", "idle": "闲置资源"}


def exception_ledger(counting: Counting) -> Section:
    facts = counting.facts
    day = facts.now.day
    granted = [one for one in facts.waivers if one.granted_on <= day and _is_ours(counting, one)]
    expired = [one for one in granted if one.expires_on < day]
    soon = [one for one in granted if day <= one.expires_on <= day + _SOON]
    retained = [one for one in _living(counting) if one.disposition == Disposition.RETAIN]
    # Leave to stay is an exception from this rule, as the assessment has it; any other allows something else.
    waived = {one.subject for one in granted if one.rule == _STAYS and one.expires_on >= day}
    bare = [one for one in retained if not waived & {one.system_key, one.department}]
    kept = counting.count("处置方式为例外保留", day, retained)
    unapproved = counting.count("例外保留而无有效批准", day, bare)
    rows = [
        (
            str(place),
            _subject(counting, one),
            one.rule_title or one.rule,
            one.reason,
            one.document,
            one.approver,
            one.granted_on.isoformat(),
            one.expires_on.isoformat(),
            "已过期" if one in expired else "30日内到期" if one in soon else "有效",
            one.exception_id,
        )
        for place, one in enumerate(granted, start=1)
    ]
    return Section(
        code="exceptions",
        title="例外台账",
        paragraphs=(
            f"已批准例外{len(granted)}项，其中已过期{len(expired)}项、30日内到期{len(soon)}项。",
            f"台账处置方式为例外保留的系统{kept.numerator}个（{kept.label}），"
            f"其中{unapproved.numerator}个（{unapproved.label}）无有效批准{'，须补办或改为迁移' if bare else ''}。",
        ),
        tables=(
            Table(
                title="例外事项",
                columns=(
                    "序号",
                    "单位或系统",
                    "规则",
                    "理由",
                    "文号",
                    "批准人",
                    "批准日",
                    "到期日",
                    "状态",
                    "编号",
                ),
                rows=tuple(rows),
                note="上云为原则、不上云为例外；例外须有理由、文号、批准人和期限。",
                empty="没有已批准的例外",
            ),
        ),
    )


def _living(counting: Counting) -> list[CountedSystem]:
    chosen = counting.chosen(counting.facts.now)
    return [one for one in chosen if one.present and not (one.closed or one.merged)]


def zombies_and_closures(counting: Counting) -> Section:
    facts = counting.facts
    day = facts.now.day
    cases = [one for one in facts.cases if one.since <= day and counting.number_of(one.system_key) is not None]
    open_cases = counting.count_keys("核查中的系统", day, {one.system_key for one in cases if one.next_step})
    gone = [
        one
        for one in counting.chosen(facts.now)
        if (one.closed or one.merged) and _changed(counting, one.system_key)
    ]
    closed = counting.count("本月关停与整合", day, gone)
    return Section(
        code="closures",
        title="僵尸与关停清单",
        paragraphs=(
            f"核查中的系统{open_cases.numerator}个（{open_cases.label}）；"
            f"本月关停、整合{closed.numerator}个（{closed.label}）。核查建议须经单位答复，程序不自动关停。",
        ),
        tables=(
            Table(
                title="僵尸与闲置核查",
                columns=("编号", "单位", "系统名称", "类别", "状态", "自", "下一步", "最早日期", "行号"),
                rows=tuple(_case_row(counting, one) for one in cases),
                empty="没有核查单",
            ),
            Table(
                title="本月关停与整合",
                columns=("序号", "单位", "系统名称", "结果", "并入系统", "行号"),
                rows=tuple(
                    (
                        str(place),
                        counting.owner(one),
                        one.name,
                        "整合" if one.merged else "关停",
                        (one.merged_into or "未填") if one.merged else "—",
                        counting.label_of(one.system_key),
                    )
                    for place, one in enumerate(gone, start=1)
                ),
            ),
        ),
    )


def _changed(counting: Counting, system_key: str) -> bool:
    """Neither closed nor merged at the end of the month before; False where that is not known."""
    before = counting.facts.before
    if before is None:
        return False
    return not any(one.system_key == system_key and (one.closed or one.merged) for one in before.systems)


def _is_ours(counting: Counting, one: Waiver) -> bool:
    """Whether its system, its department, or (from a gate) the department of its project has a row in the report's
    scope: a project is in no ledger yet."""
    owner = one.subject.partition("/")[0] if one.rule.startswith("gate-") else one.subject
    return counting.number_of(one.subject) is not None or any(
        row.department in (one.subject, owner) for row in counting.rows
    )


def _subject(counting: Counting, one: Waiver) -> str:
    row = counting.row_of(one.subject)
    return one.subject if row is None else f"{counting.unit(row)} {row.name}（{row.label}）"


def _case_row(counting: Counting, one: ReviewCase) -> tuple[str, ...]:
    row = counting.row_of(one.system_key)
    return (
        one.case_id,
        counting.unit(row) if row else NOWHERE,
        row.name if row else one.system_key,
        _WORKFLOWS.get(one.workflow, one.workflow),
        one.state,
        one.since.isoformat(),
        one.next_step or "—",
        one.next_day.isoformat() if one.next_day else "—",
        counting.label_of(one.system_key),
    )

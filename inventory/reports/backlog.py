"""What has not migrated (应迁未迁) and why, when it is due, next week's windows, and the forecast against the target.

`monthly.compose` calls the three parts. A due day is the last day of the planned window, else the declared end of the
contract, else the end of an exception; where none is known the list says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import date, timedelta

from inventory.model.migration import Assignment, Unplaced
from inventory.model.system import Disposition
from inventory.model.units import percent_half_up
from inventory.rates import CountedSystem
from inventory.reports.counting import Counting
from inventory.reports.document import Figure, Section, Table
from inventory.reports.facts import MonthFacts
from inventory.reports.words import chinese_day, chinese_weekday

_NIGHT = timedelta(days=1)

_DISPOSITIONS = {
    Disposition.REHOST: "平迁",
    Disposition.REPLATFORM: "改造",
    Disposition.REFACTOR: "重构",
    Disposition.REPURCHASE: "替换",
    Disposition.CONSOLIDATE: "整合",
    Disposition.RETIRE: "关停",
    Disposition.RETAIN: "例外保留",
}
_MOST_MONTHS = 24


class Schedule:
    """The newest plan by the ledger's keys."""

    def __init__(self, facts: MonthFacts) -> None:
        plan = facts.plan
        self._keys = facts.plan_keys
        self.windows = {} if plan is None else {window.window_id: window for window in plan.windows}
        self._assigned: Mapping[str, Assignment] = {
            one.system_key: one for one in (plan.assignments if plan else ())
        }
        self._unplaced: Mapping[str, Unplaced] = {
            one.system_key: one for one in ((*plan.unplaced, *plan.left_out) if plan else ())
        }
        self._contracts = {} if plan is None else plan.declarations.contract_ends

    def assignment(self, ledger_key: str) -> Assignment | None:
        return self._assigned.get(self._keys.get(ledger_key, ledger_key))

    def unplaced(self, ledger_key: str) -> Unplaced | None:
        return self._unplaced.get(self._keys.get(ledger_key, ledger_key))

    def contract_end(self, ledger_key: str) -> date | None:
        return self._contracts.get(self._keys.get(ledger_key, ledger_key))


def not_migrated(counting: Counting, schedule: Schedule) -> Section:
    facts = counting.facts
    waiting = [
        one for one in counting.chosen(facts.now) if one.present and one.should_migrate and not one.migrated
    ]
    waiting = [one for one in waiting if one.migrated is False]
    due = {one.system_key: _due(facts, schedule, one) for one in waiting}
    waiting.sort(key=lambda one: (due[one.system_key][0] or date.max, one.department or "", one.name))
    late = [one for one in waiting if (day := due[one.system_key][0]) is not None and day < facts.now.day]
    total = counting.count("应迁未迁清单", facts.now.day, waiting)
    overdue = counting.count("应迁未迁中已逾期", facts.now.day, late)
    unscheduled = counting.count(
        "应迁未迁中未定期限", facts.now.day, [one for one in waiting if due[one.system_key][0] is None]
    )
    rows = [
        (
            str(place),
            counting.owner(one),
            one.name,
            _DISPOSITIONS.get(Disposition(one.disposition), "") if one.disposition else "未定",
            _reason(facts, schedule, one),
            _due_text(due[one.system_key], facts.now.day),
            counting.label_of(one.system_key),
        )
        for place, one in enumerate(waiting, start=1)
    ]
    return Section(
        code="backlog",
        title="应迁未迁清单",
        paragraphs=(
            f"应迁未迁系统{total.numerator}个（{total.label}），其中已逾期{overdue.numerator}个（{overdue.label}）、"
            f"未定期限{unscheduled.numerator}个（{unscheduled.label}）。",
        ),
        tables=(
            Table(
                title="应迁未迁系统",
                columns=("序号", "单位", "系统名称", "处置方式", "未迁原因", "期限", "行号"),
                rows=tuple(rows),
                note="期限取计划割接窗口的末日，其次为运维合同到期日，再次为例外到期日。",
            ),
        ),
    )


def next_week(counting: Counting, schedule: Schedule) -> Section:
    """The windows from the day after the report's day to the Sunday of the week after: a month seldom ends on one."""
    facts = counting.facts
    tomorrow = facts.now.day + timedelta(days=1)
    sunday = facts.now.day + timedelta(days=13 - facts.now.day.weekday())
    rows = []
    for plan_wave in facts.plan.waves if facts.plan else ():
        window = plan_wave.window
        if not tomorrow <= window.starts.date() <= sunday:
            continue
        members = [one for one in counting.chosen(facts.now) if _in_window(schedule, one, window.window_id)]
        figure = counting.count(f"第{plan_wave.number}批待割接", facts.now.day, members)
        names = "、".join(f"{one.name}（{counting.owner(one)}）" for one in members) or "—"
        starts = window.starts
        rows.append(
            (
                f"第{plan_wave.number}批",
                f"{chinese_day(starts.date())}（{chinese_weekday(starts.date())}）"
                f"{starts:%H:%M}至{'次日' if window.ends.date() - starts.date() == _NIGHT else chinese_day(window.ends.date())}"
                f"{window.ends:%H:%M}",
                str(figure.numerator),
                names,
                "暂定（假期安排未公布）" if window.provisional else "确定",
                figure.label,
            )
        )
    span = f"{chinese_day(tomorrow)}至{chinese_day(sunday)}"
    return Section(
        code="windows",
        title="本周余日及下周割接窗口",
        paragraphs=(f"窗口期：{span}；计划 {facts.plan_id}。" if facts.plan else "尚未编排迁移批次。",),
        tables=(
            Table(
                title="割接安排",
                columns=("批次", "窗口", "系统数", "系统", "状态", "指标"),
                rows=tuple(rows),
                numeric=(2,),
                empty="本周余日及下周无割接窗口",
            ),
        ),
    )


def outlook(counting: Counting, schedule: Schedule, cloud: Figure) -> Section:
    """The cloud rate month by month if the plan holds, the day it ends with its odds, and the target."""
    facts = counting.facts
    lines = [f"当前上云率{cloud.shown}（{cloud.share}，{cloud.label}）。"]
    ends = _planned_ends(counting, schedule)
    rows = []
    if facts.plan is not None and ends:
        last = max(ends.values())
        lines.append(
            f"计划{facts.plan_id}尚有{len(ends)}个系统待割接，最后一批于{chinese_day(last)}完成；"
            f"届时上云率预计{_percent(cloud.numerator + len(ends), cloud.denominator)}。"
        )
        rows = _month_rows(counting, cloud, ends)
    elif facts.plan is None:
        lines.append("尚未编排迁移批次，无法预测。")
    else:
        lines.append(f"计划{facts.plan_id}在本口径内已无待割接系统。")
    if facts.odds is not None:
        odds = facts.odds
        days = "、".join(
            f"{word} {chinese_day(day) if day else '日历之外'}"
            for word, day in (("P50", odds.p50), ("P80", odds.p80), ("P95", odds.p95))
        )
        lines.append(
            f"全计划完成日期（模拟{odds.samples}次）：{days}；按计划末窗口完成的概率{odds.on_time_pct}%。"
            + (
                f"时长偏差取自{odds.measured}次已完成割接的实测，为计划分钟数的{odds.deviation_pct}%。"
                if odds.measured
                else f"时长偏差按计划分钟数的{odds.deviation_pct}%假定，缺少实测数据，不宜作承诺。"
            )
        )
    lines.append(_against_target(facts, cloud, ends))
    return Section(
        code="forecast",
        title="预测与目标",
        paragraphs=tuple(lines),
        tables=(
            Table(
                title="按计划推进的上云率",
                columns=("截至", "计划累计已迁", "应迁", "预计上云率", "当月计划割接", "指标"),
                rows=tuple(rows),
                numeric=(1, 2, 3, 4),
                note=_assumed(facts) if rows else "",
                empty="无待割接系统",
            ),
        ),
    )


def _assumed(facts: MonthFacts) -> str:
    known = "模拟结果见上文。" if facts.odds is not None else "现有台账和算力池资料不足以重现该计划，未作模拟。"
    return f"假定各批次按期一次成功，应迁移系统数不变；{known}"


def _in_window(schedule: Schedule, system: CountedSystem, window_id: str) -> bool:
    assigned = schedule.assignment(system.system_key)
    return assigned is not None and assigned.window_id == window_id and not system.migrated


def _planned_ends(counting: Counting, schedule: Schedule) -> dict[str, date]:
    """Ledger key -> the last day of its window, of systems in scope that should move and have not."""
    found = {}
    for one in counting.chosen(counting.facts.now):
        assigned = schedule.assignment(one.system_key)
        if assigned is not None and one.present and one.should_migrate and one.migrated is False:
            found[one.system_key] = schedule.windows[assigned.window_id].ends.date()
    return found


def _month_rows(counting: Counting, cloud: Figure, ends: Mapping[str, date]) -> list[tuple[str, ...]]:
    facts = counting.facts
    # A window that is over and whose systems have not moved counts for the present month: it is still owed.
    months = Counter(max(day, facts.now.day).strftime("%Y-%m") for day in ends.values())
    done = cloud.numerator
    rows: list[tuple[str, ...]] = []
    for month in sorted(months)[:_MOST_MONTHS]:
        keys = [key for key, day in ends.items() if max(day, facts.now.day).strftime("%Y-%m") == month]
        figure = counting.count_keys(f"{month}计划割接", facts.now.day, keys)
        done += figure.numerator
        rows.append(
            (
                f"{month}月末".replace("-", "年", 1),
                str(done),
                str(cloud.denominator),
                _percent(done, cloud.denominator),
                str(figure.numerator),
                figure.label,
            )
        )
    return rows


def _against_target(facts: MonthFacts, cloud: Figure, ends: Mapping[str, date]) -> str:
    if facts.target is None:
        return "未设定上云率目标。"
    target = facts.target
    reached = cloud.numerator + sum(day <= target.day for day in ends.values())
    expected = percent_half_up(reached, cloud.denominator)
    goal = f"目标：{chinese_day(target.day)}前上云率达到{target.percent:.1f}%"
    if expected is None:
        return f"{goal}；无应迁移系统，不适用。"
    # Whole systems: the smallest number whose share is not below the target.
    needed = -(-round(target.percent * 1000) * cloud.denominator // 100_000)
    if reached >= needed:
        return f"{goal}；按计划预计{expected:.1f}%，可以达到。"
    return f"{goal}；按计划预计{expected:.1f}%，差{needed - reached}个系统，不能达到。"


def _percent(numerator: int, denominator: int) -> str:
    percent = percent_half_up(numerator, denominator)
    return "—" if percent is None else f"{percent:.1f}%"


def _due(facts: MonthFacts, schedule: Schedule, system: CountedSystem) -> tuple[date | None, str]:
    assigned = schedule.assignment(system.system_key)
    if assigned is not None:
        return schedule.windows[assigned.window_id].ends.date(), "割接窗口"
    contract = schedule.contract_end(system.system_key)
    if contract is not None:
        return contract, "合同到期"
    waived = [one.expires_on for one in facts.waivers if one.subject in (system.system_key, system.department)]
    return (max(waived), "例外到期") if waived else (None, "")


def _due_text(due: tuple[date | None, str], today: date) -> str:
    day, what = due
    if day is None:
        return "未定"
    return f"{day.isoformat()}（{what}{'，已逾期' if day < today else ''}）"


def _reason(facts: MonthFacts, schedule: Schedule, system: CountedSystem) -> str:
    said = facts.deferrals.get(system.system_key)
    if said:
        return f"单位申报：{said}"
    assigned = schedule.assignment(system.system_key)
    if assigned is not None:
        return f"已排入第{assigned.wave}批"
    unplaced = schedule.unplaced(system.system_key)
    if unplaced is not None:
        return unplaced.reason[0]
    return "尚未编排" if facts.plan is None else f"未列入计划{facts.plan_id}"

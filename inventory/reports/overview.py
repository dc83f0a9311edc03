"""Part one of the report: the rates with numerator and denominator, their change, the month's work, the balance.

`monthly.compose` calls it first; the headline figures that it returns also stand on the page's head.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from inventory.model.system import Disposition
from inventory.rates import CountedSystem, RatesReport, Rows, rates_of
from inventory.reports.counting import Counting
from inventory.reports.document import Figure, Section, Table
from inventory.reports.facts import MonthFacts, Snapshot
from inventory.reports.ranking import change, parts_of
from inventory.reports.words import chinese_day, month_words

NOT_COMPARABLE = "不可比"


@dataclass(frozen=True, slots=True)
class Overview:
    section: Section
    headline: tuple[Figure, ...]
    summary: tuple[str, ...]
    cloud: Figure


def overview(counting: Counting) -> Overview:
    facts = counting.facts
    found = _rates(counting, facts.now)
    day = facts.now.day
    cloud = counting.rate("上云率", day, _parts(counting, facts.now, "上云率"))
    consolidation = counting.rate("整合率", day, _parts(counting, facts.now, "整合率"))
    baseline, closed = _rows(found, "baseline"), _rows(found, "closed")
    closure = counting.rate("关停率", day, _parts(counting, facts.now, "关停率"))
    retention = counting.rate("例外率", day, _parts(counting, facts.now, "例外率"))
    rates = [cloud, consolidation, closure, retention]
    lines = [_rate_line(counting, figure) for figure in rates]
    lines += [_plain_line(figure) for figure in _deliveries(counting)]
    pending = counting.count(
        "应迁未迁", day, [one for one in found.cloud.denominator_rows if one.migrated is False]
    )
    month = _month_counts(counting)
    unknown = len(found.cloud.unknown_rows)
    summary = (
        f"截至{chinese_day(day)}，应迁移上云系统{cloud.denominator}个，已迁移上云{cloud.numerator}个，"
        f"上云率{cloud.shown}{_changes(lines[0])}；"
        f"基数{consolidation.denominator}个，关停与整合减少{consolidation.numerator}个，"
        f"整合率{consolidation.shown}{_changes(lines[1])}。",
        f"本月新迁移{month[0].numerator}个、关停{month[1].numerator}个、整合{month[2].numerator}个；"
        f"尚有应迁未迁{pending.numerator}个" + (f"，另有{unknown}个因台账缺项无法计入。" if unknown else "。"),
    )
    section = Section(
        code="overview",
        title="总体情况",
        tables=(
            Table(
                title="主要指标",
                columns=("指标名称", "分子/分母", "比率", "环比", "同比", "未知", "指标"),
                rows=tuple(lines),
                numeric=(1, 2, 3, 4, 5),
                note="环比、同比为百分点，按列示的一位小数比率相减；“—”表示当期无可比数据。"
                "未知为台账缺项、无法判断的系统，不计入分子分母。" + _scope_note(counting),
            ),
            Table(
                title="数量与本月变化",
                columns=("项目", "数量", "指标"),
                rows=tuple(
                    (figure.name, figure.shown, figure.label)
                    for figure in (
                        counting.count("基数", day, baseline),
                        counting.count("应迁移", day, _rows(found, "should_migrate")),
                        counting.count("已迁移", day, _rows(found, "migrated")),
                        pending,
                        counting.count("关停", day, closed),
                        counting.count("整合", day, _rows(found, "merged")),
                        *month,
                    )
                ),
                numeric=(1,),
            ),
            _balance(counting, found),
        ),
    )
    return Overview(section, (cloud, consolidation, pending, month[0]), summary, cloud)


def _rates(counting: Counting, snapshot: Snapshot) -> RatesReport:
    return rates_of(counting.chosen(snapshot), counting.facts.scope, snapshot.day)


def _parts(counting: Counting, snapshot: Snapshot, name: str) -> Sequence[Iterable[CountedSystem]]:
    """Numerator, denominator and, where there is a third part, unknown, of one of the four rates on a day."""
    found = _rates(counting, snapshot)
    match name:
        case "上云率":
            return parts_of(found.cloud)
        case "整合率":
            return parts_of(found.consolidation)
        case "关停率":
            return _rows(found, "closed"), _rows(found, "baseline")
        case _:
            living = [one for one in counting.chosen(snapshot) if one.present and not (one.closed or one.merged)]
            return [one for one in living if one.disposition == Disposition.RETAIN], living


def _rows(found: RatesReport, code: str) -> Rows:
    return next(count.rows for count in found.counts if count.code == code)


def _rate_line(counting: Counting, figure: Figure) -> tuple[str, ...]:
    """A rate with its change against the month and the year before, where that is a rate the ledger had then."""
    facts = counting.facts
    changes = []
    for snapshot, word in ((facts.before, "上月末"), (facts.year_ago, "上年同期")):
        if snapshot is None:
            changes.append("—")
            continue
        if counting.newcomers(snapshot):
            changes.append(NOT_COMPARABLE)
            continue
        then = counting.rate(f"{figure.name}（{word}）", snapshot.day, _parts(counting, snapshot, figure.name))
        changes.append(change(figure, then))
    return (figure.name, figure.share, figure.shown, *changes, str(len(figure.unknown)), figure.label)


def _scope_note(counting: Counting) -> str:
    """Why a comparison is not made, in a sentence; empty where both are."""
    facts = counting.facts
    said = [
        f"{word}尚无{'、'.join(new)}的台账"
        for snapshot, word in ((facts.before, "上月末"), (facts.year_ago, "上年同期"))
        if snapshot is not None and (new := counting.newcomers(snapshot))
    ]
    return f"“{NOT_COMPARABLE}”：{'，'.join(said)}，两期范围不同。" if said else ""


def _plain_line(figure: Figure) -> tuple[str, ...]:
    return (figure.name, figure.share, figure.shown, "—", "—", str(len(figure.unknown)), figure.label)


def _changes(line: tuple[str, ...]) -> str:
    said = [
        f"{word}{_points(text)}"
        for word, text in (("环比", line[3]), ("同比", line[4]))
        if text not in ("—", NOT_COMPARABLE)
    ]
    return f"（{'、'.join(said)}）" if said else ""


def _points(text: str) -> str:
    if text == "持平":
        return text
    return f"{'上升' if text.startswith('+') else '下降'}{text[1:]}个百分点"


def _month_counts(counting: Counting) -> tuple[Figure, Figure, Figure]:
    """What changed since the end of the month before: facts that hold now and did not hold then."""
    facts = counting.facts
    earlier = {one.system_key: one for one in (facts.before.systems if facts.before else ())}
    day, words = facts.now.day, month_words(facts.month)

    def fresh(holds: Callable[[CountedSystem], bool]) -> list[CountedSystem]:
        if facts.before is None:
            return []
        held = {key for key, one in earlier.items() if holds(one)}
        return [one for one in counting.chosen(facts.now) if holds(one) and one.system_key not in held]

    return (
        counting.count(
            f"{words}新迁移", day, fresh(lambda one: one.should_migrate is True and one.migrated is True)
        ),
        counting.count(f"{words}关停", day, fresh(lambda one: one.closed and not one.merged)),
        counting.count(f"{words}整合", day, fresh(lambda one: one.merged)),
    )


def _deliveries(counting: Counting) -> list[Figure]:
    """按期割接率, 一次成功率, 回退率 of the month; a rate without any cutover is left out."""
    facts = counting.facts
    first = date.fromisoformat(f"{facts.month}-01")
    figures = []
    planned = _planned_in(facts, first)
    if planned:
        on_time = [key for key, last in planned.items() if _moved_by(facts, key, last)]
        figures.append(counting.rate_of_keys("按期割接率", facts.now.day, on_time, list(planned)))
    ended = [one for one in facts.endings if first <= one.day <= facts.now.day]
    if ended:
        base = [key for one in ended for key in one.system_keys]
        good = [key for one in ended if one.first and one.committed for key in one.system_keys]
        back = [key for one in ended if not one.committed for key in one.system_keys]
        figures.append(counting.rate_of_keys("一次成功率", facts.now.day, good, base))
        figures.append(counting.rate_of_keys("回退率", facts.now.day, back, base))
    return figures


def _planned_in(facts: MonthFacts, first: date) -> dict[str, date]:
    """Ledger key -> the last day of its window, for windows of the month that are over."""
    if facts.plan is None:
        return {}
    days = {window.window_id: window.ends.date() for window in facts.plan.windows}
    ledger_keys = {plan_key: key for key, plan_key in facts.plan_keys.items()}
    return {
        ledger_keys[one.system_key]: days[one.window_id]
        for one in facts.plan.assignments
        if one.system_key in ledger_keys and first <= days[one.window_id] <= facts.now.day
    }


def _moved_by(facts: MonthFacts, key: str, last: date) -> bool:
    day = facts.migrated_on.get(key)
    return day is not None and day <= last


def _balance(counting: Counting, found: RatesReport) -> Table:
    """Why baseline - closed - merged is not what should migrate: an explanation, not an error."""
    puzzle, day = found.reconciliation, counting.facts.now.day
    figures = (
        ("减：其中已关停或整合、但仍计入应迁移（先迁后并）", counting.count("先迁后并", day, puzzle.twice), "−"),
        ("减：基数之外新增", counting.count("基数外新增", day, puzzle.outside), "−"),
        ("加：基数内不在应迁范围或不在最新台账", counting.count("不在应迁范围", day, puzzle.exempt), "+"),
        ("加：基数内是否应迁未知", counting.count("应迁未知", day, puzzle.unknown), "+"),
    )
    rows = [("应迁移", str(puzzle.should_migrate), "—")]
    rows += [
        (words, f"{sign}{figure.numerator}" if figure.numerator else "0", figure.label)
        for words, figure, sign in figures
    ]
    rows.append(
        (f"等于：基数{puzzle.baseline}−关停{puzzle.closed}−整合{puzzle.merged}", str(puzzle.remaining), "—")
    )
    return Table(
        title="基数与应迁移的对账",
        columns=("项目", "数量", "指标"),
        rows=tuple(rows),
        numeric=(1,),
        note="系统可以先迁移、后整合，两数不必相等；此表说明差额，并非差错。",
    )

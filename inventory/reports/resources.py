"""What systems hold and use (资源利用率), and what closed and merged ones no longer cost (节约经费).

`monthly.compose` calls both. A sum is over the rows whose value is known, and says of how many it is not: unknown is
not 0. 节约经费 is the yearly running cost of the ledger (运维费) of systems that were closed or merged: what no longer has
to be paid a year, not a settled account.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from inventory.rates import CountedSystem
from inventory.reports.counting import Counting, Shares
from inventory.reports.document import Figure, Section, Table
from inventory.reports.facts import Holding, MonthFacts
from inventory.reports.words import chinese_day, month_words

_NOTHING = Holding()


def resource_use(counting: Counting) -> Section:
    """Allocated and used CPU and memory of the living systems, weighted by what each holds."""
    facts = counting.facts
    living = [one for one in counting.chosen(facts.now) if one.present and not (one.closed or one.merged)]
    day, holdings = facts.now.day, _of(facts, living)
    cpu = counting.share_of_keys(
        "CPU平均利用率", day, "核", _shares(holdings, lambda one: one.vcpu, lambda one: one.cpu_pct)
    )
    memory = counting.share_of_keys(
        "内存平均利用率", day, "GB", _shares(holdings, lambda one: one.mem_gb, lambda one: one.mem_pct)
    )
    measured = counting.count_keys(
        "有实测数据的系统", day, [key for key, one in holdings.items() if one.is_measured]
    )
    lines = [_use_line("CPU", cpu), _use_line("内存", memory)]
    return Section(
        code="resources",
        title="资源利用情况",
        paragraphs=(
            f"截至{chinese_day(day)}，在用系统CPU平均利用率{_said(cpu)}、内存平均利用率{_said(memory)}；"
            f"其中{measured.numerator}个系统有实测数据（{measured.label}），其余取台账所填平均值。",
        ),
        tables=(
            Table(
                title="资源利用率",
                columns=("资源", "已分配", "已使用", "利用率", "计入系统", "无利用率数据", "指标"),
                rows=tuple(lines),
                numeric=(1, 2, 3, 4, 5),
                note="利用率=Σ（分配量×平均利用率）/Σ分配量，仅计入分配量与利用率均已知的系统。",
            ),
        ),
    )


def savings(counting: Counting) -> Section:
    """The yearly running cost of what was closed or merged, by the report's day and in its month."""
    facts = counting.facts
    ended = [one for one in counting.chosen(facts.now) if one.closed or one.merged]
    earlier = {
        one.system_key for one in (facts.before.systems if facts.before else ()) if one.closed or one.merged
    }
    fresh = [one for one in ended if facts.before is not None and one.system_key not in earlier]
    day = facts.now.day
    whole = counting.sum_of_keys("累计节约运维经费", day, "万元/年", _costs(facts, ended))
    month = counting.sum_of_keys(f"{month_words(facts.month)}节约运维经费", day, "万元/年", _costs(facts, fresh))
    unknown = counting.count("关停整合系统中运维费未知", day, [one for one in ended if _cost(facts, one) is None])
    # As many decimals in every line and in the sum: a column of amounts is read down.
    places = 1 if all(round(10 * cost, 6).is_integer() for cost in _costs(facts, ended).values()) else 2
    ranked = sorted(ended, key=lambda one: (-(_cost(facts, one) or 0), one.department or "", one.name))
    rows = [
        (
            str(place),
            counting.owner(one),
            one.name,
            "整合" if one.merged else "关停",
            "未知" if cost is None else f"{cost:.{places}f}",
            counting.label_of(one.system_key),
        )
        for place, (one, cost) in enumerate(((one, _cost(facts, one)) for one in ranked), start=1)
    ]
    return Section(
        code="savings",
        title="节约经费",
        paragraphs=(
            f"关停、整合系统累计节约年运维经费{_wan(whole, places)}（{whole.label}），"
            f"其中{month_words(facts.month)}新增{_wan(month, places)}（{month.label}）；"
            f"另有{unknown.numerator}个系统运维费未知（{unknown.label}），未计入。",
        ),
        tables=(
            Table(
                title="关停整合节约明细",
                columns=("序号", "单位", "系统名称", "方式", "年运维费（万元）", "行号"),
                rows=tuple(rows),
                numeric=(4,),
                note="取台账所填年运维费，为不再发生的年度费用估计，不含迁移与建设投入，不作决算。",
            ),
        ),
    )


def _of(facts: MonthFacts, systems: Iterable[CountedSystem]) -> dict[str, Holding]:
    return {one.system_key: facts.holdings.get(one.system_key, _NOTHING) for one in systems}


def _shares(
    holdings: Mapping[str, Holding],
    amount: Callable[[Holding], float | None],
    percent: Callable[[Holding], float | None],
) -> Shares:
    held = {key: float(size) for key, one in holdings.items() if (size := amount(one))}
    used = {
        key: round(size * share / 100, 3)
        for key, size in held.items()
        if (share := percent(holdings[key])) is not None
    }
    return Shares(held, used)


def _wan(figure: Figure, places: int) -> str:
    """1104.9万元: the words around say that it is a year's."""
    return f"{figure.total:.{places}f}万元"


def _said(figure: Figure) -> str:
    """The rate as a sentence says it; a dash says nothing there."""
    return f"{figure.shown}（{figure.label}）" if figure.percent is not None else f"暂无数据（{figure.label}）"


def _use_line(name: str, figure: Figure) -> tuple[str, ...]:
    known = figure.denominator > 0
    return (
        name,
        f"{figure.base_total:.1f}{figure.unit}" if known else "—",
        f"{figure.total:.1f}{figure.unit}" if known else "—",
        figure.shown,
        str(figure.denominator),
        str(len(figure.unknown)),
        figure.label,
    )


def _cost(facts: MonthFacts, system: CountedSystem) -> float | None:
    return facts.holdings.get(system.system_key, _NOTHING).opex_wan


def _costs(facts: MonthFacts, systems: Iterable[CountedSystem]) -> dict[str, float]:
    return {one.system_key: cost for one in systems if (cost := _cost(facts, one)) is not None}

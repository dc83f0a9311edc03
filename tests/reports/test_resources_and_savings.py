"""资源利用率 and 节约经费: weighted by what systems hold, over what is known, and unknown is said."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from pydantic import ValidationError

from inventory.rates import CountedSystem
from inventory.reports.document import Figure, MonthlyReport
from inventory.reports.facts import Holding, Snapshot
from inventory.reports.monthly import compose
from tests.reports.months import DAY, counted, facts

BEFORE = date(2026, 10, 31)


def report(holdings: dict[str, Holding], *systems: CountedSystem, before: Snapshot | None = None) -> MonthlyReport:
    keyed = {f"区示例局/{name}": one for name, one in holdings.items()}
    return compose(replace(facts(*systems, before=before), holdings=keyed))


def figure(made: MonthlyReport, name: str) -> Figure:
    return next(one for one in made.figures if one.name == name)


@pytest.mark.parametrize(
    ("holdings", "shown", "share", "unknown"),
    [
        ({"甲": Holding(vcpu=10, cpu_pct=50), "乙": Holding(vcpu=90, cpu_pct=10)}, "14.0%", "14/100核", 0),
        ({"甲": Holding(vcpu=10, cpu_pct=50), "乙": Holding(vcpu=90)}, "50.0%", "5/10核", 1),
        ({"甲": Holding(cpu_pct=50), "乙": Holding(vcpu=4, cpu_pct=0)}, "0.0%", "0/4核", 0),
        ({}, "—", "0/0核", 0),
    ],
    ids=[
        "a large system weighs more",
        "a system without a measurement is unknown, not idle",
        "a system of unknown size counts nowhere",
        "nothing is known",
    ],
)
def test_how_much_is_used_of_what_is_allocated(
    holdings: dict[str, Holding], shown: str, share: str, unknown: int
) -> None:
    cpu = figure(report(holdings, counted("甲"), counted("乙")), "CPU平均利用率")
    assert (cpu.shown, cpu.share, len(cpu.unknown)) == (shown, share, unknown)


def test_closed_systems_use_nothing_any_more() -> None:
    held = {"甲": Holding(mem_gb=64, mem_pct=50), "乙": Holding(mem_gb=64, mem_pct=10)}
    made = report(held, counted("甲"), counted("乙", closed=True))
    assert figure(made, "内存平均利用率").share == "32/64GB"


def test_what_was_closed_or_merged_costs_nothing_any_more_and_this_month_is_told_apart() -> None:
    before = Snapshot(BEFORE, (counted("甲", closed=True), counted("乙"), counted("丙"), counted("丁")))
    now = (counted("甲", closed=True), counted("乙", merged=True), counted("丙", closed=True), counted("丁"))
    costs = {name: Holding(opex_wan=cost) for name, cost in {"甲": 10.5, "乙": 2.25, "丁": 99.0}.items()}
    made = report(costs, *now, before=before)
    assert figure(made, "累计节约运维经费").shown == "12.75万元/年"
    assert figure(made, "11月节约运维经费").shown == "2.25万元/年"
    assert figure(made, "关停整合系统中运维费未知").shown == "1"
    listed = next(one for section in made.sections for one in section.tables if one.title == "关停整合节约明细")
    assert [row[2:5] for row in listed.rows] == [
        ("甲", "关停", "10.50"),
        ("乙", "整合", "2.25"),
        ("丙", "关停", "未知"),
    ]


def test_a_sum_has_an_amount_for_each_of_its_rows() -> None:
    with pytest.raises(ValidationError, match="one amount for each row"):
        Figure(
            number=1,
            name="x",
            scope="",
            as_of=DAY,
            percent=None,
            is_rate=False,
            members=(1, 2),
            unit="核",
            amounts=(1.0,),
        )

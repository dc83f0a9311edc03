"""The monthly report's figures: right, ranked by rule, restated where districts merged, and found again by their rows."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inventory.model.calendar import Window
from inventory.model.migration import Assignment, WavePlan, WaveSettings
from inventory.model.system import Disposition
from inventory.rates import CountedSystem
from inventory.reports.document import MonthlyReport, Table
from inventory.reports.facts import FinishOdds, Snapshot, Target, Waiver
from inventory.reports.monthly import compose
from inventory.reports.organisations import (
    OrganisationFileError,
    packaged_organisations,
    read_organisations,
)
from inventory.reports.ranking import ranked
from tests.reports.months import DAY, counted, facts, published


def table(report: MonthlyReport, title: str) -> Table:
    return next(one for section in report.sections for one in section.tables if one.title.startswith(title))


def line(report: MonthlyReport, title: str, name: str) -> tuple[str, ...]:
    return next(row for row in table(report, title).rows if name in row)


def test_the_published_rates_of_2021_come_out_with_numerator_and_denominator() -> None:
    report = compose(facts(*published()))
    assert line(report, "主要指标", "上云率")[1:3] == ("34/35", "97.1%")
    assert line(report, "主要指标", "整合率")[1:3] == ("40/67", "59.7%")
    assert "应迁移上云系统35个，已迁移上云34个，上云率97.1%" in report.summary[0]
    assert table(report, "基数与应迁移").rows[-1][1] == "27"


def test_a_change_is_in_percentage_points_and_unknown_without_an_earlier_ledger() -> None:
    before = Snapshot(date(2026, 10, 31), (counted("甲"), counted("乙", migrated=True)))
    report = compose(facts(counted("甲", migrated=True), counted("乙", migrated=True), before=before))
    assert line(report, "主要指标", "上云率")[3:5] == ("+50.0", "—")
    assert "环比上升50.0个百分点" in report.summary[0]
    assert line(report, "数量与本月变化", "11月新迁移")[1] == "1"


@pytest.mark.parametrize(
    ("rates", "ranks"),
    [
        ({"甲": "2/3", "乙": "4/6", "丙": "1/3"}, {"甲": 1, "乙": 1, "丙": 3}),
        ({"甲": "9999/10000", "乙": "1/1"}, {"甲": 2, "乙": 1}),
        ({"甲": None, "乙": "0/5"}, {"甲": None, "乙": 1}),
        ({}, {}),
    ],
    ids=[
        "equal shares share a rank and the next is left out",
        "not by rounded percent",
        "nothing to move",
        "none",
    ],
)
def test_who_ranks_where(rates: dict[str, str | None], ranks: dict[str, int | None]) -> None:
    assert ranked({name: None if rate is None else Fraction(rate) for name, rate in rates.items()}) == ranks


@pytest.mark.parametrize(
    ("district", "department", "day", "answers"),
    [
        ("渝北区", "区交通局", date(2025, 11, 5), "渝北区"),
        ("渝北区", "区交通局", date(2025, 11, 6), "两江新区"),
        ("渝北区", "统景镇人民政府", date(2025, 11, 6), "北碚区"),
        ("北碚区", "水土街道办事处", date(2026, 1, 1), "两江新区"),
        ("北碚区", "区教委", date(2026, 1, 1), "北碚区"),
        ("江北区", "五宝镇", date(2026, 1, 1), "两江新区"),
        ("沙坪坝区", "区教委", date(2026, 1, 1), "沙坪坝区"),
    ],
)
def test_who_answers_for_a_department(district: str, department: str, day: date, answers: str) -> None:
    assert packaged_organisations().restate(district, department, day) == answers


def test_a_merged_district_is_shown_restated_and_as_reported_with_the_same_total() -> None:
    systems = (
        counted("甲", migrated=True),
        counted("乙", system_key="统景镇/乙", department="统景镇"),
        counted("丙", system_key="区示例局/丙@江北区", sender="江北区大数据局"),
        counted("丁", system_key="区示例局/丁@北碚区", sender="北碚区大数据局", migrated=True),
    )
    report = compose(facts(*systems))
    restated, reported = table(report, "区县排名（重述"), table(report, "区县排名（原报")
    assert {row[1]: (row[2], row[3]) for row in restated.rows} == {
        "两江新区": ("2", "1"),
        "北碚区": ("2", "1"),
        "合计": ("4", "2"),
    }
    assert {row[1]: (row[2], row[3]) for row in reported.rows} == {
        "北碚区": ("1", "1"),
        "渝北区": ("2", "1"),
        "江北区": ("1", "0"),
        "合计": ("4", "2"),
    }
    earlier = compose(facts(*systems, now=Snapshot(date(2025, 10, 31), systems), month="2025-10"))
    assert table(earlier, "区县排名").title == "区县排名"


def _planned(day: int, *names: str) -> WavePlan:
    window = Window("w1", datetime(2026, 12, day, 22), datetime(2026, 12, day + 1, 6), False)
    why = ("", "")
    assigned = tuple(Assignment(f"区示例局/{name}", name, 1, "w1", "gov-a", name, why, why, why) for name in names)
    return WavePlan(WaveSettings(date(2026, 11, 1)), 0, "greedy", (window,), assigned)


@pytest.mark.parametrize(
    ("case", "rule", "until", "bare"),
    [
        ("leave from migrating is one", "migrate-by-default", date(2027, 6, 30), 0),
        ("until it has ended", "migrate-by-default", DAY - timedelta(days=1), 1),
        ("leave from something else is none", "one-website", date(2027, 6, 30), 1),
    ],
)
def test_who_is_retained_needs_a_valid_exception(case: str, rule: str, until: date, bare: int) -> None:
    waiver = Waiver("E1", rule, "区示例局/留的", "专用硬件", "示函1号", "王局", DAY - timedelta(days=9), until)
    report = compose(facts(counted("留的", disposition=Disposition.RETAIN), waivers=(waiver,)))
    ledger = next(section for section in report.sections if section.code == "exceptions")
    assert f"其中{bare}个" in ledger.paragraphs[1], case
    assert len(table(report, "例外事项").rows) == 1


@pytest.mark.parametrize(
    ("measured", "said"),
    [(0, "30%假定，缺少实测数据"), (7, "取自7次已完成割接的实测")],
    ids=["assumed", "learned"],
)
def test_the_forecast_says_what_its_odds_stand_on(measured: int, said: str) -> None:
    odds = FinishOdds(DAY, DAY, None, 80, 30, 500, measured)
    report = compose(facts(counted("乙"), plan=_planned(4, "乙"), plan_id="P1", odds=odds))
    outlook = next(section for section in report.sections if section.code == "forecast")
    assert said in "".join(outlook.paragraphs)


def test_what_has_not_migrated_has_a_reason_and_a_due_day() -> None:
    names = ("计划的", "申报的", "例外的", "未定的")
    waiver = Waiver("E1", "gate-cloud", "区示例局/例外的", "专用硬件", "示函1号", "王局", DAY, date(2027, 6, 30))
    report = compose(
        facts(
            *(counted(name) for name in names),
            plan=_planned(4, "计划的"),
            plan_id="P1",
            deferrals={"区示例局/申报的": "合同未到期"},
            waivers=(waiver,),
        )
    )
    lines = {row[2]: (row[4], row[5]) for row in table(report, "应迁未迁系统").rows}
    assert lines == {
        "计划的": ("已排入第1批", "2026-12-05（割接窗口）"),
        "申报的": ("单位申报：合同未到期", "未定"),
        "例外的": ("未列入计划P1", "2027-06-30（例外到期）"),
        "未定的": ("未列入计划P1", "未定"),
    }
    assert table(report, "割接安排").rows[0][2:4] == ("1", "计划的（区示例局）")


@pytest.mark.parametrize(
    ("percent", "day", "said"),
    [
        (100.0, date(2026, 12, 31), "可以达到"),
        (100.0, date(2026, 12, 4), "差1个系统，不能达到"),
        (50.0, date(2026, 12, 4), "可以达到"),
    ],
)
def test_the_forecast_is_held_against_the_target(percent: float, day: date, said: str) -> None:
    systems = counted("甲", migrated=True), counted("乙")
    report = compose(facts(*systems, plan=_planned(4, "乙"), plan_id="P1", target=Target(percent, day)))
    outlook = next(section for section in report.sections if section.code == "forecast")
    assert said in outlook.paragraphs[-1]
    assert outlook.tables[0].rows[0][:4] == ("2026年12月末", "2", "2", "100.0%")


_ROWS = st.lists(
    st.builds(
        counted,
        st.integers(0, 10_000).map(str),
        sender=st.sampled_from(["渝北区数据局", "江北区数据局", "北碚区数据局", "沙坪坝区数据局"]),
        department=st.sampled_from(["区教委", "统景镇", "水土街道", None]),
        should_migrate=st.sampled_from([True, False, None]),
        migrated=st.sampled_from([True, False, None]),
        closed=st.booleans(),
        merged=st.booleans(),
        present=st.booleans(),
        in_baseline=st.booleans(),
    ),
    max_size=12,
    unique_by=lambda one: one.system_key,
)


@settings(max_examples=40)
@given(_ROWS)
def test_the_parts_add_up_to_the_whole_and_every_figure_is_its_rows(systems: list[CountedSystem]) -> None:
    report = compose(facts(*systems))
    for section in report.sections:
        for one in section.tables:
            if "应迁" in one.columns and one.rows:
                *parts, whole = one.rows
                assert [sum(int(row[at]) for row in parts) for at in (2, 3)] == [int(whole[2]), int(whole[3])]
    numbers = {row.number for row in report.rows}
    for place, figure in enumerate(report.figures, start=1):
        assert figure.number == place
        assert numbers.issuperset({*figure.members, *figure.base, *figure.unknown})
        assert len(set(figure.members)) == len(figure.members)
        assert not figure.is_rate or set(figure.members) <= set(figure.base)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (
            "form: xisuan-organisations/1\nsource: 甲\norganisations: [{name: 乙, valid_to: 2025-01-01}]",
            "其余单位",
        ),
        (
            "form: xisuan-organisations/1\nsource: 甲\norganisations: [{name: 乙, successors: [{to: 丙, from: 2025-01-01}]}]",
            "丙",
        ),
        ("form: xisuan-organisations/1\nsource: 甲\norganisations: [{name: 乙}, {name: 乙}]", "两次"),
        ("form: other\nsource: 甲\norganisations: []", "form"),
        ("a: [", "YAML"),
    ],
    ids=["an end without a successor", "an unlisted successor", "named twice", "another form", "no YAML"],
)
def test_an_organisation_file_is_refused_with_the_rule(text: str, rule: str) -> None:
    with pytest.raises(OrganisationFileError, match=rule):
        read_organisations(text, "沿革.yaml")

"""How the monthly report speaks where a reader of an office would stumble: units, signs, dates, wholes that differ."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from inventory.rates import CountedSystem
from inventory.reports.document import MonthlyReport, Section
from inventory.reports.facts import Holding, Snapshot
from inventory.reports.monthly import compose
from tests.reports.months import counted, facts


def part(report: MonthlyReport, code: str) -> Section:
    return next(section for section in report.sections if section.code == code)


def elsewhere(name: str, **changes: object) -> CountedSystem:
    """A row of a district that is not 渝北区."""
    return counted(name, sender="示例区数据局", import_id="L2", system_key=f"示例区/{name}", **changes)


class TestAWholeThatGrew:
    """A district whose ledger came after the day that is compared with: the fall would be its arrival."""

    then = Snapshot(date(2025, 11, 30), (counted("一", migrated=True),))
    now = (counted("一", migrated=True), elsewhere("二"))

    def test_the_year_is_not_compared_and_the_note_says_why(self) -> None:
        report = compose(facts(*self.now, year_ago=self.then, before=Snapshot(date(2026, 10, 31), self.now)))
        table = part(report, "overview").tables[0]
        assert table.rows[0][3:5] == ("持平", "不可比")
        assert "上年同期尚无示例区的台账" in table.note
        assert "同比" not in report.summary[0] and "环比持平" in report.summary[0]

    def test_a_whole_that_is_the_same_is_compared_with_a_proper_minus(self) -> None:
        before = (counted("一", migrated=True), counted("二", migrated=True))
        after = (before[0], replace(before[1], migrated=False))
        report = compose(facts(*after, before=Snapshot(date(2026, 10, 31), before)))
        assert part(report, "overview").tables[0].rows[0][3] == "−50.0"
        assert "环比下降50.0个百分点" in report.summary[0]


def test_savings_are_a_years_once_and_use_without_facts_is_said_in_words() -> None:
    ended = counted("关", closed=True, should_migrate=False, disposition="retire")
    report = compose(facts(ended, counted("用"), holdings={ended.system_key: Holding(opex_wan=80.04)}))
    assert "累计节约年运维经费80.04万元（" in part(report, "savings").paragraphs[0]
    assert "内存平均利用率暂无数据（" in part(report, "resources").paragraphs[0]
    assert part(report, "resources").tables[0].rows[1][1:4] == ("—", "—", "—")


def test_what_is_kept_out_without_an_approval_is_counted_beside_the_exceptions() -> None:
    report = compose(facts(counted("留", disposition="retain", should_migrate=False), counted("迁")))
    words = part(report, "exceptions").paragraphs[1]
    assert "例外保留的系统1个" in words and "其中1个" in words and "须补办" in words

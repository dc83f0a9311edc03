"""The ledger as of any day: a frozen baseline plus events, whenever they were recorded."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from inventory.intake import Intake, IntakeError
from inventory.model.system import Disposition
from inventory.rates import ScopeError
from inventory.store.ledger import kinds
from tests.intake.conftest import Send
from tests.intake.readings import CENSUS, NOW, TODAY, district_system, reading

A, B, C = (district_system(name) for name in ("审批系统", "门户网站", "一体化平台"))
KEY = "区交通局/审批系统"
NEXT_YEAR = date(2022, 6, 30)


def consolidation(intake: Intake, as_of: date) -> tuple[int, int]:
    rate = intake.rates(as_of).consolidation
    return (rate.numerator, rate.denominator)


def cloud(intake: Intake, as_of: date) -> tuple[int, int]:
    rate = intake.rates(as_of).cloud
    return (rate.numerator, rate.denominator)


def apply_next(intake: Intake, send: Send, *systems: object, as_of: date | None) -> None:
    result = send(reading(*systems, as_of=as_of))  # type: ignore[arg-type]  # systems
    intake.apply(result.import_id, actor="张三", now_ms=NOW)


def test_before_the_first_ledger_there_is_nothing_and_the_answer_says_why(intake: Intake, send: Send) -> None:
    assert "no file has been imported" in str(intake.rates(TODAY).empty_because)
    send(reading(A))
    early = intake.rates(date(2021, 6, 29))
    assert early.total == 0
    assert "before the first ledger (as of 2021-06-30)" in str(early.empty_because)
    assert intake.rates(CENSUS).empty_because is None
    assert "in the scope ownership=district,department=区教委" in str(
        intake.rates(CENSUS, "department=区教委").empty_because
    )


def test_a_later_file_changes_the_rates_from_its_day_on(intake: Intake, send: Send) -> None:
    send(reading(A, B))
    apply_next(
        intake, send, replace(A, migrated=True), replace(B, disposition=Disposition.RETIRE), as_of=NEXT_YEAR
    )
    assert cloud(intake, date(2022, 6, 29)) == (0, 2)
    assert cloud(intake, NEXT_YEAR) == (1, 2)
    assert consolidation(intake, date(2022, 6, 29)) == (0, 2)
    assert consolidation(intake, NEXT_YEAR) == (1, 2)


def test_a_later_file_leaves_the_baseline_frozen(intake: Intake, send: Send) -> None:
    send(reading(A, B))
    apply_next(intake, send, A, C, as_of=NEXT_YEAR)
    assert intake.rates(TODAY).total == 2
    assert consolidation(intake, TODAY) == (0, 2), "门户网站 stays in the baseline, 一体化平台 does not join it"
    assert cloud(intake, TODAY) == (0, 2), "what should migrate is counted over the ledger as it is"
    assert [row.name for row in intake.rates(TODAY).reconciliation.outside] == ["一体化平台"]


@pytest.mark.parametrize("as_of", [CENSUS, date(2021, 1, 1), None])
def test_a_correction_of_the_same_census_corrects_the_baseline(
    intake: Intake, send: Send, as_of: date | None
) -> None:
    send(reading(A, B))
    apply_next(intake, send, A, C, replace(B, name="新门户网站"), as_of=as_of)
    assert consolidation(intake, TODAY) == (0, 3)


def test_facts_count_from_the_day_on_which_they_hold(intake: Intake, send: Send) -> None:
    send(reading(A, B))
    intake.record(
        [kinds.migrated(KEY, effective_on=date(2022, 3, 1), source="W7")],
        actor="李四",
        now_ms=NOW,
    )
    intake.record(
        [
            kinds.merged(KEY, into="门户网站", effective_on=date(2021, 12, 31), source="渝府〔2021〕9号"),
            kinds.closed("区交通局/门户网站", effective_on=date(2023, 1, 1), source="渝府〔2023〕1号"),
        ],
        actor="李四",
        now_ms=NOW + 1,
    )
    days = [CENSUS, date(2021, 12, 31), date(2022, 3, 1), date(2023, 1, 1)]
    assert [cloud(intake, day)[0] for day in days] == [0, 0, 1, 1]
    assert [consolidation(intake, day)[0] for day in days] == [0, 1, 1, 2]
    (merged,) = [one for one in intake.standing() if one.system_key == KEY]
    assert (merged.migrated_on, merged.merged_on) == (date(2022, 3, 1), date(2021, 12, 31))
    assert merged.system.merged_into == "门户网站"


def test_a_fact_outlives_a_file_that_does_not_know_it(intake: Intake, send: Send) -> None:
    send(reading(A))
    intake.record([kinds.migrated(KEY, effective_on=NEXT_YEAR, source="W7")], actor="李四", now_ms=NOW)
    apply_next(intake, send, replace(A, users=5), as_of=date(2023, 1, 1))
    assert cloud(intake, TODAY) == (1, 1)


def test_a_fact_about_an_unknown_system_is_refused(intake: Intake, send: Send) -> None:
    send(reading(A))
    with pytest.raises(IntakeError, match="no system '区教委/不存在'"):
        intake.record([kinds.closed("区教委/不存在", effective_on=TODAY, source="X")], actor="李四", now_ms=NOW)


def test_unknown_answers_are_listed_beside_the_rate(intake: Intake, send: Send) -> None:
    send(reading(replace(A, should_migrate=None), replace(B, migrated=None), replace(C, disposition=None)))
    report = intake.rates(TODAY)
    assert [row.name for row in report.cloud.unknown_rows] == ["审批系统", "门户网站"]
    assert [row.name for row in report.consolidation.unknown_rows] == ["一体化平台"]
    assert (report.cloud.numerator, report.cloud.denominator) == (0, 2)


def test_rows_open_to_their_place_in_the_file(intake: Intake, send: Send) -> None:
    send(reading(A, B))
    assert [
        (row.sender, row.import_id, row.sheet, row.row, row.name)
        for row in intake.rates(TODAY).cloud.denominator_rows
    ] == [
        ("区大数据局", "I1", "区级系统", 5, "审批系统"),
        ("区大数据局", "I1", "区级系统", 6, "门户网站"),
    ]


def test_illustrative_data_says_so_in_every_report(intake: Intake, send: Send) -> None:
    send(reading(A, illustrative=True))
    assert intake.rates(TODAY).illustrative
    assert not intake.rates(date(2021, 1, 1)).illustrative


def test_a_scope_that_cannot_be_read_is_refused(intake: Intake) -> None:
    with pytest.raises(ScopeError):
        intake.rates(TODAY, "区交通局")

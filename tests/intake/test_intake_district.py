"""The published district: its workbook in, its published numbers out, each with its rows."""

from __future__ import annotations

import json

from inventory.intake import ImportStatus, Intake
from inventory.ledger import read_ledger
from tests.intake.readings import CENSUS, NOW, TODAY
from tests.shared_inputs import needs_shared, shared_path

_LEDGER = shared_path("ledger")

pytestmark = needs_shared("ledger", "district-a.xlsx")


def test_the_published_numbers_come_out_of_the_workbook(intake: Intake) -> None:
    content = (_LEDGER / "district-a.xlsx").read_bytes()
    expected = json.loads((_LEDGER / "district-a.expected.json").read_text())["totals"]
    reading = read_ledger(content, "district-a.xlsx")
    for status in (ImportStatus.APPLIED, ImportStatus.UNCHANGED):
        result = intake.import_reading(
            reading, filename="district-a.xlsx", sender="示例区", actor="张三", now_ms=NOW
        )
        assert result.status is status

    report = intake.rates(TODAY)
    numbers = {count.code: count.number for count in (*report.counts, *report.by_ownership)}
    assert numbers == {
        "baseline": expected["district"],
        "should_migrate": expected["should_migrate"],
        "migrated": expected["migrated"],
        "closed": expected["closed"],
        "merged": expected["merged"],
        "district": expected["district"],
        "vertical": expected["vertical"],
        "soe": expected["soe"],
    }
    assert (report.cloud.percent, report.consolidation.percent) == (97.1, 59.7)
    assert report.total == 127
    assert report.illustrative
    assert len(report.reconciliation.twice) == 12
    assert len(report.reconciliation.exempt) == 4
    assert intake.rates(CENSUS).cloud.numerator_rows == report.cloud.numerator_rows
    assert sorted(intake.systems(), key=lambda one: (one.sheet, one.row)) == sorted(
        reading.systems, key=lambda one: (one.sheet, one.row)
    )

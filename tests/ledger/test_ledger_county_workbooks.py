"""The systems of the answer key as three county offices would send them: nothing is lost, invented or misread."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from inventory.ledger import read_ledger, reading_json
from tests.ledger.county_workbooks import County, mixed_language_text, sheet_per_department, three_row_headings
from tests.ledger.shared_ledgers import answer_key, needs_district_a

pytestmark = needs_district_a
_MAKERS = (three_row_headings, sheet_per_department, mixed_language_text)


def _misread(county: County, read: Sequence[dict[str, Any]]) -> list[str]:
    rows = {(system["sheet"], system["row"]): system for system in read}
    found = [] if len(rows) == len(county.systems) else [f"{len(rows)} systems"]
    for system in county.systems:
        other = rows.get((system["sheet"], system["row"]), {})
        found += [
            f"{system['sheet']}!{system['row']} {field}: {value!r} read as {other.get(field)!r}"
            for field, value in system.items()
            if other.get(field) != value
        ]
    return found


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("make", _MAKERS, ids=lambda make: make.__name__)
def test_every_field_of_every_system_is_read_and_nothing_is_found(
    make: Callable[[Sequence[dict[str, Any]], int], County], seed: int
) -> None:
    key = answer_key()
    county = make(key["systems"], seed)
    read = reading_json(read_ledger(county.content, county.filename))
    assert len(county.systems) == 127
    assert _misread(county, read["systems"]) == []
    assert read["findings"] == []
    assert (read["totals"], read["illustrative"]) == (key["totals"], True)


def test_headings_that_nobody_knows_are_reported_as_told_by_their_cells() -> None:
    told: dict[str, str | None] = {}
    for make in _MAKERS:
        county = make(answer_key()["systems"], 1)
        reports = read_ledger(county.content, county.filename).headings
        told |= {one.heading.split(" / ")[-1]: one.target for one in reports if one.by_values}
        assert all(one.confidence <= 0.7 for one in reports if one.by_values)
    assert told == {
        "主机品类": "arch", "填报的应用": "name", "走哪张网": "zone", "主机芯": "arch", "怎么处理": "disposition",
        "Dept. 单位": "department", "Type 类别": "ownership", "Platform": "arch", "Dependencies 对接": "deps",
    }  # fmt: skip


def test_a_heading_learned_on_long_sheets_serves_the_sheets_of_one_system() -> None:
    county = sheet_per_department(answer_key()["systems"], 1)
    reading = read_ledger(county.content, county.filename)
    short = [one for one in reading.headings if one.heading == "填报的应用"]
    assert len(short) == len({system["sheet"] for system in county.systems})
    assert [skipped.sheet for skipped in reading.skipped_sheets] == ["填报说明"]

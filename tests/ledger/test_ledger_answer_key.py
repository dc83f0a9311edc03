"""district-a against its answer key: every field of every system, every finding, and nothing more.

The key's systems are also written anew, in other dialects and layouts, and read back: a parser, not a template.
"""

from __future__ import annotations

from typing import Any

import pytest

from inventory.ledger import mark_up, read_ledger, reading_json
from tests.ledger.authoring import Author, write_workbook
from tests.ledger.shared_ledgers import WORKBOOK, answer_key, needs_district_a

pytestmark = needs_district_a


@pytest.fixture(scope="module")
def key() -> dict[str, Any]:
    return answer_key()


@pytest.fixture(scope="module")
def read() -> dict[str, Any]:
    return reading_json(read_ledger(WORKBOOK.read_bytes(), WORKBOOK.name))


def differences(expected: list[dict[str, Any]], got: list[dict[str, Any]]) -> list[str]:
    """What differs, as text; types count too (30.0 is not 30 for a reader of JSON with a schema)."""
    by_place = {(system["sheet"], system["row"]): system for system in got}
    found = [f"more systems: {len(got)} instead of {len(expected)}"] if len(got) != len(expected) else []
    for system in expected:
        other = by_place.get((system["sheet"], system["row"]))
        if other is None:
            found.append(f"missing {system['sheet']} {system['row']} {system['name']}")
            continue
        found += [
            f"{system['sheet']} {system['row']} {name}: {value!r} read as {other[name]!r}"
            for name, value in system.items()
            if name in other and (other[name] != value or type(other[name]) is not type(value))
        ]
    return found


def test_every_field_of_all_127_systems_matches(key: dict[str, Any], read: dict[str, Any]) -> None:
    assert len(key["systems"]) == 127
    assert differences(key["systems"], read["systems"]) == []


def test_every_finding_matches_and_nothing_more_is_found(key: dict[str, Any], read: dict[str, Any]) -> None:
    def told(finding: dict[str, Any]) -> tuple[Any, ...]:
        return tuple(finding.get(name) for name in ("kind", "sheet", "row", "of", "value"))

    assert sorted(map(told, read["findings"]), key=str) == sorted(map(told, key["findings"]), key=str)
    assert all(finding["cell"] and " / " in finding["remedy"] for finding in read["findings"])


def test_totals_day_and_watermark_match(key: dict[str, Any], read: dict[str, Any]) -> None:
    assert {name: read[name] for name in ("totals", "as_of", "illustrative")} == {
        name: key[name] for name in ("totals", "as_of", "illustrative")
    }


def test_the_marked_up_copy_reads_back_to_the_same_systems_without_the_refused_cells(read: dict[str, Any]) -> None:
    content = WORKBOOK.read_bytes()
    copy = mark_up(content, WORKBOOK.name, read_ledger(content, WORKBOOK.name))
    again = reading_json(read_ledger(copy, WORKBOOK.name))
    assert again["systems"] == read["systems"]
    assert {finding["kind"] for finding in again["findings"]} == {"possible_duplicate", "unknown_dependency"}


@pytest.mark.parametrize("seed", range(16))
def test_the_same_systems_in_another_dialect_and_layout_are_read_alike(key: dict[str, Any], seed: int) -> None:
    one_sheet = seed % 3 == 0
    author = Author.of(seed, dialect=seed % 4, one_sheet=one_sheet)
    content, expected = write_workbook(author, key["systems"], one_sheet)
    read = reading_json(read_ledger(content, "variant.xlsx"))
    assert differences(expected, read["systems"]) == []
    assert read["findings"] == []
    assert read["totals"] == key["totals"]

"""Rates: numerator over denominator, a scope, a day, and rows; unknown is not no."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.model.system import Ownership
from inventory.rates import CountedSystem, Rate, RatesReport, ScopeError, parse_scope, rates_of

DAY = date(2021, 6, 30)


def system(number: int = 1, **values: object) -> CountedSystem:
    plain = CountedSystem(
        system_key=f"区交通局/系统{number}",
        name=f"系统{number}",
        department="区交通局",
        ownership=Ownership.DISTRICT,
        zone="政务外网",
        sheet="区级系统",
        row=number,
        sender="区大数据局",
        import_id="I1",
        disposition="rehost",
        should_migrate=True,
        migrated=False,
        closed=False,
        merged=False,
        merged_into=None,
        present=True,
        in_baseline=True,
    )
    return replace(plain, **values)  # type: ignore[arg-type]  # the tables below name fields


def report(*systems: CountedSystem, scope: str = "") -> RatesReport:
    return rates_of(systems, parse_scope(scope), DAY)


def district(count: int, first: int, **values: object) -> list[CountedSystem]:
    return [system(first + index, **values) for index in range(count)]


def the_published_district() -> list[CountedSystem]:
    """67 district systems of which 35 should migrate, 34 did, 28 are closed and 12 merged after migrating."""
    return [
        *district(28, 0, should_migrate=False, closed=True, disposition="retire"),
        *district(12, 100, migrated=True, merged=True, disposition="consolidate"),
        *district(22, 200, migrated=True),
        *district(1, 300),
        *district(4, 400, should_migrate=False, disposition="retain"),
        *district(51, 500, ownership=Ownership.VERTICAL, should_migrate=None, migrated=None),
        *district(9, 600, ownership=Ownership.SOE, should_migrate=None, migrated=None),
    ]


def fraction(rate: Rate) -> tuple[int, int, float | None]:
    return (rate.numerator, rate.denominator, rate.percent)


def test_the_published_numbers_come_out() -> None:
    counted = report(*the_published_district())
    assert fraction(counted.cloud) == (34, 35, 97.1)
    assert fraction(counted.consolidation) == (40, 67, 59.7)
    assert {count.code: count.number for count in counted.counts} == {
        "baseline": 67,
        "should_migrate": 35,
        "migrated": 34,
        "closed": 28,
        "merged": 12,
    }
    assert [count.number for count in counted.by_ownership] == [67, 51, 9]
    assert counted.total == 127
    assert counted.cloud.unknown_rows == counted.consolidation.unknown_rows == ()


def test_the_numbers_that_do_not_add_up_are_explained() -> None:
    reconciliation = report(*the_published_district()).reconciliation
    assert reconciliation.remaining == 67 - 28 - 12 == 27
    assert reconciliation.should_migrate == 35
    assert not reconciliation.is_simple
    assert [len(rows) for rows in (reconciliation.twice, reconciliation.exempt)] == [12, 4]
    assert all(row.migrated and row.merged for row in reconciliation.twice)
    assert reconciliation.balances


@pytest.mark.parametrize(
    ("what", "row", "cloud", "consolidation"),
    [
        ("a migrated system counts above and below", system(migrated=True), (1, 1), (0, 1)),
        ("an unmigrated one counts below", system(), (0, 1), (0, 1)),
        ("one that need not migrate counts in neither", system(should_migrate=False), (0, 0), (0, 1)),
        ("migrated without need counts in neither", system(should_migrate=False, migrated=True), (0, 0), (0, 1)),
        ("a closed system stays in the baseline", system(closed=True), (0, 1), (1, 1)),
        ("closed and merged counts once", system(closed=True, merged=True), (0, 1), (1, 1)),
        ("one that joined later is not in the baseline", system(in_baseline=False, closed=True), (0, 1), (0, 0)),
        ("one that is missing now stays in the baseline", system(present=False), (0, 0), (0, 1)),
        ("another owner's system is out of scope", system(ownership=Ownership.SOE), (0, 0), (0, 0)),
    ],
)
def test_what_counts_where(
    what: str, row: CountedSystem, cloud: tuple[int, int], consolidation: tuple[int, int]
) -> None:
    counted = report(row)
    assert (counted.cloud.numerator, counted.cloud.denominator) == cloud, what
    assert (counted.consolidation.numerator, counted.consolidation.denominator) == consolidation, what


@pytest.mark.parametrize(
    ("row", "cloud", "consolidation"),
    [
        (system(should_migrate=None), 1, 0),
        (system(migrated=None), 1, 0),
        (system(disposition=None), 0, 1),
        (system(disposition=None, closed=True), 0, 0),
        (system(should_migrate=False, migrated=None), 0, 0),
    ],
)
def test_unknown_is_listed_and_never_taken_for_no(row: CountedSystem, cloud: int, consolidation: int) -> None:
    counted = report(row)
    assert len(counted.cloud.unknown_rows) == cloud
    assert len(counted.consolidation.unknown_rows) == consolidation


def test_nothing_to_count_has_no_percentage() -> None:
    counted = report()
    assert fraction(counted.cloud) == (0, 0, None)
    assert counted.total == 0
    assert counted.reconciliation.balances


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("", "ownership=district"),
        ("ownership=all", "ownership=all"),
        ("ownership=国有公司", "ownership=soe"),
        ("department=区交通局", "ownership=district,department=区交通局"),
        (" zone = 政务外网 | 互联网 , ownership = vertical ", "ownership=vertical,zone=互联网|政务外网"),
        ("ownership＝区级，sheet=区级系统", "ownership=district,sheet=区级系统"),
    ],
)
def test_a_scope_says_in_full_what_it_counts(expression: str, text: str) -> None:
    assert parse_scope(expression).text == text
    assert parse_scope(text).text == text


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ("区交通局", ["'区交通局'", "field=value"]),
        ("department=", ["'department='", "field=value"]),
        ("colour=red", ["'colour'", "ownership, department, zone"]),
        ("ownership=city", ["'city'", "district, vertical, soe, all"]),
        ("zone=甲,zone=乙", ["zone", "zone=A|B"]),
    ],
)
def test_a_scope_that_cannot_be_read_is_refused_with_the_remedy(expression: str, names: list[str]) -> None:
    with pytest.raises(ScopeError) as caught:
        parse_scope(expression)
    assert all(name in str(caught.value) for name in names)
    assert "\n" not in str(caught.value)


def test_a_scope_chooses_rows_by_every_field_it_names() -> None:
    rows = [system(1), system(2, zone="互联网"), system(3, department="区教委"), system(4, zone="业务专网")]
    counted = report(*rows, scope="department=区交通局,zone=政务外网|互联网")
    assert [row.row for row in counted.cloud.denominator_rows] == [1, 2]


tristate = st.sampled_from([True, False, None])
ledgers = st.lists(
    st.builds(
        system,
        number=st.integers(0, 10**9),
        department=st.sampled_from(["区交通局", "区教委", "区档案馆"]),
        ownership=st.sampled_from([*Ownership, None]),
        disposition=st.sampled_from(["rehost", "retire", "consolidate", None]),
        should_migrate=tristate,
        migrated=tristate,
        closed=st.booleans(),
        merged=st.booleans(),
        present=st.booleans(),
        in_baseline=st.booleans(),
    ),
    max_size=30,
    unique_by=lambda row: row.system_key,
)


@given(ledgers)
def test_what_is_above_the_line_is_part_of_what_is_below(rows: list[CountedSystem]) -> None:
    counted = report(*rows, scope="ownership=all")
    for rate in counted.rates:
        assert set(rate.numerator_rows) <= set(rate.denominator_rows)
        assert rate.percent is None if rate.denominator == 0 else 0 <= (rate.percent or 0) <= 100
        assert not set(rate.unknown_rows) & set(rate.numerator_rows)
    assert counted.reconciliation.balances


@given(ledgers)
def test_the_departments_add_up_to_the_whole(rows: list[CountedSystem]) -> None:
    whole = report(*rows)
    parts = [report(*rows, scope=f"department={name}") for name in ("区交通局", "区教委", "区档案馆")]
    for index in range(2):
        assert sum(part.rates[index].numerator for part in parts) == whole.rates[index].numerator
        assert sum(part.rates[index].denominator for part in parts) == whole.rates[index].denominator
    for index, count in enumerate(whole.counts):
        assert sum(part.counts[index].number for part in parts) == count.number


@given(ledgers)
def test_the_owners_add_up_to_the_ledger(rows: list[CountedSystem]) -> None:
    assert report(*rows).total == sum(row.present for row in rows)

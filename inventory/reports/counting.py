"""Numbers every row and every figure of a report, so that each figure can be found again with its rows.

`monthly.compose` makes one `Counting` a report; the parts ask it for figures and for rows' labels. It also knows the
district of each row: as reported, and restated for the organisations of the report's day.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from inventory.model.system import Ownership
from inventory.model.units import percent_half_up
from inventory.rates import CountedSystem
from inventory.reports.document import Figure, Row
from inventory.reports.facts import MonthFacts, Snapshot
from inventory.reports.places import district_of_sender
from inventory.reports.words import scope_words

_OWNERSHIP = {
    Ownership.DISTRICT: "区级",
    Ownership.VERTICAL: "上级垂管",
    Ownership.SOE: "国有公司",
    None: "未知",
}
NOWHERE = "（未填单位）"


def reported_district(system: CountedSystem) -> str:
    """The district whose sender reported the row, as he called himself."""
    return district_of_sender(system.sender)


@dataclass(frozen=True, slots=True)
class Shares:
    """What each row holds, and what is used of it where that is known (a part of the keys of `held`)."""

    held: Mapping[str, float]
    used: Mapping[str, float]


class Counting:
    """Collects rows and figures while a report is composed."""

    def __init__(self, facts: MonthFacts) -> None:
        self.facts = facts
        self.figures: list[Figure] = []
        self.rows: list[Row] = []
        self._numbers: dict[str, int] = {}
        self.scope = scope_words(facts.scope.text) + (f"，区县：{facts.district}" if facts.district else "")
        snapshots = [facts.now, facts.before, facts.year_ago]
        for snapshot in snapshots:
            for system in snapshot.systems if snapshot else ():
                self._number(system)
        self._has_one_district = len({row.restated_district for row in self.rows}) <= 1

    def restated_district(self, system: CountedSystem) -> str:
        """Who answers for the row on the report's day."""
        return self.facts.organisations.restate(
            reported_district(system), system.department or "", self.facts.now.day
        )

    def owner(self, system: CountedSystem) -> str:
        """The unit as lists name it: departments are called 区交通局 in every district, so the district stands first where
        there are several."""
        return self._unit(self.restated_district(system), system.department or NOWHERE)

    def unit(self, row: Row) -> str:
        """The same of a row."""
        return self._unit(row.restated_district, row.department)

    def _unit(self, district: str, department: str) -> str:
        return department if self._has_one_district else f"{district}／{department}"

    def chosen(self, snapshot: Snapshot) -> tuple[CountedSystem, ...]:
        """The rows of a snapshot that are in the report's scope."""
        return tuple(system for system in snapshot.systems if self._holds(system))

    def newcomers(self, then: Snapshot) -> list[str]:
        """Districts of the report's day, as restated, that had no ledger on that day: rates of the two are not of the same
        whole. Empty where that day had no ledger at all."""
        now, past = (
            {self.restated_district(one) for one in self.chosen(snapshot)} for snapshot in (self.facts.now, then)
        )
        return sorted(now - past) if past else []

    def number_of(self, system_key: str) -> int | None:
        return self._numbers.get(system_key)

    def label_of(self, system_key: str) -> str:
        number = self._numbers.get(system_key)
        return "—" if number is None else f"R{number:04d}"

    def row_of(self, system_key: str) -> Row | None:
        number = self._numbers.get(system_key)
        return None if number is None else self.rows[number - 1]

    def rate(self, name: str, as_of: date, parts: Sequence[Iterable[CountedSystem]], scope: str = "") -> Figure:
        """A rate from its rows: numerator, denominator and, where there is a third part, unknown."""
        members, base, unknown = [*(tuple(self._of(part)) for part in parts), (), ()][:3]
        return self._add(
            name=name,
            scope=scope or self.scope,
            as_of=as_of,
            percent=percent_half_up(len(members), len(base)),
            is_rate=True,
            members=members,
            base=base,
            unknown=unknown,
        )

    def rate_of_keys(self, name: str, as_of: date, members: Iterable[str], base: Iterable[str]) -> Figure:
        """A rate from keys; each counts once, and keys of no row in the report's scope not at all."""
        below = {self._numbers[key] for key in base if key in self._numbers}
        above = {self._numbers[key] for key in members if key in self._numbers} & below
        return self._add(
            name=name,
            scope=self.scope,
            as_of=as_of,
            percent=percent_half_up(len(above), len(below)),
            is_rate=True,
            members=tuple(sorted(above)),
            base=tuple(sorted(below)),
        )

    def count(self, name: str, as_of: date, systems: Iterable[CountedSystem], scope: str = "") -> Figure:
        return self.count_keys(name, as_of, (system.system_key for system in systems), scope)

    def count_keys(self, name: str, as_of: date, keys: Iterable[str], scope: str = "") -> Figure:
        """A count of rows that are known by their keys; keys of no row of the ledger do not count."""
        numbers = tuple(sorted(self._numbers[key] for key in keys if key in self._numbers))
        return self._add(
            name=name,
            scope=scope or self.scope,
            as_of=as_of,
            percent=None,
            is_rate=False,
            members=numbers,
        )

    def sum_of_keys(self, name: str, as_of: date, unit: str, amounts: Mapping[str, float]) -> Figure:
        """The sum of what the rows of these keys hold; keys of no row of the ledger do not count."""
        held = self._numbered(amounts)
        return self._add(
            name=name,
            scope=self.scope,
            as_of=as_of,
            percent=None,
            is_rate=False,
            members=tuple(held),
            unit=unit,
            amounts=tuple(held.values()),
        )

    def share_of_keys(self, name: str, as_of: date, unit: str, parts: Shares) -> Figure:
        """The part of what rows hold that they use: both sums are over the rows whose use is known."""
        used, held = self._numbered(parts.used), self._numbered(parts.held)
        base = {number: held[number] for number in used}
        return self._add(
            name=name,
            scope=self.scope,
            as_of=as_of,
            percent=percent_half_up(round(sum(used.values()) * 1000), round(sum(base.values()) * 1000)),
            is_rate=True,
            members=tuple(used),
            base=tuple(base),
            unknown=tuple(number for number in held if number not in used),
            unit=unit,
            amounts=tuple(used.values()),
            base_amounts=tuple(base.values()),
        )

    def _numbered(self, amounts: Mapping[str, float]) -> dict[int, float]:
        known = ((self._numbers[key], amount) for key, amount in amounts.items() if key in self._numbers)
        return dict(sorted(known))

    def _add(self, **values: object) -> Figure:
        figure = Figure.model_validate({"number": len(self.figures) + 1, **values})
        self.figures.append(figure)
        return figure

    def _of(self, systems: Iterable[CountedSystem]) -> Iterable[int]:
        return sorted(self._numbers[system.system_key] for system in systems)

    def _holds(self, system: CountedSystem) -> bool:
        wanted = self.facts.district
        if wanted and wanted not in (reported_district(system), self.restated_district(system)):
            return False
        return self.facts.scope.holds(system)

    def _number(self, system: CountedSystem) -> None:
        if system.system_key in self._numbers or not self._holds(system):
            return
        number = len(self.rows) + 1
        self._numbers[system.system_key] = number
        self.rows.append(
            Row(
                number=number,
                system_key=system.system_key,
                name=system.name,
                department=system.department or NOWHERE,
                district=reported_district(system),
                restated_district=self.restated_district(system),
                ownership=_OWNERSHIP[system.ownership],
                state=state_of(system),
                sender=system.sender,
                import_id=system.import_id,
                sheet=system.sheet,
                row=system.row,
            )
        )


def state_of(system: CountedSystem) -> str:
    """What has become of a system, in the words of the ledger. Unknown is not no."""
    if system.merged:
        return "已整合"
    if system.closed:
        return "已关停"
    if not system.present:
        return "不在最新台账"
    if system.migrated:
        return "已上云"
    if system.should_migrate is None or (system.should_migrate and system.migrated is None):
        return "未知"
    return "应迁未迁" if system.should_migrate else "不在应迁范围"

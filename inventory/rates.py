"""Rates (上云率, 整合率): every one is numerator / denominator, a scope and a day, and opens its rows.

Pure: rows in, numbers out. `Intake.rates` folds the ledger as of a day and calls `rates_of`; the command line, the
services and reports print what it returns. Rules (source: 渝北大数据函〔2021〕51号, domain.md section 1):

- 上云率 = migrated / should migrate, over the systems that the ledger holds.
- 整合率 = (closed + merged) / frozen baseline. Not the present count: closing a system must not shrink the whole.
- Unknown is not no: rows that cannot be counted for want of a value are listed beside the rate.
- A system may be migrated and merged, so the parts need not add up; `Reconciliation` shows why, and is no error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from inventory.model.system import Ownership
from inventory.model.units import percent_half_up


@dataclass(frozen=True, slots=True)
class CountedSystem:
    """One system as of a day, with what counting needs, and where it stands in its sender's file.

    `present`: a sender's ledger holds it on that day. `in_baseline`: it was there when the baseline was frozen, or
    joined it by a correction. `closed` (关停) and `merged` (整合) are facts of that day, not plans.
    """

    system_key: str
    name: str
    department: str | None
    ownership: Ownership | None
    zone: str | None
    sheet: str
    row: int
    sender: str
    import_id: str
    disposition: str | None
    should_migrate: bool | None
    migrated: bool | None
    closed: bool
    merged: bool
    merged_into: str | None
    present: bool
    in_baseline: bool


Rows = tuple[CountedSystem, ...]


@dataclass(frozen=True, slots=True)
class Rate:
    """One rate. `numerator_rows` is a part of `denominator_rows`; of `unknown_rows` the place is not known.

    `percent` has one decimal, rounded half up, and is None when the denominator is 0. `scope` is the expression
    that chose the rows.
    """

    code: str
    name_zh: str
    name_en: str
    scope: str
    as_of: date
    numerator_rows: Rows
    denominator_rows: Rows
    unknown_rows: Rows

    @property
    def numerator(self) -> int:
        return len(self.numerator_rows)

    @property
    def denominator(self) -> int:
        return len(self.denominator_rows)

    @property
    def percent(self) -> float | None:
        return percent_half_up(self.numerator, self.denominator)


@dataclass(frozen=True, slots=True)
class Count:
    """A number with its rows."""

    code: str
    name_zh: str
    name_en: str
    rows: Rows

    @property
    def number(self) -> int:
        return len(self.rows)


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """Why baseline - closed - merged is not the number of systems that should migrate.

    The baseline less closed and merged is `remaining`. Of those that should migrate, some are closed or merged
    (`twice`: a system may be migrated and then merged) and some joined after the baseline (`outside`). Of those
    that remain, some need not migrate or are missing from the latest file (`exempt`), and of some it is not known
    (`unknown`). So always
    remaining = should migrate - twice - outside + exempt + unknown.
    """

    baseline: int
    closed: int
    merged: int
    should_migrate: int
    twice: Rows
    outside: Rows
    exempt: Rows
    unknown: Rows

    @property
    def remaining(self) -> int:
        return self.baseline - self.closed - self.merged

    @property
    def is_simple(self) -> bool:
        """True when nothing needs explaining: what remains is what should migrate."""
        return self.remaining == self.should_migrate

    @property
    def balances(self) -> bool:
        """Holds by construction; a false one is a mistake of ours."""
        explained = len(self.exempt) + len(self.unknown) - len(self.twice) - len(self.outside)
        return self.remaining == self.should_migrate + explained


@dataclass(frozen=True, slots=True)
class RatesReport:
    """All rates of one scope as of one day. `counts` are in scope; `by_ownership` counts the whole ledger.

    `empty_because` explains an answer without rows ("中文 / English"). `illustrative`: some of the rows are
    示例数据, which every report must say.
    """

    as_of: date
    scope: str
    cloud: Rate
    consolidation: Rate
    counts: tuple[Count, ...]
    by_ownership: tuple[Count, ...]
    reconciliation: Reconciliation
    illustrative: bool = False
    empty_because: str | None = None

    @property
    def rates(self) -> tuple[Rate, Rate]:
        return (self.cloud, self.consolidation)

    @property
    def total(self) -> int:
        """Systems in the whole ledger, whatever the scope."""
        return sum(count.number for count in self.by_ownership)


@dataclass(frozen=True, slots=True)
class Scope:
    """Which systems are counted: each field's value must be one of those named. `text` is its expression."""

    wanted: Mapping[str, frozenset[str]]
    text: str

    def holds(self, system: CountedSystem) -> bool:
        return all(_FIELDS[name](system) in values for name, values in self.wanted.items())


class ScopeError(ValueError):
    """A scope expression that cannot be read: one line, "中文 / English"."""


_FIELDS: Mapping[str, Callable[[CountedSystem], str | None]] = {
    "ownership": lambda system: system.ownership,
    "department": lambda system: system.department,
    "zone": lambda system: system.zone,
    "sheet": lambda system: system.sheet,
    "sender": lambda system: system.sender,
    "disposition": lambda system: system.disposition,
}
_OWNERSHIP_WORDS = {
    "区级": "district",
    "垂管": "vertical",
    "上级垂管": "vertical",
    "国有": "soe",
    "国有公司": "soe",
}
DEFAULT_SCOPE = "ownership=district"


def parse_scope(expression: str = "") -> Scope:
    """Reads `field=value,field=value|value`: all fields must hold, each with one of its values.

    Fields: ownership (district, vertical, soe, or all), department, zone, sheet, sender, disposition. Ownership is
    district unless it is named, because published rates count district systems; the text of the scope says so.
    Raises ScopeError.
    """
    wanted: dict[str, frozenset[str]] = {}
    text = expression.replace("，", ",").replace("＝", "=").replace("｜", "|")
    for term in (part.strip() for part in text.split(",")):
        if not term:
            continue
        name, equals, listed = (part.strip() for part in term.partition("="))
        values = [value.strip() for value in listed.split("|") if value.strip()]
        if not equals or not values:
            raise ScopeError(
                f"范围 {term!r} 无法识别；请写 字段=值，例如 ownership=district,department=区交通局"
                f" / the scope {term!r} cannot be read; write field=value, for example "
                "ownership=district,department=区交通局"
            )
        if name not in _FIELDS:
            known = ", ".join(_FIELDS)
            raise ScopeError(
                f"范围中没有字段 {name!r}；可用：{known} / the scope has no field {name!r}; use one of {known}"
            )
        if name in wanted:
            raise ScopeError(
                f"字段 {name} 写了两次；多个值请写 {name}=甲|乙"
                f" / the field {name} is given twice; write several values as {name}=A|B"
            )
        wanted[name] = frozenset(_owners(values) if name == "ownership" else values)
    wanted.setdefault("ownership", frozenset({Ownership.DISTRICT.value}))
    shown = {name: "|".join(sorted(values)) or "all" for name, values in wanted.items()}
    if not wanted["ownership"]:
        del wanted["ownership"]
    ordered = ["ownership", *(name for name in shown if name != "ownership")]
    return Scope(wanted, ",".join(f"{name}={shown[name]}" for name in ordered))


def _owners(values: Sequence[str]) -> list[str]:
    """The ownerships named; none for "all"."""
    owners = [_OWNERSHIP_WORDS.get(value, value) for value in values]
    if "all" in owners:
        return []
    for owner in owners:
        if owner not in set(Ownership):
            known = ", ".join([*Ownership, "all"])
            raise ScopeError(
                f"没有归属 {owner!r}；可用：{known} / there is no ownership {owner!r}; use one of {known}"
            )
    return owners


def rates_of(systems: Sequence[CountedSystem], scope: Scope, as_of: date) -> RatesReport:
    """Counts `systems`, the ledger as of `as_of`, in the order given."""
    chosen = [system for system in systems if scope.holds(system)]
    present = [system for system in chosen if system.present]
    baseline = tuple(system for system in chosen if system.in_baseline)
    should = tuple(system for system in present if system.should_migrate)
    migrated = tuple(system for system in should if system.migrated)
    merged = tuple(system for system in baseline if system.merged)
    closed = tuple(system for system in baseline if system.closed and not system.merged)
    undecided = tuple(system for system in baseline if not _gone(system) and system.disposition is None)
    cloud_unknown = tuple(
        system
        for system in present
        if system.should_migrate is None or (system.should_migrate and system.migrated is None)
    )
    return RatesReport(
        as_of=as_of,
        scope=scope.text,
        cloud=Rate("cloud", "上云率", "cloud rate", scope.text, as_of, migrated, should, cloud_unknown),
        consolidation=Rate(
            "consolidation",
            "整合率",
            "consolidation rate",
            scope.text,
            as_of,
            tuple(system for system in baseline if _gone(system)),
            baseline,
            undecided,
        ),
        counts=(
            Count("baseline", "基数", "frozen baseline", baseline),
            Count("should_migrate", "应迁移", "should migrate", should),
            Count("migrated", "已迁移", "migrated", migrated),
            Count("closed", "关停", "closed", closed),
            Count("merged", "整合", "merged", merged),
        ),
        by_ownership=_by_ownership(systems),
        reconciliation=_reconcile(baseline, (closed, merged), should),
    )


def _gone(system: CountedSystem) -> bool:
    return system.closed or system.merged


def _by_ownership(systems: Sequence[CountedSystem]) -> tuple[Count, ...]:
    names = {
        Ownership.DISTRICT: ("区级", "district"),
        Ownership.VERTICAL: ("上级垂管", "run by superiors"),
        Ownership.SOE: ("国有公司", "state-owned companies"),
        None: ("归属未知", "ownership unknown"),
    }
    present = [system for system in systems if system.present]
    counts = [
        Count(
            owner or "unknown",
            chinese,
            english,
            tuple(system for system in present if system.ownership == owner),
        )
        for owner, (chinese, english) in names.items()
    ]
    return tuple(count for count in counts if count.rows or count.code != "unknown")


def _reconcile(baseline: Rows, gone: tuple[Rows, Rows], should: Rows) -> Reconciliation:
    closed, merged = gone
    remaining = [system for system in baseline if not _gone(system)]
    counted = {system.system_key for system in should}
    return Reconciliation(
        baseline=len(baseline),
        closed=len(closed),
        merged=len(merged),
        should_migrate=len(should),
        twice=tuple(system for system in should if system.in_baseline and _gone(system)),
        outside=tuple(system for system in should if not system.in_baseline),
        exempt=tuple(
            system
            for system in remaining
            if system.system_key not in counted and (system.should_migrate is not None or not system.present)
        ),
        unknown=tuple(system for system in remaining if system.present and system.should_migrate is None),
    )

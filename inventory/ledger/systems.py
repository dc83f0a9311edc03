"""One row of a table into one System, with a finding for each cell that cannot be read.

`sheets` makes a SystemReader for each table, once its first rows are known: units and semantics that headings leave
open (is 0.27 a fraction, is 16 per server or altogether) are judged from those rows, for the whole column at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

from inventory.ledger import findings
from inventory.ledger.cells import capacity, choices, dates, quantities
from inventory.ledger.cells.text import Unreadable, plain, says_none, written
from inventory.ledger.findings import Finding
from inventory.ledger.grid import Row, Value, address
from inventory.ledger.rows import RowReader
from inventory.ledger.tables import NAME, Column
from inventory.model.system import Ownership, System

_CACHE_LIMIT = 20_000
_VALUE_LENGTH = 200
_YUAN_FROM_MEDIAN = 10_000
_ENOUGH_NUMBERS = 5
_TEXT_FIELDS = ("function", "environment", "os", "database", "database_instance", "remark", "defer_reason")
_CHOSEN_FIELDS = ("zone", "classified", "mlps", "arch", "users", "zombie", "cpu_avg_pct", "opex_wan")
_MERGED_VALUES_HOLD = frozenset(
    ("zone", "classified", "mlps", "arch", "environment", "os", "database", "database_instance", "disposition")
)


@dataclass(slots=True)
class Draft:
    """A system before names are resolved: `deps` and `merged_into` are still text, with the cell they stand in."""

    system: System
    table: int
    reader: RowReader
    deps: tuple[tuple[str, str], ...] = ()
    merged_into: str | None = None
    alias: str | None = None

    def cell(self, target: str) -> str:
        return self.reader.table.address_of(target, self.system.row)


@dataclass(frozen=True, slots=True)
class RowPlace:
    """What a row inherits from where it stands."""

    sheet: str
    department: str | None
    ownership: Ownership | None


class SystemReader:
    """Reads the rows of one table. `money_unit` is what a 单位：万元 line of the sheet says, if there is one."""

    def __init__(self, reader: RowReader, sample: list[Row], money_unit: str | None) -> None:
        self._reader = reader
        self._columns = reader.table.columns
        self._texts = tuple(target for target in _TEXT_FIELDS if target in self._columns)
        self._merged_values: dict[tuple[int, int], Value] = {}
        self._caches: dict[str, dict[object, object]] = {}
        self._each = self._counts_each(sample)
        self._parsers = self._choose_parsers(sample, money_unit)

    def read(self, row: Row, place: RowPlace, table: int) -> tuple[Draft, list[Finding]]:
        """The draft of a row that is a system, and what could not be read in it."""
        found: list[Finding] = []
        read: dict[str, Any] = {}
        for target in self._parsers:
            read[target] = self._cell(row, target, place.sheet, found)
        golive, precision = read.pop("golive", None) or (None, None)
        of_district = place.ownership in (Ownership.DISTRICT, None)
        chosen: dict[str, Any] = {target: read.get(target) for target in _CHOSEN_FIELDS}
        texts: dict[str, Any] = {target: self._text(row, target) for target in self._texts}
        system = System(
            sheet=place.sheet,
            row=row.number,
            name=written(self._reader.value(row, NAME)),
            department=place.department,
            ownership=place.ownership,
            golive=golive,
            golive_precision=precision,
            **self._capacity(read),
            gpu=self._accelerators(row, read, place.sheet, found),
            **chosen,
            crypto_plan=read.get("crypto_plan"),
            data_catalog=read.get("data_catalog"),
            disposition=read.get("disposition"),
            should_migrate=read.get("should_migrate") if of_district else None,
            migrated=read.get("migrated") if of_district else None,
            **texts,
        )
        merged = self._reader.value(row, "merged_into")
        alias = self._reader.value(row, "alias")
        draft = Draft(
            system,
            table,
            self._reader,
            self._dependencies(row),
            None if says_none(merged) else written(merged),
            None if says_none(alias) else written(alias),
        )
        return draft, found

    def continue_with(self, draft: Draft, row: Row) -> list[Finding]:
        """Adds the machines and dependencies of a row that lies under the same merged name."""
        more, found = self.read(
            row, RowPlace(draft.system.sheet, draft.system.department, draft.system.ownership), 0
        )
        draft.deps += more.deps
        amounts: dict[str, Any] = {
            target: capacity.tidy(_plus(getattr(draft.system, target), getattr(more.system, target)))
            for target in ("servers", "vcpu", "mem_gb", "disk_gb")
        }
        draft.system = replace(draft.system, **amounts)
        return found

    def _cell(self, row: Row, target: str, sheet: str, found: list[Finding]) -> object:
        value = self._value(row, target)
        if value is None:
            return None
        cache = self._caches.setdefault(target, {})
        key = (value.__class__, value)
        if key not in cache:
            if len(cache) > _CACHE_LIMIT:
                cache.clear()
            try:
                cache[key] = self._parsers[target](value)
            except Unreadable as reason:
                cache[key] = reason
        result = cache[key]
        if isinstance(result, Unreadable):
            found.append(self._unreadable(row, target, sheet, value))
            return None
        return result

    def _unreadable(self, row: Row, target: str, sheet: str, value: Value) -> Finding:
        cell = self._reader.table.address_of(target, row.number)
        return findings.unreadable_cell(sheet, row.number, cell, target, plain(value).strip()[:_VALUE_LENGTH])

    def _value(self, row: Row, target: str) -> Value:
        value = self._reader.value(row, target)
        if target not in _MERGED_VALUES_HOLD:
            return value
        index = self._columns[target].index if target in self._columns else -1
        merge = self._reader.merges.covering(row.number, index) if index >= 0 else None
        if merge is None or merge.top == merge.bottom:
            return value
        key = (merge.top, index)
        if merge.top == row.number:
            self._merged_values[key] = value
        return self._merged_values.get(key)

    def _text(self, row: Row, target: str) -> str | None:
        value = self._value(row, target)
        return None if says_none(value) else written(value)

    def _dependencies(self, row: Row) -> tuple[tuple[str, str], ...]:
        texts = []
        for column in self._reader.table.dependency_columns:
            value = row.values[column.index] if column.index < len(row.values) else None
            if not says_none(value):
                texts.append((plain(value), address(row.number, column.index)))
        return tuple(texts)

    def _capacity(self, read: dict[str, Any]) -> dict[str, Any]:
        """servers, vcpu, mem_gb, disk_gb as totals, from a 配置 text, from separate columns, or from both."""
        spec: capacity.Machines | None = read.pop("spec", None)
        servers: int | None = read.pop("servers", None)
        vcpu, mem, disk = read.pop("vcpu", None), read.pop("mem", None), read.pop("disk", None)
        if isinstance(vcpu, capacity.Machines):
            spec, vcpu = spec or vcpu, None
        if spec is not None:
            if not spec.counted and servers is not None and self._each["spec"]:
                spec = spec.times(servers)
            servers = servers if servers is not None and not spec.counted else spec.servers
        amounts = {"vcpu": vcpu, "mem": mem, "disk": disk}
        for target, amount in amounts.items():
            if amount is not None and self._each[target]:
                amounts[target] = None if servers is None else amount * servers
        if spec is not None:
            for target, stated in (("vcpu", spec.vcpu), ("mem", spec.mem_gb), ("disk", spec.disk_gb)):
                if amounts[target] is None:
                    amounts[target] = stated
        return {
            "servers": servers,
            "vcpu": amounts["vcpu"],
            "mem_gb": capacity.tidy(amounts["mem"]),
            "disk_gb": capacity.tidy(amounts["disk"]),
        }

    def _accelerators(self, row: Row, read: dict[str, Any], sheet: str, found: list[Finding]) -> Any:
        value = self._reader.value(row, "gpu")
        separate = read.pop("gpu_count", None)
        try:
            return capacity.cards(value, separate)
        except Unreadable:
            found.append(self._unreadable(row, "gpu", sheet, value))
            return None

    def _counts_each(self, sample: list[Row]) -> dict[str, bool]:
        """For each amount, whether the table states it per server."""
        each = {}
        for target in ("vcpu", "mem", "disk"):
            column = self._columns.get(target)
            each[target] = bool(column and column.counts_each)
        spec = self._columns.get("spec")
        each["spec"] = spec is None or spec.counts_each is not False
        vcpu = self._columns.get("vcpu")
        if vcpu is not None and vcpu.counts_each is None and self._indivisible(sample, vcpu):
            each["vcpu"] = True
            mem = self._columns.get("mem")
            each["mem"] = bool(mem and mem.counts_each is not False)
        return each

    def _indivisible(self, sample: list[Row], vcpu: Column) -> bool:
        """True when some row's cores do not divide by its servers: then they are stated per server."""
        for row in sample:
            try:
                servers = capacity.count(self._reader.value(row, "servers"))
                cores = capacity.count(self._reader.value(row, vcpu.target))
            except Unreadable:
                continue
            if servers and cores and cores % servers:
                return True
        return False

    def _choose_parsers(self, sample: list[Row], money_unit: str | None) -> dict[str, Callable[[Value], object]]:
        columns = self._columns
        parsers: dict[str, Callable[[Value], object]] = {
            "spec": capacity.machines,
            "servers": capacity.count,
            "vcpu": _cores,
            "gpu_count": capacity.count,
            "golive": dates.partial_date,
            "zone": choices.zone,
            "classified": choices.classified,
            "mlps": choices.protection_level,
            "arch": choices.architecture,
            "zombie": choices.yes_or_no,
            "crypto_plan": choices.yes_or_no,
            "data_catalog": choices.yes_or_no,
            "migrated": choices.yes_or_no,
            "should_migrate": lambda value: choices.yes_or_no(value, "should"),
            "disposition": choices.disposition,
        }
        if "users" in columns:
            people_unit = columns["users"].people_unit
            parsers["users"] = lambda value: quantities.people(value, people_unit)
        for target in ("mem", "disk"):
            if target in columns:
                parsers[target] = _sized(columns[target].size_unit or "G")
        if "opex_wan" in columns:
            unit = columns["opex_wan"].money_unit or money_unit or self._usual_money_unit(sample)
            parsers["opex_wan"] = lambda value: quantities.money_wan(value, unit)
        if "cpu_avg_pct" in columns:
            fraction = self._are_fractions(sample, "%" in columns["cpu_avg_pct"].context)
            parsers["cpu_avg_pct"] = lambda value: quantities.percentage(value, fraction)
        return {target: parser for target, parser in parsers.items() if target in columns}

    def _numbers(self, sample: list[Row], target: str) -> list[float]:
        numbers = (quantities.bare_number(self._reader.value(row, target)) for row in sample)
        return [number for number in numbers if number is not None]

    def _are_fractions(self, sample: list[Row], heading_says_percent: bool) -> bool:
        """Whether 0.27 means 27 %: no number above 1, and below a heading with % also mostly two decimals or more.

        Utilisations are told in whole percents or tenths of one: 0.9 below （%） is 0.9 %, but 0.27 there is a cell that
        was meant to be formatted as percent.
        """
        numbers = self._numbers(sample, "cpu_avg_pct")
        if any(number > 1 for number in numbers):
            return False
        if not heading_says_percent:
            return True
        fine = sum(round(number, 1) != number for number in numbers)
        return len(numbers) >= _ENOUGH_NUMBERS and 2 * fine >= len(numbers)

    def _usual_money_unit(self, sample: list[Row]) -> str:
        """万元 is the unit of such ledgers; yearly costs that are mostly above 10,000 can only be 元."""
        numbers = [number for number in self._numbers(sample, "opex_wan") if number]
        return "元" if numbers and median(numbers) >= _YUAN_FROM_MEDIAN else "万元"


def _cores(value: Value) -> object:
    """A number of cores, or the whole machine where the CPU column holds one (16核32G*2台)."""
    try:
        return capacity.count(value)
    except Unreadable:
        return capacity.machines(value)


def _sized(unit: str) -> Callable[[Value], object]:
    return lambda value: capacity.size_gb(value, unit)


def _plus(one: float | None, other: float | None) -> float | None:
    return one if other is None else other if one is None else one + other

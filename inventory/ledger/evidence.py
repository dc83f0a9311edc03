"""Gives a field to columns whose heading nobody knows, for what their cells say.

`sheets` asks once for each table, when its first rows are known. A heading that is known is never overruled, and neither
is a mapping file. A column gets a field only when enough of its cells show that field's form and no other's, when no
other column claims the field, and when its heading does not speak against it (`by_values` in headings.yaml). The
report says so with a confidence of at most 0.7: a wrong mapping is worse than none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from inventory.ledger.cells import choices
from inventory.ledger.cells.text import Unreadable, identity
from inventory.ledger.column_forms import (
    FORMS,
    MIN_CELLS,
    MIN_SHARE,
    filled,
    lists_system_names,
    refutes,
    share_of,
)
from inventory.ledger.dependencies import NameIndex, split_names
from inventory.ledger.grid import Row, Value
from inventory.ledger.lexicon import CREDENTIAL, KNOWN, Fit, lexicon
from inventory.ledger.tables import NAME, Column, HeadingReport, Table, confidence_by_values
from inventory.model.system import Disposition

NamesOf = Callable[[], Iterable[str]]
_LIST_SHARE = 0.1
_NEAR_NAME = 4
_REFUTED = 0.5
# Fields that say the same in another way: a 配置 column beside cores and memory describes other machines.
_SAID_BY = {"spec": ("vcpu", "mem")}


@dataclass(frozen=True, slots=True)
class _Claim:
    index: int
    target: str
    confidence: float


def with_evidence(table: Table, sample: Sequence[Row], names: NamesOf) -> Table:
    """The table with the columns that its sample settles, and without those that only resembled a field that their
    cells cannot be read as. `names` gives every system name of the workbook, if asked.
    """
    settled = table
    while True:
        claims = _Claims(settled, sample, names).settled()
        if not claims:
            return _without_refuted(settled, sample)
        for claim in claims:
            settled = _given(settled, claim)


def learned_headings(reports: Iterable[HeadingReport]) -> dict[str, Fit]:
    """What the cells of some sheets told of a heading, for the sheets that have too few cells of it: where all agree."""
    told: dict[str, Fit] = {}
    disputed: set[str] = set()
    for report in reports:
        if report.by_values and report.target is not None:
            before = told.setdefault(report.heading, Fit(report.target, report.confidence))
            if before.target != report.target:
                disputed.add(report.heading)
    return {heading: fit for heading, fit in told.items() if heading not in disputed}


class _Claims:
    """What the open columns of a table claim to be."""

    def __init__(self, table: Table, sample: Sequence[Row], names: NamesOf) -> None:
        self._table = table
        self._sample = sample
        self._names = names
        self._open = {
            index
            for (index, path), report in zip(table.paths.items(), table.reports, strict=True)
            if _is_open(path, report)
        }
        self._claims = {index: self._claims_of(index) for index in self._open}

    def settled(self) -> list[_Claim]:
        """Claims that nothing stands against."""
        undisputed = [claims[0] for claims in self._claims.values() if len(claims) == 1]
        targets = [claim.target for claim in undisputed]
        return [
            claim
            for claim in undisputed
            if (targets.count(claim.target) == 1 or claim.target == CREDENTIAL) and self._is_free(claim)
        ]

    def _claims_of(self, index: int) -> list[_Claim]:
        values = self._values(index)
        count = len(filled(values))
        if count < MIN_CELLS:
            return []
        path = self._table.paths[index]
        found = []
        for target, form in FORMS.items():
            if not lexicon().lets_cells_speak(path, target) or not self._may_stand_there(target, index):
                continue
            share = share_of(values, form.fits)
            if share >= MIN_SHARE and form.shows([value for value in filled(values) if form.fits(value)]):
                found.append(_Claim(index, target, confidence_by_values(share, count)))
        return found or self._claims_by_names(index, values)

    def _claims_by_names(self, index: int, values: list[Value]) -> list[_Claim]:
        """deps or merged_into: only names of the workbook's own systems, of others than the row's own."""
        if share_of(values, lists_system_names) < MIN_SHARE:
            return []
        known = NameIndex({identity(name): name for name in self._names()})
        own = [identity(str(value)) for value in self._values(self._table.columns[NAME].index)]
        known_cells = lists = 0
        for value, name in zip(values, own, strict=True):
            parts = split_names(str(value), known) if filled([value]) else []
            if parts and all(known.resolve(part) for part in parts) and name not in map(identity, parts):
                known_cells += 1
                lists += len(parts) > 1
        count = len(filled(values))
        share = known_cells / count
        if share < MIN_SHARE:
            return []
        if lists >= max(2, _LIST_SHARE * count):
            target = "deps"
        elif not lists and self._stands_with_consolidation(values):
            target = "merged_into"
        else:
            return []
        allowed = lexicon().lets_cells_speak(self._table.paths[index], target)
        return [_Claim(index, target, confidence_by_values(share, count))] if allowed else []

    def _stands_with_consolidation(self, values: list[Value]) -> bool:
        """True when these cells are filled in rows that are to be consolidated, and hardly in others."""
        column = self._table.columns.get("disposition")
        if column is None:
            return False
        rows = [
            _reads_as(value) is Disposition.CONSOLIDATE
            for value, own in zip(self._values(column.index), values, strict=True)
            if filled([own])
        ]
        return sum(rows) >= MIN_SHARE * len(rows)

    def _values(self, index: int) -> list[Value]:
        return [row.values[index] if index < len(row.values) else None for row in self._sample]

    def _may_stand_there(self, target: str, index: int) -> bool:
        if target == "department":
            return abs(index - self._table.columns[NAME].index) <= _NEAR_NAME
        others = _SAID_BY.get(target, ())
        return not others or not all(other in self._table.columns for other in others)

    def _is_free(self, claim: _Claim) -> bool:
        """True when nobody holds the field, or a column that only resembles it and shows something else."""
        holder = self._table.columns.get(claim.target)
        if holder is None:
            return True
        if holder.index not in self._open or holder.index == claim.index or holder.by_values:
            return False
        if not lexicon().lets_cells_speak(self._table.paths[holder.index], claim.target):
            return True
        form = FORMS.get(claim.target)
        return form is not None and share_of(self._values(holder.index), form.fits) < _REFUTED


def _without_refuted(table: Table, sample: Sequence[Row]) -> Table:
    refuted = {
        report.target
        for (index, path), report in zip(table.paths.items(), table.reports, strict=True)
        if report.target is not None
        and (report.by_values or _is_open(path, report))
        and refutes([row.values[index] if index < len(row.values) else None for row in sample], report.target)
    }
    if not refuted:
        return table
    return replace(
        table,
        columns={target: column for target, column in table.columns.items() if target not in refuted},
        reports=tuple(
            replace(report, target=None, confidence=0.0) if report.target in refuted else report
            for report in table.reports
        ),
    )


def _is_open(path: tuple[str, ...], report: HeadingReport) -> bool:
    """True for a heading that is unknown, or only resembles a known one, and that no person has mapped."""
    if report.by_values or report.confidence >= KNOWN:
        return False
    best = next(iter(lexicon().fits(path[:-1], path[-1])), None)
    return best is None or best.confidence < KNOWN


def _reads_as(value: Value) -> Disposition | None:
    try:
        return choices.disposition(value)
    except Unreadable:
        return None


def _reported(report: HeadingReport, claim: _Claim, index: int) -> HeadingReport:
    if index == claim.index:
        return replace(report, target=claim.target, confidence=claim.confidence, by_values=True)
    if report.target == claim.target != CREDENTIAL:
        return replace(report, target=None, confidence=0.0)
    return report


def _given(table: Table, claim: _Claim) -> Table:
    """The table after the claim: its column has the field, and whoever held that field has none."""
    path = table.paths[claim.index]
    columns = {
        target: column
        for target, column in table.columns.items()
        if target != claim.target and column.index != claim.index
    }
    reports = [_reported(report, claim, index) for index, report in zip(table.paths, table.reports, strict=True)]
    dependencies = tuple(column for column in table.dependency_columns if column.index != claim.index)
    credentials = table.credential_columns
    if claim.target == CREDENTIAL:
        credentials |= {claim.index}
    else:
        cell = reports[list(table.paths).index(claim.index)].cell
        column = Column(claim.index, claim.target, path[-1], path[:-1], claim.confidence, cell, True)
        columns[claim.target] = column
        dependencies = (column,) if claim.target == "deps" else dependencies
    return replace(
        table,
        columns=columns,
        dependency_columns=dependencies,
        credential_columns=credentials,
        reports=tuple(reports),
    )

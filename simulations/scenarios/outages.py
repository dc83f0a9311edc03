"""The failure part of a scenario: drawn, listed, read from a file, and maintenance that comes again and again."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import Field, model_validator

from simulations.engine.outcome import Ending
from simulations.engine.site import PoolPlan
from simulations.failures import Outage, WeibullFailures
from simulations.scenarios.capacity import require_pools
from simulations.scenarios.fields import Duration, Form, parse_duration

_COLUMNS = ("pool", "node", "from", "until")
MOST_OUTAGES = 10_000_000


class WeibullForm(Form):
    """Renewals of every node (or pool): `mean_up` between failures, `mean_repair` to repair. `shape` below 1 means
    that a node that failed lately fails sooner (0.7 to 0.8 is measured in clusters)."""

    mean_up: Duration = Field(gt=0)
    mean_repair: Duration = Field(gt=0)
    shape: float = Field(default=0.75, gt=0.1, le=20)

    def model(self, whole_pool: bool) -> WeibullFailures:
        return WeibullFailures(self.mean_up, self.shape, self.mean_repair, whole_pool)


class OutageForm(Form):
    """One pool, or one node of it (its number, from 0), away from `from` to `until` (left out: for ever)."""

    pool: str
    node: int | None = Field(default=None, ge=0)
    from_: Duration = Field(alias="from")
    until: Duration | None = None

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> OutageForm:
        if self.until is not None and self.until <= self.from_:
            raise ValueError("until 须晚于 from / until must be later than from")
        return self


class MaintenanceForm(OutageForm):
    """An outage that is announced: `notice` before it nothing new starts there. With `every` it comes again."""

    notice: Duration = 0
    every: Duration = 0

    @model_validator(mode="after")
    def _ends_and_comes_again(self) -> MaintenanceForm:
        if self.until is None:
            raise ValueError("维护须有 until / maintenance needs until")
        if self.every and self.every <= self.until - self.from_:
            raise ValueError("every 须长于维护本身 / every must be longer than the maintenance itself")
        return self


class FailuresForm(Form):
    """All failures of one variant; nothing written: nothing fails. `file` is CSV with the columns pool, node (number;
    empty: the whole pool), from, until (durations since the trace's origin; until empty: for ever)."""

    nodes: WeibullForm | None = None
    pools: WeibullForm | None = None
    outages: tuple[OutageForm, ...] = ()
    maintenance: tuple[MaintenanceForm, ...] = ()
    file: str | None = None

    def drawn(
        self, plans: Sequence[PoolPlan], span: tuple[int, int], seed: int, folder: Path
    ) -> tuple[Outage, ...]:
        """Everything that is away at some time in `span` (ms). Raises ValueError for pools, nodes or files that do
        not exist."""
        known = [plan.pool.pool_id for plan in plans]
        sizes = [len(plan.nodes) for plan in plans]
        found: list[Outage] = []
        for form, whole in ((self.nodes, False), (self.pools, True)):
            if form is not None:
                found += form.model(whole).outages(list(zip(known, sizes, strict=True)), span, seed)
        listed = [("outages", one) for one in self.outages]
        if self.file is not None:
            listed += [(self.file, one) for one in _read(folder / self.file)]
        for where, one in listed:
            found.append(_outage(one, _unit(one, where, known, sizes), Ending.FAILED))
        for one in self.maintenance:
            unit = _unit(one, "maintenance", known, sizes)
            found += [_outage(again, unit, Ending.MAINTAINED, one.notice) for again in _repeated(one, span[1])]
        return tuple(sorted(found, key=lambda o: (o.from_ms, o.pool, -1 if o.node is None else o.node)))


def _unit(form: OutageForm, where: str, known: list[str], sizes: list[int]) -> int:
    """The pool's position."""
    require_pools((form.pool,), known, where)
    pool = known.index(form.pool)
    if form.node is not None and form.node >= sizes[pool]:
        raise ValueError(
            f"{where}: node {form.node}：池 {form.pool} 只有 {sizes[pool]} 个节点，编号从 0 起"
            f" / pool {form.pool} has {sizes[pool]} nodes, numbered from 0"
        )
    return pool


def _outage(form: OutageForm, pool: int, cause: Ending, notice_ms: int = 0) -> Outage:
    return Outage(pool, form.node, form.from_, form.until, cause, notice_ms)


def _repeated(form: MaintenanceForm, end_ms: int) -> Iterator[OutageForm]:
    yield form
    shift = form.every
    while form.every and form.from_ + shift < end_ms:
        until = None if form.until is None else form.until + shift
        yield form.model_copy(update={"from_": form.from_ + shift, "until": until})
        shift += form.every


def _read(path: Path) -> list[OutageForm]:
    """Raises ValueError that names the line and the column."""
    found: list[OutageForm] = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            missing = [column for column in _COLUMNS if column not in (reader.fieldnames or ())]
            if missing:
                raise ValueError(f"{path.name} 第 1 行 / line 1: 缺少列 / column missing: {', '.join(missing)}")
            for row in reader:
                found.append(_row(row, path.name, reader.line_num))
                if len(found) > MOST_OUTAGES:
                    raise ValueError(f"{path.name}: 超过 {MOST_OUTAGES} 行 / more than {MOST_OUTAGES} rows")
    except OSError as error:
        raise ValueError(f"{path}: 无法读取（{error.strerror}）/ cannot be read; check the path") from error
    return found


def _row(row: dict[str, str], name: str, line: int) -> OutageForm:
    """Times without a unit are milliseconds."""
    fields: dict[str, object] = {"pool": row["pool"].strip()}
    column = ""
    try:
        column = "node"
        if row[column].strip():
            fields[column] = int(row[column])
        for column in ("from", "until"):
            text = row[column].strip()
            if text or column == "from":
                fields[column] = f"{parse_duration(f'{text}ms' if text.isdecimal() else text)}ms"
    except ValueError as error:
        place = f"{name} 第 {line} 行 {column} 列 / line {line}, column {column}"
        raise ValueError(f"{place}: {row[column]!r} 不可用 / cannot be used: {error}") from error
    try:
        return OutageForm.model_validate(fields)
    except ValueError as error:
        raise ValueError(
            f"{name} 第 {line} 行 / line {line}: until 须晚于 from / must be later than from"
        ) from error

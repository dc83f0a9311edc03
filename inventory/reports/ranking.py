"""League tables (晾晒): districts and departments by their cloud rate, with ties.

Ties: who has the same rate has the same rank, and the next rank is left out (1, 2, 2, 4). Rates are compared as
fractions, not as rounded percentages. Who has nothing to migrate is listed and not ranked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from inventory.rates import CountedSystem, Rate, Rows, Scope, rates_of
from inventory.reports.counting import Counting
from inventory.reports.document import Figure, Table
from inventory.reports.facts import Snapshot

Grouping = Callable[[CountedSystem], str]
_EVERYTHING = Scope({}, "")


@dataclass(frozen=True, slots=True)
class Standing:
    """One line of a league table. `rank` None: nothing to migrate. `before` is the cloud rate a month ago."""

    name: str
    rank: int | None
    cloud: Figure
    consolidation: Figure
    before: Figure | None


def standings(
    counting: Counting, group: Grouping, snapshots: tuple[Snapshot, Snapshot | None], what: str
) -> tuple[Standing, ...]:
    """Best first; equal rates in the order of their names."""
    now, before = snapshots
    current, past = _grouped(counting, now, group), _grouped(counting, before, group) if before else {}
    lines = [
        _line(counting, (name, what), (systems, past.get(name)), snapshots) for name, systems in current.items()
    ]
    ranks = ranked({line.name: _fraction(line.cloud) for line in lines})
    lines = [replace(line, rank=ranks[line.name]) for line in lines]
    return tuple(sorted(lines, key=lambda line: (line.rank is None, line.rank or 0, line.name)))


def whole(counting: Counting, snapshots: tuple[Snapshot, Snapshot | None]) -> Standing:
    """The line 合计: everything in the report's scope."""
    now, before = snapshots
    if before is not None and counting.newcomers(before):
        before = None  # a whole of fewer districts says nothing about this one
    systems = counting.chosen(now), counting.chosen(before) if before else None
    return _line(counting, ("合计", ""), systems, (now, before))


def _line(
    counting: Counting,
    named: tuple[str, str],
    systems: tuple[Sequence[CountedSystem], Sequence[CountedSystem] | None],
    snapshots: tuple[Snapshot, Snapshot | None],
) -> Standing:
    """The figures of one line, not ranked yet. `named`: its name, and what kind of name that is ("": the whole)."""
    (name, what), (current, past), (now, before) = named, systems, snapshots
    scope = f"{counting.scope}，{what}：{name}" if what else counting.scope
    found = rates_of(current, _EVERYTHING, now.day)
    cloud = counting.rate(f"{name} 上云率", now.day, parts_of(found.cloud), scope)
    merged = counting.rate(f"{name} 整合率", now.day, parts_of(found.consolidation), scope)
    old = None
    if before is not None and past is not None:
        rate = rates_of(past, _EVERYTHING, before.day).cloud
        old = counting.rate(f"{name} 上云率（上月末）", before.day, parts_of(rate), scope)
    return Standing(name, None, cloud, merged, old)


def ranked(rates: dict[str, Fraction | None]) -> dict[str, int | None]:
    """The rank of each: one more than the number of those that are better; None for who has no rate."""
    known = sorted((rate for rate in rates.values() if rate is not None), reverse=True)
    return {name: None if rate is None else known.index(rate) + 1 for name, rate in rates.items()}


def league_table(title: str, column: str, lines: Sequence[Standing], note: str, total: Standing) -> Table:
    """Best first, the whole (合计) last."""
    return Table(
        title=title,
        columns=("名次", column, "应迁", "已迁", "上云率", "环比", "指标", "整合率", "关停整合/基数", "指标"),
        rows=tuple(
            (
                "—" if line.rank is None else str(line.rank),
                line.name,
                str(line.cloud.denominator),
                str(line.cloud.numerator),
                line.cloud.shown,
                change(line.cloud, line.before),
                line.cloud.label,
                line.consolidation.shown,
                line.consolidation.share,
                line.consolidation.label,
            )
            for line in ((*lines, total) if lines else ())
        ),
        numeric=(2, 3, 4, 5, 7, 8),
        note=note,
        empty="台账中没有可排名的单位",
    )


def change(now: Figure, before: Figure | None) -> str:
    """The difference in percentage points (百分点), from the rounded rates that a reader sees."""
    if before is None or now.percent is None or before.percent is None:
        return "—"
    points = round(now.percent - before.percent, 1)
    return "持平" if points == 0 else f"{points:+.1f}".replace("-", "−")


def _grouped(counting: Counting, snapshot: Snapshot, group: Grouping) -> dict[str, list[CountedSystem]]:
    found: dict[str, list[CountedSystem]] = {}
    for system in counting.chosen(snapshot):
        found.setdefault(group(system), []).append(system)
    return found


def parts_of(rate: Rate) -> tuple[Rows, Rows, Rows]:
    return rate.numerator_rows, rate.denominator_rows, rate.unknown_rows


def _fraction(figure: Figure) -> Fraction | None:
    return Fraction(figure.numerator, figure.denominator) if figure.denominator else None

"""What every benchmark of placement, cycle and simulation says of itself, and the table at the end of `make bench`.

A benchmark calls `report_rate` after it has measured. What it says stands in the recorded JSON too (`extra_info`), so that
the next run can be put beside it (`tests/benchmarks/conftest.py` prints that table).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pytest_benchmark.fixture import BenchmarkFixture

Int64s = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Work:
    """`count` decisions a round. `floor` is what the project asks for, decisions a second (None: nothing was asked);
    `naive` the rate of a plain numpy scan of the same nodes, measured in this run."""

    name: str
    count: int
    naive: float
    floor: int | None = None


def report_rate(benchmark: BenchmarkFixture, work: Work) -> None:
    """Decisions a second at the median, what was asked, and how many times a naive numpy scan that is."""
    rate = work.count / benchmark.stats.stats.median
    benchmark.extra_info["work"] = work.name
    benchmark.extra_info["count"] = work.count
    benchmark.extra_info["rate_per_second"] = round(rate)
    benchmark.extra_info["floor_per_second"] = work.floor
    benchmark.extra_info["times_naive_numpy"] = round(float(rate / work.naive), 2)


def naive_scans_per_second(free: Int64s, asked: Sequence[int], scans: int = 300) -> float:
    """The same decision the plain numpy way, once for each arrival: every node is filtered and scored (best fit), the
    best takes it. `free` (dimensions, nodes) is copied."""
    left, need = free.astype(np.int64), np.array(asked, dtype=np.int64)[:, None]
    scale = np.maximum(left.max(axis=1, keepdims=True), 1)
    refused = np.iinfo(np.int64).max
    started = time.perf_counter()
    for _ in range(scans):
        fits = (left >= need).all(axis=0)
        rest = ((left - need) * 1000 // scale).sum(axis=0)
        chosen = int(np.where(fits, rest, refused).argmin())
        if fits[chosen]:
            left[:, chosen] -= need[:, 0]
    return scans / (time.perf_counter() - started)


Row = tuple[str, str, str, str, str]
HEADINGS: Row = ("work", "median rate", "asked", "x naive numpy", "last run")


def table(now: Sequence[Mapping[str, Any]], last: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Lines of the table: `now` are the benchmarks of this run, `last` those of the recorded run by full name, both as
    pytest-benchmark writes them."""
    rows = [
        HEADINGS,
        *(_row(one, last.get(one["fullname"])) for one in now if "rate_per_second" in one["extra_info"]),
    ]
    missing = sorted(last.keys() - {one["fullname"] for one in now})
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    for row in rows:
        yield "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))]
        )
    if missing:
        yield f"in the last run and not in this one: {', '.join(name.rpartition('/')[2] for name in missing)}"


def _row(one: Mapping[str, Any], before: Mapping[str, Any] | None) -> Row:
    said = one["extra_info"]
    floor, times = said["floor_per_second"], said["times_naive_numpy"]
    asked = "-" if floor is None else f"{floor:,}/s {'met' if said['rate_per_second'] >= floor else 'MISSED'}"
    return said["work"], f"{said['rate_per_second']:,}/s", asked, f"{times:,g}", _change(said, before)


def _change(said: Mapping[str, Any], before: Mapping[str, Any] | None) -> str:
    """By its median, so that runs that were recorded before rates were can be compared too."""
    if before is None:
        return "new"
    rate = said["count"] / before["stats"]["median"]
    return f"{rate:,.0f}/s ({said['rate_per_second'] / rate - 1:+.0%})"

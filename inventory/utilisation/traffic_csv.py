"""Reads a traffic file: who called whom, how often, how much.

Who calls this: `inventory.assessment.measuring`. Columns are documented in docs/assessment.md. A row with 0 requests
and 0 bytes says that the pair was watched and nothing was seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from inventory.utilisation.csv_table import read_table, require_columns

_HEADINGS: Mapping[str, tuple[str, ...]] = {
    "source": ("源系统", "调用方", "调用系统", "from"),
    "target": ("目标系统", "被调用方", "被调用系统", "to"),
    "requests": ("请求数", "调用次数", "连接数", "connections"),
    "bytes": ("字节数", "流量", "流量字节"),
    "day": ("日期", "date"),
}


@dataclass(frozen=True, slots=True)
class TrafficRow:
    """One row, with the systems as the file names them."""

    line: int
    source: str
    target: str
    requests: int
    bytes: int


@dataclass(frozen=True, slots=True)
class TrafficTable:
    """All rows. The days are None where the file has no days."""

    rows: tuple[TrafficRow, ...]
    first_day: date | None
    last_day: date | None


def read_traffic(content: bytes, file_name: str, today: date) -> TrafficTable:
    """Raises MeasurementFileError; days after `today` are refused."""
    rows: list[TrafficRow] = []
    days: set[date] = set()
    for cells in read_table(content, file_name, _HEADINGS):
        if not rows:
            require_columns(cells, ("source", "target"), ("requests", "bytes"), _HEADINGS)
        day = cells.day("day", today)
        if day is not None:
            days.add(day)
        requests, size = cells.count("requests"), cells.count("bytes")
        if requests is None and size is None:
            raise cells.fault(
                ("请求数和字节数都空，无流量请写 0", "neither requests nor bytes; write 0 for no traffic")
            )
        source, target = cells.required("source"), cells.required("target")
        rows.append(TrafficRow(cells.line, source, target, requests or 0, size or 0))
    return TrafficTable(tuple(rows), min(days, default=None), max(days, default=None))

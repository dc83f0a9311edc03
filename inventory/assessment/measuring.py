"""Takes measured files in: utilisation and traffic. One transaction a file; the newest speaks for a system.

Who calls this: `Assessor`. Systems that the ledger does not have are named in the answer and left out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any

from inventory.assessment.errors import AssessmentError, Refusal
from inventory.assessment.estate import Estate, graph_key
from inventory.store.assessment import kinds
from inventory.store.assessment.projection import TRAFFIC, UTILISATION
from inventory.store.assessment.records import AssessmentRecords
from inventory.store.chain import Draft, canonical_json, civil_day
from inventory.store.event_store import Store
from inventory.utilisation.csv_table import MeasurementFileError
from inventory.utilisation.document import measurement_json
from inventory.utilisation.traffic_csv import TrafficTable, read_traffic
from inventory.utilisation.utilisation_csv import by_name, read_utilisation


@dataclass(frozen=True, slots=True)
class MeasuredFile:
    """What became of a file. `import_id` is empty when it names no system of the ledger, and the earlier import's
    when the same file is kept already. `unknown` are systems that the ledger lacks, as the file names them."""

    import_id: str
    is_new: bool
    systems: int
    rows: int
    first_day: date | None
    last_day: date | None
    unknown: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReceivedFile:
    name: str
    content: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


def take_utilisation(store: Store, estate: Estate, file: ReceivedFile, *, actor: str, now_ms: int) -> MeasuredFile:
    """Keeps the measurements of the systems that the ledger has. Raises AssessmentError for a faulty file."""
    today = civil_day(now_ms)
    with _refusing():
        measured = read_utilisation(file.content, file.name, today)
    found: dict[str, dict[str, Any]] = {}
    unknown: list[str] = []
    for named, one in by_name(measured):
        key = _known(estate, named)
        if key is None:
            unknown.append(named)
        elif key in found:
            raise AssessmentError(
                Refusal.INVALID,
                "SYSTEM_TWICE",
                f"{file.name}: “{named}”与另一行写法指的是同一系统 {key}，请统一写法",
                f"{file.name}: {named} and another spelling mean one system, {key}; write it one way",
            )
        else:
            found[key] = measurement_json(one.measurement)
    window = measured[0].measurement
    answer = (len(found), sum(one.measurement.days for one in measured), window.first_day, window.last_day)
    body = {"filename": file.name, "sha256": file.sha256, "measurements": found}
    draft = _Measured(kinds.MEASURED, UTILISATION, "U", body, is_empty=not found)
    import_id, is_new = _keep(store, draft, actor, now_ms)
    return MeasuredFile(import_id, is_new, *answer, tuple(unknown))


def take_traffic(store: Store, estate: Estate, file: ReceivedFile, *, actor: str, now_ms: int) -> MeasuredFile:
    """Keeps the flows between systems that the ledger has, in place of those of the file before."""
    with _refusing():
        table = read_traffic(file.content, file.name, civil_day(now_ms))
    names = dict.fromkeys(name for row in table.rows for name in (row.source, row.target))
    keys = {name: _known(estate, name) for name in names}
    observed = sorted({graph_key(estate.systems[key]) for key in keys.values() if key is not None})
    body = {
        "filename": file.name,
        "sha256": file.sha256,
        "first_day": None if table.first_day is None else table.first_day.isoformat(),
        "last_day": None if table.last_day is None else table.last_day.isoformat(),
        "observed": observed,
        "flows": _flows(table, {name: key for name, key in keys.items() if key is not None}, estate),
    }
    draft = _Measured(kinds.TRAFFIC_MEASURED, TRAFFIC, "T", body, is_empty=not observed)
    import_id, is_new = _keep(store, draft, actor, now_ms)
    unknown = tuple(name for name, key in keys.items() if key is None)
    return MeasuredFile(
        import_id, is_new, len(observed), len(table.rows), table.first_day, table.last_day, unknown
    )


def _flows(table: TrafficTable, keys: dict[str, str], estate: Estate) -> list[dict[str, Any]]:
    """The rows between known systems, added up by pair."""
    sums: dict[tuple[str, str], list[int]] = {}
    for row in table.rows:
        if row.source in keys and row.target in keys:
            pair = graph_key(estate.systems[keys[row.source]]), graph_key(estate.systems[keys[row.target]])
            total = sums.setdefault(pair, [0, 0])
            total[0] += row.requests
            total[1] += row.bytes
    return [
        {"user": user, "used": used, "requests": total[0], "bytes": total[1]}
        for (user, used), total in sorted(sums.items())
        if user != used
    ]


@dataclass(frozen=True, slots=True)
class _Measured:
    kind: str
    table_kind: str
    letter: str
    body: dict[str, Any]
    is_empty: bool


def _keep(store: Store, measured: _Measured, actor: str, now_ms: int) -> tuple[str, bool]:
    """The import's id, and whether it is new: the newest file again changes nothing."""
    if measured.is_empty:
        return "", False
    canonical_json(measured.body)
    with store.transaction() as transaction:
        records = AssessmentRecords(transaction.connection)
        newest = records.newest_file(measured.table_kind)
        if newest is not None and newest["sha256"] == measured.body["sha256"]:
            return newest["id"], False
        number = records.next_number("files")
        import_id = f"{measured.letter}{number}"
        draft = Draft(measured.kind, import_id, {"number": number, **measured.body})
        transaction.append([draft], actor=actor, recorded_ms=now_ms)
        return import_id, True


def _known(estate: Estate, named: str) -> str | None:
    """The system that a file names; None when the ledger lacks it. A name that several bear is refused."""
    try:
        return estate.find(named)
    except AssessmentError as error:
        if error.kind is Refusal.NOT_FOUND:
            return None
        raise


@contextmanager
def _refusing() -> Iterator[None]:
    try:
        yield
    except MeasurementFileError as error:
        chinese, _, english = str(error).rpartition(" / ")
        raise AssessmentError(Refusal.INVALID, "BAD_MEASUREMENT_FILE", chinese, english) from error

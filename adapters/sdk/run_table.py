"""What an adapter of a remote engine remembers of its runs, on disk before anybody is told.

`adapters.sdk.engine_backend` keeps one for every pool whose engine (a Kubernetes cluster, a Slurm) is another
program: that a launch was intended is on disk before the engine hears of it, so that a crash between the two
leaves a question that the next start can answer, and never a run that nobody knows.
"""

from __future__ import annotations

import json
import sqlite3
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from itertools import chain, islice
from pathlib import Path

from adapters.contract import RunReport
from inventory.model.workload import RunState

REMEMBERED = 10_000
_REPORT = tuple(field.name for field in fields(RunReport))
_ENCODE = json.JSONEncoder(ensure_ascii=False).encode


class Stage(StrEnum):
    """How far a run has come between this adapter and its engine."""

    INTENDED = "intended"  # on disk here; the engine may or may not have it
    HELD = "held"  # the engine has taken it
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run: its place in the list, what it is, the engine's name for it, and whether it is to end.

    `why` is the message that a stop asked for; "" with `stopping` where none was given.
    """

    number: int
    report: RunReport
    stage: Stage
    handle: str = ""
    stopping: bool = False
    why: str = ""

    @property
    def run_id(self) -> str:
        return self.report.run_id

    @property
    def never_launched(self) -> bool:
        """True for a run that was stopped before its launch came."""
        return self.stage is Stage.ENDED and not self.handle


class RunTable:
    """Rows by run id, in memory and in one SQLite file. One thread at a time; `write` blocks on the disk."""

    def __init__(self, path: Path, remembered: int = REMEMBERED) -> None:
        """Opens or makes the file. Raises OSError where it cannot be used, ValueError where it is damaged."""
        self._remembered = remembered
        try:
            self._file = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._file.execute("PRAGMA journal_mode=WAL")
            self._file.execute("PRAGMA synchronous=FULL")
            self._file.execute(
                "CREATE TABLE IF NOT EXISTS runs"
                " (number INTEGER PRIMARY KEY, run_id TEXT UNIQUE NOT NULL, content TEXT NOT NULL)"
            )
            rows = self._file.execute("SELECT number, content FROM runs ORDER BY number").fetchall()
        except sqlite3.OperationalError as error:
            raise OSError(f"{path}: {error}") from error
        except sqlite3.DatabaseError as error:
            raise ValueError(f"{path}: 已损坏，请用备份恢复 / damaged: restore a backup ({error})") from error
        self._rows = {row.run_id: row for row in (_from_json(number, content) for number, content in rows)}
        self._last = max((row.number for row in self._rows.values()), default=0)
        self._ended = deque(row.run_id for row in self._rows.values() if row.stage is Stage.ENDED)

    def close(self) -> None:
        self._file.close()

    def get(self, run_id: str) -> RunRow | None:
        return self._rows.get(run_id)

    def active(self) -> list[RunRow]:
        """Rows that have not ended, oldest first."""
        return [row for row in self._rows.values() if row.stage is not Stage.ENDED]

    def after(self, number: int) -> Iterator[RunRow]:
        """Rows in the order in which their runs came, from behind `number` on."""
        return (row for row in self._rows.values() if row.number > number)

    @property
    def last_number(self) -> int:
        return self._last

    def new_row(self, report: RunReport, stage: Stage) -> RunRow:
        """A row with the next number; it is not kept before `write`."""
        self._last += 1
        return RunRow(self._last, report, stage)

    def write(self, rows: Sequence[RunRow], forget: Iterable[str] = ()) -> None:
        """Keeps these rows and drops those run ids, in one transaction. The oldest that ended are dropped too,
        beyond those to be remembered. Raises OSError; nothing is then kept."""
        known = {row.run_id for row in rows}
        newly_ended = [
            r.run_id for r in rows if r.stage is Stage.ENDED and self._stage(r.run_id) is not Stage.ENDED
        ]
        beyond = max(0, len(self._ended) + len(newly_ended) - self._remembered)
        surplus = list(islice(chain(self._ended, newly_ended), beyond))
        dropped = [run_id for run_id in (*forget, *surplus) if run_id in self._rows or run_id in known]
        try:
            self._file.execute("BEGIN IMMEDIATE")
            self._file.executemany(
                "INSERT OR REPLACE INTO runs VALUES (?, ?, ?)",
                [(row.number, row.run_id, _to_json(row)) for row in rows],
            )
            self._file.executemany("DELETE FROM runs WHERE run_id = ?", [(run_id,) for run_id in dropped])
            self._file.execute("COMMIT")
        except sqlite3.Error as error:
            if self._file.in_transaction:
                self._file.execute("ROLLBACK")
            raise OSError(str(error)) from error
        self._rows.update((row.run_id, row) for row in rows)
        for run_id in dropped:
            self._rows.pop(run_id, None)
        self._ended.extend(newly_ended)
        for _ in surplus:
            self._ended.popleft()

    def _stage(self, run_id: str) -> Stage | None:
        row = self._rows.get(run_id)
        return row.stage if row else None


def ended(row: RunRow, report: RunReport) -> RunRow:
    """The row of a run that has ended: its nodes stay those that were last known."""
    nodes = report.nodes or row.report.nodes
    return replace(row, report=replace(report, nodes=nodes), stage=Stage.ENDED)


def _to_json(row: RunRow) -> str:
    """All of a row but its number. Not `asdict`, which copies every value and takes longer than the disk."""
    report = {name: getattr(row.report, name) for name in _REPORT}
    content = {
        "report": report,
        "stage": row.stage,
        "handle": row.handle,
        "stopping": row.stopping,
        "why": row.why,
    }
    return _ENCODE(content)


def _from_json(number: int, content: str) -> RunRow:
    try:
        kept = json.loads(content)
        report = kept.pop("report")
        report["state"] = RunState(report["state"])
        report["nodes"] = tuple(report["nodes"])
        return RunRow(number, RunReport(**report), Stage(kept.pop("stage")), **kept)
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(
            f"第 {number} 行已损坏，请用备份恢复 / row {number} is damaged: restore a backup"
        ) from error

"""The leases of runs: who is leased for how long, since when nobody was heard, and whose lease has expired.

`adapters.sdk.servicer` asks before each call and whenever one is due. All leases run from the same contact, so the
book is a few buckets by length, whatever the number of runs. What it must know after a restart is on disk: a line
for every lease and every expiry, synced before the launch is looked at, and the time of the last contact.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from adapters.contract import Launch, RunReport
from adapters.sdk.files import write_durably
from inventory.model.partition import OnDisconnect

_KEPT_EXPIRED = 100_000
_CONTACT_EVERY_MS = 1000


@dataclass(frozen=True, slots=True)
class Clocks:
    """What time it is. `elapsed_ms` counts on through suspends and never jumps; `wall_ms` is UTC since 1970 and may."""

    elapsed_ms: Callable[[], int]
    wall_ms: Callable[[], int]


@dataclass(frozen=True, slots=True)
class Expiry:
    """A run whose lease has expired, and what its policy asks of the pool now."""

    run_id: str
    lost_after_ms: int
    action: OnDisconnect


class LeaseBook:
    """Leases by run id, in the folder `state_dir`. Raises ValueError where what was kept there is damaged."""

    def __init__(self, state_dir: Path, clocks: Clocks) -> None:
        self._path = state_dir / "leases.jsonl"
        self._contact_path = state_dir / "contact"
        self._clocks = clocks
        self._buckets: dict[int, dict[str, OnDisconnect]] = {}
        self._length_of: dict[str, int] = {}
        self._expired: dict[str, None] = {}
        self._contact_ms = clocks.elapsed_ms()
        self._written_ms: int | None = None
        if self._path.exists():
            self._read()

    # -- contact and expiry -------------------------------------------------------------------------------------

    def contact(self) -> None:
        """The scheduler was heard: every lease runs anew. Ask `due` first: a late call revives nothing."""
        self._contact_ms = self._clocks.elapsed_ms()
        if self._length_of and (
            self._written_ms is None or self._contact_ms - self._written_ms >= _CONTACT_EVERY_MS
        ):
            # Not synced: where power fails, the contact is older than it was, and leases expire the earlier.
            self._contact_path.write_text(f"{self._clocks.wall_ms()}\n", encoding="ascii")
            self._written_ms = self._contact_ms

    def pause_ms(self) -> int | None:
        """How long until the next lease expires; None while there is none."""
        if not self._buckets:
            return None
        return max(0, self._contact_ms + min(self._buckets) - self._clocks.elapsed_ms())

    def due(self) -> list[Expiry]:
        """Takes out, durably, the leases that have expired by now: the caller acts on each. Raises OSError."""
        silent_ms = self._clocks.elapsed_ms() - self._contact_ms
        lengths = [length for length in self._buckets if length <= silent_ms]
        expiries = [
            Expiry(run_id, length, action)
            for length in sorted(lengths)
            for run_id, action in self._buckets[length].items()
        ]
        if expiries:
            # What was taken out and not acted on, because we died in between, is due again after a restart.
            self._append([["x", one.run_id, one.lost_after_ms, one.action.value] for one in expiries])
            for one in expiries:
                self._forget(one.run_id)
                self._note_expired(one.run_id)
        return expiries

    # -- runs ---------------------------------------------------------------------------------------------------

    def lease(self, launches: Sequence[Launch]) -> None:
        """Leases those of the launches that have a policy and no lease yet; durable when it returns."""
        fresh = [
            launch
            for launch in launches
            if launch.partition.lost_after_ms
            and launch.run_id not in self._length_of
            and launch.run_id not in self._expired
        ]
        if not fresh:
            return
        now_ms = self._clocks.wall_ms()
        self._append(
            [[now_ms, one.run_id, one.partition.lost_after_ms, one.partition.on_disconnect.value] for one in fresh]
        )
        for one in fresh:
            self._remember(one.run_id, one.partition.lost_after_ms, one.partition.on_disconnect)

    def end(self, run_ids: Iterable[str]) -> None:
        """These runs have ended, or were refused: their leases no longer matter."""
        if self._length_of:
            for run_id in run_ids:
                self._forget(run_id)

    def stamp(self, report: RunReport) -> RunReport:
        """The report, with whether its lease has ever expired."""
        if self._expired and report.run_id in self._expired:
            return replace(report, lease_expired=True)
        return report

    def stamp_all(self, reports: Sequence[RunReport]) -> Sequence[RunReport]:
        return [self.stamp(report) for report in reports] if self._expired else reports

    def expired(self, limit: int) -> list[str]:
        """The ids of at most `limit` runs whose leases have expired, the latest."""
        return list(self._expired)[-limit:]

    def leased(self) -> list[str]:
        return list(self._length_of)

    def compact(self) -> None:
        """Writes the file anew with what still matters; for the start, when runs have been recovered."""
        now_ms = self._clocks.wall_ms() - (self._clocks.elapsed_ms() - self._contact_ms)
        lines: list[list[object]] = [["x", run_id, 0, OnDisconnect.KEEP.value] for run_id in self._expired]
        for length, bucket in self._buckets.items():
            lines += [[now_ms, run_id, length, action.value] for run_id, action in bucket.items()]
        if lines or self._path.exists():
            write_durably(self._path, _to_lines(lines))

    # -- inside -------------------------------------------------------------------------------------------------

    def _remember(self, run_id: str, length_ms: int, action: OnDisconnect) -> None:
        self._buckets.setdefault(length_ms, {})[run_id] = action
        self._length_of[run_id] = length_ms

    def _forget(self, run_id: str) -> None:
        length_ms = self._length_of.pop(run_id, None)
        if length_ms is not None:
            bucket = self._buckets[length_ms]
            del bucket[run_id]
            if not bucket:
                del self._buckets[length_ms]

    def _note_expired(self, run_id: str) -> None:
        self._expired[run_id] = None
        if len(self._expired) > _KEPT_EXPIRED:
            del self._expired[next(iter(self._expired))]

    def _append(self, lines: list[list[object]]) -> None:
        with self._path.open("ab") as file:
            file.write(_to_lines(lines))
            file.flush()
            os.fdatasync(file.fileno())

    def _read(self) -> None:
        """Takes up what was kept. The time that nobody was here counts; a wall clock set back counts as none."""
        last_heard_ms = 0
        if self._contact_path.exists():
            text = self._contact_path.read_text(encoding="ascii", errors="replace").strip()
            last_heard_ms = int(text) if text.isdigit() else 0
        lines = self._path.read_bytes().split(b"\n")
        for number, line in enumerate(lines[:-1], start=1):  # an unfinished last line was never acknowledged
            try:
                last_heard_ms = max(last_heard_ms, self._read_line(json.loads(line)))
            except ValueError as error:
                raise ValueError(
                    f"{self._path} 第 {number} 行已损坏，请用备份恢复 / line {number} is damaged: restore a backup"
                ) from error
        silent_ms = max(0, self._clocks.wall_ms() - last_heard_ms)
        self._contact_ms = self._clocks.elapsed_ms() - silent_ms

    def _read_line(self, record: object) -> int:
        match record:
            case ["x", str(run_id), int(length_ms), str(action)]:
                self._forget(run_id)
                self._note_expired(run_id)
                if length_ms and action == OnDisconnect.STOP:
                    # Expired, and perhaps not acted on any more: due again at once, where the run still lives.
                    self._remember(run_id, 1, OnDisconnect.STOP)
                return 0
            case [int(now_ms), str(run_id), int(length_ms), str(action)] if length_ms > 0:
                self._remember(run_id, length_ms, OnDisconnect(action))
                return now_ms
            case _:
                raise ValueError("not a lease")


def _to_lines(lines: list[list[object]]) -> bytes:
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode()

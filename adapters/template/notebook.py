"""What the adapter must remember itself, because no system does: launches that it accepted, and how runs ended.

One line of JSON for each note, on disk before anything is answered; the last line about a run counts.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from adapters.contract import Launch, RunReport
from adapters.sdk.files import write_durably
from adapters.wire.launches import launch_from_bytes, launch_to_bytes
from inventory.model.workload import RunState


@dataclass(slots=True)
class Noted:
    """One run: its launch (None: it was stopped before it came), what was last told, and why it is to end."""

    run_id: str
    launch: Launch | None
    report: RunReport
    stopping: str | None = None


class Notebook:
    """Notes by run id, in the order of their first line. Raises ValueError where the file is damaged."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.runs: dict[str, Noted] = {}
        if path.exists():
            for line in path.read_bytes().split(b"\n")[:-1]:  # an unfinished last line was never acknowledged
                self._read(json.loads(line))
            write_durably(path, b"".join(_line(noted) for noted in self.runs.values()))

    def write(self, notes: Iterable[Noted]) -> None:
        """On disk when it returns. Blocks; raises OSError."""
        notes = list(notes)
        with self._path.open("ab") as file:
            file.write(b"".join(map(_line, notes)))
            file.flush()
            os.fdatasync(file.fileno())
        self.runs.update((noted.run_id, noted) for noted in notes)

    def forget(self, run_ids: Iterable[str]) -> None:
        """As if they had never come: launches that the system refused. Durable as well."""
        run_ids = list(run_ids)
        with self._path.open("ab") as file:
            file.writelines(json.dumps([run_id]).encode() + b"\n" for run_id in run_ids)
            file.flush()
            os.fdatasync(file.fileno())
        for run_id in run_ids:
            self.runs.pop(run_id, None)

    def _read(self, record: list[object]) -> None:
        match record:
            case [str(run_id)]:
                self.runs.pop(run_id, None)
            case [str(run_id), str(launch), [str(state), code, str(message), started, ended], stopping]:
                report = RunReport(
                    run_id,
                    RunState(state),
                    exit_code=code if isinstance(code, int) else None,
                    message=message,
                    started_ms=started if isinstance(started, int) else None,
                    ended_ms=ended if isinstance(ended, int) else None,
                )
                taken = launch_from_bytes(base64.b64decode(launch)) if launch else None
                if taken is not None:
                    report = RunReport(
                        run_id,
                        report.state,
                        taken.nodes,
                        report.exit_code,
                        message,
                        report.started_ms,
                        report.ended_ms,
                    )
                self.runs[run_id] = Noted(run_id, taken, report, str(stopping) if stopping is not None else None)
            case _:
                raise ValueError(f"{self._path}: 已损坏，请用备份恢复 / is damaged: restore a backup")


def _line(noted: Noted) -> bytes:
    report = noted.report
    launch = base64.b64encode(launch_to_bytes(noted.launch)).decode("ascii") if noted.launch else ""
    told = [report.state.value, report.exit_code, report.message, report.started_ms, report.ended_ms]
    return json.dumps([noted.run_id, launch, told, noted.stopping], ensure_ascii=False).encode() + b"\n"

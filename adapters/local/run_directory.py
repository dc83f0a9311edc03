"""The directory of one local run, as the adapter sees it: what it writes for the supervisor, and what it reads.

`adapters.local.supervisor` defines the files; everything that is known of a run is in them, so an adapter that
starts again knows what the one before knew.
"""

from __future__ import annotations

import fcntl
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from adapters.contract import Launch, RunReport, task_load
from adapters.local import supervisor as files
from adapters.sdk.files import sync_directory
from inventory.model.retry import FailureCategory
from inventory.model.units import Resources
from inventory.model.workload import RunState


@dataclass(frozen=True, slots=True)
class Accepted:
    """What the adapter must know of a run that it has accepted: where it runs and what it takes."""

    nodes: tuple[str, ...]
    load: Resources
    accepted_ms: int


class RunDirectory:
    """One run's files below `root`. Every method may raise OSError; damaged files raise ValueError."""

    def __init__(self, root: Path, run_id: str) -> None:
        self.run_id = run_id
        self._path = root / run_id

    @property
    def path(self) -> Path:
        return self._path.resolve()

    def create(self, launch: Launch, accepted_ms: int, cgroup: Path | None = None) -> Accepted:
        """Makes the directory; when it returns, the run survives a crash of the adapter."""
        load = task_load(launch) * launch.requirements.tasks
        taken = Resources(
            load.cpu_milli, load.memory_bytes, launch.requirements.total.disk_bytes, load.accelerator_milli
        )
        (self._path / files.WORK).mkdir(parents=True)
        files.write_json(
            str(self._path / files.SPEC),
            {
                "run_id": launch.run_id,
                "workload_id": launch.workload_id,
                "argv": list(launch.program.command),
                "environment": dict(launch.program.environment),
                "tasks": launch.requirements.tasks,
                "memory_bytes": launch.requirements.per_task.memory_bytes,
                "cpu_milli": load.cpu_milli,
                "cgroup": str(cgroup / launch.run_id) if cgroup else "",
                "max_runtime_ms": launch.max_runtime_ms,
                "nodes": list(launch.nodes),
                "taken": [taken.cpu_milli, taken.memory_bytes, taken.disk_bytes, taken.accelerator_milli],
                "accepted_ms": accepted_ms,
            },
        )
        sync_directory(self._path)
        sync_directory(self._path.parent)
        return Accepted(launch.nodes, taken, accepted_ms)

    def accepted(self) -> Accepted | None:
        """What was accepted; None for a tombstone, and for a directory that a crash left unfinished."""
        match files.read_json(str(self._path / files.SPEC)):
            case None:
                return None
            case {
                "nodes": list(nodes),
                "taken": [int(cpu), int(memory), int(disk), int(cards)],
                "accepted_ms": int(accepted_ms),
            }:
                return Accepted(tuple(str(n) for n in nodes), Resources(cpu, memory, disk, cards), accepted_ms)
            case _:
                raise ValueError(f"{self._path / files.SPEC} 已损坏 / is damaged: restore a backup or delete it")

    def start_supervisor(self) -> subprocess.Popen[bytes]:
        """Starts a supervisor in a session of its own. Harmless when one is there already, or has been."""
        script = Path(files.__file__)
        return subprocess.Popen(
            [sys.executable, "-I", "-S", "-X", "utf8", str(script), str(self._path.resolve())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={},
            start_new_session=True,
        )

    def command_beside(self, task: int, command: Sequence[str]) -> list[str]:
        """What to execute for a command in the surroundings of a task: its folder, settings, limits and group."""
        script = Path(files.__file__)
        return [sys.executable, "-I", "-S", "-X", "utf8", str(script), str(self.path), str(task), *command]

    def has_supervisor(self) -> bool:
        """True while a supervisor lives: it holds the lock."""
        try:
            with (self._path / files.LOCK).open("rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False

    def request_stop(self, grace_ms: int, why: str = "") -> None:
        """Asks the supervisor to end the run; it looks several times a second. The first request counts."""
        if not (self._path / files.STOP).exists():
            files.write_json(str(self._path / files.STOP), {"grace_ms": grace_ms, "why": why})

    def started_ms(self) -> int | None:
        """When the tasks started; None when they have not."""
        match files.read_json(str(self._path / files.STARTED)):
            case {"started_ms": int(started_ms)}:
                return started_ms
            case _:
                return None

    def ended(self, nodes: tuple[str, ...]) -> RunReport | None:
        """How the run ended; None while it has not."""
        content = files.read_json(str(self._path / files.ENDED))
        match content:
            case None:
                return None
            case {
                "state": str(state),
                "exit_code": int() | None as exit_code,
                "message": str(message),
                "started_ms": int() | None as started_ms,
                "ended_ms": int(ended_ms),
            }:
                # An adapter of before knew no categories.
                category = content.get("failure")
                failure = FailureCategory(str(category)) if category else None
                return RunReport(
                    self.run_id, RunState(state), nodes, exit_code, message, started_ms, ended_ms, failure=failure
                )
            case _:
                raise ValueError(f"{self._path / files.ENDED} 已损坏 / is damaged: restore a backup or delete it")

    def end(self, report: RunReport) -> None:
        """Writes the end of a run that has no supervisor to write it: a tombstone, or a lost run."""
        self._path.mkdir(parents=True, exist_ok=True)
        files.write_json(
            str(self._path / files.ENDED),
            {
                "state": report.state.value,
                "exit_code": report.exit_code,
                "message": report.message,
                "started_ms": report.started_ms,
                "ended_ms": report.ended_ms,
            },
        )
        sync_directory(self._path.parent)

    def read_log(self, offset: int, size: int) -> bytes:
        """At most `size` bytes of the output from `offset` on; nothing where there is none yet."""
        try:
            with (self._path / files.LOG).open("rb") as log:
                log.seek(offset)
                return log.read(size)
        except FileNotFoundError:
            return b""

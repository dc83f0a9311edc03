"""The fates of a simulated pool on disk: one JSON line a decision, appended and synced batch by batch.

A later line for the same run replaces the earlier. The file is compacted when the adapter starts, and whenever it
has grown far beyond what is remembered.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import BinaryIO

from adapters.sdk.files import sync_directory
from adapters.simulated.fates import Fate
from inventory.model.units import Resources
from inventory.model.workload import RunState

_ENCODE = json.JSONEncoder(ensure_ascii=False).encode  # `json.dumps` would make an encoder for every line


class FateFile:
    """Appends fates to `path`. One writer at a time; every method blocks on the disk."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self.lines = 0

    def read(self) -> list[Fate]:
        """The last fate of each run, in order of their first lines. Raises ValueError where a line is damaged.

        An unfinished last line is what a crash leaves behind; nothing in it was acknowledged, so it is dropped.
        """
        if not self._path.exists():
            return []
        lines = self._path.read_bytes().split(b"\n")
        fates: dict[str, Fate] = {}
        for number, line in enumerate(lines[:-1], start=1):
            try:
                fate = _from_json(json.loads(line))
            except (ValueError, TypeError, KeyError) as error:
                raise ValueError(
                    f"{self._path} 第 {number} 行已损坏，请用备份恢复 / line {number} is damaged: restore a backup"
                ) from error
            fates[fate.run_id] = fate
        return list(fates.values())

    def append(self, fates: Sequence[Fate]) -> None:
        """On disk when it returns. Raises OSError, and then the file may hold a part of the batch."""
        if self._file is None:
            self._file = self._path.open("ab")
        self._file.write(_to_lines(fates))
        self._file.flush()
        os.fdatasync(self._file.fileno())
        self.lines += len(fates)

    def rewrite(self, fates: Iterable[Fate]) -> None:
        """Replaces the whole file, so that it holds each fate once."""
        self.close()
        draft = self._path.with_name(self._path.name + ".new")
        self.lines = 0
        with draft.open("wb") as file:
            for fate in fates:
                file.write(_to_lines((fate,)))
                self.lines += 1
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._path)
        sync_directory(self._path.parent)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def _to_lines(fates: Iterable[Fate]) -> bytes:
    return "".join([_ENCODE(_to_json(fate)) + "\n" for fate in fates]).encode()


def _to_json(fate: Fate) -> list[object]:
    run_id, nodes, load, *rest = fate
    return [run_id, nodes, [load.cpu_milli, load.memory_bytes, load.accelerator_milli], *rest]


def _from_json(record: list[object]) -> Fate:
    match record:
        case [
            str(run_id),
            list(nodes),
            [int(cpu), int(memory), int(cards)],
            int(disk),
            int(starts_ms),
            int(ends_ms),
            str(outcome),
            int() | None as exit_code,
            str(message),
        ]:
            return Fate(
                run_id=run_id,
                nodes=tuple(str(node) for node in nodes),
                load=Resources(cpu, memory, 0, cards),
                disk_bytes=disk,
                starts_ms=starts_ms,
                ends_ms=ends_ms,
                outcome=RunState(outcome),
                exit_code=exit_code,
                message=message,
            )
        case _:
            raise ValueError("not a fate")

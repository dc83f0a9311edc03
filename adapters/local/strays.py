"""Processes of runs that have ended: a run that was given up as lost and proves alive later is stopped.

The backend sweeps when it starts and every few seconds. Every task carries its run id and the directory of its run
in its environment, and so does whatever it starts: no unrelated process is ever touched, whatever its number.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Collection
from pathlib import Path

from adapters.local.supervisor import RUN_ID_VARIABLE, WORK_VARIABLE

_PROC = Path("/proc")


def kill_strays(root: Path, ended: Collection[str]) -> list[str]:
    """Kills every process of a run below `root` whose id is in `ended`; returns the run ids, one a process."""
    found: list[str] = []
    for entry in _PROC.iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        run_id = _run_of(entry, root)
        if run_id is not None and run_id in ended:
            try:
                os.kill(int(entry.name), signal.SIGKILL)
            except ProcessLookupError:
                continue  # it has ended by itself
            found.append(run_id)
    return found


def _run_of(entry: Path, root: Path) -> str | None:
    """The run of `root` that a process belongs to, if any."""
    try:
        words = (entry / "environ").read_bytes().split(b"\0")
    except OSError:  # ended meanwhile, or another user's: neither is ours
        return None
    settings = dict(word.partition(b"=")[::2] for word in words)
    run_id = settings.get(RUN_ID_VARIABLE.encode(), b"").decode(errors="replace")
    work = settings.get(WORK_VARIABLE.encode(), b"").decode(errors="replace")
    return run_id if run_id and work == str(root.resolve() / run_id) else None

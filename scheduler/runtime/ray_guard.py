"""Ends what a local Ray leaves behind when the process that started it is gone, however that happened.

`scheduler.runtime.cluster.local_ray` starts this file as a process of its own (standard library only) and holds
the other end of its standard input. When that end closes, this looks for processes that still have files open
below Ray's folder: Ray's own agents rename themselves and may outlive their parent, but they keep their logs open.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from pathlib import Path

# Ray's processes end by themselves when they can; they get this long.
GRACE_S = 3.0
KILL_FOR_S = 10.0


def users_of(folder: Path, spared: frozenset[int]) -> list[int]:
    """Processes, but for `spared`, that have a file open below `folder`."""
    found = []
    prefix = f"{folder}/"
    for process in Path("/proc").iterdir():
        if not process.name.isdecimal() or int(process.name) in spared:
            continue
        try:
            links = [str(entry.readlink()) for entry in (process / "fd").iterdir()]
        except OSError:  # it has ended meanwhile, or is somebody else's
            continue
        if any(link.startswith(prefix) for link in links):
            found.append(int(process.name))
    return found


def guard(folder: Path, *, remove: bool) -> None:
    """Waits for the end of standard input, then clears up. Its own parent is never touched: it ends in order."""
    spared = frozenset({os.getpid(), os.getppid()})
    while sys.stdin.buffer.read(1024):
        """Nothing is said on it: only its end matters."""
    deadline = time.monotonic() + GRACE_S
    while users_of(folder, spared) and time.monotonic() < deadline:
        time.sleep(0.1)
    deadline = time.monotonic() + KILL_FOR_S
    while (left := users_of(folder, spared)) and time.monotonic() < deadline:
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(0.1)
    if remove:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    guard(Path(sys.argv[1]), remove=sys.argv[2] == "remove")

"""When this command began, for commands that promise to end within a time: loading the program counts as well.

Who calls this: `console.entry` says that a command begins, `console.planning` asks how long ago that was. Where nobody said
it (a test that calls a command within its own process), nothing has passed.
"""

from __future__ import annotations

import time

_began: list[float] = []


def begin() -> None:
    _began[:] = [time.monotonic()]


def seconds_since() -> float:
    """How long the command has been running; 0 where nobody said that it began."""
    return time.monotonic() - _began[0] if _began else 0.0

"""One run through many lives: a program that the crash tests start, and that is killed again and again.

    python -m tests.runbooks.lives FOLDER SCHEDULE

Modules are loaded once; each life is a fork that opens the store, drives the run, plays the people who approve, and
is killed (SIGKILL, by itself, at the point that the schedule names) or comes to the end. SCHEDULE is "each:execute"
or "each:compensate" (right before and right after every step, or compensation, once) or "seed:N" (at points drawn
from a generator seeded with N). Prints the number of lives.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from scheduler.core.migration.transitions import MigrationState
from tests.runbooks.runbooks import OPENS_MS, PAPER, a_site

MOST_LIVES = 400
_LONGEST_STRETCH = 40


def each_point(folder: Path, kind: str) -> Callable[[str], None]:
    """Kills at every point around the steps (or compensations), each once in the run's whole history."""
    notes = folder / "killed.json"

    def observe(point: str) -> None:
        if not point.startswith((f"executing {kind}", f"executed {kind}")):
            return
        killed = json.loads(notes.read_text(encoding="utf-8")) if notes.exists() else []
        if point not in killed:
            notes.write_text(json.dumps([*killed, point]), encoding="utf-8")
            os.kill(os.getpid(), signal.SIGKILL)

    return observe


def drawn_points(seed: int, life: int) -> Callable[[str], None]:
    """Kills after so many points of any kind."""
    left = random.Random(f"{seed}/{life}").randint(1, _LONGEST_STRETCH)

    def observe(point: str) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    return observe


def live(folder: Path, observe: Callable[[str], None]) -> None:
    """Drives the run R1 to its end."""
    with a_site(folder, observer=observe) as site:
        while True:
            run = site.settle("R1")
            if run.state.is_final:
                return
            if "rehearsed_rollback_ms" in run.evidence and site.clock.at_ms < OPENS_MS:
                site.clock.at_ms = OPENS_MS
            elif run.state is MigrationState.WAITING and run.waiting_for in ("approve", "accept"):
                site.desk.approve("R1", "", "张三", PAPER)


def main(folder: Path, schedule: str) -> None:
    kind, _, which = schedule.partition(":")
    for number in range(1, MOST_LIVES):
        child = os.fork()
        if child == 0:
            observe = each_point(folder, which) if kind == "each" else drawn_points(int(which), number)
            live(folder, observe)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if os.WIFEXITED(status):
            sys.stdout.write(f"{number}\n")
            sys.exit(os.WEXITSTATUS(status))
    sys.exit(f"no end in {MOST_LIVES} lives")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])

"""PSPLIB projects from the command line, and what a search may spend.

Who calls this: `console.commands.project` and `console.commands.migration`; `console.planning` takes the budget from here. It
imports little on purpose: who gives ten seconds is not to wait five of them until the program is loaded.
"""

from __future__ import annotations

import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from console import printing
from console.faults import Fault
from console.files import STANDARD_OUTPUT, read_text, replacing
from console.starting import seconds_since
from scheduler.core.budget import Budget
from scheduler.core.projects.project import ProjectError
from scheduler.core.projects.psplib import read_project
from scheduler.core.projects.solve import solve_project

MAX_FILE_BYTES = 256 * 1024 * 1024
# Of the time that a user gives, this much is left for reading, judging and writing.
_SPARE_SECONDS = 0.3
# Who gives seconds gives them to the search; but loading the program that takes longer than this, on a busy machine, counts.
_LOADING_SECONDS = 2.0
# However long the program took to load, a search gets this share of the time.
_LEAST_SHARE = 0.25


def budget(seconds: float, effort: float, workers: int) -> Budget:
    """`effort` above 0: deterministic, no clock; otherwise so many seconds. `workers` 0: as many as processors."""
    count = workers or (1 if effort > 0 else min(16, os.cpu_count() or 1))
    if effort > 0:
        return Budget(effort=effort, workers=count)
    if seconds <= 0:
        raise Fault(
            f"--seconds {seconds} 须大于 0 / --seconds must be above 0, for example 30",
        )
    late = max(0.0, seconds_since() - _LOADING_SECONDS)
    left = max(seconds - _SPARE_SECONDS - late, seconds * _LEAST_SHARE)
    return Budget(clock=time.monotonic, ends_at=time.monotonic() + left, workers=count)


def plan_project(file: Path, json_file: Path | None, seed: int, limits: Budget) -> None:
    """Schedules a PSPLIB instance and writes makespan, bound and the start of every job."""
    text = read_text(file, MAX_FILE_BYTES)
    with replacing(json_file) as output, ThreadPoolExecutor(1, "bound") as threads:
        try:
            found = solve_project(read_project(text), seed, limits, threads)
        except ProjectError as error:
            raise Fault(f"{file}: {error}") from None
        answer = {
            "makespan": found.makespan,
            "bound": found.bound,
            "starts": {str(number): start for number, start in sorted(found.starts.items())},
        }
        output.write(f"{json.dumps(answer)}\n".encode())
    if json_file != STANDARD_OUTPUT:
        proven = "，已证明最优 / proven optimal" if found.is_optimal else ""
        printing.say(f"工期 / makespan {found.makespan}，下界 / bound {found.bound}{proven}", "bold")

"""The runbook host of the worked example as a process of its own, which dies at every step.

    python -m console.example_host FOLDER POOL_ENDPOINT

`console.migration_example` starts it, and starts it again whenever it is gone, when it is asked for crashes. Right after a
step or a compensation has done its work, and before that is recorded, the host kills itself (SIGKILL), once for each of
them; `killed.json` in the folder says where it has died. It ends when its standard input does.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from pathlib import Path

from console.adapter_workloads import AdapterWorkloads
from scheduler.runbooks.driver import Driver, DriverSettings
from scheduler.runbooks.record import RunRecord
from scheduler.runbooks.steps.context import StepPorts
from scheduler.runtime.clock import SystemClock
from scheduler.store.opening import open_store

KILLED = "killed.json"
_TICK_S = 0.05


def places_of_death(folder: Path) -> list[str]:
    """The points at which the host has killed itself so far."""
    notes = folder / KILLED
    return list(json.loads(notes.read_text(encoding="utf-8"))) if notes.exists() else []


def main(folder: Path, endpoint: str) -> None:
    def observe(point: str) -> None:
        killed = places_of_death(folder)
        if point.startswith("executed ") and point not in killed:
            (folder / KILLED).write_text(json.dumps([*killed, point]), encoding="utf-8")
            os.kill(os.getpid(), signal.SIGKILL)

    store = open_store(f"sqlite:///{folder / 'xisuan.db'}")
    workloads = AdapterWorkloads(endpoint)
    ports = StepPorts(SystemClock(), workloads, workloads, folder / "steps")
    settings = DriverSettings(f"sqlite:///{folder / 'checkpoints.db'}", observer=observe)
    driver = Driver(RunRecord(store), ports, settings)
    driver.start()
    over = threading.Event()

    def watch() -> None:
        sys.stdin.read()
        over.set()

    threading.Thread(target=watch, name="watch", daemon=True).start()
    while not over.wait(_TICK_S):
        driver.tick()
    driver.close()
    store.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])

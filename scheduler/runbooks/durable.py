"""DBOS, as the driver of runbooks uses it: stretches that are begun are ended, whenever the process dies.

`driver` loads this when the first run is to be carried forward: DBOS takes a second to load and asks its database several
times a second for ever, which an installation without runs need not pay.
"""

from __future__ import annotations

from collections.abc import Callable

from dbos import DBOS, DBOSConfig, StepOptions

# Runs outlive releases: a stretch that an older program began is ended by a newer one, because every stretch
# decides anew on what is recorded. So the version that DBOS ties workflows to is that of this loop, not of its code.
_LOOP_VERSION = "xisuan-runbooks-1"
_drive: Callable[[str], None] | None = None


@DBOS.workflow(name="runbook-stretch", max_recovery_attempts=1_000_000)
def stretch(run_id: str) -> None:
    """One stretch of a run. Recovered by DBOS after a crash, from the last step that it had recorded."""
    drive = _drive
    if drive is not None:  # None: the process is being shut down, the next start goes on
        drive(run_id)


def launch(database_url: str, poll_s: float, drive: Callable[[str], None]) -> None:
    """Begins, and recovers the stretches that were cut short. One a process. `drive` is the body of a stretch."""
    global _drive
    _drive = drive
    config: DBOSConfig = {
        "name": "xisuan-runbooks",
        "system_database_url": database_url,
        "application_version": _LOOP_VERSION,
        "executor_id": "runbook-host",
        "log_level": "ERROR",
        "enable_otlp": False,
        "use_listen_notify": False,
        "notification_listener_polling_interval_sec": poll_s,  # closing waits as long
    }
    DBOS(config=config)
    DBOS.launch()


def begin(run_id: str) -> None:
    DBOS.start_workflow(stretch, run_id)


def step(name: str, function: Callable[[], str]) -> str:
    """Done once within a stretch, its result remembered, and tried again where it fails."""
    options: StepOptions = {"name": name, "retries_allowed": True, "max_attempts": 8, "interval_seconds": 0.2}
    return DBOS.run_step(options, function)


def close() -> None:
    global _drive
    _drive = None
    DBOS.destroy(workflow_completion_timeout_sec=0)

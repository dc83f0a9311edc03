"""`kill -9` at any point, and a new start: nothing that must not be is done twice, and nothing is left out."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from inventory.store.verify import verify
from scheduler.core.migration.run import ChangeKind
from scheduler.core.migration.transitions import MigrationState, StepState
from tests.runbooks.runbooks import PAPER, SYSTEM, Site, a_site, a_template, an_order, noting, step

ROOT = Path(__file__).parents[2]
# Kills at every step are in every run of the tests; drawn points are many lives more: `make chaos-runbooks`.
SEEDS = [int(seed) for seed in os.environ.get("XISUAN_CHAOS_SEEDS", "").split()]
FORWARD = [
    "build",
    "replicate",
    f"rehearsal.stop@{SYSTEM}",
    "rehearsal.start",
    "rehearsal.verify",
    f"stop@{SYSTEM}",
    "start",
    "verify",
    "wipe",
]
REHEARSED = ["rehearsal.verify", "rehearsal.start", f"rehearsal.stop@{SYSTEM}"]


def live_on(folder: Path, schedule: str) -> int:
    """Runs the lives to the end of the run; how many there were."""
    said = subprocess.run(
        [sys.executable, "-m", "tests.runbooks.lives", folder, schedule],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert said.returncode == 0, said.stdout + said.stderr[-4000:]
    return int(said.stdout.split()[-1])


def opened(folder: Path, log: Path, **changes: Any) -> None:
    with a_site(folder) as site:
        assert site.open(a_template(log, **changes), an_order()) == "R1"


def noted(log: Path) -> list[tuple[str, str]]:
    """(word, step) of every line, in order; each attempt must have left one line, and only one."""
    lines = [tuple(line.split()) for line in log.read_text(encoding="utf-8").splitlines()]
    assert [line for line, times in Counter(lines).items() if times > 1] == []
    return [(line[0], line[1]) for line in lines]


def require_sound(site: Site, migrated: int) -> None:
    assert verify(site.store).holds
    assert len(site.store.read(limit=1000, kinds=("system.migrated",))) == migrated
    started = Counter(
        (entry.change.payload["step"], entry.change.payload["attempt"])
        for entry in site.record.entries("R1")
        if entry.change.kind is ChangeKind.STEP_STARTED
    )
    assert set(started.values()) == {1}


@pytest.mark.faults
@pytest.mark.parametrize("schedule", ["each:execute", *(f"seed:{seed}" for seed in SEEDS)])
def test_a_run_that_is_killed_again_and_again_does_every_step_once(schedule: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    opened(tmp_path, log)
    lives = live_on(tmp_path, schedule)
    assert lives > 3, "the schedule killed nobody"
    words = noted(log)
    assert [name for word, name in words if word == "do"] == FORWARD
    assert [name for word, name in words if word == "undo"] == REHEARSED
    with a_site(tmp_path) as site:
        assert site.run("R1").state is MigrationState.COMPLETED
        require_sound(site, migrated=1)


@pytest.mark.faults
@pytest.mark.parametrize("schedule", ["each:compensate", *(f"seed:{seed}" for seed in SEEDS)])
def test_a_rollback_that_is_killed_again_and_again_undoes_every_step_once(schedule: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    # It passes in the rehearsal and fails in the window.
    line = f'echo "do $XISUAN_STEP $XISUAN_ATTEMPT" >> {log}; case $XISUAN_STEP in rehearsal*) exit 0;; *) exit 1;; esac'
    place = {"PLACE": "${place}"}  # the rehearsal's own, or it would touch the real thing
    fails = {"kind": "command", "argv": ["/bin/sh", "-c", line], "environment": place, "idempotent": False}
    verification = {"steps": [step("verify", fails, compensation=noting(log, "undo"), provides="verified")]}
    opened(tmp_path, log, verification=verification)
    live_on(tmp_path, schedule)
    words = noted(log)
    assert [name for word, name in words if word == "do"] == FORWARD[:-1]
    undone = ["verify", "start", f"stop@{SYSTEM}", "replicate", "build"]
    assert [name for word, name in words if word == "undo"] == [*REHEARSED, *undone]
    with a_site(tmp_path) as site:
        assert site.run("R1").state is MigrationState.ROLLED_BACK
        require_sound(site, migrated=0)


@pytest.mark.faults
def test_a_command_whose_machine_died_is_not_begun_again_unless_a_person_says_so(tmp_path: Path) -> None:
    log, supervisor = tmp_path / "log", tmp_path / "supervisor"
    once_only = f"[ -e {supervisor} ] || {{ echo $PPID > {supervisor}.new; mv {supervisor}.new {supervisor}; exec sleep 60; }}"
    line = f'echo "do $XISUAN_STEP $XISUAN_ATTEMPT" >> {log}; {once_only}'
    once = {"kind": "command", "argv": ["/bin/sh", "-c", line], "idempotent": False}
    replication = {
        "steps": [step("replicate", once, compensation=noting(log, "undo"), provides="replication_lag")]
    }
    with a_site(tmp_path) as site:
        run_id = site.open(a_template(log, replication=replication))
        site.until_state(run_id, MigrationState.WAITING)
        site.desk.approve(run_id, "", "张三", PAPER)
        deadline = time.monotonic() + 20
        while not supervisor.exists() and time.monotonic() < deadline:
            site.driver.tick()
            time.sleep(0.01)
        # The supervisor and its command go at once, as they would with the machine.
        pid = int(supervisor.read_text(encoding="ascii"))
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split():
            os.kill(int(child), signal.SIGKILL)
        os.kill(pid, signal.SIGKILL)
        run = site.until_state(run_id, MigrationState.HELD)
        assert run.of(run.step("replicate")).state in (StepState.UNKNOWN, StepState.FAILED)
        assert noted(log).count(("do", "replicate")) == 1
        site.desk.retry(run_id, "王五")
        site.until(run_id, lambda run: run.waiting_for == "wait")
        assert noted(log).count(("do", "replicate")) == 2

"""Carries out one strike of a schedule against a stage: breaks something, and mends it when its time is up."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self

import psutil

from tests.chaos.schedule import LEASE_S, Fault, Strike
from tests.chaos.stage import Stage
from tests.runtime.service import until

CONTROL_PLANE, POOL_HOST, GATEWAY = "ControlPlaneShell", "PoolHostShell", "GatewayShell"
RECORDING = "scheduler.store.recording_process"
# The start of a process, a lease, the end of a transaction that stands still, and some patience with a busy machine.
TAKEOVER_S = 60.0


def strike(stage: Stage, what: Strike) -> None:
    """Returns when the fault is over, which is not yet when the service is well again."""
    _STRIKES[what.fault](stage, what)


def _kill_control_plane(stage: Stage, _: Strike) -> None:
    stage.kill_part(CONTROL_PLANE)


def _kill_pool_host(stage: Stage, _: Strike) -> None:
    stage.kill_part(POOL_HOST)


def _kill_gateway(stage: Stage, _: Strike) -> None:
    stage.kill_part(GATEWAY)


def _kill_recording(stage: Stage, _: Strike) -> None:
    """It runs once a group was large enough for it."""
    stage.kill_part(RECORDING)


def _kill_tree(stage: Stage, what: Strike) -> None:
    stage.kill_tree()
    time.sleep(what.length_s)
    stage.start()


def _kill_adapter(stage: Stage, what: Strike) -> None:
    stage.witnesses[what.target].kill()
    time.sleep(what.length_s)
    stage.witnesses[what.target].start()


def _kill_postgres(stage: Stage, what: Strike) -> None:
    assert stage.postgres is not None
    stage.postgres.kill()
    time.sleep(what.length_s)
    stage.postgres.ensure()


def _fill_disk(stage: Stage, what: Strike) -> None:
    stage.disk.fill()
    time.sleep(what.length_s)
    stage.disk.free()
    if stage.postgres is not None:
        stage.postgres.ensure()


def _freeze_leader(stage: Stage, what: Strike) -> None:
    """The machine sleeps: the leader, and `up`, which would end it. Another takes over when the lease has ended; when the
    first wakes it must stand by."""
    frozen = [psutil.Process(stage.process.pid), *stage.parts_named(CONTROL_PLANE)]
    for process in frozen:
        process.suspend()
    began = time.monotonic()
    with SecondLeader(stage) as second:
        try:
            # Frozen within a transaction it keeps SQLite's lock until it wakes; PostgreSQL takes it from it.
            leads = second.leads_within(what.length_s if stage.postgres is None else TAKEOVER_S)
            assert leads or stage.postgres is None, "nobody took over from a frozen leader"
            time.sleep(max(0.0, began + what.length_s - time.monotonic()))
        finally:
            for process in frozen:
                process.resume()
        if leads:
            time.sleep(LEASE_S)
            second.end_in_order()


def _hang_leader(stage: Stage, _: Strike) -> None:
    """Its process alone stands still, and nobody wakes it: `up` must end it."""
    frozen = stage.parts_named(CONTROL_PLANE)
    for process in frozen:
        process.suspend()
    until(lambda: not any(_lives(process) for process in frozen), "the end of a leader that stood still")


def _lives(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _lose_machine(stage: Stage, what: Strike) -> None:
    """Everything is gone; another takes over when the lease has ended. The machine comes back, and stands by until the
    other gives the lease back."""
    stage.kill_tree()
    with SecondLeader(stage) as second:
        assert second.leads_within(TAKEOVER_S), "nobody took over from a machine that was lost"
        returning = threading.Thread(target=stage.start)
        returning.start()
        time.sleep(LEASE_S + what.length_s)
        second.end_in_order()
        returning.join()


class SecondLeader:
    """Another machine's control plane (`tests.chaos.second_leader`), which stands by from now on."""

    def __init__(self, stage: Stage) -> None:
        with (stage.home / "second-leader.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.chaos.second_leader"],
                env=os.environ | {"XISUAN_STORE": stage.store_url, "XISUAN_HOME": str(stage.home)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def leads_within(self, seconds: float) -> bool:
        """Whether it has begun to lead by then: it says its epoch when it does."""
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], seconds)
        return bool(ready) and self._process.stdout.readline().strip().isdigit()

    def end_in_order(self) -> None:
        """Nobody has deposed it: whoever woke or came back has stood by."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.stdin = None
        assert self._process.wait(30) == 0, f"the second leader ended with {self._process.returncode}"


def _cut_line(stage: Stage, what: Strike) -> None:
    line = stage.witnesses[what.target].line
    assert line is not None
    line.cut()
    time.sleep(what.length_s)
    line.mend()


_STRIKES: Mapping[Fault, Callable[[Stage, Strike], None]] = {
    Fault.KILL_CONTROL_PLANE: _kill_control_plane,
    Fault.KILL_POOL_HOST: _kill_pool_host,
    Fault.KILL_GATEWAY: _kill_gateway,
    Fault.KILL_RECORDING: _kill_recording,
    Fault.KILL_TREE: _kill_tree,
    Fault.KILL_ADAPTER: _kill_adapter,
    Fault.KILL_POSTGRES: _kill_postgres,
    Fault.DISK_FULL: _fill_disk,
    Fault.FREEZE_LEADER: _freeze_leader,
    Fault.HANG_LEADER: _hang_leader,
    Fault.LOSE_MACHINE: _lose_machine,
    Fault.PARTITION: _cut_line,
}

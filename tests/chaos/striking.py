"""Carries out one strike of a schedule against a stage: breaks something, and mends it when its time is up."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping

from tests.chaos.schedule import Fault, Strike
from tests.chaos.second_leader import DEPOSED
from tests.chaos.stage import Stage
from tests.runtime.service import until

CONTROL_PLANE, POOL_HOST, GATEWAY = "ControlPlaneShell", "PoolHostShell", "GatewayShell"


def strike(stage: Stage, what: Strike) -> None:
    """Returns when the fault is over, which is not yet when the service is well again."""
    _STRIKES[what.fault](stage, what)


def _kill_control_plane(stage: Stage, _: Strike) -> None:
    stage.kill_part(CONTROL_PLANE)


def _kill_pool_host(stage: Stage, _: Strike) -> None:
    stage.kill_part(POOL_HOST)


def _kill_gateway(stage: Stage, _: Strike) -> None:
    stage.kill_part(GATEWAY)


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
    """A second leader takes over while the first sleeps; when it wakes, one of them must end by itself."""
    frozen = stage.parts_named(CONTROL_PLANE)
    for process in frozen:
        process.suspend()
    second = subprocess.Popen(
        [sys.executable, "-m", "tests.chaos.second_leader"],
        env=os.environ | {"XISUAN_STORE": stage.store_url, "XISUAN_HOME": str(stage.home)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=(stage.home / "second-leader.log").open("ab"),
        text=True,
    )
    try:
        assert second.stdout is not None
        leads = second.stdout.readline().strip().isdecimal()
        time.sleep(what.length_s)
        for process in frozen:
            process.send_signal(signal.SIGCONT)
        if not leads and stage.postgres is None:
            return  # frozen within a transaction: SQLite's one writer keeps its lock, and nobody can take over
        assert leads, "the second leader did not take over"
        # The first finds that it was replaced, ends, and comes back with a newer epoch: that ends the second.
        until(lambda: second.poll() is not None, "the end of the second leader")
        assert second.returncode == DEPOSED, f"the second leader ended with {second.returncode}"
    finally:
        second.kill()
        second.wait()


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
    Fault.KILL_TREE: _kill_tree,
    Fault.KILL_ADAPTER: _kill_adapter,
    Fault.KILL_POSTGRES: _kill_postgres,
    Fault.DISK_FULL: _fill_disk,
    Fault.FREEZE_LEADER: _freeze_leader,
    Fault.PARTITION: _cut_line,
}

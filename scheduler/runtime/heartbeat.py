"""Ends a leader that is frozen: its process is there, so Ray does not start another, and it may hold SQLite's lock.

`scheduler.runtime.cluster.Runtime` looks every second. A process that led and has not answered for two leases is killed,
and Ray starts it anew. One that is starting or stands by is left alone: loading a large store holds its event loop up.
"""

from __future__ import annotations

import logging
import os
import signal
from typing import Any

import ray
from ray.exceptions import RayError

log = logging.getLogger("xisuan.heartbeat")
_LONGEST_PAUSE_S = 3.0  # between two looks


class Heartbeat:
    """Of one actor that has a method `pulse` (`actors.Pulse`). `patience_s` is how long it may be silent."""

    def __init__(self, plane: Any, patience_s: float) -> None:
        self._plane = plane
        self._patience_s = patience_s
        self._asked: Any = None
        self._looked_s = 0.0
        self._silent_s = 0.0
        self._last: Any = None  # the last pulse of this process, if it led then

    def look(self, now_s: float) -> None:
        """Never waits. A time in which nobody looked, because we stood still ourselves, is no silence of the other."""
        self._silent_s += min(now_s - self._looked_s, _LONGEST_PAUSE_S)
        self._looked_s = now_s
        if self._asked is not None:
            if ray.wait([self._asked], timeout=0)[0]:
                self._take()
            elif self._last is not None and self._silent_s > self._patience_s:
                self._end()
            else:
                return
        self._asked, self._silent_s = self._plane.pulse.remote(), 0.0

    def _take(self) -> None:
        try:
            pulse = ray.get(self._asked)
        except RayError:  # it has died, and is another process from now on
            self._last = None
        else:
            self._last = pulse if pulse.leads else None

    def _end(self) -> None:
        pulse, self._last = self._last, None
        log.error(
            "控制平面（进程 %d）%.0f 秒没有应答，将其结束并重启 / the control plane (process %d) has not answered for %.0f s: "
            "it is ended, and started again",
            pulse.pid, self._patience_s, pulse.pid, self._patience_s,
        )  # fmt: skip
        if pulse.node_id == ray.get_runtime_context().get_node_id():
            try:
                os.kill(pulse.pid, signal.SIGKILL)  # what is frozen hears nothing else
            except ProcessLookupError:
                return
        else:
            ray.kill(self._plane, no_restart=False)

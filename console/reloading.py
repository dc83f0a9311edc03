"""The settings file of a running service, read again: on SIGHUP, which `xisuan settings reload` sends.

`xisuan up` keeps one `SettingsInForce`. A file that cannot be used changes nothing and is told in one line; what only a
start can change is told too.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from console.faults import Fault
from console.service_settings import ServiceSettings, read_service_settings
from scheduler.cycle import CycleSettings

log = logging.getLogger("xisuan.settings")


class Configurable(Protocol):
    """`scheduler.runtime.cluster.Runtime`, as far as it is needed here."""

    def reconfigure(self, cycle: CycleSettings) -> None: ...


class SettingsInForce:
    """`find` names the file each time, because one may come into being while the service runs."""

    def __init__(self, find: Callable[[], Path | None], stated: ServiceSettings, runtime: Configurable) -> None:
        self._find = find
        self._runtime = runtime
        self.stated = stated

    def reload(self) -> bool:
        """Reads the file and puts it in force; False, with one line in the log, where it cannot be."""
        path = self._find()
        try:
            stated = read_service_settings(path)
        except Fault as fault:
            more = (
                f"（另有 {len(fault.lines) - 1} 处 / {len(fault.lines) - 1} more）" if len(fault.lines) > 1 else ""
            )
            log.error("设置未变 / the settings stay as they are: %s%s", fault.lines[0], more)
            return False
        self._runtime.reconfigure(stated.cycle)
        log.info("设置已生效 / settings are in force: %s", path or "缺省 / defaults")
        for name in ("metrics_port", "lease_s"):
            if getattr(stated.operation, name) != getattr(self.stated.operation, name):
                log.warning("%s 在下次启动时生效 / %s takes effect at the next start", name, name)
        self.stated = stated
        return True

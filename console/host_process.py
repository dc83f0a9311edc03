"""The runbook host as a process of a running service: started, watched, started again, ended.

`console.embedded` starts one for the service that it runs; `xisuan up` restarts one that ended.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from scheduler.access.local import AccessFiles
from scheduler.runbooks.order import SecretPlace
from xisuan.credentials import CREDENTIALS

_STOP_S = 8.0


def host_command(folder: Path, address: str, notices: SecretPlace | None) -> list[str]:
    """What the host is started with."""
    where = () if notices is None else ("--notices", notices.model_dump_json(exclude_defaults=True))
    return [sys.executable, "-m", "console.runbook_host", "--folder", str(folder), "--address", address, *where]


class HostProcess:
    """`console.runbook_host` over the service at `address`, with its state in `folder`. `notices` names the webhook of
    notices (None: none are sent)."""

    def __init__(
        self,
        folder: Path,
        store_url: str,
        address: str,
        access: AccessFiles,
        notices: SecretPlace | None = None,
    ) -> None:
        self._access = access
        self._notices = notices
        self._folder = folder
        self._store_url = store_url
        self._address = address
        self._process = self._spawn()

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        """Ends it as a crash would. For fault drills."""
        self._process.kill()
        self._process.wait()

    def restart(self) -> None:
        """Starts it again on its state; runs go on where the record says."""
        self._process = self._spawn()

    def close(self) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()  # the host ends when its standard input does
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()

    def _spawn(self) -> subprocess.Popen[bytes]:
        self._folder.mkdir(parents=True, exist_ok=True)
        command = host_command(self._folder, self._address, self._notices)
        # The URL may hold a password: the environment is not shown to other users, arguments are.
        # It has credentials of its own: the person who started the service does not act through it.
        kept = {name: value for name, value in os.environ.items() if name not in CREDENTIALS}
        environment = {
            **kept,
            "XISUAN_STORE": self._store_url,
            "XISUAN_TOKEN_FILE": str(self._access.runbook_host_token),
            "XISUAN_CERTIFICATE": str(self._access.certificate("local")),
            "XISUAN_KEY": str(self._access.key("local")),
            "XISUAN_CA": str(self._access.authority),
        }
        with (self._folder / "log").open("ab") as log:
            return subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=log, stderr=log, env=environment, start_new_session=True
            )

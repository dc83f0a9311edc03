"""The home folder: where one installation keeps its database, its lock, its endpoint and its logs.

Every command finds it through the environment: XISUAN_HOME (default `.xisuan`), XISUAN_STORE (a database URL,
default SQLite below the home). Nothing else of the machine is touched.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TextIO

from adapters.sdk.files import write_durably
from console.faults import Fault

LOCK_WAIT_S = 5.0
_POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a running service answers: host:port, the process that serves, when it started (UTC milliseconds), and
    where its metrics are to be had (host:port, empty: nowhere), and the settings file that it was given (or empty)."""

    address: str
    pid: int
    started_ms: int
    metrics: str = ""
    settings: str = ""

    def is_process_alive(self) -> bool:
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:  # it lives, and belongs to somebody else
            return True
        return True


@dataclass(frozen=True, slots=True)
class Home:
    """One installation's folder. `store_url` may hold a password: it is never printed."""

    folder: Path
    store_url: str

    @property
    def log_file(self) -> Path:
        return self.folder / "logs" / "console.log"

    @property
    def archive_folder(self) -> Path:
        """Where old events of finished workloads lie (`inventory.store.archive`)."""
        return self.folder / "archive"

    @property
    def papers_folder(self) -> Path:
        """Copies of the papers whose hashes are in the event chain (`console.papers`)."""
        return self.folder / "papers"

    @property
    def lock_file(self) -> Path:
        return self.folder / "lock"

    @property
    def endpoint_file(self) -> Path:
        return self.folder / "endpoint.json"

    def create(self) -> None:
        """Makes the folder where it is missing."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Fault(
                f"无法建立数据目录 {self.folder}（{error.strerror}）；请用 XISUAN_HOME 指定可写目录"
                f" / the home {self.folder} cannot be made; name a folder that can be written with XISUAN_HOME"
            ) from error

    def read_endpoint(self) -> Endpoint | None:
        """What the last `up` wrote; None when there is nothing, or nothing that makes sense."""
        try:
            written = json.loads(self.endpoint_file.read_text(encoding="utf-8"))
            more = str(written.get("metrics", "")), str(written.get("settings", ""))
            return Endpoint(str(written["address"]), int(written["pid"]), int(written["started_ms"]), *more)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None

    def write_endpoint(self, endpoint: Endpoint) -> None:
        write_durably(self.endpoint_file, f"{json.dumps(asdict(endpoint))}\n".encode())

    def remove_endpoint(self) -> None:
        self.endpoint_file.unlink(missing_ok=True)

    @contextmanager
    def writer_lock(self) -> Iterator[None]:
        """Holds the home for one writer: a running service for its life, or one local command.

        Waits a little for another command; the lock ends with the process, however that ends.
        """
        self.create()
        with self._open_lock() as lock:
            deadline = time.monotonic() + LOCK_WAIT_S
            while not _try_lock(lock.fileno()):
                if time.monotonic() >= deadline:
                    raise Fault(self._held_by(lock.read()))
                time.sleep(_POLL_S)
            lock.seek(0)
            lock.truncate()
            lock.write(str(os.getpid()))
            lock.flush()
            yield

    def is_locked(self) -> bool:
        """True when a service or a command of another process writes here now."""
        try:
            with self.lock_file.open("r+", encoding="ascii") as lock:
                return not _try_lock(lock.fileno())
        except OSError:
            return False

    def _open_lock(self) -> TextIO:
        try:
            self.lock_file.touch()
            return self.lock_file.open("r+", encoding="ascii", errors="replace")
        except OSError as error:
            raise Fault(
                f"无法写入 {self.lock_file}（{error.strerror}）；请检查权限，或换 XISUAN_HOME"
                f" / {self.lock_file} cannot be written; check its permissions, or name another XISUAN_HOME"
            ) from error

    def _held_by(self, said: str) -> str:
        holder = said.strip() or "?"
        return (
            f"数据目录 {self.folder} 正被进程 {holder} 使用；请等它结束，或停止它后重试"
            f" / the home {self.folder} is in use by process {holder}; wait for it, or stop it and try again"
        )


def find_home(environment: Mapping[str, str] | None = None) -> Home:
    """The home that the environment names."""
    settings = os.environ if environment is None else environment
    # Absolute, because actors of the service work in folders of their own.
    folder = Path(settings.get("XISUAN_HOME") or ".xisuan").absolute()
    url = settings.get("XISUAN_STORE") or f"sqlite:///{folder / 'xisuan.db'}"
    return Home(folder, url)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True

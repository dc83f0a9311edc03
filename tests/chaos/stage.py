"""The stage of a run of rounds: the whole service as `xisuan up` starts it, with four witness pools.

Two pools are beside the service, two behind lines of their own; the store lies on a disk of its own. One stage serves
many rounds, so that a round costs seconds.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from types import TracebackType

import psutil
import psycopg

from adapters.client import SECURE
from adapters.wire.pools import pool_to_wire, write_pool_file
from inventory.model.pool import NodeGroup, Pool
from inventory.model.system import Architecture
from inventory.model.units import GIB, Resources
from scheduler.access.local import LocalAccess
from scheduler.runtime.clock import SystemClock
from tests.chaos.history import PoolHistory
from tests.chaos.isolation import Disk, Line, alone
from tests.chaos.schedule import FAR, LEASE_S, NEAR, POSTGRES
from tests.chaos.witness_pool import TECHNOLOGY, read_history
from tests.cycle.fakes import a_pool
from tests.runtime.service import Service, until
from tests.servers.required import free_port
from xisuan.client import CallError, Client
from xisuan.credentials import of_home
from xisuan.operations import Operations

_POSTGRES_SCRIPT = Path(__file__).parent.parent / "servers" / "postgres.sh"
_DISK_MEGABYTES = 2048
_NODES = {**dict.fromkeys(NEAR, 4), **dict.fromkeys(FAR, 3)}


# Some groups of a round are as large as that, and some are not: both ways into the store are played.
_STORE_APART = "8"


class Witness:
    """One witness pool's adapter, killed and started again on its port; with a `line`, behind it."""

    def __init__(self, pool_id: str, folder: Path, line: Line | None) -> None:
        group = NodeGroup("node", _NODES[pool_id], Architecture.X86_64, Resources(4_000, 16 * GIB))
        self.pool: Pool = a_pool(pool_id, adapter=TECHNOLOGY, node_groups=(group,))
        self.line = line
        self._folder = folder
        self._host = line.their_address if line else "127.0.0.1"
        self._port = free_port()
        folder.mkdir(parents=True)
        write_pool_file(folder / "pool.json", self.pool)
        self._certify(folder.parent / "home")
        self.start()

    @property
    def endpoint(self) -> str:
        return f"{SECURE}{self._host}:{self._port}"

    def _certify(self, home: Path) -> None:
        """By the authority of the service: only its scheduler is answered, also from other networks."""
        local = LocalAccess(home, SystemClock().now_ms())
        pair = local.issue_server_certificate(self.pool.pool_id, [self._host])
        (self._folder / "server.pem").write_bytes(pair.certificate)
        (self._folder / "server.key").write_bytes(pair.key)
        self._tls = (
            *(
                "--tls-certificate",
                str(self._folder / "server.pem"),
                "--tls-key",
                str(self._folder / "server.key"),
            ),
            *("--tls-client-ca", str(local.files.authority)),
        )

    def start(self) -> None:
        command = [
            *(sys.executable, "-m", "tests.chaos.witness_pool", "--pool-spec", str(self._folder / "pool.json")),
            *("--state-dir", str(self._folder / "state"), "--port", str(self._port)),
            *("--host", "0.0.0.0" if self.line else self._host),
            *self._tls,
        ]
        with (self._folder / "log").open("ab") as log:
            started = alone(command) if self.line else command
            self._process = subprocess.Popen(started, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        if self.line is not None:
            until(self._is_alone, f"a network of its own for {self.pool.pool_id}")
            self.line.plug_into(self._process.pid)
        until(self._answers, f"{self.pool.pool_id} ({self._folder / 'log'})")

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def history(self) -> PoolHistory:
        return read_history(self.pool, self._folder / "state")

    def _is_alone(self) -> bool:
        return Path(f"/proc/{self._process.pid}/ns/net").readlink() != Path("/proc/self/ns/net").readlink()

    def _answers(self) -> bool:
        assert self._process.poll() is None, (self._folder / "log").read_text(encoding="utf-8")[-2000:]
        with socket.socket() as probe:
            probe.settimeout(0.2)
            return probe.connect_ex((self._host, self._port)) == 0


class Stage(Service):
    """`xisuan up` on a store of this kind. Made inside of `isolation.enter`."""

    def __init__(self, folder: Path, kind: str) -> None:
        self.folder = folder
        self.disk = Disk(folder / "disk", _DISK_MEGABYTES)
        self.postgres = Postgres(self.disk.path / "pg") if kind == POSTGRES else None
        self.store_url = self.postgres.url if self.postgres else f"sqlite:///{self.disk.path / 'xisuan.db'}"
        self._port = free_port()
        self.witnesses = {
            pool_id: Witness(pool_id, folder / pool_id, Line() if pool_id in FAR else None)
            for pool_id in (*NEAR, *FAR)
        }
        super().__init__(folder / "home")
        with self.operations() as operations:
            for witness in self.witnesses.values():
                until(partial(_registers, operations, witness), f"the registration of {witness.pool.pool_id}")
            until(lambda: self._all_ready(operations), "readiness of all pools")

    def start(self) -> subprocess.Popen[bytes]:
        """Starts (again), on the same port, and waits until it serves."""
        (self.home / "endpoint.json").unlink(missing_ok=True)
        self.home.mkdir(parents=True, exist_ok=True)
        (self.home / "settings.yaml").write_text(f"version: 1\noperation: {{lease_s: {LEASE_S:g}}}\n")
        with (self.home / "up.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "console", "up", "--port", str(self._port)],
                env=os.environ
                | {
                    "XISUAN_HOME": str(self.home),
                    "XISUAN_STORE": self.store_url,
                    "XISUAN_STORE_APART": _STORE_APART,
                },
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )
        until(self._is_up, f"the start of the service ({self.home / 'up.log'})", 180.0)
        self._started += self.parts()
        return self.process

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        for witness in self.witnesses.values():
            witness.kill()
        if self.postgres is not None:
            self.postgres.kill()

    def patient_client(self, patience_s: float) -> Client:
        return Client(self.address, patience_s=patience_s, credentials=of_home(self.home))

    @property
    def address(self) -> str:
        """The same from start to start, so that clients find the service again."""
        return f"127.0.0.1:{self._port}"

    def kill_part(self, name: str) -> None:
        """kill -9 of the process whose command line has this text; nothing where it is not there just now."""
        for part in self.parts_named(name):
            part.kill()

    def parts_named(self, name: str) -> list[psutil.Process]:
        return [part for part in self.parts() if name in _words(part)]

    def kill_tree(self) -> None:
        """kill -9 of everything at once, but for the stores and the pools."""
        everything = [psutil.Process(self.process.pid), *self.parts()]
        for part in everything:
            _signal(part, signal.SIGKILL)
        self.process.wait()
        psutil.wait_procs(everything, timeout=30)


def _registers(operations: Operations, witness: Witness) -> bool:
    """A machine that is busy with other things may take longer than a call waits."""
    try:
        operations.register_pool(pool_to_wire(witness.pool), witness.endpoint)
    except CallError as error:
        if error.is_retryable or error.code == "DEADLINE_EXCEEDED":
            return False
        raise
    return True


class Postgres:
    """A PostgreSQL with its files in `folder`, to be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = free_port()
        start = [str(_POSTGRES_SCRIPT), "start", str(folder), str(self._port), str(os.getpid())]
        started = subprocess.run(start, check=False, capture_output=True, text=True)
        assert started.returncode == 0, f"PostgreSQL did not start: {started.stderr[-1000:]}"
        self._server_url = f"postgresql://xisuan@127.0.0.1:{self._port}/"
        with psycopg.connect(self._server_url + "postgres", autocommit=True) as admin:
            admin.execute("CREATE DATABASE chaos")
        self.url = self._server_url + "chaos"

    def kill(self) -> None:
        """kill -9 of the server and of everything that it has started."""
        try:
            server = psutil.Process(int((self._folder / "cluster/postmaster.pid").read_text().splitlines()[0]))
            processes = [server, *server.children(recursive=True)]
        except (OSError, psutil.NoSuchProcess):
            return
        for process in processes:
            _signal(process, signal.SIGKILL)
        psutil.wait_procs(processes, timeout=10)

    def ensure(self) -> None:
        """Up: started again where it has ended, as a service manager does."""
        until(self._start, f"PostgreSQL ({self._folder / 'server.log'})")

    def _start(self) -> bool:
        try:
            psycopg.connect(self.url, connect_timeout=2).close()
        except psycopg.OperationalError:
            programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1]
            options = f"-p {self._port} -c listen_addresses=127.0.0.1 -c fsync=off -c unix_socket_directories=''"
            command = [str(programs / "pg_ctl"), "-D", str(self._folder / "cluster"), "-W", "-l"]
            command += [str(self._folder / "server.log"), "start", "-o", options]
            as_server = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
            subprocess.run([*as_server, *command], check=False, capture_output=True, cwd=self._folder)
            time.sleep(0.5)
            return False
        return True


def _words(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return

"""The whole product on one machine: adapters, Ray, control plane, gateway. `xisuan up` and `xisuan demo` run it.

Adapters of the technologies that this machine can serve itself (simulated, local) are started as processes of our
own, each with its state folder below the home; others are reached where they are. Nothing outlives `running`: the
adapters end when their standard input does, which happens even when this process is killed.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from adapters.client import SECURE
from adapters.sdk.tls import ServerTls
from adapters.wire.pools import write_pool_file
from console.access_record import record_issued
from console.host_process import HostProcess
from inventory.model.pool import Pool
from scheduler.access.guard import AccessSettings
from scheduler.access.local import AccessFiles, LocalAccess
from scheduler.access.settings import AccessForm
from scheduler.access.transport import adapter_tls
from scheduler.cycle import CycleSettings
from scheduler.runbooks.order import SecretPlace
from scheduler.runtime.calls import LEASE_MS, RuntimeSettings
from scheduler.runtime.clock import SystemClock
from scheduler.runtime.cluster import Runtime, ray_of
from scheduler.store.opening import open_store
from xisuan.credentials import Credentials, of_home

OWN_ADAPTERS = frozenset({"simulated", "local"})
_PORT_WAIT_S = 20.0
_STOP_WAIT_S = 8.0
_POLL_S = 0.05


class AdapterFailed(Exception):
    """An adapter process ended instead of serving: one line with what it said."""


@dataclass(frozen=True, slots=True)
class EmbeddedSettings:
    """`endpoints` are adapters that run elsewhere, by pool id. `simulate_all` serves every pool without an
    endpoint by the simulated adapter, whatever its technology. `speed` is simulated seconds in a real second. `cycle`
    is how placements are decided (`console.service_settings`; None: as by default), `access` who may do what.
    `gateways` listen at `port` and those after it. `lease_s` is how long a leader that is not heard of still leads. `notices` is
    where the webhook of notices is named (None: none are sent)."""

    home: Path
    store_url: str
    host: str = "127.0.0.1"
    port: int = 0
    endpoints: Mapping[str, str] = field(default_factory=dict)
    simulate_all: bool = False
    speed: float = 1.0
    seed: int = 0
    pool_hosts: int = 1
    gateways: int = 1
    lease_s: float = LEASE_MS / 1000
    cycle: CycleSettings | None = None
    access: AccessForm = field(default_factory=AccessForm)
    notices: SecretPlace | None = None


@dataclass(frozen=True, slots=True)
class Running:
    """What is up: the address that clients call (of the first gateway, and of all), the local administrator's
    credentials, and the pools that nothing serves."""

    address: str
    addresses: tuple[str, ...]
    runtime: Runtime
    adapters: Mapping[str, AdapterProcess]
    runbook_host: HostProcess
    credentials: Credentials
    unserved: tuple[str, ...]


class AdapterProcess:
    """One adapter of our own, serving one pool on a free loopback port."""

    def __init__(
        self, pool: Pool, technology: str, folder: Path, arguments: Sequence[str], tls: ServerTls | None = None
    ) -> None:
        self.pool = pool
        self._tls = tls
        self._technology = technology
        self._folder = folder
        self._arguments = tuple(arguments)
        self._process = self._spawn()

    @property
    def pid(self) -> int:
        return self._process.pid

    def endpoint(self) -> str:
        """host:port (grpcs://host:port over TLS) as soon as it serves. Raises AdapterFailed when it ends first, with its
        last line."""
        port_file = self._folder / "port"
        deadline = time.monotonic() + _PORT_WAIT_S
        while time.monotonic() < deadline:
            if port_file.exists():
                scheme = "" if self._tls is None else SECURE
                return f"{scheme}127.0.0.1:{port_file.read_text(encoding='ascii').strip()}"
            if self._process.poll() is not None:
                break
            time.sleep(_POLL_S)
        said = (self._folder / "log").read_text(encoding="utf-8", errors="replace").strip().splitlines()
        raise AdapterFailed(
            f"算力池 {self.pool.pool_id} 的适配器没有启动 / its adapter did not start: "
            f"{said[-1] if said else 'no output'}"
        )

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        """Ends it as a crash would. For fault drills."""
        self._process.kill()
        self._process.wait()

    def restart(self) -> str:
        """Starts it again on its state folder; returns the new endpoint."""
        self._process = self._spawn()
        return self.endpoint()

    def close(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(_STOP_WAIT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        finally:
            if self._process.stdin is not None:
                self._process.stdin.close()

    def command(self) -> list[str]:
        """What it is started with."""
        return [
            *(sys.executable, "-m", f"adapters.{self._technology}"),
            *("--pool-spec", str(self._folder / "pool.json")),
            *("--state-dir", str(self._folder / "state")),
            *("--port-file", str(self._folder / "port"), "--exit-with-parent"),
            *self._arguments,
            *_tls_options(self._tls),
        ]

    def _spawn(self) -> subprocess.Popen[bytes]:
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / "port").unlink(missing_ok=True)
        write_pool_file(self._folder / "pool.json", self.pool)
        with (self._folder / "log").open("ab") as log:
            return subprocess.Popen(
                self.command(), stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True
            )


@contextmanager
def running(
    settings: EmbeddedSettings, pools: Sequence[Pool], on_standby: Callable[[str], None] = lambda _: None
) -> Iterator[Running]:
    """Everything up, with these pools registered, until the block ends. Raises AdapterFailed, StoreError.

    While another installation leads on the same store, this one waits for its lease to end; `on_standby` is told whose.
    """
    open_store(settings.store_url).close()  # a database that cannot be used is said here, in one line
    access = AccessSettings(settings.home / "access", settings.access)
    local = LocalAccess(settings.home, SystemClock().now_ms())
    record_issued(settings.store_url, local.prepare(settings.host, settings.access.names), "xisuan up")
    with ExitStack() as stack:
        adapters = {}
        for pool in pools:
            technology = _own_technology(settings, pool)
            if technology is not None:
                adapters[pool.pool_id] = _start_adapter(settings, pool, technology)
                stack.callback(adapters[pool.pool_id].close)
        stack.enter_context(ray_of(settings.home / "ray"))
        runtime = Runtime(_runtime_settings(settings, access))
        stack.callback(runtime.close)
        runtime.await_leadership(on_standby)
        endpoints = {
            **settings.endpoints,
            **{pool_id: adapter.endpoint() for pool_id, adapter in adapters.items()},
        }
        for pool in pools:
            if pool.pool_id in endpoints:
                runtime.call("scheduling", "register_pool", pool, endpoints[pool.pool_id])
        ports = runtime.serve(settings.host, settings.port)
        unserved = tuple(pool.pool_id for pool in pools if pool.pool_id not in endpoints)
        addresses = tuple(f"{called_by(settings.host)}:{port}" for port in ports)
        address = addresses[0]
        runbook_host = HostProcess(
            settings.home / "runbooks", settings.store_url, address, access.files, settings.notices
        )
        stack.callback(runbook_host.close)
        yield Running(address, addresses, runtime, adapters, runbook_host, of_home(settings.home), unserved)


def _runtime_settings(settings: EmbeddedSettings, access: AccessSettings) -> RuntimeSettings:
    return RuntimeSettings(
        settings.store_url,
        settings.pool_hosts,
        settings.gateways,
        cycle=settings.cycle,
        access=access,
        holder=f"{socket.gethostname()}:{settings.home}",
        lease_ms=round(settings.lease_s * 1000),
    )


def _own_technology(settings: EmbeddedSettings, pool: Pool) -> str | None:
    """Which adapter of ours serves this pool; None when it is reached elsewhere, or not at all."""
    if pool.pool_id in settings.endpoints:
        return None
    if pool.adapter in OWN_ADAPTERS:
        return pool.adapter
    return "simulated" if settings.simulate_all else None


def _start_adapter(settings: EmbeddedSettings, pool: Pool, technology: str) -> AdapterProcess:
    folder = settings.home / "adapters" / pool.pool_id
    arguments = ("--speed", str(settings.speed), "--seed", str(settings.seed)) if technology == "simulated" else ()
    return AdapterProcess(pool, technology, folder, arguments, adapter_tls(AccessFiles(settings.home / "access")))


def _tls_options(tls: ServerTls | None) -> tuple[str, ...]:
    if tls is None:
        return ()
    options = ("--tls-certificate", str(tls.certificate), "--tls-key", str(tls.key))
    return (*options, "--tls-client-ca", str(tls.client_ca))


def called_by(host: str) -> str:
    """The address by which this machine's own programs call a server that listens at `host`."""
    return {"0.0.0.0": "127.0.0.1", "::": "[::1]", "": "127.0.0.1"}.get(host, f"[{host}]" if ":" in host else host)

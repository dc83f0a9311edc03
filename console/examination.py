"""Can Xisuan run on this machine, and does what it relies on answer? One small check each: `xisuan doctor`."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack

from adapters.client import SECURE, AdapterClient
from adapters.port import AdapterMisbehaved, AdapterUnavailable, CapabilityMissing
from console.connection import service_address
from console.faults import Fault, explain
from console.home import Home
from console.local_store import local_store
from inventory.store.errors import StoreError
from inventory.store.event_store import Store
from scheduler.access.certificates import read_presented
from scheduler.access.local import AccessFiles
from scheduler.access.transport import to_adapters
from scheduler.operation import checks
from scheduler.operation.checks import Check
from scheduler.runtime.clock import SystemClock
from scheduler.store.measures import revision
from scheduler.store.scheduler_store import SchedulerStore
from xisuan.credentials import Credentials
from xisuan.operations import Operations

_LEAST_PYTHON = (3, 11)
_LEAST_FREE_BYTES = 1024**3
_RAY_TIMEOUT_S = 60
_ADAPTER_TIMEOUT_S = 1.0


def examine(home: Home) -> list[Check]:
    """All checks, in the order in which a start needs them."""
    found = [_python(), checks.libraries(), *_folder(home), _port(), _ray(), _service(home), *_store(home)]
    found += _certificates(home)
    if not home.is_locked():
        found.append(checks.leftovers(home.folder))
    return found


def _python() -> Check:
    version = ".".join(str(part) for part in sys.version_info[:3])
    good = sys.version_info >= _LEAST_PYTHON
    return Check("Python", good, version, "" if good else "须为 3.11 或更新 / 3.11 or newer is needed")


def _folder(home: Home) -> Iterator[Check]:
    try:
        home.create()
    except Fault as fault:
        yield Check("数据目录 / home", False, fault.lines[0])
        return
    yield Check("数据目录 / home", True, str(home.folder))
    free = shutil.disk_usage(home.folder).free
    shown = f"{free / 1024**3:.1f} GiB"
    good = free >= _LEAST_FREE_BYTES
    yield Check(
        "磁盘空间 / disk space", good, shown, "" if good else "须有 1 GiB，请清理 / 1 GiB is needed: free some"
    )


def _port() -> Check:
    try:
        with socket.create_server(("127.0.0.1", 0)) as server:
            return Check("本机端口 / loopback port", True, f"127.0.0.1:{server.getsockname()[1]}")
    except OSError as error:
        return Check(
            "本机端口 / loopback port", False, str(error.strerror), "请检查网络设置 / check the network settings"
        )


def _ray() -> Check:
    """In a process of its own: importing Ray takes seconds and leaves traces."""
    command = [sys.executable, "-c", "import ray; print(ray.__version__)"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_RAY_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        return Check("Ray", False, f"{_RAY_TIMEOUT_S} 秒内无法载入 / cannot be loaded within {_RAY_TIMEOUT_S} s")
    if done.returncode == 0:
        return Check("Ray", True, done.stdout.strip())
    last = (done.stderr.strip().splitlines() or ["?"])[-1]
    return Check("Ray", False, last, "请运行 pip install 'xisuan[server]' / run pip install 'xisuan[server]'")


def _service(home: Home) -> Check:
    try:
        address = service_address(home)
    except Fault as fault:
        return Check("服务 / service", False, fault.lines[0])
    return Check("服务 / service", True, address or "未运行 / not running")


def _store(home: Home) -> Iterator[Check]:
    with ExitStack() as stack:
        try:
            store: Store = stack.enter_context(local_store(home, writing=False))
            head = store.head()
        except (StoreError, Fault) as error:
            known = explain(error)
            yield Check("数据库 / store", False, known.lines[0] if known else str(error))
            return
        shown = f"{head.seq} 个事件 / events，表版本 / revision {revision(store.engine)}"
        yield Check("数据库 / store", True, shown)
        yield checks.end_of_chain(store)
        for stored in SchedulerStore(store).pools():
            with _adapter(home, stored.endpoint) as adapter:
                answers = adapter.is_serving(_ADAPTER_TIMEOUT_S)
            hint = "" if answers else "没有应答，请启动其适配器 / does not answer: start its adapter"
            yield Check(f"算力池 / pool {stored.pool.pool_id}", answers, stored.endpoint, hint)
            if answers:
                yield checks.clock_skew(stored.pool.pool_id, _skew_ms(home, stored.endpoint))


def _certificates(home: Home) -> Iterator[Check]:
    """Every certificate in a folder of the home. Private keys are not read."""
    for file in sorted({*home.folder.glob("*/*.pem"), *home.folder.glob("*/*.crt")}):
        content = file.read_bytes()
        if b"BEGIN CERTIFICATE" in content:
            name = str(file.relative_to(home.folder))
            try:
                expires_ms = read_presented(content).expires_ms
            except ValueError as error:
                yield Check(
                    f"证书 / certificate {name}", False, str(error), "请换成有效证书 / put a valid one there"
                )
                continue
            yield checks.certificate(name, expires_ms, SystemClock().now_ms())


def _adapter(home: Home, endpoint: str) -> Operations:
    """A channel to an adapter, with the scheduler's certificate where it serves over TLS."""
    if not endpoint.startswith(SECURE):
        return Operations(endpoint, credentials=Credentials())
    tls = to_adapters(AccessFiles(home.folder / "access"))
    shown = Credentials("", tls.ca, tls.certificate, tls.key)
    return Operations(endpoint.removeprefix(SECURE), credentials=shown)


def _skew_ms(home: Home, endpoint: str) -> int | None:
    """How far the adapter's clock is ahead of ours; None where it does not tell, or fails meanwhile."""

    async def ask() -> int | None:
        adapter = AdapterClient(endpoint, to_adapters(AccessFiles(home.folder / "access")))
        try:
            return await adapter.clock_ahead_ms(SystemClock().now_ms)
        except (AdapterUnavailable, AdapterMisbehaved, CapabilityMissing):
            return None  # that it does not serve is another check's word
        finally:
            await adapter.close()

    return asyncio.run(ask())

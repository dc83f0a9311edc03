"""Runs one adapter process from start to end: state folder, port, health, reflection, signals.

`adapters.<technology>.__main__` calls `serve` with its backend. A fault of the person who starts it (a port in
use, a state folder in use) is a StartRefused with one line.
"""

from __future__ import annotations

import asyncio
import fcntl
import gc
import os
import secrets
import signal
import stat
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from adapters.contract import MESSAGE_LIMIT, Capabilities, PoolBackend
from adapters.sdk.changing import Memory, ReportedEvents
from adapters.sdk.fence import Fence
from adapters.sdk.files import write_durably
from adapters.sdk.journal import EventJournal
from adapters.sdk.leases import Clocks, LeaseBook
from adapters.sdk.listening import StartRefused, bind
from adapters.sdk.servicer import HEARTBEAT_S, AdapterServicer
from adapters.sdk.tls import SCHEDULER, PeerInterceptor, ServerTls, require_known_callers
from adapters.tracing import start_tracing, stop_tracing
from xisuan.pool.v1 import pool_adapter_service_pb2 as pb
from xisuan.pool.v1 import pool_adapter_service_pb2_grpc as pb_grpc

SERVICE = pb.DESCRIPTOR.services_by_name["PoolAdapterService"].full_name
_STOP_GRACE_S = 5.0
_OPTIONS = (
    # Two adapters on one port would share its connections at random: the second must be refused instead.
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", MESSAGE_LIMIT),
    ("grpc.max_send_message_length", MESSAGE_LIMIT),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 5000),
)


@dataclass(frozen=True, slots=True)
class Listening:
    """Where and how an adapter process serves. Port 0: a free one, written to `port_file` when it is bound. With `tls`
    only who shows a certificate of `client_name` may call; without it the port is on loopback."""

    state_dir: Path
    host: str = "127.0.0.1"
    port: int = 0
    port_file: Path | None = None
    exit_with_parent: bool = False
    heartbeat_s: float = HEARTBEAT_S
    tls: ServerTls | None = None
    client_name: str = SCHEDULER


async def serve(backend: PoolBackend, listening: Listening) -> int:
    """Serves until SIGTERM or SIGINT (or the end of the parent); returns the exit code.

    0: ended as asked. 1: the backend failed. Raises StartRefused before anything is served.
    """
    start_tracing(f"xisuan-adapter-{backend.capabilities.technology}")
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    if listening.exit_with_parent:
        _stop_at_end_of_input(loop, stopping)
    with _state_folder(listening.state_dir):
        try:
            memory = Memory(
                Fence(listening.state_dir / "epoch"), LeaseBook(listening.state_dir, Clocks(_elapsed_ms, _wall_ms))
            )
        except ValueError as error:
            raise StartRefused(str(error)) from error
        journal = EventJournal(secrets.token_hex(8))
        servicer = AdapterServicer(backend, journal, memory, listening.heartbeat_s)
        try:
            await backend.start(ReportedEvents(journal, memory.leases))
            await servicer.start()
        except (OSError, ValueError) as error:
            raise StartRefused(
                f"{listening.state_dir}: 状态目录无法使用：{error} / the state folder cannot be used: {error}"
            ) from error
        _collect_rarely()
        try:
            await _serve_until((stopping, journal.failed), servicer, backend.capabilities, listening)
        finally:
            await backend.close()
            await asyncio.to_thread(stop_tracing)
    if journal.failed.is_set():
        sys.stderr.write(
            f"{journal.failure}: 适配器出错退出，重启即恢复 / the adapter failed; a restart recovers\n"
        )
        return 1
    return 0


def _collect_rarely() -> None:
    """Sets the cycle collector to long strides: with Python's own it takes a third of the time of a large batch.

    What the backend has recovered stays for good and is never looked at again; what launches and watches make is
    freed by reference counting, and cycles wait until a hundred thousand objects are new.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 20)


async def _serve_until(
    endings: Sequence[asyncio.Event], servicer: AdapterServicer, capabilities: Capabilities, listening: Listening
) -> None:
    tls = listening.tls
    require_known_callers(listening.host, are_known=tls is not None and tls.client_ca is not None)
    callers = () if tls is None or tls.client_ca is None else (PeerInterceptor(listening.client_name),)
    server = grpc.aio.server(options=_OPTIONS, interceptors=callers)
    pb_grpc.add_PoolAdapterServiceServicer_to_server(servicer, server)
    vitals = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(vitals, server)
    reflection.enable_server_reflection((SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME), server)
    port = bind(server, listening.host, listening.port, None if tls is None else tls.credentials())
    await server.start()
    for name in (SERVICE, health.OVERALL_HEALTH):
        await vitals.set(name, health_pb2.HealthCheckResponse.SERVING)
    if listening.port_file is not None:
        write_durably(listening.port_file, f"{port}\n".encode("ascii"))
    _say(f"{capabilities.pool_id} ({capabilities.technology}): {listening.host}:{port}")
    waiting = [asyncio.create_task(event.wait()) for event in endings]
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    for task in waiting:
        task.cancel()
    await vitals.enter_graceful_shutdown()
    await servicer.close()
    await server.stop(_STOP_GRACE_S)
    if listening.port_file is not None:
        listening.port_file.unlink(missing_ok=True)


@contextmanager
def _state_folder(path: Path) -> Iterator[None]:
    """Creates the state folder and holds its lock: two adapters on one state would both own its runs."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)  # settings and output of runs are private
        lock = (path / "lock").open("wb")
    except OSError as error:
        raise StartRefused(
            f"{path}: 无法写入状态目录（{error.strerror}）；请用 --state-dir 指定可写目录 / "
            f"the state folder cannot be written: name another with --state-dir"
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StartRefused(
                f"{path}: 另一个适配器正在使用该状态目录；请停止它，或换 --state-dir / "
                f"another adapter uses this state folder: stop it, or name another with --state-dir"
            ) from error
        yield


def _stop_at_end_of_input(loop: asyncio.AbstractEventLoop, stopping: asyncio.Event) -> None:
    """Stops the adapter when its standard input ends: the parent holds the other end of that pipe, so a parent
    that is killed takes its adapters with it."""
    source = sys.stdin.fileno()
    mode = os.fstat(source).st_mode
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or os.isatty(source)):
        raise StartRefused(
            "--exit-with-parent: 标准输入须为父进程持有的管道 / standard input must be a pipe of the parent"
        )

    def read() -> None:
        if not os.read(source, 4096):
            loop.remove_reader(source)
            stopping.set()

    loop.add_reader(source, read)


def _elapsed_ms() -> int:
    """Counts on while the machine sleeps, which Python's monotonic clock does not."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000


def _say(line: str) -> None:
    """One line for whoever watches; a reader that has gone away does not matter."""
    try:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

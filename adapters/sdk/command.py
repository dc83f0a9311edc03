"""The command line that every adapter process has; `xisuan up` and the demo start adapters with it.

    python -m adapters.<technology> --pool-spec POOL.json --state-dir DIR [--port-file FILE] [--exit-with-parent]

Exit codes: 0 ended as asked, 1 the adapter failed, 2 it was started wrongly (one line on standard error).
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from adapters.contract import PoolBackend
from adapters.sdk.listening import StartRefused
from adapters.sdk.server import Listening, serve
from adapters.sdk.tls import SCHEDULER, ServerTls
from adapters.wire.pools import read_pool_file
from inventory.model.pool import Pool

MakeBackend = Callable[[Pool, argparse.Namespace], PoolBackend]


def parser(technology: str) -> argparse.ArgumentParser:
    """The arguments that all adapters share; a technology adds its own."""
    result = argparse.ArgumentParser(
        prog=f"python -m adapters.{technology}", description=f"serves a {technology} pool over gRPC"
    )
    result.add_argument("--pool-spec", type=Path, required=True, help="the pool as JSON (xisuan.pool.v1.PoolSpec)")
    result.add_argument("--state-dir", type=Path, required=True, help="where this adapter remembers its runs")
    result.add_argument("--host", default="127.0.0.1", help="address to listen on; beyond loopback with TLS only")
    result.add_argument("--port", type=int, default=0, help="0: a free port")
    result.add_argument("--port-file", type=Path, help="where to write the port once it serves")
    result.add_argument("--tls-certificate", type=Path, help="certificate of this server, PEM")
    result.add_argument("--tls-key", type=Path, help="its private key, PEM")
    result.add_argument("--tls-client-ca", type=Path, help="authority that signs the scheduler's certificate, PEM")
    result.add_argument("--tls-client-name", default=SCHEDULER, help="common name of the scheduler's certificate")
    result.add_argument("--exit-with-parent", action="store_true", help="end when standard input ends")
    return result


def run(arguments: argparse.Namespace, make_backend: MakeBackend) -> int:
    """Reads the pool, makes the backend and serves; returns the exit code."""
    try:
        listening = Listening(
            state_dir=arguments.state_dir,
            host=arguments.host,
            port=arguments.port,
            port_file=arguments.port_file,
            exit_with_parent=arguments.exit_with_parent,
            tls=_tls(arguments),
            client_name=arguments.tls_client_name,
        )
        backend = make_backend(_read_pool(arguments.pool_spec), arguments)
        return asyncio.run(serve(backend, listening))
    except StartRefused as error:
        sys.stderr.write(f"{error}\n")
        return 2


def _tls(arguments: argparse.Namespace) -> ServerTls | None:
    given = (arguments.tls_certificate, arguments.tls_key, arguments.tls_client_ca)
    if not any(given):
        return None
    if not all(given):
        raise StartRefused(
            "--tls-certificate、--tls-key、--tls-client-ca 须同时给出 / give --tls-certificate, --tls-key and --tls-client-ca "
            "together"
        )
    return ServerTls(*given)


def _read_pool(path: Path) -> Pool:
    try:
        return read_pool_file(path)
    except OSError as error:
        raise StartRefused(
            f"--pool-spec {path}: 无法读取（{error.strerror}） / cannot be read: name an existing file"
        ) from error
    except ValueError as error:
        raise StartRefused(f"--pool-spec: {error}") from error


def numbers_in_range(values: Sequence[tuple[str, float, float, float]]) -> None:
    """Checks (option, value, low, high) for each; raises StartRefused for the first outside."""
    for option, value, low, high in values:
        if not low <= value <= high:
            raise StartRefused(f"{option} {value:g}: 须在 {low:g} 与 {high:g} 之间 / must be {low:g} to {high:g}")

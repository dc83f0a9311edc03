"""Finds the running service of this home, so that a command may call it, or work on the store itself.

A service is there when the endpoint that it wrote answers the health check. An endpoint whose process is dead, or
that does not answer while nobody holds the writer's lock, was left behind by a crash and is ignored.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from console.faults import Fault
from console.home import Home
from xisuan.client import Client
from xisuan.credentials import Credentials, find_credentials, from_environment, login_address
from xisuan.operations import Operations
from xisuan.queues import Queues

HEALTH_TIMEOUT_S = 2.0
# The service was found a moment ago: what fails now is worth a few tries, not a long wait.
PATIENCE_S = 5.0


def service_address(home: Home) -> str | None:
    """host:port of the running service, None when there is none. XISUAN_ADDRESS, or `xisuan login`, names one of another
    machine.

    Raises Fault when a service is there and does not answer: to work beside it on its store would be wrong.
    """
    named = os.environ.get("XISUAN_ADDRESS")
    if named:
        return named
    logged_in = login_address(home.folder)
    if logged_in:
        return logged_in
    endpoint = home.read_endpoint()
    if endpoint is not None and endpoint.is_process_alive():
        _require_readable(home)
        with Operations(endpoint.address, credentials=credentials_of(home, endpoint.address)) as service:
            if service.is_serving(HEALTH_TIMEOUT_S):
                return endpoint.address
        if home.is_locked():
            raise Fault(
                f"服务（进程 {endpoint.pid}，{endpoint.address}）没有应答；请稍后重试，或停止该进程后重新运行 xisuan up"
                f" / the service (process {endpoint.pid}, {endpoint.address}) does not answer; try again, or stop it "
                "and run xisuan up"
            )
    return None


def credentials_of(home: Home, address: str) -> Credentials:
    """Those of this home, whichever the environment names."""
    return find_credentials(address, {**os.environ, "XISUAN_HOME": str(home.folder)})


def _require_readable(home: Home) -> None:
    """The service of another user of this machine keeps its credentials to itself."""
    access = home.folder / "access"
    if access.exists() and not os.access(access, os.R_OK | os.X_OK) and from_environment(os.environ) is None:
        raise Fault(
            f"{access} 不可读：该服务由其他用户启动；请其签发令牌，再用 XISUAN_TOKEN_FILE 与 XISUAN_CA 给出"
            f" / {access} cannot be read: another user runs this service; ask him for a token, and give it with "
            "XISUAN_TOKEN_FILE and XISUAN_CA"
        )


def require_service(home: Home) -> str:
    """The address of the service, for commands that cannot do without."""
    address = service_address(home)
    if address is None:
        raise Fault(
            f"服务未运行（数据目录 {home.folder}）；请先在另一个终端运行 xisuan up"
            f" / the service is not running (home {home.folder}); run xisuan up in another terminal first"
        )
    return address


@contextmanager
def workloads(home: Home) -> Iterator[Client]:
    """A client for workloads, of the running service."""
    address = require_service(home)
    with Client(address, patience_s=PATIENCE_S, credentials=credentials_of(home, address)) as client:
        yield client


@contextmanager
def operations(home: Home) -> Iterator[Operations]:
    """A client for pools, ledger and migration, of the running service."""
    address = require_service(home)
    with Operations(address, patience_s=PATIENCE_S, credentials=credentials_of(home, address)) as service:
        yield service


@contextmanager
def queues(home: Home) -> Iterator[Queues]:
    """A client for queues and reservations, of the running service."""
    address = require_service(home)
    with Queues(address, patience_s=PATIENCE_S, credentials=credentials_of(home, address)) as client:
        yield client

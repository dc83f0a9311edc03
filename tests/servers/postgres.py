"""A real PostgreSQL for the tests that ask for one, and the fixture that runs a test on both databases.

The server is started once a session by `postgres.sh`, on a free loopback port; each test gets a database of its
own, copied from an empty migrated one. Where the server is not installed these tests are skipped with the reason,
and fail instead when the environment's XISUAN_REQUIRE names "postgres" (as CI does).
"""

from __future__ import annotations

import itertools
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from inventory.store.engine import open_engine

_SCRIPT = Path(__file__).with_name("postgres.sh")
_NOT_INSTALLED = 3


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _absent(reason: str) -> None:
    if "postgres" in os.environ.get("XISUAN_REQUIRE", "").replace(",", " ").split():
        pytest.fail(f"XISUAN_REQUIRE asks for postgres, but: {reason}")
    pytest.skip(f"no PostgreSQL: {reason}")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of a running server, up to and without the database's name."""
    # A short path right under the temporary folder: the server runs as another user, who must get through to it.
    folder = Path(tempfile.gettempdir()) / f"xisuan-postgres-{os.getpid()}"
    port = _free_port()
    started = subprocess.run([_SCRIPT, "start", folder, str(port)], capture_output=True, text=True, check=False)
    if started.returncode == _NOT_INSTALLED:
        _absent(started.stderr.strip())
    try:
        assert started.returncode == 0, started.stderr
        url = f"postgresql://xisuan@127.0.0.1:{port}/"
        with psycopg.connect(url + "postgres", autocommit=True) as admin:
            admin.execute("CREATE DATABASE migrated")
        open_engine(url + "migrated").dispose()
        yield url
    finally:
        subprocess.run([_SCRIPT, "stop", folder], capture_output=True, check=False)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def new_postgres_database(postgres_server: str) -> Callable[[], str]:
    """Makes an empty migrated database and returns its URL."""
    numbers = itertools.count(1)

    def create() -> str:
        name = f"test_{next(numbers)}"
        with psycopg.connect(postgres_server + "postgres", autocommit=True) as admin:
            admin.execute(f"CREATE DATABASE {name} TEMPLATE migrated")
        return postgres_server + name

    return create


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty migrated file to copy: running the migrations for each test would cost more than the tests."""
    path = tmp_path_factory.mktemp("sqlite") / "migrated.db"
    open_engine(f"sqlite:///{path}").dispose()
    return path


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database of the test's own: the test runs once on each kind."""
    if request.param == "sqlite":
        copy = shutil.copy(request.getfixturevalue("migrated_sqlite"), tmp_path / "test.db")
        return f"sqlite:///{copy}"
    create: Callable[[], str] = request.getfixturevalue("new_postgres_database")
    return create()

"""A real PostgreSQL for the tests that ask for one, and the fixture that runs a test on both databases.

The server is started once a session by `postgres.sh`, on a free loopback port; each test finds a migrated database
without rows. Where the server is not installed these tests are skipped with the reason,
and fail instead when the environment's XISUAN_REQUIRE names "postgres" (as CI does).
"""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from inventory.store.chain import GENESIS
from inventory.store.engine import open_engine
from inventory.store.migrations import VERSION_TABLE
from tests.servers.required import NOT_INSTALLED, absent, free_port

_SCRIPT = Path(__file__).with_name("postgres.sh")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of a running server, up to and without the database's name."""
    # A short path right under the temporary folder: the server runs as another user, who must get through to it.
    folder = Path(tempfile.gettempdir()) / f"xisuan-postgres-{os.getpid()}"
    port = free_port()
    start = [str(_SCRIPT), "start", str(folder), str(port), str(os.getpid())]
    started = subprocess.run(start, capture_output=True, text=True, check=False)
    if started.returncode == NOT_INSTALLED:
        absent("postgres", started.stderr.strip())
    try:
        assert started.returncode == 0, started.stderr
        url = f"postgresql://xisuan@127.0.0.1:{port}/"
        with psycopg.connect(url + "postgres", autocommit=True) as admin:
            admin.execute("CREATE DATABASE migrated")
        open_engine(url + "migrated").dispose()
        yield url
    finally:
        subprocess.run([_SCRIPT, "stop", folder], capture_output=True, check=False)


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
def _shared_postgres_database(new_postgres_database: Callable[[], str]) -> tuple[str, frozenset[str]]:
    """A database for one test after the other, with the names of the tables that the migrations made."""
    url = new_postgres_database()
    with psycopg.connect(url) as connection:
        return url, _tables(connection)


@pytest.fixture
def emptied_postgres_database(_shared_postgres_database: tuple[str, frozenset[str]]) -> str:
    """The URL of a migrated database without rows: the same one for every test, emptied before each.

    Emptying takes a few milliseconds where making a database takes tenths of a second.
    """
    url, migrated = _shared_postgres_database
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET lock_timeout = 5000")
        for name in _tables(connection) - migrated:
            connection.execute(f'DROP TABLE "{name}"')
        emptied = ", ".join(f'"{name}"' for name in sorted(migrated - {VERSION_TABLE}))
        connection.execute(f"TRUNCATE {emptied}")
        connection.execute("INSERT INTO chain_head (id, seq, hash) VALUES (1, 0, %s)", [GENESIS])
    return url


def _tables(connection: psycopg.Connection[tuple[str]]) -> frozenset[str]:
    rows = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    return frozenset(row[0] for row in rows)


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
    url: str = request.getfixturevalue("emptied_postgres_database")
    return url

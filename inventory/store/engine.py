"""Opens the database behind the store: SQLite by default, PostgreSQL by URL, one behaviour.

The composition root calls `open_engine` once; `event_store.Store` works on the engine it returns. What differs
between the two databases stays in this file: how a writer locks, how a reader gets a stable snapshot, what a
driver's error means.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Connection,
    Engine,
    StaticPool,
    Text,
    any_,
    bindparam,
    create_engine,
    event,
    func,
    select,
)
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from inventory.store.errors import BadDatabaseUrl, Locked, NotOurDatabase, StoreError, Unreachable
from inventory.store.migrations import is_current, migrate

LOCK_WAIT_MS = 5_000
# PostgreSQL ends a write transaction whose program has said nothing for so long: one that is frozen must not keep its
# locks. (SQLite cannot: its lock ends with the process.) The control plane asks for less.
IDLE_WRITER_MS = 60_000
_WRITER = "xisuan_writer"
_IDLE = "xisuan_idle_writer_ms"


def open_engine(url: str, *, lock_wait_ms: int = LOCK_WAIT_MS, idle_writer_ms: int = IDLE_WRITER_MS) -> Engine:
    """Connects, brings the tables to this program's revision, and returns the engine.

    `url` is sqlite:///PATH (sqlite:// alone: in memory, one thread, gone with the engine) or
    postgresql://USER:PASSWORD@HOST:PORT/DATABASE. `lock_wait_ms` is how long a writer waits for another one,
    `idle_writer_ms` for how long one may stand still before PostgreSQL ends its transaction.
    Raises StoreError (BadDatabaseUrl, NotOurDatabase, NewerSchema, Unreachable, Locked); never shows a password.
    """
    engine = connect_engine(url, lock_wait_ms=lock_wait_ms, idle_writer_ms=idle_writer_ms)
    try:
        with reading(engine) as connection:
            current = is_current(connection, name_of(engine))
        if not current:
            with writing(engine) as connection:
                migrate(connection, name_of(engine))
    except BaseException:
        engine.dispose()
        raise
    return engine


def connect_engine(url: str, *, lock_wait_ms: int = LOCK_WAIT_MS, idle_writer_ms: int = IDLE_WRITER_MS) -> Engine:
    """The engine alone: nothing is connected, and no table is looked at. For restores; others use `open_engine`."""
    parsed = _parse(url)
    if parsed.get_backend_name() == "sqlite":
        return _sqlite(parsed, lock_wait_ms)
    return _postgresql(parsed, lock_wait_ms, idle_writer_ms)


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that is a writer from its first moment, so that it never has to upgrade a lock and fail."""
    with translated(engine), engine.connect() as plain:
        connection = plain.execution_options(**{_WRITER: True})
        with connection.begin():
            idle_ms = engine.get_execution_options().get(_IDLE)
            if idle_ms is not None:
                connection.exec_driver_sql(f"SET LOCAL idle_in_transaction_session_timeout = {int(idle_ms)}")
            yield connection


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A read transaction: everything read in it is one state of the database, whatever is written meanwhile."""
    with translated(engine), engine.connect() as plain:
        if engine.dialect.name == "postgresql":
            connection = plain.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        else:
            connection = plain
        with connection.begin():
            yield connection


@contextmanager
def translated(engine: Engine) -> Iterator[None]:
    """Turns those driver errors that a user can cure into StoreErrors; all others pass unchanged."""
    try:
        yield
    except DBAPIError as error:
        known = _explain(engine, error)
        if known is None:
            raise
        raise known from error


def is_listed(dialect: str, column: ColumnElement[str], name: str) -> ColumnElement[bool]:
    """That `column` is one of the texts bound as `name` by `listed`: one parameter and one look at the index a text,
    however many they are. A list of parameters costs several times as much, and has a limit."""
    if dialect == "postgresql":
        return column == any_(bindparam(name, type_=ARRAY(Text)))
    return column.in_(select(func.json_each(bindparam(name, type_=Text)).table_valued("value").c.value))


def listed(dialect: str, texts: Iterable[str]) -> Any:
    """The value of the parameter of `is_listed`."""
    return list(texts) if dialect == "postgresql" else json.dumps(list(texts), ensure_ascii=False)


def name_of(engine: Engine) -> str:
    """The database for people and messages: its path, or host, port and name. Never user or password."""
    url = engine.url
    if url.get_backend_name() == "sqlite":
        return url.database or ":memory:"
    return f"postgresql://{url.host or 'localhost'}:{url.port or 5432}/{url.database or ''}"


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        # The text is not echoed: whatever it is, it may hold a password.
        raise BadDatabaseUrl(
            "数据库地址无法识别；请写 sqlite:///文件 或 postgresql://用户@主机:端口/库名",
            "the database URL cannot be read; write sqlite:///FILE or postgresql://USER@HOST:PORT/DATABASE",
        ) from None
    if parsed.drivername in ("sqlite", "sqlite+pysqlite"):
        return parsed.set(drivername="sqlite+pysqlite")
    if parsed.drivername in ("postgresql", "postgres", "postgresql+psycopg"):
        return parsed.set(drivername="postgresql+psycopg")
    raise BadDatabaseUrl(
        f"不支持的数据库类型 {parsed.drivername!r}；只支持 sqlite 和 postgresql",
        f"the database type {parsed.drivername!r} is not supported; use sqlite:///FILE or postgresql://...",
    )


def _sqlite(url: URL, lock_wait_ms: int) -> Engine:
    options: dict[str, Any] = {"connect_args": {"timeout": lock_wait_ms / 1000, "check_same_thread": False}}
    if url.database in (None, "", ":memory:"):
        options["poolclass"] = StaticPool
    else:
        _require_folder(Path(str(url.database)))
    engine = create_engine(url, **options)

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # the begin hook below decides, not the driver
        cursor = connection.cursor()
        for pragma in (
            f"busy_timeout = {lock_wait_ms}",
            "journal_mode = WAL",
            "synchronous = FULL",  # an acknowledged commit has reached the disk
            "foreign_keys = ON",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writer = connection.get_execution_options().get(_WRITER, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writer else "BEGIN")

    return engine


def _require_folder(path: Path) -> None:
    if path.is_dir():
        raise NotOurDatabase(f"{path} 是文件夹，不是数据库文件", f"{path} is a folder; name a database file")
    if not path.parent.is_dir():
        raise Unreachable(
            f"文件夹 {path.parent} 不存在；请先建立",
            f"the folder {path.parent} of the database does not exist; create it first",
        )


def _postgresql(url: URL, lock_wait_ms: int, idle_writer_ms: int) -> Engine:
    options = {_IDLE: idle_writer_ms}
    engine = create_engine(url, pool_pre_ping=True, connect_args={"connect_timeout": 5}, execution_options=options)

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: object) -> None:
        connection.autocommit = True
        connection.execute(f"SET lock_timeout = {int(lock_wait_ms)}")
        connection.execute("SET synchronous_commit = on")  # a server-wide "off" would break our acknowledgements
        connection.autocommit = False

    return engine


def _explain(engine: Engine, error: DBAPIError) -> StoreError | None:
    name = name_of(engine)
    # psycopg's messages name host, port and user, and never the password; the first line holds the cause.
    cause = str(error.orig).strip().splitlines()[0] if str(error.orig).strip() else type(error.orig).__name__
    code = str(getattr(error.orig, "sqlite_errorname", None) or getattr(error.orig, "sqlstate", None) or "")
    if code.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")) or code in ("55P03", "40P01"):
        return Locked(
            f"数据库 {name} 正被另一个进程占用；请稍后重试，或停止占用它的程序",
            f"the database {name} is locked by another process; try again, or stop the program that holds it",
        )
    if code == "SQLITE_NOTADB":
        return NotOurDatabase(
            f"{name} 不是数据库文件；请换一个路径，或从备份恢复",
            f"{name} is not a database file; name another path, or restore it from a backup",
        )
    if code.startswith("SQLITE_CORRUPT"):
        return NotOurDatabase(
            f"数据库 {name} 已损坏（{cause}）；请从备份恢复",
            f"the database {name} is damaged ({cause}); restore it from a backup",
        )
    if code.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_FULL", "SQLITE_IOERR")):
        return Unreachable(
            f"数据库 {name} 无法写入（{cause}）；请检查权限和磁盘空间",
            f"the database {name} cannot be written ({cause}); check its permissions and the disk's free space",
        )
    if engine.dialect.name == "postgresql":
        return _explain_server(name, cause, code, error.connection_invalidated)
    return None


def _explain_server(name: str, cause: str, code: str, lost: bool) -> StoreError | None:
    # A refused connection carries no SQLSTATE in psycopg, only the server's own line behind "FATAL:".
    _, refused, server_says = cause.rpartition("FATAL:")
    if code.startswith("53") and code != "53300":  # no disk, no memory
        return Unreachable(
            f"数据库 {name} 无法写入（{cause}）；请检查服务器的磁盘空间和内存",
            f"the database {name} cannot be written ({cause}); check the free disk space and memory of its server",
        )
    if code == "25P03":  # idle_in_transaction_session_timeout
        return Unreachable(
            f"数据库 {name} 结束了停顿过久的事务（本程序曾被冻结）；请重试",
            f"the database {name} ended a transaction that stood still for too long (this program was frozen); retry",
        )
    if "the database system is" in server_says or code.startswith(("57P", "58")):
        return Unreachable(
            f"数据库 {name} 正在启动、恢复或停止（{cause}）；请稍后重试，或查看服务器日志",
            f"the database {name} is starting, recovering or ending ({cause}); try again in a moment, or see its log",
        )
    if refused or code in _REFUSALS:
        return Unreachable(
            f"数据库 {name} 拒绝连接（{server_says.strip()}）；请检查用户、密码和库名",
            f"the database {name} refuses us ({server_says.strip()}); check the user, the password and the "
            "database's name",
        )
    if lost or not code or code.startswith("08"):
        return Unreachable(
            f"连不上数据库 {name}（{cause}）；请启动服务器，或更正地址",
            f"the database {name} cannot be reached ({cause}); start the server, or correct the URL",
        )
    return None


# insufficient_privilege, too_many_connections
_REFUSALS = frozenset({"42501", "53300"})

"""Backups of the store: taken while a service runs, checked before they are believed, restored into nothing.

`xisuan store backup | restore` call this. A backup is a folder with one state of the database and `manifest.json`, which
is written last and names every file by its SHA-256, the end of the chain and the number of rows of each table. The papers
whose hashes are in the chain (`console.papers`) go with it, in `papers/`.

SQLite: `VACUUM INTO`, one read transaction. (The driver's own backup copies pages and starts again whenever another
process writes, so beside a busy service it need not end.) PostgreSQL: `COPY` of every table in one REPEATABLE READ
snapshot; no program of the server's version has to be at hand, as for pg_dump. Neither keeps a writer waiting.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, func, inspect, select, text

from inventory.store.chain import Head
from inventory.store.engine import connect_engine, name_of, open_engine, reading, translated, writing
from inventory.store.errors import StoreError
from inventory.store.event_store import read_head
from inventory.store.migrations import REVISIONS, VERSION_TABLE, migrate
from inventory.store.schema import metadata

FORMAT = 1
MANIFEST = "manifest.json"
_DATABASE = "store.db"
_PAPERS = "papers"
_CHUNK = 1024 * 1024


class BackupRefused(StoreError):
    """A backup that cannot be taken there, cannot be believed, or cannot be restored here."""


@dataclass(frozen=True, slots=True)
class BackedFile:
    name: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup holds. `engine` is sqlite or postgresql; `columns` are those of each file that COPY wrote."""

    engine: str
    revision: str
    head: Head
    rows: Mapping[str, int]
    made_ms: int
    files: tuple[BackedFile, ...]
    columns: Mapping[str, tuple[str, ...]]

    def to_json(self) -> str:
        return json.dumps({"format": FORMAT, **asdict(self)}, ensure_ascii=False, indent=1) + "\n"


def back_up(engine: Engine, folder: Path, made_ms: int, shelf: Path | None = None) -> Manifest:
    """Writes one state of the database, and the papers of `shelf`, into `folder`, which must not exist. Raises
    BackupRefused, StoreError.

    What is unfinished when the machine stops is a folder NAME.partial, and no backup.
    """
    if folder.exists():
        raise BackupRefused(
            f"{folder} 已存在；请换一个文件夹，备份从不覆盖",
            f"{folder} exists already; name another folder: a backup never overwrites",
        )
    partial = folder.with_name(f"{folder.name}.partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True, mode=0o700)
        taken = _take_sqlite if engine.dialect.name == "sqlite" else _take_postgresql
        manifest = taken(engine, partial, made_ms)
        # After the database: a paper lies on the shelf before its hash is recorded, so that none is missing.
        manifest = replace(manifest, files=(*manifest.files, *_take_papers(shelf, partial)))
        _write_durably(partial / MANIFEST, manifest.to_json().encode())
        _flush_folder(partial)
        partial.rename(folder)
        _flush_folder(folder.parent)
    except OSError as error:
        raise BackupRefused(
            f"无法写入 {folder}（{error.strerror}）；请检查权限和磁盘空间",
            f"{folder} cannot be written ({error.strerror}); check its permissions and the disk's free space",
        ) from error
    return manifest


def read_manifest(folder: Path) -> Manifest:
    """Raises BackupRefused where there is none, or none of ours."""
    try:
        written = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if written["format"] != FORMAT or written["revision"] not in REVISIONS:
            raise BackupRefused(
                f"{folder} 由更新版本的西算备份（格式 {written['format']}，表版本 {written['revision']}）；请升级西算",
                f"{folder} was made by a newer Xisuan (format {written['format']}, revision {written['revision']}); "
                "upgrade Xisuan",
            )
        return _manifest_of(written)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BackupRefused(
            f"{folder} 不是备份：缺少完整的 {MANIFEST}",
            f"{folder} is not a backup: it has no whole {MANIFEST}; name the folder that a backup wrote",
        ) from error


def check_files(folder: Path, manifest: Manifest) -> None:
    """Raises BackupRefused for the first file that is not what the manifest says."""
    for file in manifest.files:
        found = _fingerprint(folder / file.name) if (folder / file.name).is_file() else None
        if found is None or (found.size_bytes, found.sha256) != (file.size_bytes, file.sha256):
            raise BackupRefused(
                f"备份文件 {folder / file.name} 缺失或已改动；请用另一份备份",
                f"the file {folder / file.name} is missing or was altered; use another backup",
            )


def restore_files(folder: Path, url: str, shelf: Path | None = None) -> Manifest:
    """Puts the backup's state into the database at `url`, which must hold nothing, and brings it to this program's
    revision; and its papers onto `shelf`, where that is given. The caller verifies the chain. Raises BackupRefused,
    StoreError; then the database is as it was."""
    manifest = read_manifest(folder)
    check_files(folder, manifest)
    is_postgresql = url.startswith("postgres")
    if is_postgresql != (manifest.engine == "postgresql"):
        raise BackupRefused(
            f"备份来自 {manifest.engine}，不能恢复到另一种数据库；请指定同类数据库",
            f"the backup is of {manifest.engine} and cannot go into another kind of database; name one of its kind",
        )
    if shelf is not None:
        # Before the database, which is what is refused when it is there already: so this can be done again.
        _put_papers(folder, manifest, shelf)
    if is_postgresql:
        _put_postgresql(folder, manifest, url)
    else:
        _put_sqlite(folder, url)
    return manifest


# SQLite


def _take_sqlite(engine: Engine, partial: Path, made_ms: int) -> Manifest:
    target = partial / _DATABASE
    with translated(engine):
        raw = engine.raw_connection()
        try:
            raw.cursor().execute("VACUUM INTO ?", (str(target),))
        finally:
            raw.close()
    _flush(target)
    # What was written is looked at, not what it was written from: the two may differ by now.
    copy = open_copy(target)
    try:
        with reading(copy) as connection:
            return _manifest(connection, made_ms, (_fingerprint(target),), {})
    finally:
        copy.dispose()
        for leftover in ("-wal", "-shm"):
            target.with_name(f"{_DATABASE}{leftover}").unlink(missing_ok=True)


def open_copy(file: Path) -> Engine:
    """The database of a backup, for reading: nothing is migrated, nothing is changed."""
    return create_engine(f"sqlite:///file:{quote(str(file.absolute()))}?mode=ro&immutable=1&uri=true")


def _put_sqlite(folder: Path, url: str) -> None:
    target = Path(url.removeprefix("sqlite:///"))
    beside = [target.with_name(f"{target.name}{suffix}") for suffix in ("", "-wal", "-shm")]
    if any(file.exists() for file in beside):
        raise BackupRefused(
            f"{target} 已存在；只能恢复到空的数据目录，请用 XISUAN_HOME 指定另一个",
            f"{target} exists already; a backup is restored into an empty home only: name another with XISUAN_HOME",
        )
    partial = target.with_name(f"{target.name}.restoring")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / _DATABASE, partial)
        _flush(partial)
        partial.rename(target)
        _flush_folder(target.parent)
    except OSError as error:
        raise BackupRefused(
            f"无法写入 {target}（{error.strerror}）；请检查权限和磁盘空间",
            f"{target} cannot be written ({error.strerror}); check its permissions and the disk's free space",
        ) from error
    open_engine(url).dispose()  # brings an older revision to ours


# PostgreSQL


def _take_postgresql(engine: Engine, partial: Path, made_ms: int) -> Manifest:
    files, columns = [], {}
    with reading(engine) as connection:
        for name in _tables(connection):
            columns[name] = tuple(column["name"] for column in inspect(connection).get_columns(name))
            file = partial / f"{name}.copy"
            listed = ", ".join(f'"{column}"' for column in columns[name])
            with (
                file.open("wb") as written,
                _cursor(connection).copy(f'COPY "{name}" ({listed}) TO STDOUT') as rows,
            ):
                for chunk in rows:
                    written.write(chunk)
                written.flush()
                os.fsync(written.fileno())
            files.append(_fingerprint(file))
        return _manifest(connection, made_ms, tuple(files), columns)


def _put_postgresql(folder: Path, manifest: Manifest, url: str) -> None:
    with _empty_postgresql(url, manifest.revision) as connection:
        for name, columns in manifest.columns.items():
            connection.execute(text(f'DELETE FROM "{name}"'))  # the row that a migration put into chain_head
            listed = ", ".join(f'"{column}"' for column in columns)
            file = folder / f"{name}.copy"
            with file.open("rb") as read, _cursor(connection).copy(f'COPY "{name}" ({listed}) FROM STDIN') as rows:
                while chunk := read.read(_CHUNK):
                    rows.write(chunk)
    open_engine(url).dispose()  # brings an older revision to ours


@contextmanager
def _empty_postgresql(url: str, revision: str) -> Iterator[Connection]:
    """A transaction in a database that held none of our tables, which are made at `revision`. All or nothing."""
    engine = connect_engine(url)
    try:
        with writing(engine) as connection:
            if inspect(connection).has_table(VERSION_TABLE):
                raise BackupRefused(
                    f"数据库 {name_of(engine)} 已有西算的表；只能恢复到空库，请指定另一个",
                    f"the database {name_of(engine)} holds tables of Xisuan; restore into an empty one",
                )
            migrate(connection, name_of(engine), revision)
            yield connection
    finally:
        engine.dispose()


def _cursor(connection: Connection) -> Any:
    """psycopg's own cursor, which knows COPY."""
    return connection.connection.cursor()


# Papers


def _take_papers(shelf: Path | None, partial: Path) -> tuple[BackedFile, ...]:
    if shelf is None or not shelf.is_dir():
        return ()
    names = sorted(one.name for one in shelf.iterdir() if one.is_file() and not one.name.startswith("."))
    if names:
        (partial / _PAPERS).mkdir(mode=0o700)
    backed = []
    for name in names:
        copied = partial / _PAPERS / name
        shutil.copyfile(shelf / name, copied)
        _flush(copied)
        backed.append(replace(_fingerprint(copied), name=f"{_PAPERS}/{name}"))
    if names:
        _flush_folder(partial / _PAPERS)
    return tuple(backed)


def _put_papers(folder: Path, manifest: Manifest, shelf: Path) -> None:
    names = [Path(file.name).name for file in manifest.files if file.name.startswith(f"{_PAPERS}/")]
    try:
        for name in names:
            shelf.mkdir(parents=True, exist_ok=True)
            draft = shelf / f".{name}"
            shutil.copyfile(folder / _PAPERS / name, draft)
            _flush(draft)
            draft.rename(shelf / name)
        if names:
            _flush_folder(shelf)
    except OSError as error:
        raise BackupRefused(
            f"佐证文件无法写入 {shelf}（{error.strerror}）；请检查权限和磁盘空间",
            f"the papers cannot be written to {shelf} ({error.strerror}); check its permissions and the disk's free space",
        ) from error


# Manifests and files


def _tables(connection: Connection) -> list[str]:
    """Every table of ours that the database has, in an order in which rows may be put back."""
    present = set(inspect(connection).get_table_names())
    return [table.name for table in metadata.sorted_tables if table.name in present]


def _manifest(
    connection: Connection, made_ms: int, files: tuple[BackedFile, ...], columns: Mapping[str, tuple[str, ...]]
) -> Manifest:
    tables = {table.name: table for table in metadata.sorted_tables}
    rows = {
        name: int(connection.execute(select(func.count()).select_from(tables[name])).scalar_one())
        for name in _tables(connection)
    }
    revision = str(connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar_one())
    return Manifest(connection.dialect.name, revision, read_head(connection), rows, made_ms, files, columns)


def _manifest_of(written: Mapping[str, Any]) -> Manifest:
    return Manifest(
        engine=str(written["engine"]),
        revision=str(written["revision"]),
        head=Head(int(written["head"]["seq"]), str(written["head"]["hash"])),
        rows={str(name): int(count) for name, count in written["rows"].items()},
        made_ms=int(written["made_ms"]),
        files=tuple(BackedFile(**file) for file in written["files"]),
        columns={str(name): tuple(columns) for name, columns in written["columns"].items()},
    )


def _fingerprint(file: Path) -> BackedFile:
    digest = hashlib.sha256()
    for chunk in _chunks(file):
        digest.update(chunk)
    return BackedFile(file.name, file.stat().st_size, digest.hexdigest())


def _chunks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as read:
        while chunk := read.read(_CHUNK):
            yield chunk


def _write_durably(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    _flush(file)


def _flush(file: Path) -> None:
    with file.open("rb+") as opened:
        os.fsync(opened.fileno())


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

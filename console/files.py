"""Files that users name: read whole with a clear refusal, and written whole or not at all."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from console.faults import Fault

STANDARD_OUTPUT = Path("-")


def read_input(path: Path, limit: int) -> bytes:
    """The whole file. Raises Fault when it is missing, no file, cannot be read, or has more than `limit` bytes."""
    try:
        if path.is_dir():
            raise Fault(f"{path} 是文件夹；请指定一个文件 / {path} is a folder; name a file")
        with path.open("rb") as file:
            content = file.read(limit + 1)
    except FileNotFoundError:
        raise Fault(f"找不到文件 {path}；请检查路径 / there is no file {path}; check the path") from None
    except OSError as error:
        raise Fault(
            f"无法读取 {path}（{error.strerror}）；请检查权限 / {path} cannot be read; check its permissions"
        ) from error
    if len(content) > limit:
        size = f"{limit // 1024 // 1024} MiB"
        raise Fault(f"{path} 超过 {size}；请拆分 / {path} has more than {size}; split it")
    return content


def read_text(path: Path, limit: int) -> str:
    """The whole file as UTF-8 text."""
    try:
        return read_input(path, limit).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Fault(
            f"{path} 不是 UTF-8 文本；请另存为 UTF-8 / {path} is not UTF-8 text; save it as UTF-8"
        ) from None


@contextmanager
def replacing(path: Path | None) -> Iterator[BinaryIO]:
    """A file to write that takes the place of `path` when the block ends well, and leaves no trace when not.

    Opened at once, so that a place that cannot be written is known before any work is done. `-` is standard
    output; None goes nowhere.
    """
    if path is None:
        with Path(os.devnull).open("wb") as nowhere:
            yield nowhere
        return
    if path == STANDARD_OUTPUT:
        sys.stdout.flush()
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    if path.exists() and not path.is_file() and not path.is_dir():
        # A pipe or a device is written to as it is, and must not be replaced by a file.
        with path.open("wb") as special:
            yield special
        return
    if path.is_dir():
        raise Fault(f"{path} 是文件夹；请指定文件名 / {path} is a folder; name a file")
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise Fault(
            f"无法写入 {path}（{error.strerror}）；请检查文件夹和权限"
            f" / {path} cannot be written; check the folder and its permissions"
        ) from error
    draft = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield cast(BinaryIO, file)
        # mkstemp keeps the file to its owner; what a user asked to have written is an ordinary file.
        draft.chmod(0o666 & ~_umask())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask

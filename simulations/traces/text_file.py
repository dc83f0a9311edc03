"""Text traces, plain or gzip: their lines, with every way in which such a file can be broken told in one line.

The readers of SWF and of the CSV traces use it.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path

from simulations.traces.bad_rows import TraceError

GZIP_MAGIC = b"\x1f\x8b"


def raw_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """(line number from 1, the line without its end). gzip is recognised by its content, not by the name.

    Raises TraceError for a file that cannot be read, and for a gzip that is cut short or damaged: what is missing
    cannot be counted, so not even --skip-bad goes on.
    """
    line = 0
    try:
        with path.open("rb") as plain:
            packed = plain.read(2) == GZIP_MAGIC
            plain.seek(0)
            source = gzip.GzipFile(fileobj=plain) if packed else plain
            for line, content in enumerate(source, start=1):
                yield line, content.rstrip(b"\r\n")
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise TraceError(
            f"{path.name}: gzip 在第 {line} 行后被截断或损坏，请重新获取 / the gzip is cut short or damaged after line "
            f"{line}: get it again ({error})"
        ) from error
    except OSError as error:
        raise TraceError(f"{path}: 无法读取 / cannot be read: {error.strerror}") from error


def decoded_lines(path: Path) -> Iterator[tuple[int, str]]:
    """As `raw_lines`, in UTF-8. Raises TraceError, naming the line, for another encoding."""
    for line, content in raw_lines(path):
        try:
            yield line, content.decode("utf-8-sig" if line == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise TraceError(
                f"{path.name} 第 {line} 行: 不是 UTF-8 / line {line}, byte {error.start + 1}: not UTF-8; "
                "请另存为 UTF-8 / save it as UTF-8"
            ) from error

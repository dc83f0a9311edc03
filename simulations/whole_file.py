"""Files that are written whole or not at all: an interruption leaves the old file, or none.

Every output of the simulations is written through here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """The path to write to; when the block ends it has become `path`. What is no ordinary file (a pipe, /dev/null) is
    written to as it is: a device must not be replaced by a file. Raises OSError where it cannot be written."""
    if path.exists() and not path.is_file():
        yield path
        return
    scratch = path.with_name(f"{path.name}.partial")
    try:
        yield scratch
        scratch.replace(path)
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise

"""Which code made a result: the version, and a hash of every source that can change a number.

Portfolios stamp it on results, and take a result up again only when it is the same.
"""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_ROOT = Path(__file__).parents[1]
_SOURCES = ("inventory/model", "scheduler/core", "scheduler/cycle.py", "scheduler/ports.py", "simulations")


@cache
def code_version() -> str:
    """ "0.1.0+3f2a…": twelve hex digits of the SHA-256 over the sources' paths and contents."""
    digest = hashlib.sha256()
    for place in _SOURCES:
        path = _ROOT / place
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            digest.update(file.relative_to(_ROOT).as_posix().encode())
            digest.update(file.read_bytes())
    try:
        release = version("xisuan")
    except PackageNotFoundError:
        release = "0"  # run from a source tree that was never installed
    return f"{release}+{digest.hexdigest()[:12]}"

"""Where the real traces and ledgers lie that tests read in place; nothing of them is in this repository.

The folder is the environment's XISUAN_SHARED, else `shared` beside the checkout. Where it is missing the test is
skipped, visibly; where XISUAN_REQUIRE names "shared-data" (as CI does) it fails instead.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent
_SHARED = Path(os.environ.get("XISUAN_SHARED") or REPOSITORY.parent / "shared")
_IS_REQUIRED = "shared-data" in os.environ.get("XISUAN_REQUIRE", "").replace(",", " ").split()


def shared_path(*parts: str) -> Path:
    """Where the file or folder `data/<parts>` lies, whether it exists or not."""
    return _SHARED.joinpath("data", *parts)


def needs_shared(*parts: str) -> pytest.MarkDecorator:
    """Marks a test that reads `data/<parts>`: skipped where that is missing, unless it is required."""
    return pytest.mark.skipif(not (shared_path(*parts).exists() or _IS_REQUIRED), reason=_absence(*parts))


def shared_input(*parts: str) -> Path:
    """The file or folder `data/<parts>`; skips the calling test, or fails it, where that does not exist."""
    path = shared_path(*parts)
    if not path.exists():
        if _IS_REQUIRED:
            pytest.fail(f"XISUAN_REQUIRE asks for shared-data, but {_absence(*parts)}")
        pytest.skip(_absence(*parts))
    return path


def _absence(*parts: str) -> str:
    return f"shared data is not here: {'/'.join(('data', *parts))} (set XISUAN_SHARED)"

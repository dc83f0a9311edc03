"""Where the real traces and ledgers lie that tests read in place; nothing of them is in this repository.

The folder is the environment's XISUAN_SHARED, else `shared` beside the checkout. Where it is missing the test is
skipped, visibly; where XISUAN_REQUIRE names "shared-data" (as CI does) it fails instead.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent


def shared_folder() -> Path:
    return Path(os.environ.get("XISUAN_SHARED") or REPOSITORY.parent / "shared")


def shared_input(*parts: str) -> Path:
    """The file or folder `data/<parts>`; skips the calling test, or fails it, where that does not exist."""
    path = shared_folder().joinpath("data", *parts)
    if not path.exists():
        reason = f"shared data is not here: {'/'.join(('data', *parts))} (set XISUAN_SHARED)"
        if "shared-data" in os.environ.get("XISUAN_REQUIRE", "").replace(",", " ").split():
            pytest.fail(f"XISUAN_REQUIRE asks for shared-data, but {reason}")
        pytest.skip(reason)
    return path

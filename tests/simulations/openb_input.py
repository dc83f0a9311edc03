"""The openb trace on this machine: XISUAN_TRACES names its folder of traces, else it lies in the shared data."""

from __future__ import annotations

import os
from pathlib import Path

from tests.shared_inputs import shared_input


def openb(name: str) -> Path:
    """The file of the trace; skips the calling test visibly where it is missing."""
    named = os.environ.get("XISUAN_TRACES")
    if named and (Path(named) / "openb" / name).exists():
        return Path(named) / "openb" / name
    return shared_input("traces", "openb", name)

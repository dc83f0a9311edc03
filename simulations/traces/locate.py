"""Where the public traces lie on this machine; they are input and never copied into the repository."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def traces_folder(environment: Mapping[str, str], repository: Path) -> Path:
    """XISUAN_TRACES, else XISUAN_SHARED/data/traces, else ../shared/data/traces beside the repository.

    The folder need not exist: the caller says what is missing.
    """
    if environment.get("XISUAN_TRACES"):
        return Path(environment["XISUAN_TRACES"])
    shared = environment.get("XISUAN_SHARED")
    return (Path(shared) if shared else repository.parent / "shared") / "data" / "traces"

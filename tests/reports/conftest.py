"""A home for the command line, of this test alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from console.home import Home, find_home


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    for name in ("XISUAN_STORE", "XISUAN_ADDRESS", "XISUAN_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XISUAN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XISUAN_ACTOR", "李工")
    return find_home()

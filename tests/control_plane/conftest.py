"""Short waits, so that retries and reconnections take no time; the order of things stays what it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from scheduler.runtime import control_plane, dispatcher, planning, pool_link
from tests.control_plane.site import Site


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_link, "FIRST_RETRY_S", 0.01)
    monkeypatch.setattr(pool_link, "LONGEST_RETRY_S", 0.1)
    monkeypatch.setattr(pool_link, "LOOK_EVERY_S", 0.02)
    monkeypatch.setattr(pool_link, "ANSWER_PAUSE_S", 0.01)
    monkeypatch.setattr(dispatcher, "FIRST_REST_S", 0.02)
    monkeypatch.setattr(dispatcher, "LONGEST_REST_S", 0.2)
    monkeypatch.setattr(planning, "PAUSE_S", 0.02)
    # Looking again after a while would hide a wake-up that was lost.
    monkeypatch.setattr(planning, "LOOK_AGAIN_S", 3_600.0)
    monkeypatch.setattr(control_plane, "SUPERVISE_S", 0.05)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)

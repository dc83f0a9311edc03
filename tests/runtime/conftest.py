"""A running service, started as a user starts it and shared by the tests that only use it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.runtime.service import Service


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with Service(tmp_path_factory.mktemp("home")) as started:
        yield started
        started.stop()
        assert started.left_behind() == []


@pytest.fixture
def own_service(tmp_path: Path) -> Iterator[Service]:
    """A service of the test's own, which it may kill."""
    with Service(tmp_path / "home") as started:
        yield started

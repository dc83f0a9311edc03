"""The worked example as a newcomer runs it: a real service, live writes, a failure, a rollback, acceptance."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from console.home import Home
from console.migration_example import PostgresMissing, run_example
from console.story import Story
from tests.servers.required import absent


def told_by(home: Path, *, crashes: bool) -> str:
    told = io.StringIO()
    try:
        run_example(Home(home, "unused"), keep=False, crashes=crashes, story=Story(Console(file=told, width=400)))
    except PostgresMissing as missing:
        absent("postgres", str(missing))
    return told.getvalue()


@pytest.mark.postgres
@pytest.mark.faults
def test_a_real_service_moves_to_a_pool_and_no_write_is_lost(tmp_path: Path) -> None:
    """What must hold is checked by the example itself, which raises when it does not."""
    said = told_by(tmp_path, crashes=False)
    assert "rolled back by policy" in said and "segregation of duties" in said
    assert "system.migrated × 1" in said
    assert list(tmp_path.iterdir()) == [], "the example leaves nothing behind"


@pytest.mark.postgres
@pytest.mark.faults
@pytest.mark.long
def test_the_same_holds_when_what_carries_it_forward_is_killed_after_every_step(tmp_path: Path) -> None:
    said = told_by(tmp_path, crashes=True)
    assert "rolled back by policy" in said and "system.migrated × 1" in said
    assert "nothing was done twice, nothing left out" in said

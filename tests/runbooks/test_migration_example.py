"""The worked example as a newcomer runs it: a real service, live writes, a failure, a rollback, acceptance."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from console.home import Home
from console.migration_example import PostgresMissing, run_example
from console.story import Story
from tests.servers.postgres import absent


@pytest.mark.postgres
@pytest.mark.faults
def test_a_real_service_moves_to_a_pool_and_no_write_is_lost(tmp_path: Path) -> None:
    """What must hold is checked by the example itself, which raises when it does not."""
    told = io.StringIO()
    story = Story(Console(file=told, width=400))
    try:
        run_example(Home(tmp_path, "unused"), keep=False, story=story)
    except PostgresMissing as missing:
        absent(str(missing))
    said = told.getvalue()
    assert "rolled back by policy" in said and "segregation of duties" in said
    assert "system.migrated × 1" in said
    assert list(tmp_path.iterdir()) == [], "the example leaves nothing behind"

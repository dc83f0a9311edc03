"""kill -9 in the middle of imports: what was acknowledged is there, the rest is not, and the chain holds."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time

import pytest
from sqlalchemy import func, select

from inventory.intake import Intake
from inventory.store.engine import open_engine
from inventory.store.event_store import Store
from inventory.store.ledger.projection import LEDGER_PROJECTION
from inventory.store.ledger.tables import claims, imports
from inventory.store.verify import verify

pytestmark = pytest.mark.faults

ROWS = 450  # three events an import, so that a kill can fall between them
_IMPORTER = """
import sys
from inventory.intake import Intake
from inventory.store.engine import open_engine
from inventory.store.event_store import Store
from inventory.store.ledger.projection import LEDGER_PROJECTION
from tests.intake.readings import NOW, district_system, reading

intake = Intake(Store(open_engine(sys.argv[1]), [LEDGER_PROJECTION]))
number = int(sys.argv[2])
while True:
    number += 1
    content = reading(*(district_system(f"第{number}-{n}号专用系统") for n in range(int(sys.argv[3]))))
    print("begun", number, flush=True)
    intake.import_reading(content, filename="a.xlsx", sender=f"区第{number}局", actor="张三", now_ms=NOW)
    print("done", number, flush=True)
"""


def import_until_killed(url: str, first: int, mercy: random.Random) -> set[int]:
    """Runs the importer, kills it at a random moment of a random import; returns what it had acknowledged."""
    process = subprocess.Popen(
        [sys.executable, "-c", _IMPORTER, url, str(first), str(ROWS)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    last = first + mercy.randint(2, 3)
    for line in process.stdout:
        if line.split() == ["begun", str(last)]:
            break
    time.sleep(mercy.random() * 0.15)
    process.send_signal(signal.SIGKILL)
    rest = process.stdout.read()
    assert process.wait(30) == -signal.SIGKILL
    return {
        *range(first + 1, last),
        *(int(line.split()[1]) for line in rest.splitlines() if line.startswith("done")),
    }


def test_an_import_is_there_wholly_or_not_at_all(database_url: str) -> None:
    mercy = random.Random(20211)
    acknowledged: set[int] = set()
    attempted = 0
    for _ in range(2):
        acknowledged |= import_until_killed(database_url, attempted, mercy)
        store = Store(open_engine(database_url, lock_wait_ms=20_000), [LEDGER_PROJECTION])
        with store.connect() as connection:
            stored = set(connection.execute(select(imports.c.sender)).scalars())
            per_sender = select(claims.c.sender, func.count().label("rows")).group_by(claims.c.sender)
            counted = connection.execute(per_sender).all()
        assert {f"区第{number}局" for number in acknowledged} <= stored
        assert {row.sender: row.rows for row in counted} == dict.fromkeys(stored, ROWS)
        assert len(Intake(store).systems()) == ROWS * len(stored)
        verdict = verify(store)
        assert verdict.holds, verdict
        store.close()
        attempted = max(int(sender.strip("区第局")) for sender in stored)
    assert len(acknowledged) >= 2

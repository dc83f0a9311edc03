"""Replaying a log of the archive as another simulator did: one queue, chosen estimates, and the schedule as a table.

The logs are worked out by hand, with ends and arrivals at equal moments.
"""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from simulations.scenarios.cell import Cell, cells
from simulations.scenarios.reading import parse_scenario
from simulations.schedule_file import write_schedule

# A machine of ten processors. A header of its own, a comment in the middle, jobs that cannot be replayed, two queues.
#  job, submit, -1, run, allocated, -1, -1, requested, requested time, -1, status, ... queue
LOG = """\
; Version: 2.2
;  Note: an odd header: with colons: and no key
;MaxProcs: 10
1 0 -1 100 6 -1 -1 -1 100 -1 1 1 1 -1 0 -1 -1 -1
2 10 -1 50 -1 -1 -1 8 50 -1 1 1 1 -1 1 -1 -1 -1
3 10 -1 90 -1 -1 -1 4 90 -1 1 2 1 -1 0 -1 -1 -1
; a comment in the middle
4 10 -1 -1 -1 -1 -1 4 90 -1 5 2 1 -1 0 -1 -1 -1
5 100 -1 50 2 -1 -1 -1 50 -1 1 2 1 -1 1 -1 -1 -1
6 100 -1 0 10 -1 -1 -1 10 -1 0 2 1 -1 0 -1 -1 -1
7 100 -1 30 -1 -1 -1 2 30 -1 1 2 1 -1 0 -1 -1 -1
"""
# 0: job 1 takes 6 until 100. 10: jobs 2 (8) and 3 (4) arrive at once; 2 is first and cannot start before 100, and 3
# would end at 100, just then: it goes before 2. 100: 1 and 3 end before 5, 6 and 7 are looked at, though all of it is
# one moment: 2 starts (2 left), 5 starts beside it until 150 (0 left). 6 wants all ten at 150, when 2 and 5 end: 7 has
# no room. 150: 6 runs for no time; 7 starts at that moment too, because 6 has ended in it.
EASY = {"1": 0, "2": 100, "3": 10, "5": 100, "6": 150, "7": 150}
# Without backfill 3 stays behind 2 and does not fit beside it (8 + 4). 150: 3, 5 start (4 left); 6 wants ten: 240.
NONE = {"1": 0, "2": 100, "3": 150, "5": 150, "6": 240, "7": 240}


def the_cell(folder: Path, policy: str, **more: str) -> Cell:
    with gzip.open(folder / "odd.swf.gz", "wt") as packed:
        packed.write(LOG)
    scenario = {
        "name": "odd",
        "traces": {"odd": {"file": "odd.swf.gz", **more}},
        "capacities": {"ten": {"pools": [{"id": "p", "nodes": [{"count": 10, "cpu": 1, "memory": "1Gi"}]}]}},
        "policies": {"easy": {"backfill": policy}},
    }
    (cell,) = cells(parse_scenario(yaml.safe_load(yaml.safe_dump(scenario)), "odd.yaml"), str(folder), "v1")
    return cell


def starts(cell: Cell, folder: Path) -> dict[str, float]:
    write_schedule(cell.prepare().simulate(cell.trace()), folder / "schedule.csv")
    with (folder / "schedule.csv").open() as lines:
        return {row["job"]: float(row["started_s"]) for row in csv.DictReader(lines)}


@pytest.mark.parametrize(("policy", "by_hand"), [("easy", EASY), ("conservative", EASY), ("none", NONE)])
def test_a_log_with_equal_times_is_scheduled_as_by_hand(
    tmp_path: Path, policy: str, by_hand: dict[str, float]
) -> None:
    assert starts(the_cell(tmp_path, policy, queue="all"), tmp_path) == by_hand


def test_one_queue_makes_fair_shares_move_nobody(tmp_path: Path) -> None:
    apart, together = the_cell(tmp_path, "easy").trace(), the_cell(tmp_path, "easy", queue="all").trace()
    assert len(apart.queues) == 2
    assert together.queues == ("all",)
    assert together.job_ids.tolist() == apart.job_ids.tolist()


def test_exact_estimates_are_the_running_times_and_never_unknown(tmp_path: Path) -> None:
    trace = the_cell(tmp_path, "easy", estimates="exact").trace()
    of = dict(zip(trace.job_ids.tolist(), trace.estimate_ms.tolist(), strict=True))
    assert (of["5"], of["6"]) == (50_000, 1)


def test_a_schedule_tells_every_run_and_may_be_parquet(tmp_path: Path) -> None:
    cell = the_cell(tmp_path, "easy", queue="all")
    write_schedule(cell.prepare().simulate(cell.trace()), tmp_path / "schedule.parquet")
    rows = pq.read_table(tmp_path / "schedule.parquet").to_pylist()
    assert rows[1] == {
        "job": "3", "attempt": 1, "pool": "p", "submitted_s": 10.0, "started_s": 10.0, "ended_s": 100.0,
        "waited_s": 0.0, "ending": "finished",
    }  # fmt: skip
    assert len(rows) == len(EASY)

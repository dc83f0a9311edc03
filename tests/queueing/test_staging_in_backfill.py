"""How long inputs take to get to a pool is part of the end that backfill expects, of what runs and of what would pass."""

from __future__ import annotations

import pytest

from scheduler.core.queueing.backfill import Backfill
from scheduler.cycle import BackfillRules, CycleSettings
from tests.queueing.replay import Job, Replay

POLICIES = [Backfill.EASY, Backfill.CONSERVATIVE]


def starts(policy: Backfill, *log: Job) -> dict[int, int]:
    settings = CycleSettings(backfill=BackfillRules(policy, 100, hold_after_ms=0, drain_after_ms=0))
    return Replay(10, settings).run(log)


@pytest.mark.parametrize("policy", POLICIES)
def test_what_would_end_in_time_without_its_staging_passes_nobody(policy: Backfill) -> None:
    """Ten processors. 0 holds 6 until 10, for which 1 (8 wide) waits; 2 would end at 10 if its data lay there."""
    head = Job(0, 6, 10, 10), Job(1, 8, 5, 5)
    assert starts(policy, *head, Job(2, 4, 8, 8)) == {0: 0, 1: 10, 2: 2}
    assert starts(policy, *head, Job(2, 4, 8, 8, staging=3)) == {0: 0, 1: 10, 2: 15}


@pytest.mark.parametrize("policy", POLICIES)
def test_what_runs_is_expected_to_end_after_its_staging(policy: Backfill) -> None:
    """0 holds 6 until 15: 5 for its data, 10 to compute. So 2, which ends at 14, delays nobody."""
    log = Job(0, 6, 10, 10, staging=5), Job(1, 8, 5, 5), Job(2, 4, 12, 12)
    assert starts(policy, *log) == {0: 0, 1: 15, 2: 2}


def test_what_waits_is_given_room_for_its_staging_too() -> None:
    """Conservative: 1 (8 wide) gets 10 to 10 + 5 + 5, so that 2, whose 10 processors it is in the way of, gets 20; and 3,
    which ends at 19, passes both."""
    log = Job(0, 6, 10, 10), Job(1, 8, 5, 5, staging=5), Job(2, 10, 5, 5), Job(3, 2, 16, 16)
    assert starts(Backfill.CONSERVATIVE, *log) == {0: 0, 1: 10, 2: 20, 3: 3}


@pytest.mark.parametrize("policy", POLICIES)
def test_what_starts_in_the_same_cycle_counts_with_its_staging(policy: Backfill) -> None:
    """All three come at once: 1 waits for the end of 0, which is at 15, and 2 ends at 15 as well."""
    log = Job(0, 6, 10, 10, staging=5), Job(0, 8, 5, 5), Job(0, 4, 15, 15)
    assert starts(policy, *log) == {0: 0, 1: 15, 2: 0}

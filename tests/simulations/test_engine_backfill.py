"""Backfill through the whole engine, against logs that were worked out by hand.

The rule is that of the papers: EASY keeps room for the first that waits at the moment when enough of the running
jobs will have ended (by their estimates), and lets go before it what ends by then, or what it leaves over.
"""

from __future__ import annotations

import pytest

from tests.simulations.small_logs import Job, a_pool, log, policy, run, starts

# Ten processors. Worked out by hand:
#   0  J1 takes 6 until 100. 4 are free.
#   1  J2 wants 8: it must wait for J1; its shadow is 100, and it will leave over 10 - 8 = 2.
#   2  J3 wants 4 until 92: before the shadow, so it goes before J2. 0 are free.
#   3  J4 wants 2 for 200, 4 J5 wants 2 for 20: nothing is free.
#  92  J3 ends, 4 are free. J4 would end at 292, after the shadow, but the 2 left over are enough: it starts.
#      J5 would end at 112; nothing is left over any more: it waits, though 2 are free.
#  95  J6 wants 2 until 100: ends at the shadow, so it goes before J2 and J5.
# 100  J1 and J6 end: J2 starts as promised. 0 are free.
# 101  J7 wants 4.
# 150  J2 ends, 8 are free: J5 and J7 start.
TEXTBOOK = log(
    Job("J1", at=0, cpus=6, runs=100, estimate=100),
    Job("J2", at=1, cpus=8, runs=50, estimate=50),
    Job("J3", at=2, cpus=4, runs=90, estimate=90),
    Job("J4", at=3, cpus=2, runs=200, estimate=200),
    Job("J5", at=4, cpus=2, runs=7, estimate=20),
    Job("J6", at=95, cpus=2, runs=5, estimate=5),
    Job("J7", at=101, cpus=4, runs=10, estimate=40),
)


def test_easy_keeps_its_promise_to_the_first_and_lets_go_before_it_what_does_not_delay_it() -> None:
    assert starts(run(TEXTBOOK, settings=policy(backfill="easy"))) == {
        "J1": 0, "J2": 100, "J3": 2, "J4": 92, "J5": 150, "J6": 95, "J7": 150,
    }  # fmt: skip


def test_without_backfill_nothing_overtakes() -> None:
    """J3 to J6 wait behind J2 though they would fit; J7 wants 4 and gets them when J6 (155) and J5 (157) have ended."""
    assert starts(run(TEXTBOOK, settings=policy(backfill="none"))) == {
        "J1": 0, "J2": 100, "J3": 150, "J4": 150, "J5": 150, "J6": 150, "J7": 157,
    }  # fmt: skip


# Ten processors. A takes 5 until 100. B wants 10: it gets them at 100, until 110. C wants 6: 110, when B ends.
#   2  D wants 5 for 90: it ends at 92, before the shadow of B, so it starts at once.
#  93  E wants 5 for 20: it would end at 113, after the shadow of B, which leaves nothing over: it waits.
#  94  F wants 4 for 50: likewise.
# 110  B ends: C (6) starts, E (5) does not fit beside it, F (4) does. 160: C ends, E starts.
ORDER = log(
    Job("A", at=0, cpus=5, runs=100, estimate=100),
    Job("B", at=0.5, cpus=10, runs=10, estimate=10),
    Job("C", at=1, cpus=6, runs=50, estimate=50),
    Job("D", at=2, cpus=5, runs=90, estimate=90),
    Job("E", at=93, cpus=5, runs=20, estimate=20),
    Job("F", at=94, cpus=4, runs=50, estimate=50),
)


@pytest.mark.parametrize("backfill", ["easy", "conservative"])
def test_both_backfills_agree_where_only_the_first_can_be_delayed(backfill: str) -> None:
    assert starts(run(ORDER, settings=policy(backfill=backfill))) == {
        "A": 0, "B": 100, "C": 110, "D": 2, "E": 160, "F": 110,
    }  # fmt: skip


# Ten processors. A takes 6 until 100. B wants 5: shadow 100, leaves over 5. C wants 9: conservative promises it the
# end of B, 200. D wants 4 for 300 at 3: it ends after the shadow but fits in what B leaves over, so EASY starts it
# at once, and C has to wait until D ends (303). Conservative does not: D would delay C from 200 on.
DELAYED = log(
    Job("A", at=0, cpus=6, runs=100, estimate=100),
    Job("B", at=1, cpus=5, runs=100, estimate=100),
    Job("C", at=2, cpus=9, runs=10, estimate=10),
    Job("D", at=3, cpus=4, runs=300, estimate=300),
)


def test_easy_may_delay_the_second_and_conservative_may_not() -> None:
    easy = starts(run(DELAYED, settings=policy(backfill="easy")))
    conservative = starts(run(DELAYED, settings=policy(backfill="conservative")))
    assert easy == {"A": 0, "B": 100, "C": 303, "D": 3}
    assert conservative == {"A": 0, "B": 100, "C": 200, "D": 210}


def test_a_job_that_ends_before_its_estimate_lets_the_first_start_before_the_promise() -> None:
    early = log(
        Job("A", at=0, cpus=10, runs=30, estimate=100),
        Job("B", at=1, cpus=10, runs=10, estimate=10),
        Job("C", at=2, cpus=1, runs=5, estimate=5),
    )
    assert starts(run(early)) == {"A": 0, "B": 30, "C": 40}


def test_a_job_without_an_estimate_never_goes_before_one_that_it_could_delay() -> None:
    unknown = log(
        Job("A", at=0, cpus=6, runs=100, estimate=100),
        Job("B", at=1, cpus=10, runs=10, estimate=10),
        Job("C", at=2, cpus=1, runs=5),
    )
    assert starts(run(unknown)) == {"A": 0, "B": 100, "C": 110}


def test_gangs_of_one_processor_each_schedule_as_one_wide_job_does() -> None:
    """The textbook's machine is one number of processors; ten nodes of one processor are the same machine."""
    wide = {"J1": 6, "J2": 8, "J3": 4, "J4": 2, "J5": 2, "J6": 2, "J7": 4}
    gangs = log(
        *(
            Job(name, at=at, cpus=1, runs=runs, estimate=estimate, tasks=wide[name])
            for name, at, runs, estimate in [
                ("J1", 0, 100, 100), ("J2", 1, 50, 50), ("J3", 2, 90, 90), ("J4", 3, 200, 200),
                ("J5", 4, 7, 20), ("J6", 95, 5, 5), ("J7", 101, 10, 40),
            ]
        )
    )  # fmt: skip
    assert starts(run(gangs, a_pool(nodes=10, cpus=1))) == starts(run(TEXTBOOK))

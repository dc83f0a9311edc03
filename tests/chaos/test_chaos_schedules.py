"""Schedules come from their seeds, and two hundred of them try every fault, alone and beside others."""

from __future__ import annotations

from collections import Counter

from tests.chaos.rounds import seeds_of, shares
from tests.chaos.schedule import FAR, HEAVY, LENGTHS, LOAD_S, NEAR, POSTGRES, Fault, draw

SCHEDULES = [draw(seed) for seed in range(1, 201)]


def test_a_seed_gives_the_same_schedule_again() -> None:
    assert [draw(seed) for seed in range(1, 201)] == SCHEDULES
    assert len({schedule.strikes for schedule in SCHEDULES}) == 200


def test_two_hundred_rounds_try_every_fault_many_times_on_both_stores() -> None:
    struck = Counter((strike.fault, schedule.store) for schedule in SCHEDULES for strike in schedule.strikes)
    for fault in Fault:
        stores = {store for one, store in struck if one is fault}
        assert POSTGRES in stores
        assert len(stores) == 2 or fault is Fault.KILL_POSTGRES
        assert sum(times for (one, _), times in struck.items() if one is fault) >= 5


def test_ten_rounds_try_nearly_every_fault_and_postgres() -> None:
    ten = SCHEDULES[:10]
    assert {schedule.store for schedule in ten} == {"sqlite", POSTGRES}
    assert len({strike.fault for schedule in ten for strike in schedule.strikes}) >= len(Fault) - 2


def test_strikes_fall_into_the_load_and_heavy_ones_alone() -> None:
    for schedule in SCHEDULES:
        assert all(0 <= strike.at_s <= LOAD_S for strike in schedule.strikes)
        assert sum(strike.fault in HEAVY for strike in schedule.strikes) <= 1
        assert list(schedule.strikes) == sorted(schedule.strikes, key=lambda strike: strike.at_s)
        for strike in schedule.strikes:
            if strike.fault in LENGTHS:
                low, high = LENGTHS[strike.fault]
                assert low <= strike.length_s <= high
            if strike.fault is Fault.KILL_ADAPTER:
                assert strike.target in NEAR
            if strike.fault is Fault.PARTITION:
                assert strike.target in FAR


def test_seeds_are_numbers_and_ranges() -> None:
    assert seeds_of("1-3 17,20") == [1, 2, 3, 17, 20]


def test_jobs_share_the_seeds_evenly_and_few_of_them_need_both_stores() -> None:
    parts = shares(range(1, 201), 2)
    assert sorted(seed for part in parts for seed in part) == list(range(1, 201))
    assert {len(part) for part in parts} == {100}
    assert [len({draw(seed).store for seed in part}) for part in parts] == [1, 2]
    assert shares([5], 2) == [[5]]

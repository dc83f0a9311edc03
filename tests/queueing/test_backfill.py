"""Backfill: EASY against a log worked out by hand and against the textbook's loops, conservative, none, starvation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inventory.model.placement import ReasonCode
from inventory.model.units import Resources
from inventory.model.workload import Requirements
from scheduler.core.placement.protocol import Shape
from scheduler.core.queueing.backfill import Backfill, Profile, shadow_of
from scheduler.core.queueing.running import RunningRow
from scheduler.core.queueing.shapes import ShapeTable
from scheduler.cycle import BackfillRules, CycleSettings
from scheduler.ports import Reservation
from tests.queueing.replay import Job, Replay


def at_once(policy: Backfill, window: int = 100) -> CycleSettings:
    return CycleSettings(backfill=BackfillRules(policy, window, hold_after_ms=0, drain_after_ms=0))


# Ten processors. Worked out by hand, event by event:
LOG = [
    Job(0, 6, 10, 10),  # 0 starts at 0: 4 free
    Job(1, 8, 5, 5),  # 1 needs 8: its shadow is 10, when 10 are free; 2 will be extra
    Job(2, 4, 8, 8),  # 2 ends at 10, not after the shadow: starts at 2; 0 free
    Job(3, 2, 20, 20),  # 3 has no room; waits
    Job(4, 4, 2, 2),  # 4 has no room; waits
    # at 10: 0 and 2 end. 1 starts (8), 3 starts (2): 0 free. 4 waits: its shadow is 15 (8 of 1), 4 extra
    Job(11, 3, 30, 30),  # 5 has no room now; at 15: 4 starts (4), 5 starts (3); 1 free
]
BY_HAND = {
    Backfill.EASY: {0: 0, 1: 10, 2: 2, 3: 10, 4: 15, 5: 15},
    Backfill.CONSERVATIVE: {0: 0, 1: 10, 2: 2, 3: 10, 4: 15, 5: 15},
    # 1 blocks all behind it until 10; then 1 and 2 do not fit together (8 + 4): 2 waits until 15, and 3 and 4 with
    # it (4 + 2 + 4). 4 ends at 17: 5 starts.
    Backfill.NONE: {0: 0, 1: 10, 2: 15, 3: 15, 4: 15, 5: 17},
}


@pytest.mark.parametrize("policy", list(Backfill))
def test_a_small_log_worked_out_by_hand(policy: Backfill) -> None:
    assert Replay(10, at_once(policy)).run(LOG) == BY_HAND[policy]


def test_easy_lets_pass_what_fits_into_the_extra_processors_for_however_long() -> None:
    log = [Job(0, 6, 10, 10), Job(1, 8, 5, 5), Job(2, 2, 99, 99), Job(3, 1, 99, 99)]
    assert Replay(10, at_once(Backfill.EASY)).run(log) == {0: 0, 1: 10, 2: 2, 3: 10 + 5}


def test_conservative_lets_nobody_delay_the_second_that_waits() -> None:
    """10 processors: 0 runs till 10. 1 (8) gets 10..20, 2 (10) gets 20..30. Job 3 (2 wide, 15 long) would end at 18:
    EASY lets it pass (2 extra beside 1). Conservative does as well, for 18 <= 20. Job 4 would end at 25: EASY starts
    it, conservative keeps it behind 2."""
    log = [Job(0, 6, 10, 10), Job(1, 8, 10, 10), Job(2, 10, 10, 10), Job(3, 1, 15, 15), Job(3, 1, 22, 22)]
    easy = Replay(10, at_once(Backfill.EASY)).run(log)
    conservative = Replay(10, at_once(Backfill.CONSERVATIVE)).run(log)
    assert (easy[3], easy[4], easy[2]) == (3, 3, 25)
    assert (conservative[3], conservative[2], conservative[4]) == (3, 20, 30)


def test_only_the_window_behind_the_head_is_looked_at() -> None:
    log = [Job(0, 6, 10, 10), Job(1, 8, 5, 5), Job(2, 9, 5, 5), Job(3, 4, 2, 2)]
    assert Replay(10, at_once(Backfill.EASY, window=1)).run(log)[3] > 3
    assert Replay(10, at_once(Backfill.EASY, window=2)).run(log)[3] == 3


def test_who_waits_is_told_for_whom_and_until_when() -> None:
    replay = Replay(10, at_once(Backfill.EASY))
    replay.run([Job(0, 6, 10_000, 10_000), Job(1, 8, 5, 5), Job(2, 4, 99_000, 99_000)], until=2)
    (plan,) = [report.plan for report in replay.reports[-1:]]
    by_id = {verdicts.workload_id: verdicts.opinions[0].reasons for verdicts in plan.unplaced}
    assert [reason.code for reason in by_id["j-1"]] == [ReasonCode.CAPACITY], "to the head nothing is kept for it"
    assert [reason.code for reason in by_id["j-2"]] == [ReasonCode.BACKFILL]
    assert "j-1" in by_id["j-2"][0].offered and "1970-01-01 08:00" in by_id["j-2"][0].remedy_en
    assert [(r.workload_id, r.pool_id, r.start_ms) for r in plan.reserved] == [("j-1", "p", 10_000)]


def textbook_easy(procs: int, jobs: Sequence[Job]) -> dict[int, int]:
    """FCFS with EASY, as Mu'alem and Feitelson write it (2001, algorithm 2), in plain loops."""
    queue: list[int] = []
    running: dict[int, int] = {}  # job to start
    starts: dict[int, int] = {}
    todo = sorted(range(len(jobs)), key=lambda i: (jobs[i].submit, i))
    while todo or queue or running:
        now = min([jobs[i].submit for i in todo[:1]] + [start + jobs[i].runtime for i, start in running.items()])
        running = {i: start for i, start in running.items() if start + jobs[i].runtime > now}
        while todo and jobs[todo[0]].submit <= now:
            queue.append(todo.pop(0))
        for i in textbook_starts(procs, jobs, queue, running, now):
            queue.remove(i)
            running[i] = starts[i] = now
    return starts


def textbook_starts(
    procs: int, jobs: Sequence[Job], queue: Sequence[int], running: dict[int, int], now: int
) -> list[int]:
    """Who starts now: from the queue's head on while it fits, then who does not delay the head."""
    free = procs - sum(jobs[i].procs for i in running)
    ends = {i: max(start + jobs[i].estimate, now) for i, start in running.items()}
    started: list[int] = []
    waiting = list(queue)
    while waiting and jobs[waiting[0]].procs <= free:
        i = waiting.pop(0)
        free -= jobs[i].procs
        ends[i] = now + jobs[i].estimate
        started.append(i)
    if not waiting:
        return started
    head = jobs[waiting[0]].procs
    shadow = next(
        t for t in sorted(ends.values()) if free + sum(jobs[i].procs for i in ends if ends[i] <= t) >= head
    )
    extra = free + sum(jobs[i].procs for i in ends if ends[i] <= shadow) - head
    for i in waiting[1:]:
        ends_in_time = now + jobs[i].estimate <= shadow
        if jobs[i].procs <= free and (ends_in_time or jobs[i].procs <= extra):
            free -= jobs[i].procs
            extra -= 0 if ends_in_time else jobs[i].procs
            started.append(i)
    return started


jobs_of_a_log = st.lists(
    st.tuples(st.integers(0, 30), st.integers(1, 8), st.integers(1, 20), st.integers(0, 10)), max_size=14
).map(
    lambda rows: [Job(submit, procs, runtime, runtime + slack) for submit, procs, runtime, slack in sorted(rows)]
)


@settings(max_examples=60, deadline=None)
@given(jobs=jobs_of_a_log)
def test_on_one_pool_and_one_queue_easy_is_the_textbook_s(jobs: list[Job]) -> None:
    assert Replay(8, at_once(Backfill.EASY)).run(jobs) == textbook_easy(8, jobs)


@settings(max_examples=25, deadline=None)
@given(jobs=jobs_of_a_log)
def test_conservative_starts_nobody_later_than_it_promised(jobs: list[Job]) -> None:
    """Where estimates are exact. What an early end frees goes to the first in order, who may then be in the way."""
    jobs = [replace(job, estimate=job.runtime) for job in jobs]
    replay = Replay(8, at_once(Backfill.CONSERVATIVE))
    replay.run(jobs)
    promised: dict[str, int] = {}
    for report in replay.reports:
        for estimate in report.plan.reserved:
            assert estimate.start_ms is not None
            promised.setdefault(estimate.workload_id, estimate.start_ms)
            assert estimate.start_ms <= promised[estimate.workload_id]
    assert all(replay.starts[int(name.removeprefix("j-"))] <= start for name, start in promised.items())


@settings(max_examples=25, deadline=None)
@given(jobs=jobs_of_a_log, policy=st.sampled_from([Backfill.EASY, Backfill.CONSERVATIVE, Backfill.NONE]))
def test_nobody_starves(jobs: list[Job], policy: Backfill) -> None:
    """With estimates that bound the runs, whoever is first starts when all that ran as it became first has ended: so
    the n-th of a queue waits at most n times the longest estimate."""
    starts = Replay(8, at_once(policy)).run(jobs)
    longest = max((job.estimate for job in jobs), default=0)
    assert sorted(starts) == list(range(len(jobs)))
    assert all(starts[i] - job.submit <= (i + 1) * longest for i, job in enumerate(jobs))


amounts = st.builds(Resources, st.integers(0, 6), st.integers(0, 6))


@settings(deadline=None)
@given(
    runs=st.lists(st.tuples(st.integers(0, 20), amounts), max_size=8),
    need=amounts,
    free=amounts,
    length=st.integers(1, 9),
)
def test_the_shadow_is_where_the_whole_future_first_has_room(
    runs: list[tuple[int, Resources]], need: Resources, free: Resources, length: int
) -> None:
    """Without reservations room only grows, so EASY's walk and the profile agree."""
    shapes = ShapeTable()
    rows = sorted(
        RunningRow(end, f"r{i}", f"r{i}", shapes.number(Shape(Requirements(held))), 0, 0, 0)
        for i, (end, held) in enumerate(runs)
    )
    wanted = [need.cpu_milli, need.memory_bytes, 0, 0]
    room = [free.cpu_milli, free.memory_bytes, 0, 0]
    shadow = shadow_of(wanted, room, rows, shapes.totals, now_ms=5)
    earliest = Profile(5, room, rows, shapes.totals).earliest(wanted, length)
    assert (shadow is None) == (earliest is None)
    if shadow is not None and earliest is not None:
        # Who is overdue ends now to EASY, and a moment after now to the profile.
        assert earliest - shadow.start_ms in (0, 1)


class TestCalendar:
    NIGHT = Reservation("r-1", "p", "迁移", Resources(cpu_milli=6), start_ms=100, end_ms=200)

    def replay(self, *reservations: Reservation) -> Replay:
        return Replay(10, at_once(Backfill.EASY), reservations=reservations)

    def test_who_would_run_into_a_reservation_waits_and_who_ends_before_goes(self) -> None:
        log = [Job(0, 8, 50, 150), Job(0, 8, 50, 60), Job(1, 2, 500, 500)]
        # 0 is estimated to run into it; 1 ends before; 2 fits beside it, and beside 0 when that starts.
        assert self.replay(self.NIGHT).run(log) == {0: 200, 1: 0, 2: 1}

    def test_the_holder_uses_what_is_kept_for_it(self) -> None:
        log = [Job(110, 8, 10, 10), Job(111, 6, 10, 10, queue="迁移/系统")]
        assert self.replay(self.NIGHT).run(log) == {0: 200, 1: 111}

    def test_when_the_holder_takes_up_what_is_kept_the_others_lose_nothing_by_it(self) -> None:
        log = [Job(110, 6, 10, 10, queue="a"), Job(110, 4, 10, 10, queue="b"), Job(110, 1, 10, 10, queue="c")]
        assert self.replay(replace(self.NIGHT, holder="a")).run(log) == {0: 110, 1: 110, 2: 120}

    def test_what_the_holder_takes_beyond_its_reservation_the_others_lose(self) -> None:
        log = [Job(110, 8, 10, 10, queue="a"), Job(110, 3, 10, 10, queue="b"), Job(110, 2, 10, 10, queue="c")]
        assert self.replay(replace(self.NIGHT, holder="a")).run(log) == {0: 110, 1: 120, 2: 110}

    def test_what_the_holder_gives_back_stays_with_the_holder(self) -> None:
        log = [Job(110, 6, 10, 10, queue="迁移"), Job(125, 6, 10, 10), Job(130, 6, 10, 10, queue="迁移")]
        assert self.replay(self.NIGHT).run(log) == {0: 110, 1: 200, 2: 130}

    def test_an_open_reservation_is_kept_until_somebody_ends_it(self) -> None:
        forever = replace(self.NIGHT, start_ms=0, end_ms=None)
        replay = self.replay(forever)
        replay.run([Job(0, 8, 10, 10), Job(1, 4, 10, 10), Job(500, 4, 10, 10)])
        assert replay.starts == {1: 1, 2: 500}
        reasons = replay.reports[-1].plan.unplaced[0].opinions[0].reasons
        assert [reason.code for reason in reasons] == [ReasonCode.RESERVATION]

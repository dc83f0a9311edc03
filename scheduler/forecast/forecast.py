"""The start of one workload as an interval: quantiles of its starts in several futures.

A future is a `World` whose running times and arrivals are drawn from the `History`. With n futures the k-th first and the
k-th last start enclose the real one with probability (n + 1 - 2k) / (n + 1), if the futures are drawn from the same law as
the real one: 9 futures and k = 1 give 80 %. Whether they are is measured (`simulations.calibration`); what they are off
by is learned (`scheduler.forecast.correction`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from scheduler.core.history import Arrival, History
from scheduler.core.queueing.running import RunningRow
from scheduler.core.queueing.waiting import WaitingRow
from scheduler.cycle import CycleSettings
from scheduler.forecast.correction import Correction
from scheduler.forecast.world import Situation, Started, World

FUTURES: Final = 9
_RANK: Final = 1  # the first and the last of nine: 80 %
PROBABILITY: Final = (FUTURES + 1 - 2 * _RANK) / (FUTURES + 1)
HORIZON_MS: Final = 30 * 86_400_000


@dataclass(frozen=True, slots=True)
class Effort:
    """What a forecast may cost. `clock` gives seconds and `ends_at` is on it: futures that are not over by then are left
    out. Where not one is, there are `quiet_s` more for a future without newcomers, which is over sooner. `growth` is the
    part of the time since now by which cycles lie apart."""

    futures: int = FUTURES
    horizon_ms: int = HORIZON_MS
    growth: float = 0.1
    least_step_ms: int = 1_000
    clock: Callable[[], float] | None = None
    ends_at: float = 0.0
    quiet_s: float = 1.0

    def is_over(self) -> bool:
        return self.clock is not None and self.clock() >= self.ends_at


@dataclass(frozen=True, slots=True)
class StartForecast:
    """Moments are UTC milliseconds since 1970. `latest_ms` None: too many futures did not start it within the horizon.
    `finish_*` None: nobody knows how long it runs. `raw` are the ends and the middle before correction, as waiting times
    from now. `newcomers` False: one future, in which nobody else comes."""

    earliest_ms: int
    latest_ms: int | None
    median_ms: int | None
    futures: int
    not_started: int
    pool_id: str
    finish_earliest_ms: int | None
    finish_latest_ms: int | None
    raw: tuple[int, int, int] | None = None
    newcomers: bool = True

    @property
    def probability(self) -> float:
        """That the start lies in the interval: PROBABILITY for all futures, less where only some were over in time."""
        return min(PROBABILITY, max(0.0, (self.futures + 1 - 2 * _RANK) / (self.futures + 1)))


@dataclass(frozen=True, slots=True)
class Question:
    """When does this workload, which waits in the situation, start?"""

    workload_id: str
    situation: Situation
    history: History
    settings: CycleSettings
    seed: int = 0


def forecast(
    question: Question, effort: Effort | None = None, correction: Correction | None = None
) -> StartForecast | None:
    """None where not one future was over in time. Same arguments (without a clock): same answer."""
    effort = effort or Effort()
    starts: list[Started] = []
    run = 0
    for number in range(effort.futures):
        started = _future(question, effort, np.random.default_rng([question.seed, number]))
        if started is None and effort.is_over():
            break
        starts += [started] if started is not None else []
        run += 1
    if not run:
        return _quiet(question, effort)
    return _interval(question.situation.now_ms, starts, run, correction or Correction())


def _quiet(question: Question, effort: Effort) -> StartForecast | None:
    """By one future in which nobody else comes: it says about when, and promises nothing."""
    alone = replace(question, history=question.history.without_arrivals())
    more = replace(effort, ends_at=effort.ends_at + effort.quiet_s)
    started = _future(alone, more, np.random.default_rng([question.seed, 0]))
    if started is None and more.is_over():
        return None
    found = [started] if started is not None else []
    return replace(_interval(question.situation.now_ms, found, 1, Correction()), raw=None, newcomers=False)


def _future(question: Question, effort: Effort, random: np.random.Generator) -> Started | None:
    situation, history, workload_id = question.situation, question.history, question.workload_id
    shapes, tree = situation.shapes, situation.usage.tree
    estimates = {row.workload_id: row.estimated_ms for row in situation.waiting}

    def runtime_of(row: RunningRow, elapsed_ms: int) -> int:
        length = row.end_ms - row.started_ms
        estimate = estimates.get(row.workload_id, length if length < HORIZON_MS * 100 else 0)
        return history.draw_ms(tree.name(row.queue), shapes.shapes[row.shape], estimate, elapsed_ms, random)

    def step_ms(moment: int) -> int:
        return max(effort.least_step_ms, int((moment - situation.now_ms) * effort.growth))

    world = World(situation, question.settings, runtime_of, step_ms)
    until_ms = situation.now_ms + effort.horizon_ms
    coming = history.future_arrivals(situation.now_ms, random)
    world.arrive((one.at_ms, _row_of(one, number, situation)) for number, one in enumerate(coming))
    world.run(until_ms, lambda: workload_id in world.started or effort.is_over())
    return world.started.get(workload_id)


def _row_of(arrival: Arrival, number: int, situation: Situation) -> WaitingRow:
    name = f"future-{number}"
    return WaitingRow(
        order_ms=arrival.at_ms,
        submitted_ms=arrival.at_ms,
        id_length=len(name),
        workload_id=name,
        attempt=1,
        shape=situation.shapes.number(arrival.shape),
        queue=situation.usage.tree.leaf(arrival.queue),
        priority=arrival.priority,
        estimated_ms=arrival.estimated_ms,
    )


def _interval(now_ms: int, starts: list[Started], run: int, correction: Correction) -> StartForecast:
    waits = sorted(one.start_ms - now_ms for one in starts)
    rank = max(1, round((run + 1) * (1 - PROBABILITY) / 2))
    missing = run - len(waits)
    if len(waits) < rank or missing >= rank:
        # More than a tenth of the futures start it behind the horizon, or never.
        first = waits[rank - 1] if len(waits) >= rank else HORIZON_MS
        middle = waits[(run - 1) // 2] + now_ms if len(waits) > (run - 1) // 2 else None
        return StartForecast(now_ms + first, None, middle, run, missing, _pool(starts), None, None)
    raw = (waits[rank - 1], waits[len(waits) // 2], waits[run - rank])
    low, high = correction.widened(raw)
    ends = sorted(one.end_ms - one.start_ms for one in starts)
    return StartForecast(
        earliest_ms=now_ms + low,
        latest_ms=now_ms + high,
        median_ms=now_ms + raw[1],
        futures=run,
        not_started=missing,
        pool_id=_pool(starts),
        finish_earliest_ms=now_ms + low + ends[rank - 1],
        finish_latest_ms=now_ms + high + ends[len(ends) - rank],
        raw=raw,
    )


def _pool(starts: list[Started]) -> str:
    most = Counter(one.pool_id for one in starts).most_common(1)
    return most[0][0] if most else ""

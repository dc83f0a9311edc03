"""When a plan will really end: its cutovers with uncertain durations, simulated many times.

Who calls this: `xisuan migration forecast`, the go/no-go sheet (`overrun_chance`), reports. Seeded, and vectorised over
the samples. Durations are lognormal, with a mean and a standard deviation that `learn_spread` takes from actual cutovers.

The model: in a window each team works through its systems one after another, as many at a time as it has crews; a team
that needs more than the window's minutes overruns, and the last of its systems that did not fit are rolled back. They
are tried again in later windows that have places left, before the calendar ends; what is left then is late for good.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt

from inventory.model.migration import WavePlan
from scheduler.core.waves.problem import WaveProblem

_FEWEST_ACTUALS = 5  # below that many, the prior counts as much as they do


@dataclass(frozen=True, slots=True)
class Spread:
    """A duration: mean and standard deviation in minutes."""

    mean: float
    deviation: float


@dataclass(frozen=True, slots=True)
class FinishForecast:
    """Days by which the plan is finished with that probability; None: not within the calendar. `overrun[window id]` is the
    chance that some team needs longer than the window; `on_time` the chance to finish in the planned last window."""

    p50: date | None
    p80: date | None
    p95: date | None
    on_time: float
    overrun: Mapping[str, float]
    samples: int


def learn_spread(actuals: Sequence[float], prior: Spread) -> Spread:
    """From the minutes of cutovers that were done: a mean of actuals and prior, where the prior weighs as much as
    five actuals; the deviation is the actuals' own around that mean, blended alike."""
    if any(value < 0 for value in actuals):
        raise ValueError(
            f"实际时长 {min(actuals)} 为负，请改正 / the actual duration {min(actuals)} is negative; correct it"
        )
    count = len(actuals)
    weight = count / (count + _FEWEST_ACTUALS)
    if count == 0:
        return prior
    mean = weight * (sum(actuals) / count) + (1 - weight) * prior.mean
    variance = weight * (sum((value - mean) ** 2 for value in actuals) / count) + (1 - weight) * prior.deviation**2
    return Spread(mean, variance**0.5)


def forecast_finish(
    problem: WaveProblem, plan: WavePlan, spreads: Mapping[str, Spread], seed: int, samples: int
) -> FinishForecast:
    """`spreads` by system key; a system without one takes its planned minutes exactly."""
    if samples < 1:
        raise ValueError(f"samples={samples} 须大于 0 / samples={samples} must be above 0, for example 2000")
    chance = np.random.default_rng(seed)
    items = {item.key: item for item in problem.items}
    people = {team.team_id: team.people for team in problem.teams}
    by_window: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for each in sorted(plan.assignments, key=lambda each: each.system_key):
        if each.system_key in items:
            by_window[each.window_id][each.team_id or f"·{each.system_key}"].append(each.system_key)
    backlog: npt.NDArray[np.int64] = np.zeros(samples, np.int64)
    finished = np.full(samples, -1, np.int64)
    overrun: dict[str, float] = {}
    planned_last = max((n for n, s in enumerate(problem.windows) if s.window.window_id in by_window), default=-1)
    for number, slot in enumerate(problem.windows):
        window_id = slot.window.window_id
        failed: npt.NDArray[np.int64] = np.zeros(samples, np.int64)
        systems = 0
        for team_id, keys in by_window.get(window_id, {}).items():
            systems += len(keys)
            work = np.stack(
                [
                    _drawn(spreads.get(key, Spread(items[key].minutes, 0)), samples, chance) * items[key].crew
                    for key in keys
                ]
            )
            # Crews beside each other: the team's work runs at the speed of all its people.
            crews = people.get(team_id, max(items[key].crew for key in keys))
            ends = np.cumsum(work, axis=0) / crews
            failed += (ends > slot.window.seconds / 60).sum(axis=0)
        if systems:
            overrun[window_id] = float((failed > 0).mean())
        backlog = np.maximum(0, backlog - max(0, slot.cap - systems)) + failed
        done = (backlog == 0) & (finished < 0) & (number >= planned_last)
        finished[done] = number
    ends_on = np.where(finished < 0, len(problem.windows), finished)
    days = [slot.window.first_day for slot in problem.windows]

    def by(share: float) -> date | None:
        place = int(np.quantile(ends_on, share, method="higher"))
        return days[place] if 0 <= place < len(days) else None

    return FinishForecast(by(0.5), by(0.8), by(0.95), float((ends_on == planned_last).mean()), overrun, samples)


def overrun_chance(
    spreads: Sequence[tuple[Spread, int]], people: int, minutes: int, seed: int, samples: int
) -> float:
    """The chance that a team of `people` needs more than the window's minutes for (duration, crew) each: for the
    go/no-go sheet of one night."""
    chance = np.random.default_rng(seed)
    work = np.zeros(samples)
    for spread, crew in spreads:
        work += _drawn(spread, samples, chance) * crew
    return float((work > people * minutes).mean())


def _drawn(spread: Spread, samples: int, chance: np.random.Generator) -> npt.NDArray[np.float64]:
    if spread.deviation <= 0 or spread.mean <= 0:
        return np.full(samples, max(0.0, spread.mean))
    shape = np.log1p((spread.deviation / spread.mean) ** 2)
    return chance.lognormal(np.log(spread.mean) - shape / 2, np.sqrt(shape), samples)

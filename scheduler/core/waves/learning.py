"""Durations learned from cutovers that were done: how long systems really take, against what people declared.

Who calls this: the migration desk, for forecasts, for the monthly report's odds, and for the go/no-go sheet of a wave.
Pure. What is learned is a factor (actual minutes per declared minute): it carries from systems that have moved to those
that have not.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from inventory.model.migration import WavePlan
from scheduler.core.waves.forecast import Spread, learn_spread, overrun_chance
from scheduler.core.waves.problem import WaveProblem

# Before anything was measured: durations deviate by about a third (illustrative, as in the monthly report).
PRIOR_DEVIATION = 0.3
_SAMPLES = 4000


@dataclass(frozen=True, slots=True)
class DoneCutover:
    """One cutover that was committed: its systems, the minutes declared for them in sum (0: none were), and the minutes
    that it took from its first step in the window to the last check."""

    systems: int
    declared: float
    actual: float


@dataclass(frozen=True, slots=True)
class Learned:
    """`factor`: actual per declared minute, from `measured` cutovers; `each` is one system's minutes, of those for which
    nothing was declared (None: nothing is known of them)."""

    factor: Spread
    each: Spread | None
    measured: int


def learn(done: Sequence[DoneCutover]) -> Learned:
    """Without any cutover: what was declared, give or take the prior deviation."""
    ratios = [one.actual / one.declared for one in done if one.declared > 0]
    alone = [one.actual / one.systems for one in done if one.systems > 0]
    mean = sum(alone) / len(alone) if alone else 0.0
    each = learn_spread(alone, Spread(mean, PRIOR_DEVIATION * mean)) if alone else None
    return Learned(learn_spread(ratios, Spread(1.0, PRIOR_DEVIATION)), each, len(done))


def spreads(learned: Learned, declared: Mapping[str, Spread], keys: Sequence[str]) -> dict[str, Spread]:
    """By system key: the declared minutes times the factor (and never steadier than was declared), else what systems took
    for which nothing was declared; a system of which neither is known has no spread."""
    found: dict[str, Spread] = {}
    for key in keys:
        own = declared.get(key, Spread(0, 0))
        if own.mean > 0:
            relative = max(own.deviation / own.mean, learned.factor.deviation / max(learned.factor.mean, 1e-9))
            mean = own.mean * learned.factor.mean
            found[key] = Spread(mean, mean * relative)
        elif learned.each is not None:
            found[key] = learned.each
    return found


def group_overruns(
    problem: WaveProblem, plan: WavePlan, window_id: str, durations: Mapping[str, Spread], seed: int
) -> dict[str, float]:
    """By move group of that window: the chance that a team which moves one of its systems needs longer than the window
    (a system without a team is its own). Groups of which no duration is known are left out."""
    items = {item.key: item for item in problem.items}
    people = {team.team_id: team.people for team in problem.teams}
    slot = next((each for each in problem.windows if each.window.window_id == window_id), None)
    work: dict[str, list[str]] = defaultdict(list)
    for each in plan.assignments:
        if each.window_id == window_id and each.system_key in items and each.system_key in durations:
            work[each.team_id or f"·{each.system_key}"].append(each.system_key)
    if slot is None:
        return {}
    found: dict[str, float] = {}
    for team, keys in work.items():
        crews = people.get(team, max(items[key].crew for key in keys))
        needs = [(durations[key], items[key].crew) for key in sorted(keys)]
        chance = overrun_chance(needs, crews, slot.window.seconds // 60, seed, _SAMPLES)
        for key in keys:
            group = items[key].group
            found[group] = max(found.get(group, 0.0), chance)
    return found

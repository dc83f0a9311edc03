"""Who is compared with whom: results grouped into contests, and each contest judged. Tables and the page read it.

A contest holds everything fixed but one axis, usually the policy: the same trace, capacity and failures, and under
each seed the same jobs, so that differences are taken seed by seed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from simulations.metrics.definitions import METRICS, Better, Metric
from simulations.metrics.result import Result
from simulations.metrics.statistics import Estimate, estimate, paired_difference, shared_confidence

AXES = ("policy", "capacity", "failures", "trace")
# Metrics that differ by less than this part of their value decide nothing, however clear the difference is.
MATERIAL = 0.005
# What decides unless the asker says otherwise: the first of these that exists and differs.
DECIDING = (
    "wait_mean", "slowdown_mean", "allocation_accelerator", "allocation_cpu", "makespan", "charge_cny", "energy_kwh",
)  # fmt: skip
HEADLINE = (
    "wait_mean", "wait_p95", "slowdown_mean", "makespan", "allocation_cpu", "allocation_accelerator",
    "utilisation_cpu", "utilisation_accelerator", "fragmentation", "jain", "share_deviation", "deadline_miss_rate",
    "wasted_core_hours", "wasted_card_hours", "energy_kwh", "carbon_kg", "charge_cny",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Contest:
    """`entries`: results by the name on the axis, in order of first appearance. `setting`: what is held fixed, by
    axis."""

    axis: str
    setting: Mapping[str, str]
    entries: Mapping[str, Sequence[Result]]

    def by_seed(self, entry: str, key: str) -> Mapping[int, float]:
        """The metric by seed, of the results that have it, to twelve digits: a sum of the same charges in another order
        differs in the sixteenth, and is neither better nor worse."""
        return {
            result.label.seed: float(f"{result.measures.metrics[key]:.12g}")
            for result in self.entries[entry]
            if key in result.measures.metrics
        }

    def value(self, entry: str, key: str) -> Estimate | None:
        values = self.by_seed(entry, key)
        return estimate([values[seed] for seed in sorted(values)]) if values else None

    def difference(self, base: str, other: str, key: str) -> Estimate | None:
        """other - base, paired by seed, with 95 % confidence for this difference alone."""
        return paired_difference(self.by_seed(base, key), self.by_seed(other, key))

    @property
    def seeds(self) -> list[int]:
        return sorted({result.label.seed for results in self.entries.values() for result in results})

    def headline(self) -> list[Metric]:
        """The headline metrics that every entry has and that say something: not 0 everywhere, and utilisation only
        where waste sets it apart from allocation."""
        return [
            METRICS[key]
            for key in HEADLINE
            if all(self.by_seed(entry, key) for entry in self.entries)
            and any(any(self.by_seed(entry, key).values()) for entry in self.entries)
            and not self._repeats(key)
        ]

    def _repeats(self, key: str) -> bool:
        other = key.replace("utilisation", "allocation")
        return other != key and all(self.by_seed(one, key) == self.by_seed(one, other) for one in self.entries)


def contests(results: Iterable[Result], axis: str | None = None) -> list[Contest]:
    """All contests, in order of first appearance. `axis` None: the first of `AXES` on which the results differ.

    Raises ValueError for no results or an axis that does not exist.
    """
    found = list(results)
    if not found:
        raise ValueError("没有结果可比较 / there are no results to compare; 请先仿真 / run a simulation first")
    if axis is None:
        differing = [one for one in AXES if len({getattr(result.label, one) for result in found}) > 1]
        axis = differing[0] if differing else AXES[0]
    if axis not in AXES:
        raise ValueError(f"不能按 {axis} 比较 / cannot compare by {axis}; 可用 / known: {', '.join(AXES)}")
    fixed = [one for one in AXES if one != axis]
    groups: dict[tuple[str, ...], dict[str, list[Result]]] = {}
    for result in found:
        setting = tuple(getattr(result.label, one) for one in fixed)
        groups.setdefault(setting, {}).setdefault(getattr(result.label, axis), []).append(result)
    return [Contest(axis, dict(zip(fixed, setting, strict=True)), entries) for setting, entries in groups.items()]


@dataclass(frozen=True, slots=True)
class Rival:
    """`difference`: best - rival, with the confidence at which all rivals of the verdict hold together."""

    name: str
    value: Estimate
    difference: Estimate | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """Who is best by one metric, and against whom that is sure. `rivals` from the nearest to the farthest."""

    contest: Contest
    metric: Metric
    best: str
    value: Estimate
    rivals: tuple[Rival, ...]

    @property
    def unclear(self) -> tuple[Rival, ...]:
        """Rivals from whom the best cannot be told apart."""
        return tuple(one for one in self.rivals if one.difference is None or not one.difference.is_clear)

    @property
    def is_sure(self) -> bool:
        return bool(self.rivals) and not self.unclear


def verdict(contest: Contest, key: str | None = None) -> Verdict | None:
    """Judged by the metric `key`, or by the first of `DECIDING` on which the entries differ by
    more than half a percent. None where no entry has
    such a metric. Raises ValueError for a metric that does not exist or that is no merit."""
    key = key or _deciding(contest)
    if key is None:
        return None
    if key not in METRICS or METRICS[key].better is Better.NEITHER:
        merits = [name for name, one in METRICS.items() if one.better is not Better.NEITHER]
        raise ValueError(f"不能按 {key} 评判 / cannot judge by {key}; 可用 / known: {', '.join(merits)}")
    values = {entry: contest.value(entry, key) for entry in contest.entries}
    known = {entry: value for entry, value in values.items() if value is not None}
    if not known:
        return None
    sign = 1 if METRICS[key].better is Better.LOWER else -1
    ranked = sorted(known, key=lambda entry: sign * known[entry].mean)
    best, others = ranked[0], ranked[1:]
    confidence = shared_confidence(len(others))
    mine = contest.by_seed(best, key)
    rivals = tuple(
        Rival(one, known[one], paired_difference(contest.by_seed(one, key), mine, confidence)) for one in others
    )
    return Verdict(contest, METRICS[key], best, known[best], rivals)


def _deciding(contest: Contest) -> str | None:
    there = [key for key in DECIDING if all(contest.by_seed(entry, key) for entry in contest.entries)]
    for key in there:
        means = [value.mean for entry in contest.entries if (value := contest.value(entry, key))]
        if max(means) - min(means) > MATERIAL * max(abs(mean) for mean in means):
            return key
    return there[0] if there else None

"""Which policy is better? Each policy's metrics over the seeds, and its paired differences from a base policy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from simulations.metrics.result import Result
from simulations.metrics.statistics import Estimate, paired_difference
from simulations.questions.asking import by_seed, over_seeds


@dataclass(frozen=True, slots=True)
class ComparedPolicy:
    """One policy in one setting (trace, capacity, failures). `values` by metric; `differences` from the base policy
    of the setting, seed by seed (empty for the base itself)."""

    setting: tuple[str, str, str]
    policy: str
    values: dict[str, Estimate]
    differences: dict[str, Estimate]


def compare(results: Iterable[Result], metrics: Sequence[str], base: str) -> list[ComparedPolicy]:
    """In the order in which settings and policies first appear. Metrics that a result lacks are left out.

    Raises ValueError where no result has the policy `base`.
    """
    groups: dict[tuple[str, str, str], dict[str, list[Result]]] = {}
    for result in results:
        groups.setdefault(result.label.setting, {}).setdefault(result.label.policy, []).append(result)
    known = {policy for group in groups.values() for policy in group}
    if base not in known:
        raise ValueError(
            f"没有策略 {base} 的结果，可用 {'、'.join(sorted(known))}"
            f" / there is no result of policy {base}; there are {', '.join(sorted(known))}"
        )
    compared: list[ComparedPolicy] = []
    for setting, group in groups.items():
        for policy, mine in group.items():
            values = {metric: over_seeds(mine, metric) for metric in metrics}
            differences: dict[str, Estimate | None] = {}
            if policy != base and base in group:
                differences = {
                    metric: paired_difference(by_seed(group[base], metric), by_seed(mine, metric))
                    for metric in metrics
                }
            compared.append(ComparedPolicy(setting, policy, _found(values), _found(differences)))
    return compared


def _found(estimates: dict[str, Estimate | None]) -> dict[str, Estimate]:
    return {metric: value for metric, value in estimates.items() if value is not None}

"""Which policy is better? Each policy's metrics over the seeds, its paired differences from a base policy, and who wins.

The groups, the differences and the verdict are those of `simulations.report.contest`, so that the table on the terminal
and the page never call different policies the best.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from simulations.metrics.result import Result
from simulations.metrics.statistics import Estimate
from simulations.report.contest import Contest, Verdict, contests, verdict


@dataclass(frozen=True, slots=True)
class ComparedPolicy:
    """One policy in one setting (trace, capacity, failures). `values` by metric; `differences` from the base policy
    of the setting, seed by seed (empty for the base itself)."""

    setting: tuple[str, str, str]
    policy: str
    values: dict[str, Estimate]
    differences: dict[str, Estimate]


@dataclass(frozen=True, slots=True)
class ComparedSetting:
    """One setting with its policies, and which of them is best (None: no job counted in any run)."""

    rows: tuple[ComparedPolicy, ...]
    judged: Verdict | None


def compare(
    results: Iterable[Result], metrics: Sequence[str], base: str | None = None, by: str | None = None
) -> list[ComparedSetting]:
    """In the order in which settings and policies first appear. Metrics that a result lacks are left out. `base` None:
    the first policy; `by`: the metric that decides (None: as `contest.verdict` chooses).

    Raises ValueError where no result has the policy `base`, for no results, and for a `by` that is no merit.
    """
    held = contests(results, "policy")
    base = base or next(iter(held[0].entries))
    known = {policy for contest in held for policy in contest.entries}
    if base not in known:
        raise ValueError(
            f"没有策略 {base} 的结果，可用 {'、'.join(sorted(known))}"
            f" / there is no result of policy {base}; there are {', '.join(sorted(known))}"
        )
    return [
        ComparedSetting(
            tuple(_compared(contest, policy, metrics, base) for policy in contest.entries), verdict(contest, by)
        )
        for contest in held
    ]


def _compared(contest: Contest, policy: str, metrics: Sequence[str], base: str) -> ComparedPolicy:
    values = {metric: contest.value(policy, metric) for metric in metrics}
    differences: dict[str, Estimate | None] = {}
    if policy != base and base in contest.entries:
        differences = {metric: contest.difference(base, policy, metric) for metric in metrics}
    setting = (contest.setting["trace"], contest.setting["capacity"], contest.setting["failures"])
    return ComparedPolicy(setting, policy, _found(values), _found(differences))


def _found(estimates: dict[str, Estimate | None]) -> dict[str, Estimate]:
    return {metric: value for metric, value in estimates.items() if value is not None}

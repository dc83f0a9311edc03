"""The policies by name. An unknown name raises and lists the valid ones; nothing registers itself by import.

To add a policy: write its file, add its line to `POLICIES`, and `xisuan sim trace --policy NAME` runs it. It then
runs as plain Python; a kernel is only for speed. For one, add the number to `KERNELS` and the rule to
`scheduler.core.placement.kernels.scoring`, and list the name in tests/policies/test_twins.py, which holds the two equal.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from scheduler.core.placement.policies.best_fit import BestFit
from scheduler.core.placement.policies.demand import Demand
from scheduler.core.placement.policies.dot_product import DotProduct
from scheduler.core.placement.policies.fgd import FragmentationGradientDescent
from scheduler.core.placement.policies.first_fit import FirstFit
from scheduler.core.placement.policies.future_fill import FutureFill
from scheduler.core.placement.policies.gpu_clustering import GpuClustering
from scheduler.core.placement.policies.gpu_packing import GpuPacking
from scheduler.core.placement.policies.least_allocated import LeastAllocated
from scheduler.core.placement.policies.protocol import Policy
from scheduler.core.placement.policies.random_node import RandomNode
from scheduler.core.placement.policies.shape import Scale
from scheduler.core.placement.policies.tightest import Tightest
from scheduler.core.placement.policies.weighted import Weighted
from scheduler.core.placement.policies.worst_fit import WorstFit

RANDOM = "random"
FUTURE_FILL = "future-fill"
FGD = "fgd"
TIGHTEST = "tightest"

POLICIES: Mapping[str, Callable[[Scale, Demand], Policy]] = {
    RANDOM: lambda _scale, _demand: RandomNode(),
    "first-fit": lambda _scale, _demand: FirstFit(),
    "bestfit": lambda scale, _demand: BestFit(scale),
    "worst-fit": lambda scale, _demand: WorstFit(scale),
    "least-allocated": lambda _scale, _demand: LeastAllocated(),
    "dotprod": lambda scale, _demand: DotProduct(scale),
    "packing": lambda _scale, _demand: GpuPacking(),
    "clustering": lambda scale, _demand: GpuClustering(scale),
    FGD: lambda _scale, demand: FragmentationGradientDescent(demand),
    TIGHTEST: lambda scale, _demand: Tightest(scale),
    FUTURE_FILL: FutureFill,
    "xisuan": FutureFill,  # the house's own policy under the house's name
}

# The number under which a kernel knows the policy; see the constants at the head of kernels/scoring.py.
KERNELS: Mapping[str, int] = {
    RANDOM: 0,
    "first-fit": 1,
    "bestfit": 2,
    "worst-fit": 3,
    "least-allocated": 4,
    "dotprod": 5,
    "packing": 6,
    "clustering": 7,
    FGD: 8,
    FUTURE_FILL: 9,
    "xisuan": 9,
    TIGHTEST: 10,
}


# The highest score of each policy; 100 where it is not named. Kernels keep scores in 16 bits.
HIGHEST: Mapping[str, int] = {FUTURE_FILL: 10_000, "xisuan": 10_000, TIGHTEST: 3 * 4096}
LIMIT = 32_767
_TERM = re.compile(r"([a-z][a-z0-9-]*)(?::([0-9]{1,5}))?")


class PolicyError(ValueError):
    """A policy that cannot be used: unknown, or a stack that breaks a rule. The message says which and what to do."""


@dataclass(frozen=True, slots=True)
class PolicyStack:
    """Node-level policies with their weights (1 and more), the one that chooses cards first."""

    terms: tuple[tuple[str, int], ...]

    @classmethod
    def parse(cls, text: str) -> PolicyStack:
        """ "fgd", or a weighted stack "fgd:3+bestfit:1" (a weight left out is 1). Raises PolicyError."""
        terms = []
        for part in text.split("+"):
            match = _TERM.fullmatch(part.strip())
            if match is None:
                raise PolicyError(
                    f"{text!r} 不是放置策略，请写成 fgd 或 fgd:3+bestfit:1"
                    " / is not a node policy; write fgd or fgd:3+bestfit:1"
                )
            name, weight = match[1], int(match[2] or 1)
            _require_known(name)
            terms.append((name, weight))
        stack = cls(tuple(terms))
        stack._check(text)
        return stack

    def _check(self, text: str) -> None:
        names = [name for name, _ in self.terms]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise PolicyError(f"{text!r} 两次写了 {twice[0]}，请合并 / names {twice[0]} twice; give it one weight")
        if any(weight < 1 for _, weight in self.terms):
            raise PolicyError(f"{text!r} 的权重须不小于 1 / has a weight below 1; leave that policy out")
        if RANDOM in names and len(names) > 1:
            raise PolicyError(
                f"{text!r}: random 不能与其他策略叠加 / random cannot be part of a stack; use it alone"
            )
        highest = sum(weight * HIGHEST.get(name, 100) for name, weight in self.terms)
        if highest > LIMIT and len(names) > 1:
            raise PolicyError(
                f"{text!r} 的最高分 {highest} 超过 {LIMIT}，请减小权重"
                f" / can score {highest}, more than {LIMIT}; give smaller weights"
            )

    def __str__(self) -> str:
        if len(self.terms) == 1:
            return self.terms[0][0]
        return "+".join(f"{name}:{weight}" for name, weight in self.terms)

    @property
    def names(self) -> frozenset[str]:
        return frozenset(name for name, _ in self.terms)

    @property
    def reads_demand(self) -> bool:
        """Whether a policy of it measures against the typical demand."""
        return bool(self.names & {FGD, FUTURE_FILL, "xisuan"})

    @property
    def has_kernels(self) -> bool:
        return all(name in KERNELS for name in self.names)

    def numbers(self) -> list[list[int]]:
        """What the kernels read: number and weight of each. A single policy needs no weight."""
        if len(self.terms) == 1:
            return [[KERNELS[self.terms[0][0]], 1]]
        return [[KERNELS[name], weight] for name, weight in self.terms]

    def plain(self, scale: Scale, demand: Demand) -> Policy:
        """The readable twin."""
        policies = [(POLICIES[name](scale, demand), weight) for name, weight in self.terms]
        return policies[0][0] if len(policies) == 1 else Weighted(policies)


def default_policy(has_cards: bool) -> PolicyStack:
    """What a pool places by unless its owner says otherwise; docs/placement.md has the measurements."""
    return PolicyStack(((FUTURE_FILL if has_cards else TIGHTEST, 1),))


def policy_named(text: str, scale: Scale, demand: Demand) -> Policy:
    """The policy or weighted stack of `PolicyStack.parse`, as plain Python. Raises PolicyError with the rule."""
    return PolicyStack.parse(text).plain(scale, demand)


def _require_known(name: str) -> None:
    if name not in POLICIES:
        raise PolicyError(f"未知策略 / unknown policy {name!r}; 可用 / known: {', '.join(POLICIES)}")

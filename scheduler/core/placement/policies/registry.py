"""The policies by name. An unknown name raises and lists the valid ones; nothing registers itself by import.

To add a policy: write its file, add its line to `POLICIES`, and `xisuan sim trace --policy NAME` runs it. It then
runs as plain Python; a kernel is only for speed. For one, add the number to `KERNELS` and the rule to
`scheduler.core.placement.kernels`, and list the name in tests/policies/test_twins.py, which holds the two equal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

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
from scheduler.core.placement.policies.worst_fit import WorstFit

RANDOM = "random"
FUTURE_FILL = "future-fill"

POLICIES: Mapping[str, Callable[[Scale, Demand], Policy]] = {
    RANDOM: lambda _scale, _demand: RandomNode(),
    "first-fit": lambda _scale, _demand: FirstFit(),
    "bestfit": lambda scale, _demand: BestFit(scale),
    "worst-fit": lambda scale, _demand: WorstFit(scale),
    "least-allocated": lambda _scale, _demand: LeastAllocated(),
    "dotprod": lambda scale, _demand: DotProduct(scale),
    "packing": lambda _scale, _demand: GpuPacking(),
    "clustering": lambda scale, _demand: GpuClustering(scale),
    "fgd": lambda _scale, demand: FragmentationGradientDescent(demand),
    FUTURE_FILL: FutureFill,
    "xisuan": FutureFill,  # the house's own policy under the house's name
}

# The number under which a kernel knows the policy; see the constants at the head of kernels.py.
KERNELS: Mapping[str, int] = {
    RANDOM: 0,
    "first-fit": 1,
    "bestfit": 2,
    "worst-fit": 3,
    "least-allocated": 4,
    "dotprod": 5,
    "packing": 6,
    "clustering": 7,
    "fgd": 8,
    FUTURE_FILL: 9,
    "xisuan": 9,
}


def policy_named(name: str, scale: Scale, demand: Demand) -> Policy:
    """Raises ValueError with the known names."""
    if name not in POLICIES:
        raise ValueError(f"未知策略 / unknown policy {name!r}; 可用 / known: {', '.join(POLICIES)}")
    return POLICIES[name](scale, demand)

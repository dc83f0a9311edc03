"""What placement receives and answers: the pool as seen, the shape of a workload, node requests, policies.

Filters, scores, the pool state and the cycle all speak in these values. `scheduler.ports` hands them across its
boundary; they are defined here because the core may not import what lies above it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from inventory.model.placement import Reason
from inventory.model.pool import Pool, PoolHealth
from inventory.model.units import Resources
from inventory.model.workload import Requirements, Workload

PROCESS = "process"
CONTAINER = "container"


@dataclass(frozen=True, slots=True)
class PoolView:
    """A pool as the cycle sees it at one moment.

    `allocatable` and `free` are sums over nodes that take new runs, with the pool's shared disk; what was placed
    but not yet launched is already taken off `free`. `largest_task` is the element-wise maximum over nodes of
    what an empty node offers: a task above it in any dimension fits nowhere, ever.
    `runtimes` names what the adapter can run: "process", "container"; empty while it has not said.
    """

    pool: Pool
    health: PoolHealth
    cordoned: bool
    allocatable: Resources
    free: Resources
    largest_task: Resources
    runtimes: frozenset[str] = frozenset()

    @property
    def is_described(self) -> bool:
        """False while the adapter has never answered: what the pool cannot do is then unknown, not a "no"."""
        return bool(self.runtimes) or self.health is PoolHealth.READY


@dataclass(frozen=True, slots=True)
class Shape:
    """All of a workload that placement looks at. Workloads of one shape get one opinion from each pool.

    `runtime` is what its program needs: a command without an image is a "process", an image is a "container".
    `total` is what all its tasks need together.
    """

    requirements: Requirements
    runtime: str = PROCESS
    total: Resources = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        # Kept, not computed at each look: filters and scores read it for every pool.
        object.__setattr__(self, "total", self.requirements.total)

    @classmethod
    def of(cls, workload: Workload) -> Shape:
        return cls(workload.requirements, PROCESS if workload.program.image is None else CONTAINER)


@dataclass(frozen=True, slots=True)
class NodeRequest:
    """Asks a pool for nodes for all tasks of one run, all or nothing."""

    run_id: str
    requirements: Requirements


@dataclass(frozen=True, slots=True)
class NodeAnswer:
    """Nodes, one a task, reserved until the plan is committed or released; or the reason why not."""

    run_id: str
    nodes: tuple[str, ...] = ()
    refusal: Reason | None = None


class Filter(Protocol):
    """One hard rule. Pure: the same shape and view give the same answer."""

    def __call__(self, shape: Shape, pool: PoolView) -> Reason | None:
        """Why `pool` may not take workloads of `shape`; None when this rule does not object."""


class Score(Protocol):
    """One preference among pools that no filter refused. Pure."""

    def __call__(self, shape: Shape, pool: PoolView) -> int:
        """0 (worst) to 100 (best)."""

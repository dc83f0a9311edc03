"""What placement receives and answers: the pool as seen, the shape of a workload, batches of node requests, policies.

Filters, scores, the pool state and the cycle all speak in these values. `scheduler.ports` hands them across its
boundary; they are defined here because the core may not import what lies above it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from inventory.model.constraints import InputPlace
from inventory.model.placement import Reason
from inventory.model.pool import Pool, PoolHealth
from inventory.model.units import Resources
from inventory.model.workload import Requirements, Workload

Int32s = npt.NDArray[np.int32]
Flags = npt.NDArray[np.bool_]

PROCESS = "process"
CONTAINER = "container"
# Among what an adapter can run: programs that name secrets of the pool's own store.
SECRETS = "secrets"


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
    `inputs` is the data that it reads; `secrets`: it names some of the pool's own secret store. `total` is what all its
    tasks need together.
    """

    requirements: Requirements
    runtime: str = PROCESS
    inputs: tuple[InputPlace, ...] = ()
    secrets: bool = False
    total: Resources = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        # Kept, not computed at each look: filters and scores read it for every pool.
        object.__setattr__(self, "total", self.requirements.total)

    @classmethod
    def of(cls, workload: Workload) -> Shape:
        runtime = PROCESS if workload.program.image is None else CONTAINER
        return cls(workload.requirements, runtime, workload.inputs, bool(workload.program.secrets))


@dataclass(frozen=True, slots=True, eq=False)
class NodeBatch:
    """Asks one pool for nodes for n runs, tried in the order given; each gets all its tasks or none.

    `shape` (n) is each run's position in `shapes`. Where two entries of `shapes` are equal they are two shapes.
    """

    run_ids: Sequence[str]
    shape: Int32s
    shapes: Sequence[Requirements]

    @classmethod
    def of(cls, asked: Iterable[tuple[str, Requirements]]) -> NodeBatch:
        """A batch from (run id, requirements), each distinct requirements one shape."""
        number: dict[Requirements, int] = {}
        run_ids, shape = [], []
        for run_id, requirements in asked:
            run_ids.append(run_id)
            shape.append(number.setdefault(requirements, len(number)))
        return cls(run_ids, np.array(shape, dtype=np.int32), tuple(number))


@dataclass(frozen=True, slots=True, eq=False)
class NodeAnswers:
    """One pool's answers to a batch of n runs. What is granted is reserved until it is confirmed or released.

    Run i is `granted` [i] (n) the nodes `nodes[offsets[i]:offsets[i + 1]]`, one a task, as positions in `node_ids`;
    `offsets` (n + 1). A run that is not granted has no nodes, and the reason of its shape stands in `refusals` (by
    position in the batch's `shapes`): a shape that was refused once is refused for the rest of the batch.
    """

    granted: Flags
    offsets: Int32s
    nodes: Int32s
    node_ids: Sequence[str]
    refusals: Mapping[int, Reason]

    @classmethod
    def refused(cls, batch: NodeBatch, reason: Reason) -> NodeAnswers:
        """Nothing granted, every shape for the same reason."""
        count = len(batch.run_ids)
        return cls(
            granted=np.zeros(count, dtype=np.bool_),
            offsets=np.zeros(count + 1, dtype=np.int32),
            nodes=np.zeros(0, dtype=np.int32),
            node_ids=(),
            refusals=dict.fromkeys(range(len(batch.shapes)), reason),
        )

    def nodes_of(self, run: int) -> tuple[str, ...]:
        """The nodes of the run at this position of the batch, one a task; none where it was refused."""
        return tuple(self.node_ids[n] for n in self.nodes[self.offsets[run] : self.offsets[run + 1]].tolist())

    def with_used_node_ids(self) -> NodeAnswers:
        """The same answers naming only nodes that were granted: what is worth sending to another process."""
        used, nodes = np.unique(self.nodes, return_inverse=True)
        node_ids = [self.node_ids[n] for n in used.tolist()]
        return NodeAnswers(self.granted, self.offsets, nodes.astype(np.int32), node_ids, self.refusals)


class Filter(Protocol):
    """One hard rule. Pure: the same shape and view give the same answer."""

    def __call__(self, shape: Shape, pool: PoolView) -> Reason | None:
        """Why `pool` may not take workloads of `shape`; None when this rule does not object."""


class Score(Protocol):
    """One preference among pools that no filter refused. Pure."""

    def __call__(self, shape: Shape, pool: PoolView) -> int:
        """0 (worst) to 100 (best)."""

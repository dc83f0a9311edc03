"""What a pool has free in all, and how much of it typical tasks could not use: one pass, no arrays in between."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from scheduler.core.placement.kernels.arrays import FreeColumns
from scheduler.core.placement.kernels.jit import compiled
from scheduler.core.placement.kernels.scoring import fragmentation
from scheduler.core.placement.policies.encode import DemandTables, Int64s, NodeColumns


@compiled
def sum_free(free: FreeColumns, is_open: npt.NDArray[np.bool_], sums: Int64s) -> None:
    """Fills `sums` (3: milli-CPU, bytes, milli-cards) with what the open nodes have free; what a node lacks counts
    as nothing free there."""
    sums[:] = 0
    for n in range(len(is_open)):
        if is_open[n]:
            sums[0] += max(0, free.cpu[n])
            sums[1] += max(0, free.memory[n])
            sums[2] += max(0, free.idle[n] - free.owed[n])


@compiled
def sum_fragmentation(
    nodes: NodeColumns, free: FreeColumns, is_open: npt.NDArray[np.bool_], demand: DemandTables
) -> int:
    """`policies.fragmentation.fragmentation` added up over the open nodes: milli-cards times `demand.total`."""
    total = 0
    for n in range(len(is_open)):
        if is_open[n]:
            total += fragmentation(n, nodes, free, demand)
    return total

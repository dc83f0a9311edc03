"""Fragmentation: how much of what is free lies where a typical task cannot use it. The engine samples it.

`stranded` is pure and vectorised; the engine calls it at some moments with the nodes of a pool, and `measure` takes
the mean of the samples.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Int32s = npt.NDArray[np.int32]
Int64s = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class FragmentationSamples:
    """s samples: when, in which pool (position), how many milli-cards are stranded, and how many are offered."""

    at_ms: Int64s
    pool: Int32s
    stranded_milli: Floats
    offered_milli: Int64s


def stranded(free: Int64s, needs: Int64s, popularity: Floats, resource: int) -> float:
    """The expected amount of `resource` (a dimension: 0 milli-CPU, 3 milli-cards) that is free on nodes that cannot
    hold one typical task: sum over nodes and tasks of popularity x free, where the task does not fit.

    `free` (n, 4) of each node, `needs` (m, 4) of one task of each typical shape, `popularity` (m) their shares of
    all tasks, summing to 1. Source: Weng et al., USENIX ATC'23, definition of F, for tasks that take whole cards; a
    task that asks for no card strands every free card.
    """
    total = 0.0
    for need, share in zip(needs, popularity, strict=True):
        fits = (free >= need).all(axis=1)
        if need[resource] == 0:
            fits = np.zeros(len(free), dtype=np.bool_)
        total += float(share) * float(free[~fits, resource].sum())
    return total


def fragmentation_measures(samples: FragmentationSamples | None) -> dict[str, float]:
    """Mean over the moments of stranded / offered, all pools together; empty without samples or cards."""
    if samples is None or not len(samples.at_ms):
        return {}
    _, moment = np.unique(samples.at_ms, return_inverse=True)
    offered = np.bincount(moment, samples.offered_milli)
    lost = np.bincount(moment, samples.stranded_milli)
    if not (offered > 0).any():
        return {}
    return {"fragmentation": float((lost[offered > 0] / offered[offered > 0]).mean())}

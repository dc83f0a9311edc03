"""Fragmentation: how much of what is offered is free, and lies where a typical task cannot use it.

The engine samples it (`simulations.engine.sampling`) by the definition that the policies and the openb evaluation use,
`scheduler.core.placement.policies.fragmentation`; `measure` takes the mean of the samples.
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

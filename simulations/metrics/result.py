"""The result of one simulated run, as it is stored, compared and reported: labels, provenance, metrics, curves.

The portfolio makes one `Result` a run from `measure`; `simulations.report` reads them back and asks nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, order=True)
class Label:
    """What distinguishes the runs of a portfolio. Runs that differ in nothing but the policy and share the seed met
    the same jobs and the same failures: their differences are paired."""

    trace: str
    capacity: str
    failures: str
    policy: str
    seed: int

    @property
    def setting(self) -> tuple[str, str, str]:
        """What is held fixed when policies are compared: trace, capacity, failures."""
        return (self.trace, self.capacity, self.failures)


@dataclass(frozen=True, slots=True)
class Provenance:
    """What must be the same for the same numbers to come out again. Hashes are SHA-256 in hex."""

    scenario: str
    scenario_hash: str
    trace_hash: str
    code_version: str


@dataclass(frozen=True, slots=True, eq=False)
class Curves:
    """Values at `at_ms` (k evenly spaced moments of the trace's time), by name of the curve, for charts.

    Names: "allocated.cpu", "allocated.accelerator" (share of what is offered, 0..1), "waiting.jobs" (count),
    "deviation" (share deviation), and "allocated.<pool id>" for the dominant share of each pool.
    """

    at_ms: npt.NDArray[np.int64]
    values: Mapping[str, Floats]


@dataclass(frozen=True, slots=True, eq=False)
class Measures:
    """What `simulations.metrics.measure.measure` finds. Keys of `metrics` are those of `definitions.METRICS`; a metric
    that does not exist for this run (no card in any pool, no deadline in the trace) is left out, never 0 or NaN.
    `pools` has the metrics that exist for single pools, by pool id."""

    metrics: Mapping[str, float]
    pools: Mapping[str, Mapping[str, float]]
    curves: Curves


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """One run of a portfolio. `notes` are what a reader of the result must know: skipped rows, assumptions."""

    label: Label
    provenance: Provenance
    measures: Measures
    notes: tuple[str, ...] = field(default=())

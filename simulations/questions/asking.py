"""What all questions share: cells go out, results come back, and metrics over seeds become estimates."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from simulations.metrics.result import Result
from simulations.metrics.statistics import Estimate, estimate
from simulations.scenarios.capacity import CapacityForm
from simulations.scenarios.cell import Cell
from simulations.scenarios.form import Scenario

# Simulates cells and gives a result for each, in their order. The command line's keeps them in a folder.
Ask = Callable[[Sequence[Cell]], Sequence[Result]]


def over_seeds(results: Iterable[Result], metric: str) -> Estimate | None:
    """The metric's mean over the results that have it."""
    values = [result.measures.metrics[metric] for result in results if metric in result.measures.metrics]
    return estimate(values) if values else None


def by_seed(results: Iterable[Result], metric: str) -> Mapping[int, float]:
    """The metric by seed, where it exists."""
    return {
        result.label.seed: result.measures.metrics[metric]
        for result in results
        if metric in result.measures.metrics
    }


def only_capacity(scenario: Scenario) -> tuple[str, CapacityForm]:
    """Name and form of the one capacity that a question changes. Raises ValueError where there are several."""
    if len(scenario.capacities) != 1:
        raise ValueError(f"one capacity is asked about, not {', '.join(scenario.capacities)}")
    return next(iter(scenario.capacities.items()))

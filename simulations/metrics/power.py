"""What a pool's nodes draw, and what electricity costs and emits there: a scenario gives it, the accounts read it."""

from __future__ import annotations

from dataclasses import dataclass, field

from simulations.series import StepSeries


@dataclass(frozen=True, slots=True)
class PoolPower:
    """A linear power model: a pool draws, in watts,

        PUE x (nodes that are up x idle_watts + busy vCPUs x vcpu_watts + busy cards x card_watts).

    `idle_watts` is one node with nothing on it; the other two are what full load adds, for each vCPU and each whole
    card. What a job holds counts as busy, for traces tell what was asked for and rarely what was used.
    Source: Fan, Weber, Barroso, "Power provisioning for a warehouse-sized computer", ISCA 2007 (power grows
    about linearly with load between idle and busy).

    `price_kwh` is CNY a kWh, `carbon` gCO2 a kWh (location-based: of the grid, whatever certificates were bought).
    """

    pue: float
    idle_watts: float
    vcpu_watts: float
    card_watts: float
    price_kwh: StepSeries = field(default_factory=lambda: StepSeries.constant(0.0))
    carbon: StepSeries = field(default_factory=lambda: StepSeries.constant(0.0))

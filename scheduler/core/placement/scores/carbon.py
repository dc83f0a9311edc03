"""Carbon: what the power that the workload adds emits in this pool, against the reference below.

50 at the reference power on a grid of 550 g CO2 a kWh, 100 for nothing (all green), 0 at twice that and above. The
share of green power emits nothing. A pool that does not state its power or its grid scores 0.
"""

from __future__ import annotations

from scheduler.core.placement.protocol import PoolView, Shape
from scheduler.core.placement.scores.energy import added_milliwatts, against_reference

REFERENCE_G_KWH = 550  # about the Chinese grid's average


def score(shape: Shape, pool: PoolView) -> int:
    added, grid = added_milliwatts(shape, pool), pool.pool.carbon_g_kwh
    if added is None or grid is None:
        return 0
    grams = round(grid * (1 - pool.pool.green_share) * 1000)  # milligrams a kWh
    return against_reference(added * grams // (REFERENCE_G_KWH * 1000), shape)

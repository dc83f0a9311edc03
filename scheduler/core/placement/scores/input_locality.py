"""Data locality: how long the workload's input data would take to reach this pool.

100 where all of it lies there already (or there is none), 50 where moving it takes ten minutes, 25 where it takes
half an hour. `staging_ms` is what estimates and deadlines count.
"""

from __future__ import annotations

from collections.abc import Sequence

from inventory.model.constraints import InputPlace
from inventory.model.pool import Pool
from scheduler.core.placement.protocol import PoolView, Shape

HALF_AT_MS = 600_000
NEVER_MS = 10**12  # a pool that no data can reach: about thirty years


def score(shape: Shape, pool: PoolView) -> int:
    return 100 * HALF_AT_MS // (HALF_AT_MS + staging_ms(shape.inputs, pool.pool))


def staging_ms(inputs: Sequence[InputPlace], pool: Pool) -> int:
    """Milliseconds to move to the pool what does not lie in it, in its region or in its hub, over its uplink alone."""
    local = {pool.pool_id, pool.region, pool.hub} - {""}
    missing = sum(one.size_bytes for one in inputs if one.place not in local)
    if missing == 0:
        return 0
    bits_per_ms = round(pool.egress_gbps * 1_000_000)
    return min(NEVER_MS, missing * 8 // bits_per_ms) if bits_per_ms else NEVER_MS

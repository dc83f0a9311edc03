"""Energy: the power that the workload adds in this pool, cooling included, against the reference below.

50 at the reference power, 100 for none, 0 at twice the reference and above. What it adds is the share of the largest
node that it takes, times what a loaded node draws beyond an idle one, times the pool's PUE. A pool that does not
state its power scores 0: an unknown power is not a low one.
"""

from __future__ import annotations

from scheduler.core.placement.protocol import PoolView, Shape

# Milliwatts, the middle of common servers: 10 W a vCPU, 400 W a card, at a PUE of 1.25.
REFERENCE_VCPU_MW = 12_500
REFERENCE_CARD_MW = 500_000


def score(shape: Shape, pool: PoolView) -> int:
    added = added_milliwatts(shape, pool)
    return 0 if added is None else against_reference(added, shape)


def added_milliwatts(shape: Shape, pool: PoolView) -> int | None:
    """None where the pool does not state what its nodes draw."""
    idle, loaded = pool.pool.idle_watts, pool.pool.loaded_watts
    if idle is None or loaded is None:
        return None
    per_node = round(max(0.0, loaded - idle) * pool.pool.pue * 1000)
    node, total = pool.largest_task, shape.total
    shares = (
        (total.cpu_milli, node.cpu_milli),
        (total.memory_bytes, node.memory_bytes),
        (total.accelerator_milli, node.accelerator_milli),
    )
    # Integers: float shares would let noise decide between equal pools.
    return max(per_node * asked // whole if whole else 0 for asked, whole in shares)


def against_reference(milliwatts: int, shape: Shape) -> int:
    total = shape.total
    reference = (total.cpu_milli * REFERENCE_VCPU_MW + total.accelerator_milli * REFERENCE_CARD_MW) // 1000
    return 100 if reference == 0 else max(0, 100 - 50 * milliwatts // reference)

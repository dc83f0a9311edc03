"""Price: what an hour of the workload costs in this pool, against the reference prices below.

50 at the reference price, 100 for nothing, 0 at twice the reference and above. An absolute scale keeps the score
of one pool independent of which other pools exist. A pool that has cards but states no price for them scores 0:
an unknown price is not a low one.
"""

from __future__ import annotations

from scheduler.core.placement.protocol import PoolView, Shape

# CNY an hour, the middle of the declared pools' range (0.05-0.13 a vCPU, 2.1-8.4 a card).
REFERENCE_VCPU_CNY = 0.10
REFERENCE_CARD_CNY = 5.0


def score(shape: Shape, pool: PoolView) -> int:
    total = shape.total
    card_price = pool.pool.card_hour_cny
    if total.accelerator_milli and card_price is None:
        return 0
    cost = total.cpu_milli * _micro(pool.pool.vcpu_hour_cny) + total.accelerator_milli * _micro(card_price or 0.0)
    reference = total.cpu_milli * _micro(REFERENCE_VCPU_CNY) + total.accelerator_milli * _micro(REFERENCE_CARD_CNY)
    if reference == 0:
        return 100  # it asks for nothing that is billed
    return max(0, 100 - 50 * cost // reference)


def _micro(cny: float) -> int:
    """Integers from here on: float sums would let noise decide between equal pools."""
    return round(cny * 1_000_000)

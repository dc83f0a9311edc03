"""A dry run when the service has started: what is compiled on first use is compiled before anybody waits for it.

The kernels of order, choice of pools and choice of nodes are compiled by their first call on a machine, which takes
some seconds (and are read from disk ever after, which takes a fraction of one). The control-plane actor begins this
when it begins to lead; the dry run goes the whole way through the cycle to the pool hosts, and changes nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Final, Protocol

from adapters.port import AdapterUnavailable
from inventory.model.pool import PoolHealth
from inventory.model.units import Resources
from inventory.model.workload import Program, Requirements, Submission
from inventory.store.errors import StoreError
from scheduler.services.ports import ControlPlaneUnavailable, DryRunPlacement, PoolStatus

log = logging.getLogger("xisuan.rehearsal")
LOOKS = 60
LOOK_S = 1.0
REHEARSAL: Final = Submission(
    queue="rehearsal",
    client_key="rehearsal",
    name="rehearsal",
    requirements=Requirements(Resources(cpu_milli=1, memory_bytes=1)),
    program=Program(("true",)),
)


class Plane(Protocol):
    """What of the control plane is rehearsed."""

    async def pools(self) -> tuple[PoolStatus, ...]: ...

    async def dry_run(self, submissions: Sequence[Submission]) -> list[DryRunPlacement]: ...


async def rehearse(plane: Plane, look_s: float = LOOK_S) -> bool:
    """One dry run as soon as a pool is ready; False when none was within a minute, or it could not be asked."""
    try:
        for _ in range(LOOKS):
            if any(status.health is PoolHealth.READY for status in await plane.pools()):
                await plane.dry_run([REHEARSAL])
                return True
            await asyncio.sleep(look_s)
    except (AdapterUnavailable, ControlPlaneUnavailable, StoreError) as error:
        # Whoever submits first then waits for the compiler: no worse than without a rehearsal.
        log.info("nothing was rehearsed: %s", error)
    return False

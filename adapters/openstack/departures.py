"""Ends that are not told yet: Placement gives back what a machine held a moment after Nova says that it is gone.

`engine.py` keeps here what it saw deleted until its room is free, where its credentials may ask Placement. Who hears
that a run has ended may place another one where it was, at once, and also after this adapter has started anew: what
is still held is read from Placement, and not remembered.
"""

from __future__ import annotations

import asyncio
import time

from adapters.openstack.cloud import Cloud, CloudRefused
from adapters.sdk.engine import EngineUnavailable, Seen

# Nova itself looks every minute for what deleted machines have left behind; what is left even then is nobody's, and
# is taken off the node as machines of others are.
_LONGEST_S = 90.0


class Departures:
    """Deleted machines, by id, whose room may not be free yet."""

    def __init__(self, cloud: Cloud, longest_s: float = _LONGEST_S) -> None:
        self._cloud = cloud
        self._longest_s = longest_s
        self._ends: dict[str, tuple[Seen, float]] = {}  # the end, and when it was seen

    def __contains__(self, machine_id: str) -> bool:
        return machine_id in self._ends

    def add(self, end: Seen) -> None:
        """The end of a run whose machine Nova has deleted. The first that was seen of it counts."""
        self._ends.setdefault(end.handle, (end, time.monotonic()))

    async def take_freed(self) -> list[Seen]:
        """The ends to be told now: their machines hold nothing any more, or have for too long."""
        ends = list(self._ends.values())
        held = await asyncio.gather(*(self._is_held(end.handle, since) for end, since in ends))
        freed = [end for (end, _), is_held in zip(ends, held, strict=True) if not is_held]
        return [end for end in freed if self._ends.pop(end.handle, None) is not None]  # others may ask meanwhile

    async def _is_held(self, machine_id: str, since: float) -> bool:
        if time.monotonic() - since > self._longest_s:
            return False
        try:
            return bool((await self._cloud.get("placement", f"/allocations/{machine_id}"))["allocations"])
        except (CloudRefused, EngineUnavailable):
            return True  # it is asked again at the next look

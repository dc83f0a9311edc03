"""When an engine is looked at that has no stream of events: at a steady pace, and faster while changes are expected.

`adapters.slurm.engine` and `adapters.openstack.engine` list all that they have at this pace.
"""

from __future__ import annotations

import asyncio
import contextlib
import time


class Pacing:
    """One looker's pace. Seconds: `every_s` between two looks, `again_s` for `restless_s` after changes are expected."""

    def __init__(self, *, every_s: float, again_s: float, restless_s: float) -> None:
        self._every_s = every_s
        self._again_s = again_s
        self._restless_s = restless_s
        self._restless_until = 0.0
        self._expected = asyncio.Event()

    def expect_changes(self) -> None:
        """Something was asked of the engine: whoever pauses goes on at once."""
        self._restless_until = time.monotonic() + self._restless_s
        self._expected.set()

    async def pause(self) -> None:
        """Until it is time for the next look."""
        if time.monotonic() < self._restless_until:
            await asyncio.sleep(self._again_s)
            return
        self._expected.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._every_s):
                await self._expected.wait()

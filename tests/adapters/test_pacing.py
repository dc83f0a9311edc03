"""When an engine is looked at: at its pace, sooner once something was asked of it, and then steadily again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable

from adapters.sdk.pacing import Pacing

NEVER_S = 600.0


async def ends(pause: Awaitable[None]) -> bool:
    """Whether it ends long before NEVER_S; the answer waits for it, or for a moment."""
    try:
        async with asyncio.timeout(NEVER_S / 1000):
            await pause
    except TimeoutError:
        return False
    return True


def test_nothing_is_looked_at_sooner_than_the_pace_says() -> None:
    async def story() -> None:
        began = time.monotonic()
        await Pacing(every_s=0.05, again_s=NEVER_S, restless_s=NEVER_S).pause()
        assert time.monotonic() - began >= 0.05

    asyncio.run(story())


def test_whoever_pauses_goes_on_at_once_when_changes_are_expected() -> None:
    async def story() -> None:
        pace = Pacing(every_s=NEVER_S, again_s=NEVER_S, restless_s=0.0)
        pause = asyncio.create_task(pace.pause())
        await asyncio.sleep(0)
        pace.expect_changes()
        assert await ends(pause)
        assert not await ends(pace.pause()), "what was expected before a pause is not expected in it"

    asyncio.run(story())


def test_while_changes_are_expected_looks_follow_each_other_sooner() -> None:
    async def story() -> None:
        pace = Pacing(every_s=NEVER_S, again_s=0.0, restless_s=NEVER_S)
        pace.expect_changes()
        assert await ends(pace.pause())
        assert await ends(pace.pause())

    asyncio.run(story())

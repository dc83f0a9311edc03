"""Maintenance windows of pools: closed before they begin, empty when they begin, open again when they end.

The control plane asks for the phase at every look of its supervisor, so that a restart in the middle of a window
changes nothing; what is stored is the window alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Phase(StrEnum):
    """What a pool's windows ask at one moment."""

    OPEN = "open"
    CLOSING = "closing"  # a window is near: nothing new is placed there
    EMPTYING = "emptying"  # what runs is asked to end, and ended by force when the window begins
    UNDER_WAY = "under_way"


@dataclass(frozen=True, slots=True)
class Maintenance:
    """From `starts_ms` to `ends_ms` (UTC milliseconds since 1970) the owner works on the pool.

    It takes nothing new from `cordon_before_ms` before the start on, and empties from `drain_before_ms` before it on.
    """

    starts_ms: int
    ends_ms: int
    cordon_before_ms: int
    drain_before_ms: int
    reason: str = ""

    def phase(self, now_ms: int) -> Phase:
        if now_ms >= self.ends_ms or now_ms < self.starts_ms - max(self.cordon_before_ms, self.drain_before_ms):
            return Phase.OPEN
        if now_ms >= self.starts_ms:
            return Phase.UNDER_WAY
        return Phase.EMPTYING if now_ms >= self.starts_ms - self.drain_before_ms else Phase.CLOSING


_ORDER = tuple(Phase)


def strictest(windows: Iterable[Maintenance], now_ms: int) -> tuple[Phase, Maintenance | None]:
    """The phase that asks most, and the window that asks it."""
    found: tuple[Phase, Maintenance | None] = (Phase.OPEN, None)
    for window in windows:
        phase = window.phase(now_ms)
        if _ORDER.index(phase) > _ORDER.index(found[0]):
            found = phase, window
    return found

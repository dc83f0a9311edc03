"""What happens to a run while its pool and the scheduler cannot hear each other: submitters say it, pools obey it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class OnDisconnect(StrEnum):
    """What the pool does by itself with a run whose lease has expired."""

    KEEP = "keep"
    STOP = "stop"


class OnReconnect(StrEnum):
    """Which run goes on when the pool is heard again and a replacement has been started meanwhile."""

    KEEP_ORIGINAL = "keep_original"
    KEEP_REPLACEMENT = "keep_replacement"


@dataclass(frozen=True, slots=True)
class PartitionPolicy:
    """`lost_after_ms` without contact a run is taken as lost, and its lease at the pool has expired; 0: never."""

    lost_after_ms: int = 0
    on_disconnect: OnDisconnect = OnDisconnect.KEEP
    on_reconnect: OnReconnect = OnReconnect.KEEP_ORIGINAL


NEVER_LOST = PartitionPolicy()

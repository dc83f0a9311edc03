"""What rules a window out for some systems, as typed values.

Who calls this: the board finds them, `reasons.py` puts them into words.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Binding(StrEnum):
    """What rules a window out for a cluster."""

    ORDER = "order"
    USERS = "users"
    FREEZE = "freeze"
    PILOT = "pilot"
    CAP = "cap"
    COPY_VOLUME = "copy_volume"
    EARLIEST = "earliest"
    DEADLINE = "deadline"
    PIN = "pin"
    LENGTH = "length"
    TEAM = "team"
    CONCURRENCY = "concurrency"
    BUDGET = "budget"
    POOLS = "pools"
    CHOSEN = "chosen"


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why not in one window. `detail` is the freeze's name, the key of the used system that comes
    later, the window's cap, the day, the planned minutes, the skill or team, or the cap's tag."""

    binding: Binding
    detail: str = ""

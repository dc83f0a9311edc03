"""The names of the rules of a plan, and a broken one as a value.

Who calls this: the judge (`check.py`, `check_limits.py`) and everyone who shows what it found.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from inventory.model.migration import Pair


class PlanRule(StrEnum):
    """The rules of a plan, as stable words."""

    UNKNOWN_SYSTEM = "unknown_system"
    UNKNOWN_POOL = "unknown_pool"
    UNKNOWN_WINDOW = "unknown_window"
    DUPLICATE_ASSIGNMENT = "duplicate_assignment"  # twice assigned, or both assigned and unplaced
    MISSING_SYSTEM = "missing_system"  # neither assigned nor unplaced
    CLASSIFIED = "classified"
    NOT_TO_MOVE = "not_to_move"  # the ledger keeps it out of the plan
    ZONE = "zone"
    PROTECTION_LEVEL = "protection_level"
    ARCHITECTURE = "architecture"
    ACCELERATOR = "accelerator"
    NODE_SIZE = "node_size"
    POOL_CLOSED = "pool_closed"
    CAPACITY = "capacity"
    WINDOW_CAP = "window_cap"
    PILOT_RISK = "pilot_risk"
    COPY_VOLUME = "copy_volume"
    FREEZE = "freeze"
    OUTSIDE_CALENDAR = "outside_calendar"
    GROUP_SPLIT = "group_split"
    ORDER = "order"
    WAVE_NUMBER = "wave_number"
    TOO_EARLY = "too_early"
    DEADLINE = "deadline"
    PIN = "pin"
    WINDOW_LENGTH = "window_length"  # the cutover takes longer than its window
    TEAM_MISSING = "team_missing"
    TEAM_UNKNOWN = "team_unknown"
    TEAM_SKILL = "team_skill"
    TEAM_ABSENT = "team_absent"
    TEAM_TIME = "team_time"
    LINK_VOLUME = "link_volume"
    CONCURRENCY = "concurrency"
    BUDGET = "budget"


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken rule. `system_key` is None where the fault is not one system's."""

    rule: PlanRule
    system_key: str | None
    message: Pair

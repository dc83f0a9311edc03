"""Waves (批次): which systems move when, and to which pool; and why."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from inventory.model.calendar import Window


@dataclass(frozen=True, slots=True)
class Assignment:
    """One system's place in a plan. The three `why` texts are pairs (Chinese, English)."""

    system_key: str
    system_name: str
    wave: int
    window_id: str
    pool_id: str
    group: str
    why_here: tuple[str, str]
    why_then: tuple[str, str]
    why_not_earlier: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Unplaced:
    """A system that the plan leaves out, with the rule that keeps it out and what would let it in."""

    system_key: str
    system_name: str
    rule: str
    reason: tuple[str, str]


@dataclass(frozen=True, slots=True)
class WavePlan:
    """A plan: windows used, one assignment a system, and what could not be placed. `seed` fixes all ties."""

    starts_on: date
    windows: tuple[Window, ...]
    assignments: tuple[Assignment, ...]
    unplaced: tuple[Unplaced, ...]
    seed: int
    solver: str

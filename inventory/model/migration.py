"""Waves (批次): which systems move when, and to which pool; and why.

Who calls this: `scheduler.core.waves` makes and judges plans, the store keeps them, the command line and the
migration service show them. A plan carries the settings and declarations that it was made under, so that it can
be judged again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum

from inventory.model.calendar import Window

Pair = tuple[str, str]
"""A text for people: (Chinese, English)."""


class UnplacedRule(StrEnum):
    """Why a system is in no wave."""

    # Not for this plan: the ledger says so.
    NOT_TO_MIGRATE = "not_to_migrate"
    MIGRATION_UNDECIDED = "migration_undecided"
    ALREADY_MIGRATED = "already_migrated"
    UNDER_WAY = "under_way"  # a run is moving it now, under the plan before
    CLASSIFIED = "classified"
    RETIRE = "retire"
    RETAIN = "retain"
    # To be moved, but the ledger must be completed or settled first.
    CLASSIFICATION_UNKNOWN = "classification_unknown"
    DISPOSITION_UNKNOWN = "disposition_unknown"
    SIZE_UNKNOWN = "size_unknown"
    ZONE_UNKNOWN = "zone_unknown"
    PROTECTION_LEVEL_UNKNOWN = "protection_level_unknown"
    ARCHITECTURE_UNKNOWN = "architecture_unknown"
    CONSOLIDATION_TARGET = "consolidation_target"
    DUPLICATE_KEY = "duplicate_key"
    GROUP_HELD = "group_held"  # another member of its move group cannot move
    # To be moved, but the planner found no place.
    NO_POOL = "no_pool"
    NO_CAPACITY = "no_capacity"
    NO_WINDOW = "no_window"
    GROUP_TOO_LARGE = "group_too_large"


@dataclass(frozen=True, slots=True)
class WaveSettings:
    """What bounds a plan. Every default is a common practice, not a rule of any document; each can be changed.

    The first `pilot_windows` usable windows take at most `pilot_systems` systems each, none riskier than
    `pilot_max_risk` (0..100, see `scheduler.core.waves.risk`). `nights` are weekdays (Monday 0) on whose evening
    a window may start. In the window itself `cutover_copy_pct` percent of a system's data is copied (the rest was
    copied before), over `link_share_pct` percent of the pool's link. `not_targets` are adapters that take no
    systems: `local` runs processes on one machine.
    """

    starts_on: date
    horizon_weeks: int = 52
    systems_per_window: int = 8
    pilot_windows: int = 2
    pilot_systems: int = 3
    pilot_max_risk: int = 30
    nights: tuple[int, ...] = (4, 5)
    night_starts_hour: int = 22
    night_hours: int = 8
    cutover_copy_pct: int = 10
    link_share_pct: int = 50
    not_targets: frozenset[str] = frozenset({"local"})

    def __post_init__(self) -> None:
        """Raises ValueError that names the setting, its value, the rule and the remedy."""
        bounds = {
            "horizon_weeks": (1, 520),
            "systems_per_window": (1, 1000),
            "pilot_windows": (0, 52),
            "pilot_systems": (1, 1000),
            "pilot_max_risk": (0, 100),
            "night_starts_hour": (0, 23),
            "night_hours": (1, 24),
            "cutover_copy_pct": (0, 100),
            "link_share_pct": (1, 100),
        }
        for name, (least, most) in bounds.items():
            value = getattr(self, name)
            if not least <= value <= most:
                raise ValueError(
                    f"设置 {name}={value} 超出 {least}..{most}，请改为其间的整数"
                    f" / setting {name}={value} is outside {least}..{most}; give a whole number between them"
                )
        if not self.nights or any(not 0 <= night <= 6 for night in self.nights):
            raise ValueError(
                f"设置 nights={self.nights} 须为 0（周一）至 6（周日）、至少一个"
                f" / setting nights={self.nights} must be weekdays 0 (Monday) to 6 (Sunday), at least one"
            )


@dataclass(frozen=True, slots=True)
class FreezeOverride:
    """A person's leave to cut over within a freeze. `document` is the number of the written approval (文号).

    `system_keys` empty: every system that the freeze holds.
    """

    freeze: str
    approver: str
    document: str
    reason: str
    system_keys: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Declarations:
    """What people add to the ledger for a plan: systems declared to move together (by system key), contract ends
    (运维合同到期) by system key, and leave to override freezes."""

    groups: tuple[frozenset[str], ...] = ()
    contract_ends: Mapping[str, date] = field(default_factory=dict)
    freeze_overrides: tuple[FreezeOverride, ...] = ()


@dataclass(frozen=True, slots=True)
class Assignment:
    """One system's place in a plan. `group` is its move group; the three `why` texts are (Chinese, English); `team_id`
    is the team that moves it, where teams are planned."""

    system_key: str
    system_name: str
    wave: int
    window_id: str
    pool_id: str
    group: str
    why_here: Pair
    why_then: Pair
    why_not_earlier: Pair
    team_id: str | None = None


@dataclass(frozen=True, slots=True)
class Unplaced:
    """A system that the plan leaves out, with the rule that keeps it out and what would let it in."""

    system_key: str
    system_name: str
    rule: UnplacedRule
    reason: Pair


@dataclass(frozen=True, slots=True)
class SplitDependency:
    """A dependency inside a cycle that the plan breaks: `user` moves before `used`, so that for some time it
    works across sites."""

    user: str
    used: str
    reason: Pair


@dataclass(frozen=True, slots=True)
class Wave:
    """One window in use: the systems of one night, in the order of their keys."""

    number: int
    window: Window
    system_keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PlanMeasure:
    """How good a plan is, by its solver: `finish_days` from the first day to the last window; no plan that places as
    many systems finishes in fewer than `bound_days`; `scores` by aim (`scheduler.core.waves.problem.Aim`);
    `unplaced_at_least`: no plan leaves fewer systems without a place."""

    finish_days: int
    bound_days: int
    scores: Mapping[str, int]
    unplaced_at_least: int = 0

    @property
    def gap(self) -> float:
        """(finish - bound) / finish; 0 is proven optimal."""
        return (self.finish_days - self.bound_days) / self.finish_days if self.finish_days else 0.0


@dataclass(frozen=True, slots=True)
class WavePlan:
    """A plan. Every system that was asked about is in exactly one of `assignments`, `unplaced` (to be moved, no
    place found) and `left_out` (not to be moved, or facts are missing).

    `windows` are the windows in use, in order; wave n is the n-th. `splits` are the broken dependencies of cycles;
    `notes` are remarks on the whole plan. `seed` fixes all ties. `measure` is None where the solver states none.
    `options` is the text of the options that it was made with (`scheduler.core.waves.plan_options`), so that it is
    judged by the same ones; `approved` are the ids of windows whose waves people have approved: a replan keeps them.
    """

    settings: WaveSettings
    seed: int
    solver: str
    windows: tuple[Window, ...]
    assignments: tuple[Assignment, ...]
    unplaced: tuple[Unplaced, ...] = ()
    left_out: tuple[Unplaced, ...] = ()
    splits: tuple[SplitDependency, ...] = ()
    notes: tuple[Pair, ...] = ()
    declarations: Declarations = field(default_factory=Declarations)
    measure: PlanMeasure | None = None
    options: str = ""
    approved: tuple[str, ...] = ()

    @property
    def starts_on(self) -> date:
        return self.settings.starts_on

    @property
    def waves(self) -> tuple[Wave, ...]:
        members: dict[str, list[str]] = {window.window_id: [] for window in self.windows}
        for assignment in self.assignments:
            members.setdefault(assignment.window_id, []).append(assignment.system_key)
        return tuple(
            Wave(number, window, tuple(sorted(members[window.window_id])))
            for number, window in enumerate(self.windows, start=1)
        )

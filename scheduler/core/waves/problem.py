"""The wave problem: what is to be moved, where it may go, and when, as plain integers.

Who calls this: `estate.py` makes it from ledger and pools, `estate_file.py` from a file; planners solve it;
`check.py` judges any plan by it.
It carries no code that decides anything, so planner and judge can share it and still be independent.

The rules, for every plan:
 1. A system goes to one pool that serves its zone, is certified for its protection level, has hosts of its
    architecture and (if it needs cards) its accelerator, and whose nodes hold its servers.
 2. What all systems need together fits in the pool's free hosts of that architecture, and in its free disk.
 3. A window takes at most `cap` systems, none riskier than `max_risk`, and copies at most what the link of each
    pool carries in its hours.
 4. No system is cut over in a window that one of its freezes touches.
 5. All members of a move group move in the same window.
 6. What a system uses moves before it or in the same window. Only an edge of a cycle may be broken, and the plan
    must say so. A used system that the plan does not move binds nobody.
 7. Every item is in exactly one of assigned and unplaced; what was left out is not assigned.
 8. A window lies within the item's `earliest` and `deadline`, is the pinned one where the item is pinned, and lasts its
    planned `minutes` at least: people may share the work, and a cutover still takes its time.
 9. A system that needs a team gets one that has the skill and works that night; the planned minutes of a team's
    systems, times their crews, fit in the minutes of its people.
10. Before a window starts, a shared link has carried the data of every system moved until then through it.
11. In one window at most so many systems bear the tag of a concurrency cap.
12. Moving and double running cost no more than the budget.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from inventory.model.calendar import Freeze, Window
from inventory.model.migration import Declarations, Pair, Unplaced, WaveSettings
from inventory.model.system import Architecture, Ownership, Zone
from inventory.model.units import Resources


@dataclass(frozen=True, slots=True)
class Item:
    """One system to be moved.

    `level` is the protection level 0..4. `accelerator` is a pool's card model (Ascend910B), or the ledger's words
    where no pool model is known for them. `per_server` is the average need of one server, rounded up, or None
    where the number of servers is unknown. `copy_bytes` are copied within the window. `uses` are keys of items.
    `risk` is 0..100. `contract_end` is when its present operation contract ends. `dependents` is the size of its
    blast radius in the whole ledger.
    """

    key: str
    name: str
    zone: Zone
    level: int
    architecture: Architecture
    need: Resources
    group: str
    accelerator: str | None = None
    per_server: Resources | None = None
    copy_bytes: int = 0
    uses: tuple[str, ...] = ()
    risk: int = 0
    dependents: int = 0
    contract_end: date | None = None
    sectors: frozenset[str] = frozenset()
    ownership: Ownership | None = None
    tags: frozenset[str] = frozenset()
    department: str | None = None
    region: str | None = None
    earliest: date | None = None
    deadline: date | None = None
    skill: str | None = None
    team: str | None = None
    crew: int = 1
    minutes: int = 0
    data_bytes: int = 0
    move_cost: int = 0
    daily_cost: int = 0
    traffic: tuple[int, ...] = ()

    @property
    def needs_team(self) -> bool:
        return self.skill is not None or self.team is not None

    def traffic_with(self, used: str) -> int:
        """GB a day between this item and one that it uses; 1 where none is declared, so that a split counts."""
        place = self.uses.index(used)
        return self.traffic[place] if place < len(self.traffic) else 1


@dataclass(frozen=True, slots=True)
class Hosts:
    """The hosts of one instruction set in a pool: what is free in sum, and the most that one node offers in each
    dimension. Disk is the pool's, not the hosts'. `architecture` x86_64 stands for c86 hosts, too."""

    architecture: Architecture
    free: Resources
    largest_node: Resources


@dataclass(frozen=True, slots=True)
class Arrival:
    """Capacity that a pool gets later: usable in windows that start on `day` or after. Disk is the pool's."""

    day: date
    architecture: Architecture
    amount: Resources


@dataclass(frozen=True, slots=True)
class PoolSlot:
    """A pool as a target. Prices are millionths of a yuan an hour; latency is one-way, in microseconds;
    `copy_bytes_per_second` is the share of its link that cutovers may use. `classes` are
    its owner's words for what it is built for (通算, 智算, 超算, 冷存储). `closed` says why the pool takes no
    systems at all (None: it does)."""

    pool_id: str
    name: str
    zones: frozenset[Zone]
    level: int
    hosts: tuple[Hosts, ...]
    free_disk_bytes: int
    accelerators: frozenset[str]
    vcpu_price: int
    card_price: int
    latency_us: int
    copy_bytes_per_second: int
    classes: frozenset[str] = frozenset()
    closed: Pair | None = None
    arrivals: tuple[Arrival, ...] = ()


@dataclass(frozen=True, slots=True)
class Team:
    """People who cut systems over. `nights` are the weekdays on whose evening they are on shift (none: all);
    `away` are days, first and last, on which they are not there, with the reason."""

    team_id: str
    name: str
    skills: frozenset[str]
    people: int
    nights: frozenset[int] = frozenset()
    away: tuple[tuple[date, date, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Link:
    """A line that several pools share. From the plan's first midnight on it carries data ahead of cutovers."""

    link_id: str
    name: str
    bytes_per_second: int
    pools: frozenset[str]


@dataclass(frozen=True, slots=True)
class ConcurrencyCap:
    """At most `most` systems with `tag` in one window: one vendor's people, one fire-wall team, one county."""

    name: str
    tag: str
    most: int


@dataclass(frozen=True, slots=True)
class Pin:
    """What was agreed and is kept: the window, the pool, or both. An approved wave is a pin on each of its systems."""

    system_key: str
    window_id: str | None = None
    pool_id: str | None = None
    reason: str = ""


class Aim(StrEnum):
    """What a plan is measured by, each smaller-is-better. Placing every system stands above all of them."""

    FINISH = "finish"  # days from the first day to the last window
    LATE = "late"  # days past contract ends, in sum
    RISK = "risk"  # the riskiest window's sum of risks
    TRAFFIC = "traffic"  # GB days between systems that depend on each other, while one of them has moved
    COST = "cost"  # yuan of moving and of double running
    CHANGE = "change"  # systems whose window or pool differs from the last plan


DEFAULT_AIMS = (Aim.FINISH, Aim.LATE, Aim.RISK, Aim.TRAFFIC, Aim.COST, Aim.CHANGE)


@dataclass(frozen=True, slots=True)
class WindowSlot:
    """A window with its bounds: systems at most, and the highest risk that it takes."""

    window: Window
    cap: int
    max_risk: int = 100

    @property
    def is_pilot(self) -> bool:
        return self.max_risk < 100


@dataclass(frozen=True, slots=True)
class HeldFreeze:
    """A freeze as it holds in this plan: `exempt` systems have leave in writing to be cut over all the same; a
    `lifted` one holds for nobody."""

    freeze: Freeze
    exempt: frozenset[str] = frozenset()
    lifted: bool = False


@dataclass(frozen=True, slots=True)
class RefusedNight:
    """A weekend night that is no window, and why (中文, English)."""

    day: date
    reason: Pair


@dataclass(frozen=True, slots=True)
class WaveProblem:
    """Everything that a planner decides on. Items and pools are in the order of their keys, windows by time.

    `group_causes` says for each group of several members what they share. `budget` in yuan. `last_plan` holds
    (system key, window id, pool id) of the plan that this one replaces. Plans are compared by `aims` in their order,
    or, where `weights` are given, by the weighted sum.
    """

    settings: WaveSettings
    declarations: Declarations
    items: tuple[Item, ...]
    pools: tuple[PoolSlot, ...]
    windows: tuple[WindowSlot, ...]
    freezes: tuple[HeldFreeze, ...] = ()
    left_out: tuple[Unplaced, ...] = ()
    refused_nights: tuple[RefusedNight, ...] = ()
    group_causes: tuple[tuple[str, Pair], ...] = ()
    notes: tuple[Pair, ...] = ()
    teams: tuple[Team, ...] = ()
    links: tuple[Link, ...] = ()
    concurrency: tuple[ConcurrencyCap, ...] = ()
    pins: tuple[Pin, ...] = ()
    budget: int | None = None
    last_plan: tuple[tuple[str, str, str], ...] = ()
    aims: tuple[Aim, ...] = DEFAULT_AIMS
    weights: tuple[tuple[Aim, int], ...] = ()

"""What a monthly report is made from: rows that were read before, and what the reader asked for.

`scheduler.services.report_desk` fills these in; `monthly.compose` only counts them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from inventory.model.migration import WavePlan
from inventory.rates import CountedSystem, Scope
from inventory.reports.document import Signature, Source
from inventory.reports.organisations import Organisations


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The ledger as of a day."""

    day: date
    systems: tuple[CountedSystem, ...]


@dataclass(frozen=True, slots=True)
class Waiver:
    """One line of the exception ledger (例外台账); `expires_on` is included. `rule_title` is Chinese (empty: the rules of
    today have it no more)."""

    exception_id: str
    rule: str
    subject: str
    reason: str
    document: str
    approver: str
    granted_on: date
    expires_on: date
    rule_title: str = ""


@dataclass(frozen=True, slots=True)
class ReviewCase:
    """A case of the review queue (僵尸、闲置): what state it is in since when, and what comes next until when."""

    case_id: str
    system_key: str
    workflow: str
    state: str
    since: date
    says: str
    next_step: str
    next_day: date | None


@dataclass(frozen=True, slots=True)
class Holding:
    """What a system holds and costs as the ledger says, and how much of it is used: average use of CPU and memory in
    percent of what is allocated, measured where there are measurements, else the ledger's own figure. None: unknown.
    """

    vcpu: int | None = None
    mem_gb: float | None = None
    cpu_pct: float | None = None
    mem_pct: float | None = None
    is_measured: bool = False
    opex_wan: float | None = None


@dataclass(frozen=True, slots=True)
class RunEnding:
    """How a cutover of some systems ended on a day: committed, or rolled back. `first` is true when none of its
    systems had been in a run that ended before."""

    run_id: str
    system_keys: tuple[str, ...]
    day: date
    committed: bool
    first: bool


@dataclass(frozen=True, slots=True)
class FinishOdds:
    """Days by which the plan is finished with that probability (None: not within the calendar), and the deviation of
    durations in percent of the planned minutes: learned from `measured` cutovers, or assumed where that is 0."""

    p50: date | None
    p80: date | None
    p95: date | None
    on_time_pct: int
    deviation_pct: int
    samples: int
    measured: int = 0


@dataclass(frozen=True, slots=True)
class Target:
    """A goal for the cloud rate: so many percent by a day."""

    percent: float
    day: date


@dataclass(frozen=True, slots=True)
class MonthFacts:
    """`now` is the ledger on the report's day, `before` at the end of the month before, `year_ago` on the same day a
    year earlier (None: the ledger is younger). `deferrals` are the senders' reasons by system key, `plan_keys` the
    plan's key of each ledger key, `migrated_on` the day of each migration that the ledger records, `holdings` what each
    system of the ledger holds, by its key."""

    month: str
    made_on: date
    now: Snapshot
    before: Snapshot | None
    year_ago: Snapshot | None
    scope: Scope
    district: str
    organisations: Organisations
    illustrative: bool
    chain: tuple[int, str]
    deferrals: Mapping[str, str] = field(default_factory=dict)
    plan_keys: Mapping[str, str] = field(default_factory=dict)
    migrated_on: Mapping[str, date] = field(default_factory=dict)
    plan_id: str = ""
    plan: WavePlan | None = None
    odds: FinishOdds | None = None
    waivers: tuple[Waiver, ...] = ()
    cases: tuple[ReviewCase, ...] = ()
    endings: tuple[RunEnding, ...] = ()
    holdings: Mapping[str, Holding] = field(default_factory=dict)
    target: Target | None = None
    sources: tuple[Source, ...] = ()
    signature: Signature = field(default_factory=Signature)

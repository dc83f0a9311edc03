"""Gathers the facts of a monthly report from the store and has them composed. Reads only.

`MigrationDesk.report` calls `monthly_report`. All facts are of one end of the event chain: when something is recorded
meanwhile, they are read again.
"""

from __future__ import annotations

import json
import re
from calendar import monthrange
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, timedelta
from typing import Any

from inventory.assessment.assessor import Assessor
from inventory.intake import Intake, StandingSystem
from inventory.model.migration import WavePlan
from inventory.model.system import System, system_key
from inventory.rates import ScopeError, parse_scope
from inventory.reports.document import MonthlyReport, Signature, Source
from inventory.reports.facts import (
    FinishOdds,
    Holding,
    MonthFacts,
    ReviewCase,
    RunEnding,
    Snapshot,
    Target,
    Waiver,
)
from inventory.reports.monthly import compose
from inventory.reports.organisations import (
    OrganisationFileError,
    Organisations,
    packaged_organisations,
    read_organisations,
)
from inventory.rules.workflow import WORDS, CaseState
from inventory.store.assessment.records import AssessmentRecords
from inventory.store.chain import Event, civil_day
from inventory.store.event_store import PAGE, Store
from inventory.utilisation.document import read_measurement
from inventory.utilisation.measurement import Measurement
from scheduler.core.waves.document import read_plan
from scheduler.services.ports import ErrorCode, RequestError
from scheduler.services.report_ports import ReportRequest
from scheduler.store.projection import WAVES_PLANNED

# What people call the steps of a case (inventory.rules.workflow.Action), and the ends of runs.
_STEPS = {
    "attest_unused": "单位答复",
    "attest_in_use": "单位答复",
    "quarantine": "隔离观察",
    "release": "解除隔离",
    "archive": "数据归档",
    "close": "注销",
    "remind": "提醒",
    "urge": "督促",
    "reclaim": "回收",
    "restore": "恢复使用",
}
_OPENED, _COMMITTED, _ROLLED_BACK = "runbook.opened", "runbook.committed", "runbook.rolled_back"
_TRIES = 5
Odds = Callable[[WavePlan], FinishOdds | None]


def monthly_report(store: Store, request: ReportRequest, now_ms: int, odds: Odds) -> MonthlyReport:
    """Raises RequestError for a month that has not begun, a scope, day or organisation file that cannot be read."""
    asked = _Asked(request, civil_day(now_ms))
    for _ in range(_TRIES):
        head = store.head()
        facts = _facts(store, asked, now_ms, odds)
        if store.head() == head:
            return compose(facts)
    raise RequestError(
        ErrorCode.UNAVAILABLE,
        "台账正在变动，请稍后重试 / the ledger keeps changing; try again in a moment",
        "BUSY",
        retry_after_ms=2_000,
    )


class _Asked:
    """The request, checked."""

    def __init__(self, request: ReportRequest, today: date) -> None:
        self.request = request
        self.today = today
        self.first, month_end = _month(request.month)
        if self.first > today:
            raise RequestError(
                ErrorCode.INVALID_ARGUMENT,
                f"月份 {request.month} 尚未开始，今天是 {today}；请改为已开始的月份"
                f" / the month {request.month} has not begun, today is {today}; name one that has",
                "MONTH_AHEAD",
            )
        self.day = min(month_end, today)
        try:
            self.scope = parse_scope(request.scope)
            self.organisations = _organisations(request)
        except ScopeError as error:
            raise RequestError(ErrorCode.INVALID_ARGUMENT, str(error), "BAD_SCOPE") from error
        except OrganisationFileError as error:
            raise RequestError(ErrorCode.INVALID_ARGUMENT, error.lines[0], "BAD_ORGANISATIONS") from error
        self.target = _target(request)


def _facts(store: Store, asked: _Asked, now_ms: int, odds: Odds) -> MonthFacts:
    intake, request, day = Intake(store), asked.request, asked.day
    head = store.head()
    standing = intake.standing(day)
    plan_id, plan = _plan(store, day)
    assessor = Assessor(store)
    sources = [one for one in intake.imports("applied") if one.effective_on <= day]
    return MonthFacts(
        month=request.month,
        made_on=asked.today,
        now=Snapshot(day, intake.counted(day)),
        before=_snapshot(intake, asked.first - timedelta(days=1)),
        year_ago=_snapshot(intake, _year_before(day)),
        scope=asked.scope,
        district=request.district.strip(),
        organisations=asked.organisations,
        illustrative=any(one.illustrative for one in sources),
        chain=(head.seq, head.hash),
        deferrals={one.system_key: one.system.defer_reason for one in standing if one.system.defer_reason},
        plan_keys={one.system_key: system_key(one.system.name, one.system.department) for one in standing},
        migrated_on={one.system_key: one.migrated_on for one in standing if one.migrated_on},
        plan_id=plan_id,
        plan=plan,
        odds=None if plan is None else odds(plan),
        waivers=_waivers(assessor, now_ms),
        cases=_cases(assessor, now_ms, day),
        endings=tuple(_endings(store, day)),
        holdings=_holdings(store, standing),
        target=asked.target,
        sources=tuple(
            Source(
                import_id=one.id,
                sender=one.sender,
                file_name=one.filename,
                sha256=one.sha256,
                effective_on=one.effective_on,
            )
            for one in sources
        ),
        signature=Signature(
            unit=request.unit, preparer=request.preparer, reviewer=request.reviewer, phone=request.phone
        ),
    )


def _month(text: str) -> tuple[date, date]:
    match = re.fullmatch(r"(20\d\d|21\d\d)-(0[1-9]|1[0-2])", text)
    if match is None:
        raise RequestError(
            ErrorCode.INVALID_ARGUMENT,
            f"月份 {text!r} 无法识别；请写 YYYY-MM，例如 2026-11"
            f" / the month {text!r} cannot be read; write YYYY-MM, for example 2026-11",
            "BAD_MONTH",
        )
    year, month = int(match[1]), int(match[2])
    return date(year, month, 1), date(year, month, monthrange(year, month)[1])


def _year_before(day: date) -> date:
    """The same day a year earlier; the end of February for 29 February."""
    return day.replace(year=day.year - 1, day=min(day.day, monthrange(day.year - 1, day.month)[1]))


def _organisations(request: ReportRequest) -> Organisations:
    if not request.organisations_yaml:
        return packaged_organisations()
    return read_organisations(request.organisations_yaml, "organisations")


def _target(request: ReportRequest) -> Target | None:
    if not request.target_percent and not request.target_day:
        return None
    if not 0 < request.target_percent <= 100:
        raise RequestError(
            ErrorCode.INVALID_ARGUMENT,
            f"目标 {request.target_percent:g} 须大于 0、不超过 100，请改正"
            f" / the target {request.target_percent:g} must be above 0 and at most 100; correct it",
            "BAD_TARGET",
        )
    try:
        return Target(request.target_percent, date.fromisoformat(request.target_day))
    except ValueError as error:
        raise RequestError(
            ErrorCode.INVALID_ARGUMENT,
            f"目标日期 {request.target_day!r} 不是日期；请写 YYYY-MM-DD，例如 2026-12-31"
            f" / the target's day {request.target_day!r} is not a day; write YYYY-MM-DD, for example 2026-12-31",
            "BAD_TARGET",
        ) from error


def _snapshot(intake: Intake, day: date) -> Snapshot | None:
    systems = intake.counted(day)
    return Snapshot(day, systems) if systems else None


def _plan(store: Store, day: date) -> tuple[str, WavePlan | None]:
    """The newest plan that was recorded by the end of the day."""
    known = [one for one in _events(store, (WAVES_PLANNED,)) if civil_day(one.recorded_ms) <= day]
    if not known:
        return "", None
    return known[-1].subject, read_plan(json.dumps(known[-1].payload["document"]))


def _holdings(store: Store, standing: Iterable[StandingSystem]) -> dict[str, Holding]:
    """Measured averages where there are any (days' peaks are no averages), else the ledger's."""
    with store.connect() as connection:
        measured = {
            key: read_measurement(body) for key, body in AssessmentRecords(connection).measurements().items()
        }
    return {one.system_key: _holding(one.system, measured.get(one.system_key)) for one in standing}


def _holding(system: System, measured: Measurement | None) -> Holding:
    cpu = None if measured is None or measured.cpu is None or measured.cpu_is_peak else measured.cpu.average
    memory = None if measured is None else measured.mem_average
    return Holding(
        vcpu=system.vcpu,
        mem_gb=system.mem_gb,
        cpu_pct=system.cpu_avg_pct if cpu is None else cpu,
        mem_pct=memory,
        is_measured=not (cpu is None and memory is None),
        opex_wan=system.opex_wan,
    )


def _waivers(assessor: Assessor, now_ms: int) -> tuple[Waiver, ...]:
    titles = {rule_id: assessor.book.title_of(rule_id) for rule_id in assessor.book.rule_ids}
    return tuple(
        Waiver(
            exception_id=one["id"],
            rule=one["rule"],
            subject=one["subject"],
            reason=one["reason"],
            document=one["document"],
            approver=one["approver"],
            granted_on=date.fromisoformat(one["granted_on"]),
            expires_on=date.fromisoformat(one["expires_on"]),
            rule_title=(titles.get(one["rule"]) or ("", ""))[0],
        )
        for one in assessor.exceptions(now_ms)["exceptions"]
    )


def _cases(assessor: Assessor, now_ms: int, day: date) -> tuple[ReviewCase, ...]:
    return tuple(case for one in assessor.reviews(now_ms)["cases"] if (case := _case_on(one, day)) is not None)


def _case_on(one: Mapping[str, Any], day: date) -> ReviewCase | None:
    """The case as it stood on the day: by the last step that was taken until then."""
    taken = [step for step in one["history"] if date.fromisoformat(step["day"]) <= day]
    if not taken:
        return None
    state = CaseState(taken[-1]["state"])
    is_today = len(taken) == len(one["history"])
    due = one["next_due"] if is_today else None
    steps = one["open_steps"] if is_today else []
    next_step = (
        _STEPS.get(due["action"], due["action"])
        if due
        else "、".join(dict.fromkeys(_STEPS.get(step, step) for step in steps))
    )
    return ReviewCase(
        case_id=one["id"],
        system_key=one["system_key"],
        workflow=one["workflow"],
        state=WORDS[state][0],
        since=date.fromisoformat(taken[-1]["day"]),
        says=one["evidence"]["says"]["zh"],
        next_step=next_step,
        next_day=date.fromisoformat(due["day"]) if due and due["day"] else None,
    )


def _endings(store: Store, day: date) -> Iterator[RunEnding]:
    """How each run of a runbook ended, oldest first."""
    systems: dict[str, tuple[str, ...]] = {}
    tried: set[str] = set()
    for event in _events(store, (_OPENED, _COMMITTED, _ROLLED_BACK)):
        if event.kind == _OPENED:
            systems[event.subject] = tuple(one["key"] for one in event.payload["systems"])
            continue
        ended = civil_day(event.recorded_ms)
        if ended > day:
            return
        keys = systems[event.subject]
        yield RunEnding(event.subject, keys, ended, event.kind == _COMMITTED, tried.isdisjoint(keys))
        tried.update(keys)


def _events(store: Store, kinds: tuple[str, ...]) -> Iterator[Event]:
    after = 0
    while page := store.read(after, PAGE, kinds=kinds):
        yield from page
        after = page[-1].seq

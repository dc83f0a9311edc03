"""`Assessor`: the door to assessment for the services and the command line.

It holds no state but the store and the rules. Reading methods see one state of the database each, writing ones are
one transaction; `now_ms` is the moment of the request, UTC milliseconds since 1970. Answers are JSON documents in
the form of docs/assessment.md. What a user does wrong is an AssessmentError or a RuleFileError.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import date
from enum import StrEnum
from functools import cached_property
from typing import TypeVar

from inventory.assessment import declarations, dependencies, measuring, reviews
from inventory.assessment.approval import check_project
from inventory.assessment.declarations import ExceptionRequest, Statement
from inventory.assessment.documents import (
    Document,
    exception_json,
    judgement_json,
    pair_json,
    report_json,
    source_json,
)
from inventory.assessment.errors import AssessmentError, Refusal
from inventory.assessment.estate import Estate, read_estate
from inventory.assessment.measuring import MeasuredFile, ReceivedFile
from inventory.assessment.notices import NoticeBook, due_notices
from inventory.assessment.report import AssessmentReport, report_of
from inventory.assessment.reviews import Request
from inventory.model.system import Architecture, Disposition
from inventory.rules.compatibility import Matrix, compatibility, read_matrix
from inventory.rules.evaluate import SystemAssessment
from inventory.rules.lookalikes import Description, Match
from inventory.rules.project import parse_project
from inventory.rules.rightsizing import RightSize, right_size
from inventory.rules.rulebook import ReviewTerms, Role, Rulebook, read_rulebook
from inventory.rules.workflow import WORDS, CaseState, Workflow, steps_from
from inventory.store.assessment.records import AssessmentRecords, Record
from inventory.store.chain import Event, civil_day
from inventory.store.event_store import Store

# Below this, shared pieces of words are chance.
_ALIKE_PCT = 15
_Named = TypeVar("_Named", bound=StrEnum)


class Assessor:
    """`store` carries the projections of the ledger and of assessment."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @cached_property
    def book(self) -> Rulebook:
        return read_rulebook()

    @cached_property
    def matrix(self) -> Matrix:
        return read_matrix()

    def assess(self, now_ms: int, as_of: date | None = None) -> Document:
        """Every system judged by the rules, as of a day or (None) with everything that is recorded."""
        estate = self._estate(now_ms, as_of)
        return report_json(report_of(estate, self.book), estate.decisions)

    def decisions(self) -> Mapping[str, Disposition]:
        """What people decided, by system key: for the wave planner."""
        with self._store.connect() as connection:
            found = AssessmentRecords(connection).decisions()
        return {key: Disposition(row["disposition"]) for key, row in found.items()}

    # Measured files

    def take_utilisation(self, file: ReceivedFile, actor: str, now_ms: int) -> Document:
        estate = self._estate(now_ms)
        return _file_json(measuring.take_utilisation(self._store, estate, file, actor=actor, now_ms=now_ms))

    def take_traffic(self, file: ReceivedFile, actor: str, now_ms: int) -> Document:
        estate = self._estate(now_ms)
        return _file_json(measuring.take_traffic(self._store, estate, file, actor=actor, now_ms=now_ms))

    # Reviews

    def open_reviews(self, actor: str, now_ms: int) -> Document:
        """Opens the cases that the rules propose; returns the whole queue with the ids that are new."""
        estate = self._estate(now_ms)
        report = report_of(estate, self.book)
        opened = reviews.open_cases(self._store, estate, report, actor=actor, now_ms=now_ms)
        return self.reviews(now_ms) | {"opened": list(opened)}

    def reviews(self, now_ms: int) -> Document:
        """All cases, oldest first, with the steps that are open and from when; and what is blocked from review."""
        estate = self._estate(now_ms)
        report = report_of(estate, self.book)
        with self._store.connect() as connection:
            rows = AssessmentRecords(connection).cases()
        sent = NoticeBook(self._store, self.book.terms).sent()
        return {
            "as_of": civil_day(now_ms).isoformat(),
            "illustrative": estate.illustrative,
            "cases": [
                self._case_json(row, estate) | {"notices": _notices_json(row, self.book.terms, estate.day, sent)}
                for row in rows
            ],
            "blocked": _blocked(estate, report),
        }

    def advance(self, request: Request, now_ms: int) -> Document:
        """One step of a case: see `reviews.advance`."""
        estate = self._estate(now_ms)
        return self._case_json(reviews.advance(self._store, estate, self.book, request, now_ms), estate)

    # Decisions

    def decide(self, system: str, chosen: str, statement: Statement, now_ms: int) -> Document:
        """What shall become of a system: see `declarations.decide`."""
        disposition = _choice(Disposition, chosen, "处置方式", "disposition")
        estate = self._estate(now_ms)
        proposed = _assessment(report_of(estate, self.book), estate.find(system))
        rule = declarations.decide(self._store, proposed, disposition, statement, now_ms)
        return {
            "system_key": proposed.system_key,
            "disposition": disposition.value,
            "proposed": None if proposed.disposition is None else proposed.disposition.value,
            "rule": rule or None,
        }

    def grant_exception(self, request: ExceptionRequest, statement: Statement, now_ms: int) -> Document:
        """例外: see `declarations.grant_exception`."""
        granted = declarations.grant_exception(
            self._store, self._estate(now_ms), self.book, request, statement, now_ms
        )
        return {"id": granted, "rule": request.rule_id, "expires_on": request.expires_on.isoformat()}

    def exceptions(self, now_ms: int) -> Document:
        """The exception ledger (例外台账), with which of them are valid today."""
        estate = self._estate(now_ms)
        return {
            "as_of": estate.day.isoformat(),
            "exceptions": [
                exception_json(one) | {"is_valid": one.is_valid_on(estate.day)} for one in estate.exceptions
            ],
        }

    def declare_role(self, system: str, role: str, statement: Statement, now_ms: int) -> Document:
        chosen = _choice(Role, role, "角色", "role")
        key = self._estate(now_ms).find(system)
        declarations.declare_role(self._store, key, chosen, statement, now_ms)
        return {"system_key": key, "role": chosen.value}

    # Questions

    def dependencies(self, system: str, now_ms: int) -> Document:
        """The analysis of the whole ledger ("") or of one system."""
        estate = self._estate(now_ms)
        if not system:
            return dependencies.analysis_json(estate)
        return dependencies.system_analysis_json(estate, estate.find(system))

    def right_sizes(self, system: str, now_ms: int) -> Document:
        """Proposed sizes of all living systems ("") or of one."""
        estate = self._estate(now_ms)
        keys = (
            [estate.find(system)] if system else [key for key in sorted(estate.systems) if estate.is_living(key)]
        )
        sizes = {
            key: right_size(estate.systems[key], estate.measurements.get(key), self.book.sizing, estate.day)
            for key in keys
        }
        return {
            "as_of": estate.day.isoformat(),
            "illustrative": estate.illustrative,
            "comfort_pct": self.book.sizing.comfort_pct,
            "percentile": self.book.sizing.percentile,
            "source": source_json(self.book.sizing_source),
            "systems": [_size_json(key, estate, size) for key, size in sizes.items()],
            "vcpu_saved": sum(size.vcpu_saved for size in sizes.values()),
            "mem_gb_saved": sum(size.mem_gb_saved for size in sizes.values()),
        }

    def compatibility(self, target: str, system: str, now_ms: int) -> Document:
        """What of every living system ("") or of one runs on the target architecture."""
        chosen = _choice(Architecture, target, "架构", "architecture")
        estate = self._estate(now_ms)
        keys = (
            [estate.find(system)] if system else [key for key in sorted(estate.systems) if estate.is_living(key)]
        )
        found = [(key, compatibility(estate.systems[key], chosen, self.matrix)) for key in keys]
        return {
            "as_of": estate.day.isoformat(),
            "illustrative": estate.illustrative,
            "target": chosen.value,
            "systems": [
                {
                    "system_key": key,
                    "name": estate.systems[key].name,
                    "verdict": one.verdict.value,
                    "parts": [
                        {
                            "kind": part.kind.value,
                            "stated": part.stated,
                            "verdict": part.verdict.value,
                            "says": pair_json(part.says),
                            "source": None if part.source is None else source_json(part.source),
                        }
                        for part in one.parts
                    ],
                }
                for key, one in found
            ],
        }

    def check_project(self, text: str, file_name: str, now_ms: int) -> Document:
        """Every gate about a project in YAML or JSON; nothing is stored."""
        approval = check_project(self._estate(now_ms), self.book, parse_project(text, file_name))
        return {
            "project": approval.project.model_dump(mode="json"),
            "is_refused": approval.is_refused,
            "gates": [judgement_json(one) for one in approval.gates],
            "lookalikes": [_match_json(one) for one in approval.lookalikes],
        }

    def lookalikes(self, text: str, limit: int, now_ms: int) -> Document:
        """Living systems that do something like what the text says."""
        if not text.strip():
            raise AssessmentError(
                Refusal.INVALID,
                "EMPTY_TEXT",
                "没有写明功能，请写几个字",
                "there is nothing to look for; write a few words",
            )
        found = self._estate(now_ms).index.nearest(Description("", text, None, None), limit, _ALIKE_PCT)
        return {"text": text, "matches": [_match_json(one) for one in found]}

    def _estate(self, now_ms: int, as_of: date | None = None) -> Estate:
        return read_estate(self._store, as_of or civil_day(now_ms), as_of)

    def _case_json(self, row: Record, estate: Estate) -> Document:
        state, workflow = CaseState(row["state"]), Workflow(row["workflow"])
        due = reviews.due_of(row, self.book.terms)
        system = estate.systems.get(row["system_key"])
        return {
            "id": row["id"],
            "workflow": workflow.value,
            "system_key": row["system_key"],
            "name": row["system_key"] if system is None else system.name,
            "rule": row["rule"],
            "evidence": row["evidence"],
            "state": state.value,
            "says": pair_json(WORDS[state]),
            "since": row["since"],
            "open_steps": sorted(action.value for action in steps_from(workflow, state)),
            "next_due": None
            if due is None
            else {
                "action": due.action.value,
                "day": None if due.day is None else due.day.isoformat(),
                "because": pair_json(due.because),
            },
            "history": row["history"],
        }


def _notices_json(row: Record, terms: ReviewTerms, today: date, sent: Mapping[str, Event]) -> list[Document]:
    """What was sent of a case, in the order of the chain, and what is due and was not."""
    told = [event for event in sent.values() if event.subject == row["id"]]
    done = [
        {
            "notice": event.payload["notice"],
            "due": event.payload["due"],
            "sent_on": event.effective_on.isoformat(),
            "hash": event.hash,
        }
        for event in told
    ]
    due = [one for one in due_notices(row, terms, today) if one.key not in sent]
    waiting = [
        {"notice": one.kind.value, "due": one.due.isoformat(), "sent_on": None, "hash": None} for one in due
    ]
    return [*done, *waiting]


def _assessment(report: AssessmentReport, key: str) -> SystemAssessment:
    return next(one for one in report.assessments if one.system_key == key)


def _blocked(estate: Estate, report: AssessmentReport) -> list[Document]:
    """Living systems that a rule would put into the queue and something keeps out."""
    return [
        {
            "system_key": one.system_key,
            "name": estate.systems[one.system_key].name,
            "rule": judged.rule.rule_id,
            "says": pair_json(judged.says),
            "blocked_by": [pair_json(text) for text in judged.blocked_by],
        }
        for one in report.assessments
        if estate.is_living(one.system_key) and (judged := one.review_rule) is not None and judged.blocked_by
    ]


def _file_json(file: MeasuredFile) -> Document:
    answer = asdict(file)
    for name in ("first_day", "last_day"):
        answer[name] = None if answer[name] is None else answer[name].isoformat()
    answer["unknown"] = list(file.unknown)
    return answer


def _size_json(key: str, estate: Estate, size: RightSize) -> Document:
    return {
        "system_key": key,
        "name": estate.systems[key].name,
        "servers": estate.systems[key].servers,
        "vcpu": size.vcpu,
        "mem_gb": size.mem_gb,
        "proposed_vcpu": size.proposed_vcpu,
        "proposed_mem_gb": size.proposed_mem_gb,
        "confidence": size.confidence.value,
        "reasons": [pair_json(text) for text in size.reasons],
    }


def _match_json(match: Match) -> Document:
    return {
        "system_key": match.key,
        "name": match.name,
        "department": match.department,
        "likeness_pct": match.likeness_pct,
        "shared": list(match.shared),
    }


def _choice(kind: type[_Named], given: str, chinese: str, english: str) -> _Named:
    """The member of an enum that a person named. Raises AssessmentError that lists them."""
    try:
        return kind(given.strip())
    except ValueError:
        known = ", ".join(one.value for one in kind)
        raise AssessmentError(
            Refusal.INVALID,
            "UNKNOWN_WORD",
            f"没有{chinese} {given!r}；可用：{known}",
            f"there is no {english} {given!r}; use one of {known}",
        ) from None

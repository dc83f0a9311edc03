"""Assessments as JSON documents, in the form that docs/assessment.md defines: for programs, the wire and views.

Texts for people are {"zh": .., "en": ..}; days are ISO text; unknown is null.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from inventory.assessment.report import AssessmentReport
from inventory.model.migration import Pair
from inventory.rules.condition import Facts, Trace
from inventory.rules.evaluate import CapExcess, ExceptionGrant, Judgement, Score, SystemAssessment
from inventory.rules.rulebook import Rulebook
from inventory.rules.source import Source

Document = dict[str, Any]


def report_json(report: AssessmentReport, decisions: Mapping[str, Mapping[str, Any]]) -> Document:
    """The whole assessment. `decisions` are what people decided, by system key."""
    return {
        "as_of": report.day.isoformat(),
        "rulebook": report.rulebook.name,
        "illustrative": report.illustrative,
        "systems": [
            system_json(one, report.facts[one.system_key], decisions.get(one.system_key))
            for one in report.assessments
        ],
        "caps": [excess_json(one) for one in report.excesses],
        "departments": [
            {
                "department": one.department,
                "baseline": one.baseline,
                "living": one.living,
                "has_grown": one.has_grown,
            }
            for one in report.departments
        ],
        "expired_exceptions": [exception_json(one) for one in report.expired],
        "summary": _summary(report),
    }


def system_json(one: SystemAssessment, facts: Facts, decision: Mapping[str, Any] | None) -> Document:
    return {
        "system_key": one.system_key,
        "name": facts.get("name"),
        "department": facts.get("department"),
        "state": state_of(facts),
        "ledger_disposition": facts.get("ledger_disposition"),
        "proposal": None if one.disposition is None else one.disposition.value,
        "proposed_by": None if one.proposal is None else one.proposal.rule.rule_id,
        "decision": None if decision is None else dict(decision),
        "dispositions": [judgement_json(judged) for judged in one.dispositions],
        "findings": [judgement_json(judged) for judged in one.findings],
        "readiness": score_json(one.readiness),
        "risk": score_json(one.risk),
        "coverage": facts.get("coverage") or "none",
        "role": facts.get("role"),
        "channel": facts.get("channel"),
    }


def state_of(facts: Facts) -> str:
    """What has become of the system: closed, merged, migrated, or present."""
    return next((state for state in ("closed", "merged", "migrated") if facts.get(state) is True), "present")


def judgement_json(one: Judgement) -> Document:
    rule = one.rule
    return {
        "rule": rule.rule_id,
        "title": pair_json(rule.title),
        "outcome": one.outcome.value,
        "severity": rule.severity.value,
        "proposes": None if rule.proposes is None else rule.proposes.value,
        "says": pair_json(one.says),
        "blocked_by": [pair_json(text) for text in one.blocked_by],
        "waived_by": None if one.waived_by is None else exception_json(one.waived_by),
        "source": source_json(rule.source),
        "trace": trace_json(one.trace),
    }


def trace_json(trace: Trace) -> Document:
    made: Document = {"truth": trace.truth.value, "says": pair_json(trace.says)}
    if trace.parts:
        made["parts"] = [trace_json(part) for part in trace.parts]
    return made


def source_json(source: Source) -> Document:
    return {
        "document": source.title,
        "clause": source.clause,
        "paraphrase": source.paraphrase,
        "own": source.own,
        "says": pair_json(source.says),
    }


def score_json(score: Score) -> Document:
    reasons = [
        {"rule": one.rule.rule_id, "points": one.rule.points, "says": pair_json(one.says)} for one in score.reasons
    ]
    return {"points": score.points, "level": score.level, "reasons": reasons}


def excess_json(one: CapExcess) -> Document:
    return {
        "rule": one.cap.rule_id,
        "title": pair_json(one.cap.title),
        "department": one.department,
        "zone": one.zone,
        "at_most": one.cap.at_most,
        "systems": list(one.system_keys),
        "severity": one.cap.severity.value,
        "waived_by": None if one.waived_by is None else exception_json(one.waived_by),
        "source": source_json(one.cap.source),
    }


def exception_json(one: ExceptionGrant) -> Document:
    return {
        "id": one.exception_id,
        "rule": one.rule_id,
        "subject": one.subject,
        "reason": one.reason,
        "document": one.document,
        "approver": one.approver,
        "granted_on": one.granted_on.isoformat(),
        "expires_on": one.expires_on.isoformat(),
    }


def pair_json(text: Pair) -> Document:
    return {"zh": text[0], "en": text[1]}


def _summary(report: AssessmentReport) -> Document:
    """Counts over the systems that are present: neither closed, merged nor migrated."""
    present: Sequence[SystemAssessment] = [
        one for one in report.assessments if state_of(report.facts[one.system_key]) == "present"
    ]
    return {
        "systems": len(report.assessments),
        "present": len(present),
        "proposals": dict(sorted(Counter(one.disposition or "none" for one in present).items())),
        "findings": dict(
            sorted(Counter(judged.rule.rule_id for one in present for judged in one.findings).items())
        ),
        "measured": sum(report.facts[one.system_key].get("coverage") is not None for one in present),
        "ready": sum(one.readiness.level == "high" for one in present),
        "high_risk": sum(one.risk.level == "high" for one in present),
    }


def rulebook_json(book: Rulebook) -> Document:
    """Every rule with its source, by section."""
    sections = {
        "dispositions": book.dispositions,
        "findings": book.findings,
        "gates": book.gates,
        "readiness": book.readiness,
        "risk": book.risk,
    }
    made: Document = {
        name: [
            {
                "rule": rule.rule_id,
                "title": pair_json(rule.title),
                "severity": rule.severity.value,
                "proposes": None if rule.proposes is None else rule.proposes.value,
                "points": rule.points or None,
                "source": source_json(rule.source),
            }
            for rule in rules
        ]
        for name, rules in sections.items()
    }
    made["caps"] = [
        {
            "rule": cap.rule_id,
            "title": pair_json(cap.title),
            "severity": cap.severity.value,
            "channel": cap.channel.value,
            "at_most": cap.at_most,
            "per_zone": cap.per_zone,
            "source": source_json(cap.source),
        }
        for cap in book.caps
    ]
    return made

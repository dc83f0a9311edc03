"""Judges systems by a rulebook: every rule with its trace, the proposal, what blocks it, what waives a finding.

Who calls this: `inventory.assessment`, with the facts of each system; tests with facts of their own. Pure.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from inventory.model.migration import Pair
from inventory.model.system import Disposition
from inventory.rules.condition import Facts, Trace, Vocabulary, judge
from inventory.rules.rulebook import Cap, Rule, Rulebook, Severity, filled
from inventory.rules.truth import Truth
from inventory.rules.vocabulary import SYSTEM_FACTS


class Outcome(StrEnum):
    """What a rule came to."""

    HOLDS = "holds"
    BLOCKED = "blocked"  # it holds, and something keeps its proposal from being carried out
    WAIVED = "waived"  # it holds, and an exception that has not expired allows it
    FAILS = "fails"
    UNDECIDED = "undecided"  # facts are missing


@dataclass(frozen=True, slots=True)
class ExceptionGrant:
    """例外: leave from one rule for one subject (a system key or a department), until `expires_on` (included)."""

    exception_id: str
    rule_id: str
    subject: str
    reason: str
    document: str
    approver: str
    granted_on: date
    expires_on: date

    def is_valid_on(self, day: date) -> bool:
        return self.granted_on <= day <= self.expires_on


@dataclass(frozen=True, slots=True)
class Judgement:
    """One rule about one subject. `says` and `blocked_by` are filled in with the subject's facts."""

    rule: Rule
    outcome: Outcome
    says: Pair
    trace: Trace
    blocked_by: tuple[Pair, ...] = ()
    waived_by: ExceptionGrant | None = None

    @property
    def stands(self) -> bool:
        """True when the rule holds, whatever else keeps it from being carried out."""
        return self.outcome in (Outcome.HOLDS, Outcome.BLOCKED, Outcome.WAIVED)


@dataclass(frozen=True, slots=True)
class Score:
    """Points 0..100 with the judgements that made them. `level` is low, medium or high."""

    points: int
    level: str
    reasons: tuple[Judgement, ...]


@dataclass(frozen=True, slots=True)
class SystemAssessment:
    """Everything that the rules say of one system.

    `proposal` is the first disposition rule that holds unblocked; None when none does (facts are missing).
    `dispositions` are all of them that hold, are blocked, or are undecided before the proposal; `findings` those
    that hold or are waived.
    """

    system_key: str
    proposal: Judgement | None
    dispositions: tuple[Judgement, ...]
    findings: tuple[Judgement, ...]
    readiness: Score
    risk: Score

    @property
    def disposition(self) -> Disposition | None:
        return None if self.proposal is None else self.proposal.rule.proposes

    @property
    def review_rule(self) -> Judgement | None:
        """The rule by which the system belongs into the review queue: the proposal, or one before it that is blocked
        or waived. What an earlier rule settles (a classified system stays) is no zombie of anybody's."""
        for one in self.dispositions:
            if one.stands and one.rule.opens_review:
                return one
            if one is self.proposal:
                return None
        return None


@dataclass(frozen=True, slots=True)
class CapExcess:
    """A department with more living systems of one channel than a cap allows."""

    cap: Cap
    department: str
    zone: str | None
    system_keys: tuple[str, ...]
    waived_by: ExceptionGrant | None = None


@dataclass(frozen=True, slots=True)
class Setting:
    """What stands beside the facts when they are judged: exceptions, and the day that decides which are valid."""

    day: date
    exceptions: tuple[ExceptionGrant, ...] = ()

    def waived_rules(self, subjects: Iterable[str]) -> tuple[str, ...]:
        """The ids of all rules from which one of the subjects has leave on the day."""
        named = set(subjects)
        return tuple(
            sorted({one.rule_id for one in self.exceptions if one.subject in named and one.is_valid_on(self.day)})
        )

    def waiver(self, rule_id: str, subjects: Iterable[str]) -> ExceptionGrant | None:
        named = set(subjects)
        return next(
            (
                one
                for one in self.exceptions
                if one.rule_id == rule_id and one.subject in named and one.is_valid_on(self.day)
            ),
            None,
        )


def assess_system(book: Rulebook, system_key: str, facts: Facts, setting: Setting) -> SystemAssessment:
    """Applies every rule to one system. `facts` are those of `vocabulary.SYSTEM_FACTS`; absent is unknown. Which rules
    are waived for it is a fact, too."""
    subjects = [system_key, *([str(facts["department"])] if facts.get("department") else [])]
    facts = {**facts, "waived_rules": setting.waived_rules(subjects)}
    dispositions = [
        _waived(judge_rule(rule, facts, SYSTEM_FACTS), setting, subjects) for rule in book.dispositions
    ]
    at = next((at for at, one in enumerate(dispositions) if one.outcome is Outcome.HOLDS), None)
    reached = dispositions[: len(dispositions) if at is None else at]
    shown = [one for one in reached if one.outcome is not Outcome.FAILS]
    if at is not None:
        shown += [one for one in dispositions[at:] if one.stands]
    findings = [_waived(judge_rule(rule, facts, SYSTEM_FACTS), setting, subjects) for rule in book.findings]
    return SystemAssessment(
        system_key=system_key,
        proposal=None if at is None else dispositions[at],
        dispositions=tuple(shown),
        findings=tuple(one for one in findings if one.stands),
        readiness=_score(book.readiness, facts, is_deducted=True),
        risk=_score(book.risk, facts, is_deducted=False),
    )


def judge_gates(
    book: Rulebook, facts: Facts, vocabulary: Vocabulary, setting: Setting, subjects: Sequence[str]
) -> tuple[Judgement, ...]:
    """Every gate about one project, in order. A gate that HOLDS refuses; UNDECIDED means facts are missing."""
    return tuple(_waived(judge_rule(rule, facts, vocabulary), setting, subjects) for rule in book.gates)


def judge_rule(rule: Rule, facts: Facts, vocabulary: Vocabulary) -> Judgement:
    """One rule under these facts. A blocker counts only when it is known to hold."""
    trace = judge(rule.when, facts)
    says = filled(rule.says, facts, vocabulary)
    if trace.truth is not Truth.TRUE:
        outcome = Outcome.FAILS if trace.truth is Truth.FALSE else Outcome.UNDECIDED
        return Judgement(rule, outcome, says, trace)
    blocked = tuple(
        filled(blocker.says, facts, vocabulary)
        for blocker in rule.blockers
        if judge(blocker.when, facts).truth is Truth.TRUE
    )
    return Judgement(rule, Outcome.BLOCKED if blocked else Outcome.HOLDS, says, trace, blocked)


def cap_excesses(book: Rulebook, living: Mapping[str, Facts], setting: Setting) -> tuple[CapExcess, ...]:
    """Departments beyond a cap. `living` are the facts of systems that are neither closed nor merged, by key;
    classified ones and those without a department or channel do not count."""
    found: list[CapExcess] = []
    for cap in book.caps:
        members: dict[tuple[str, str | None], list[str]] = defaultdict(list)
        for key, facts in living.items():
            if (
                facts.get("channel") == cap.channel
                and facts.get("department")
                and facts.get("classified") is not True
            ):
                zone = facts.get("zone")
                members[str(facts["department"]), str(zone) if cap.per_zone and zone else None].append(key)
        for (department, zone), keys in sorted(members.items(), key=lambda item: (item[0][0], item[0][1] or "")):
            if len(keys) > cap.at_most:
                waiver = setting.waiver(cap.rule_id, [department, *keys])
                found.append(CapExcess(cap, department, zone, tuple(sorted(keys)), waiver))
    return tuple(found)


def _waived(judgement: Judgement, setting: Setting, subjects: Iterable[str]) -> Judgement:
    if judgement.outcome is not Outcome.HOLDS:
        return judgement
    waiver = setting.waiver(judgement.rule.rule_id, subjects)
    if waiver is None:
        return judgement
    return Judgement(judgement.rule, Outcome.WAIVED, judgement.says, judgement.trace, (), waiver)


_LEVELS = ((67, "high"), (34, "medium"), (0, "low"))


def _score(rules: Sequence[Rule], facts: Facts, *, is_deducted: bool) -> Score:
    judged = (judge_rule(rule, facts, SYSTEM_FACTS) for rule in rules)
    reasons = tuple(one for one in judged if one.outcome is Outcome.HOLDS)
    points = min(100, sum(one.rule.points for one in reasons))
    if is_deducted:
        points = 100 - points
    return Score(points, next(level for least, level in _LEVELS if points >= least), reasons)


def blocking(assessment: SystemAssessment) -> tuple[Judgement, ...]:
    """The findings that stop a system until they are met or waived."""
    return tuple(
        one
        for one in assessment.findings
        if one.outcome is Outcome.HOLDS and one.rule.severity is Severity.BLOCKING
    )

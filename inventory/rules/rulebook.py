"""The rule file: its form, and the rules that are read from it.

Who uses this: `inventory.assessment` reads the file that ships beside this module (`rules.yaml`, whose head documents the
form) or the one that a user names. Every fault of a file is reported in one go, each with its place, the value, the
rule and the remedy. A rule without a source cannot be loaded: it quotes a clause of a listed document, or says
plainly that it is the project's own.
"""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from inventory.model.migration import Pair
from inventory.model.system import Disposition
from inventory.rules.condition import Condition, Facts, Vocabulary, parse_condition, shown, unknown_field
from inventory.rules.forms import (
    Form,
    Id,
    PairForm,
    SourceForm,
    Text,
    form_lines,
    parse_yaml,
    read_source,
    strict_yaml,
)
from inventory.rules.rightsizing import SizingTerms
from inventory.rules.source import RuleFileError, Source
from inventory.rules.vocabulary import PROJECT_FACTS, SYSTEM_FACTS

DEFAULT_RULES = Path(__file__).with_name("rules.yaml")


class Severity(StrEnum):
    """How much a rule weighs. BLOCKING: nothing goes on until it is met or waived by an exception."""

    NOTICE = "notice"
    WARNING = "warning"
    BLOCKING = "blocking"


class RuleKind(StrEnum):
    """What a rule that holds means."""

    DISPOSITION = "disposition"  # proposes what shall become of the system
    FINDING = "finding"  # something about the system is not as it must be
    GATE = "gate"  # an approval is refused
    READINESS = "readiness"  # points off readiness
    RISK = "risk"  # points of risk


class Role(StrEnum):
    """特殊角色: why little use is no sign that a system is idle."""

    STANDBY = "standby"  # 备用
    DISASTER_RECOVERY = "disaster_recovery"  # 容灾
    SEASONAL = "seasonal"  # 季节性
    EMERGENCY = "emergency"  # 应急
    ORDINARY = "ordinary"  # 一般


class Channel(StrEnum):
    """渠道: what a cap counts."""

    WEBSITE = "website"  # 互联网网站
    MOBILE_APP = "mobile_app"  # 政务移动端
    INTERNAL = "internal"  # 面向基层单位和服务对象的系统


@dataclass(frozen=True, slots=True)
class Blocker:
    """What keeps a rule's proposal from being carried out. `says` has {fields} to be filled in."""

    when: Condition
    says: Pair


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. `points` counts for readiness and risk only, `proposes` for dispositions only."""

    rule_id: str
    kind: RuleKind
    title: Pair
    severity: Severity
    when: Condition
    says: Pair
    source: Source
    proposes: Disposition | None = None
    opens_review: bool = False
    points: int = 0
    blockers: tuple[Blocker, ...] = ()


@dataclass(frozen=True, slots=True)
class Cap:
    """At most `at_most` living systems of one channel for each department (and zone, when `per_zone`)."""

    rule_id: str
    title: Pair
    channel: Channel
    at_most: int
    per_zone: bool
    severity: Severity
    source: Source


@dataclass(frozen=True, slots=True)
class ReviewTerms:
    """The spans that reviews keep to: quarantine before archiving (days), and the idle-resource rule."""

    quarantine_days: int
    quarantine_source: Source
    urge_after_months: int
    reclaim_after_workdays: int
    idle_source: Source


@dataclass(frozen=True, slots=True)
class Rulebook:
    """All rules, in the order of the file. Of dispositions the first that holds and is not blocked is proposed."""

    name: str
    dispositions: tuple[Rule, ...]
    findings: tuple[Rule, ...]
    gates: tuple[Rule, ...]
    readiness: tuple[Rule, ...]
    risk: tuple[Rule, ...]
    caps: tuple[Cap, ...]
    role_words: Mapping[Role, tuple[str, ...]]
    channel_words: Mapping[Channel, tuple[str, ...]]
    terms: ReviewTerms
    sizing: SizingTerms
    sizing_source: Source

    @property
    def rule_ids(self) -> tuple[str, ...]:
        """Every rule from which an exception can be granted: points are no rule that one keeps or breaks."""
        every = (*self.dispositions, *self.findings, *self.gates)
        return (*(rule.rule_id for rule in every), *(cap.rule_id for cap in self.caps))

    def title_of(self, rule_id: str) -> Pair | None:
        """What the rule is called; None where the file has it no more."""
        every: tuple[Rule | Cap, ...] = (*self.dispositions, *self.findings, *self.gates, *self.caps)
        return next((rule.title for rule in every if rule.rule_id == rule_id), None)


def filled(text: Pair, facts: Facts, vocabulary: Vocabulary) -> Pair:
    """A text with its {fields} replaced by the facts."""
    names = [name for _, name, _, _ in string.Formatter().parse(text[0] + text[1]) if name]
    zh = {name: shown(facts.get(name), vocabulary[name])[0] for name in names}
    en = {name: shown(facts.get(name), vocabulary[name])[1] for name in names}
    return text[0].format_map(zh), text[1].format_map(en)


class _BlockerForm(Form):
    when: Any
    says: PairForm


class _RuleForm(Form):
    id: Id
    title: PairForm
    severity: Severity = Severity.NOTICE
    when: Any
    says: PairForm
    source: SourceForm
    blocked_when: tuple[_BlockerForm, ...] = ()


class _DispositionForm(_RuleForm):
    proposes: Disposition
    opens_review: bool = False


class _PointsForm(_RuleForm):
    points: int = Field(ge=1, le=100)


class _CapForm(Form):
    id: Id
    title: PairForm
    channel: Channel
    at_most: int = Field(ge=0, le=100)
    per_zone: bool = False
    severity: Severity
    source: SourceForm


class _QuarantineForm(Form):
    days: int = Field(ge=0, le=3650)
    source: SourceForm


class _IdleForm(Form):
    urge_after_months: int = Field(ge=1, le=24)
    reclaim_after_workdays: int = Field(ge=1, le=250)
    source: SourceForm


class _SizingForm(Form):
    percentile: Literal[50, 95, 99]
    comfort_pct: int = Field(ge=100, le=300)
    vcpu_sizes: tuple[Annotated[int, Field(ge=1, le=4096)], ...] = Field(min_length=1)
    mem_sizes_gb: tuple[Annotated[int, Field(ge=1, le=65536)], ...] = Field(min_length=1)
    least_days: int = Field(ge=1, le=366)
    stale_after_days: int = Field(ge=1, le=3660)
    idle_redundancy_pct: int = Field(ge=1, le=99)
    source: SourceForm

    @model_validator(mode="after")
    def _rising(self) -> Self:
        for sizes in (self.vcpu_sizes, self.mem_sizes_gb):
            if list(sizes) != sorted(set(sizes)):
                raise ValueError("规格须从小到大、不重复 / sizes must rise, each once")
        return self


class _RulebookForm(Form):
    version: Literal[1]
    documents: dict[str, Text]
    role_words: dict[Role, tuple[Text, ...]]
    channel_words: dict[Channel, tuple[Text, ...]]
    dispositions: tuple[_DispositionForm, ...]
    findings: tuple[_RuleForm, ...]
    caps: tuple[_CapForm, ...]
    gates: tuple[_RuleForm, ...]
    readiness: tuple[_PointsForm, ...]
    risk: tuple[_PointsForm, ...]
    quarantine: _QuarantineForm
    idle_resources: _IdleForm
    right_sizing: _SizingForm


def read_rulebook(path: Path = DEFAULT_RULES) -> Rulebook:
    """Raises RuleFileError where the file is missing, is no YAML, or breaks the form."""
    return _rulebook(strict_yaml(path), path.name)


def parse_rulebook(text: str, name: str) -> Rulebook:
    """The rules of a YAML text. `name` stands in messages. Raises RuleFileError."""
    return _rulebook(parse_yaml(text, name), name)


def _rulebook(content: object, name: str) -> Rulebook:
    try:
        form = _RulebookForm.model_validate(content)
    except ValidationError as refusal:
        raise RuleFileError(form_lines(name, refusal)) from None
    reading = _Reading(name, form)
    book = reading.rulebook()
    if reading.faults:
        raise RuleFileError(reading.faults)
    return book


_NOTHING = parse_condition({"field": "name", "known": True}, SYSTEM_FACTS)[0]


class _Reading:
    """Turns the form into rules and gathers every fault on the way."""

    def __init__(self, name: str, form: _RulebookForm) -> None:
        self.faults: list[str] = []
        self._name = name
        self._form = form
        self._seen: set[str] = set()

    def rulebook(self) -> Rulebook:
        form = self._form
        return Rulebook(
            name=self._name,
            dispositions=self._rules("dispositions", form.dispositions, RuleKind.DISPOSITION, SYSTEM_FACTS),
            findings=self._rules("findings", form.findings, RuleKind.FINDING, SYSTEM_FACTS),
            gates=self._rules("gates", form.gates, RuleKind.GATE, PROJECT_FACTS),
            readiness=self._rules("readiness", form.readiness, RuleKind.READINESS, SYSTEM_FACTS),
            risk=self._rules("risk", form.risk, RuleKind.RISK, SYSTEM_FACTS),
            caps=tuple(self._cap(at, cap) for at, cap in enumerate(form.caps)),
            role_words=form.role_words,
            channel_words=form.channel_words,
            terms=ReviewTerms(
                quarantine_days=form.quarantine.days,
                quarantine_source=self._source("quarantine", form.quarantine.source),
                urge_after_months=form.idle_resources.urge_after_months,
                reclaim_after_workdays=form.idle_resources.reclaim_after_workdays,
                idle_source=self._source("idle_resources", form.idle_resources.source),
            ),
            sizing=self._sizing(form.right_sizing),
            sizing_source=self._source("right_sizing", form.right_sizing.source),
        )

    def _sizing(self, form: _SizingForm) -> SizingTerms:
        return SizingTerms(
            percentile=form.percentile,
            comfort_pct=form.comfort_pct,
            vcpu_sizes=form.vcpu_sizes,
            mem_sizes_gb=form.mem_sizes_gb,
            least_days=form.least_days,
            stale_after_days=form.stale_after_days,
            idle_redundancy_pct=form.idle_redundancy_pct,
        )

    def _rules(
        self, section: str, forms: Sequence[_RuleForm], kind: RuleKind, vocabulary: Vocabulary
    ) -> tuple[Rule, ...]:
        return tuple(self._rule(f"{section}.{form.id}", form, kind, vocabulary) for form in forms)

    def _rule(self, place: str, form: _RuleForm, kind: RuleKind, vocabulary: Vocabulary) -> Rule:
        self._once(place, form.id)
        blockers = tuple(
            Blocker(
                self._condition(f"{place}.blocked_when[{at}].when", blocker.when, vocabulary),
                self._text(f"{place}.blocked_when[{at}].says", blocker.says, vocabulary),
            )
            for at, blocker in enumerate(form.blocked_when)
        )
        return Rule(
            rule_id=form.id,
            kind=kind,
            title=form.title.pair,
            severity=form.severity,
            when=self._condition(f"{place}.when", form.when, vocabulary),
            says=self._text(f"{place}.says", form.says, vocabulary),
            source=self._source(place, form.source),
            proposes=form.proposes if isinstance(form, _DispositionForm) else None,
            opens_review=isinstance(form, _DispositionForm) and form.opens_review,
            points=form.points if isinstance(form, _PointsForm) else 0,
            blockers=blockers,
        )

    def _cap(self, at: int, form: _CapForm) -> Cap:
        place = f"caps.{form.id}"
        self._once(place, form.id)
        return Cap(
            form.id,
            form.title.pair,
            form.channel,
            form.at_most,
            form.per_zone,
            form.severity,
            self._source(place, form.source),
        )

    def _once(self, place: str, rule_id: str) -> None:
        if rule_id in self._seen:
            self._fault(place, f"编号 {rule_id} 重复，请改名 / the id {rule_id} stands twice; rename one")
        self._seen.add(rule_id)

    def _condition(self, place: str, raw: object, vocabulary: Vocabulary) -> Condition:
        condition, faults = parse_condition(raw, vocabulary)
        for fault in faults:
            self._fault(f"{place}.{fault.place}" if fault.place else place, fault.message)
        # A stand-in: a reading with faults makes no rulebook.
        found = condition or _NOTHING
        assert found is not None
        return found

    def _text(self, place: str, form: PairForm, vocabulary: Vocabulary) -> Pair:
        for language, text in (("zh", form.zh), ("en", form.en)):
            try:
                names = [name for _, name, _, _ in string.Formatter().parse(text) if name is not None]
            except ValueError as fault:
                self._fault(f"{place}.{language}", f"花括号有误（{fault}） / the braces are wrong ({fault})")
                continue
            for name in names:
                if name not in vocabulary:
                    self._fault(f"{place}.{language}", unknown_field(name, vocabulary))
        return form.pair

    def _source(self, place: str, form: SourceForm) -> Source:
        source, fault = read_source(form, self._form.documents)
        if fault is not None:
            self._fault(f"{place}.source.document", fault)
        return source

    def _fault(self, place: str, message: str) -> None:
        self.faults.append(f"{self._name}: {place}: {message}")

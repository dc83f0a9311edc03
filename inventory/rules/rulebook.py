"""The rule file: its form, and the rules that are read from it.

Who uses this: `inventory.assessment` reads the file that ships beside this module (`rules.yaml`, whose head documents the
form) or the one that a user names. Every fault of a file is reported in one go, each with its place, the value, the
rule and the remedy. A rule without a source cannot be loaded: it quotes a clause of a listed document, or says
plainly that it is the project's own.
"""

from __future__ import annotations

import string
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from inventory.model.form_faults import form_faults
from inventory.model.migration import Pair
from inventory.model.system import Disposition
from inventory.rules.condition import Condition, Facts, Vocabulary, parse_condition, shown, unknown_field
from inventory.rules.vocabulary import PROJECT_FACTS, SYSTEM_FACTS

DEFAULT_RULES = Path(__file__).with_name("rules.yaml")


class RulebookError(ValueError):
    """A rule file that cannot be used. `lines`: one for each fault (file, place, value, rule, remedy)."""

    def __init__(self, lines: Sequence[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = tuple(lines)


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
class Source:
    """Where a rule comes from: a document with the clause quoted from it, or a paraphrase where its text was not
    seen in full; and what of the rule is the project's own. Without a document the whole rule is."""

    document: str | None
    title: str | None
    clause: str | None
    paraphrase: str | None
    own: str | None

    @property
    def says(self) -> Pair:
        zh, en = [], []
        if self.document is not None:
            said = f"“{self.clause}”" if self.clause else ""
            zh.append(f"{self.title}：{said or '转述：' + (self.paraphrase or '')}")
            en.append(f"{self.title}: {said or 'paraphrased: ' + (self.paraphrase or '')}")
        if self.own is not None:
            zh.append(f"本项目自定：{self.own}")
            en.append(f"the project's own: {self.own}")
        return "；".join(zh), "; ".join(en)


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

    @property
    def rule_ids(self) -> tuple[str, ...]:
        every = (*self.dispositions, *self.findings, *self.gates, *self.readiness, *self.risk)
        return (*(rule.rule_id for rule in every), *(cap.rule_id for cap in self.caps))


def filled(text: Pair, facts: Facts, vocabulary: Vocabulary) -> Pair:
    """A text with its {fields} replaced by the facts."""
    names = [name for _, name, _, _ in string.Formatter().parse(text[0] + text[1]) if name]
    zh = {name: shown(facts.get(name), vocabulary[name])[0] for name in names}
    en = {name: shown(facts.get(name), vocabulary[name])[1] for name in names}
    return text[0].format_map(zh), text[1].format_map(en)


class _Form(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


_Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
_Id = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{2,60}$")]


class _PairForm(_Form):
    zh: _Text
    en: _Text

    @property
    def pair(self) -> Pair:
        return self.zh, self.en


class _SourceForm(_Form):
    document: _Text | None = None
    clause: _Text | None = None
    paraphrase: _Text | None = None
    project: _Text | None = None

    @model_validator(mode="after")
    def _says_where_from(self) -> Self:
        quoted = sum(text is not None for text in (self.clause, self.paraphrase))
        if (self.document is None and (quoted or self.project is None)) or (
            self.document is not None and quoted != 1
        ):
            raise ValueError(
                "须为 document 加 clause（引用原文）或 paraphrase（转述），或 project（本项目自定的理由）"
                " / must be document with clause (quoted) or paraphrase, or project (why it is our own)"
            )
        return self


class _BlockerForm(_Form):
    when: Any
    says: _PairForm


class _RuleForm(_Form):
    id: _Id
    title: _PairForm
    severity: Severity = Severity.NOTICE
    when: Any
    says: _PairForm
    source: _SourceForm
    blocked_when: tuple[_BlockerForm, ...] = ()


class _DispositionForm(_RuleForm):
    proposes: Disposition
    opens_review: bool = False


class _PointsForm(_RuleForm):
    points: int = Field(ge=1, le=100)


class _CapForm(_Form):
    id: _Id
    title: _PairForm
    channel: Channel
    at_most: int = Field(ge=0, le=100)
    per_zone: bool = False
    severity: Severity
    source: _SourceForm


class _QuarantineForm(_Form):
    days: int = Field(ge=0, le=3650)
    source: _SourceForm


class _IdleForm(_Form):
    urge_after_months: int = Field(ge=1, le=24)
    reclaim_after_workdays: int = Field(ge=1, le=250)
    source: _SourceForm


class _RulebookForm(_Form):
    version: Literal[1]
    documents: dict[str, _Text]
    role_words: dict[Role, tuple[_Text, ...]]
    channel_words: dict[Channel, tuple[_Text, ...]]
    dispositions: tuple[_DispositionForm, ...]
    findings: tuple[_RuleForm, ...]
    caps: tuple[_CapForm, ...]
    gates: tuple[_RuleForm, ...]
    readiness: tuple[_PointsForm, ...]
    risk: tuple[_PointsForm, ...]
    quarantine: _QuarantineForm
    idle_resources: _IdleForm


class _StrictLoader(yaml.SafeLoader):
    """Refuses a key that stands twice: the second would silently win."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, str) and key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{key!r} 写了两次 / stands twice", key_node.start_mark
                )
            if isinstance(key, str):
                seen.add(key)
        return super().construct_mapping(node, deep)


def read_rulebook(path: Path = DEFAULT_RULES) -> Rulebook:
    """Raises RulebookError where the file is missing, is no YAML, or breaks the form."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise RulebookError([f"{path}: 找不到规则文件，请检查路径 / no such rule file; check the path"]) from None
    except (OSError, UnicodeDecodeError) as fault:
        raise RulebookError([f"{path}: 无法读取，须为 UTF-8 / cannot be read as UTF-8: {fault}"]) from fault
    return parse_rulebook(text, path.name)


def parse_rulebook(text: str, name: str) -> Rulebook:
    """The rules of a YAML text. `name` stands in messages. Raises RulebookError."""
    try:
        content = yaml.load(text, _StrictLoader)  # a SafeLoader with one more refusal
    except (yaml.YAMLError, RecursionError) as fault:
        cause = " ".join(str(fault).split())
        raise RulebookError(
            [f"{name}: 不是合法的 YAML，请改正 / is no valid YAML; correct it: {cause}"]
        ) from fault
    try:
        form = _RulebookForm.model_validate(content)
    except ValidationError as refusal:
        raise RulebookError(list(_form_lines(name, refusal))) from None
    reading = _Reading(name, form)
    book = reading.rulebook()
    if reading.faults:
        raise RulebookError(reading.faults)
    return book


def _form_lines(name: str, refusal: ValidationError) -> Iterator[str]:
    for fault in form_faults(refusal):
        place = ".".join(str(part) for part in fault.place) or "文件/file"
        yield f"{name}: {place} = {fault.value}: {fault.rule}；请改正 / correct it"


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

    def _text(self, place: str, form: _PairForm, vocabulary: Vocabulary) -> Pair:
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

    def _source(self, place: str, form: _SourceForm) -> Source:
        title = None if form.document is None else self._form.documents.get(form.document)
        if form.document is not None and title is None:
            known = ", ".join(self._form.documents)
            self._fault(
                f"{place}.source.document",
                f"documents 中没有 {form.document!r}，可用：{known}"
                f" / {form.document!r} is not under documents; known: {known}",
            )
        return Source(form.document, title, form.clause, form.paraphrase, form.project)

    def _fault(self, place: str, message: str) -> None:
        self.faults.append(f"{self._name}: {place}: {message}")

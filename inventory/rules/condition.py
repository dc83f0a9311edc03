"""The condition language of the rules: a few typed comparisons, joined by all, any and not.

    when:
      all:
        - {field: users_active, at_most: 5}
        - any: [{field: zone, equals: 互联网}, {field: zone, known: false}]
        - not: {field: name, contains_any: [备用, 容灾]}

Who uses this: `rulebook` reads conditions from YAML, `evaluate` judges them. A condition is checked against its
vocabulary when it is read: an unknown field, an operator that does not fit the field's type, an operand of another
type are faults with their place, all of them in one go.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from math import isfinite
from typing import Any

from inventory.model.migration import Pair
from inventory.rules.truth import Truth, all_of, any_of, truth_of

Value = bool | int | float | str | tuple[str, ...] | None
"""One fact. None is unknown. A tuple holds names."""
Facts = Mapping[str, Value]


class FieldType(StrEnum):
    BOOLEAN = "boolean"
    NUMBER = "number"
    TEXT = "text"
    NAMES = "names"


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """A fact that conditions may ask for: what it means in Chinese and English, and its unit ("" for none)."""

    name: str
    type: FieldType
    zh: str
    en: str
    unit: str = ""


Vocabulary = Mapping[str, FieldSpec]


class Operator(StrEnum):
    KNOWN = "known"
    EMPTY = "empty"
    IS = "is"
    EQUALS = "equals"
    ONE_OF = "one_of"
    CONTAINS_ANY = "contains_any"
    INCLUDES_ANY = "includes_any"
    AT_LEAST = "at_least"
    AT_MOST = "at_most"
    ABOVE = "above"
    BELOW = "below"


_OPERATORS: Mapping[FieldType, tuple[Operator, ...]] = {
    FieldType.BOOLEAN: (Operator.IS, Operator.KNOWN),
    FieldType.NUMBER: (
        Operator.EQUALS,
        Operator.AT_LEAST,
        Operator.AT_MOST,
        Operator.ABOVE,
        Operator.BELOW,
        Operator.KNOWN,
    ),
    FieldType.TEXT: (Operator.EQUALS, Operator.ONE_OF, Operator.CONTAINS_ANY, Operator.KNOWN),
    FieldType.NAMES: (Operator.INCLUDES_ANY, Operator.EMPTY, Operator.KNOWN),
}
_SIGNS: Mapping[Operator, str] = {
    Operator.IS: "=",
    Operator.EQUALS: "=",
    Operator.ONE_OF: "∈",
    Operator.CONTAINS_ANY: "∋",
    Operator.INCLUDES_ANY: "∋",
    Operator.AT_LEAST: "≥",
    Operator.AT_MOST: "≤",
    Operator.ABOVE: ">",
    Operator.BELOW: "<",
}


@dataclass(frozen=True, slots=True)
class Comparison:
    """One field against one operand."""

    field: FieldSpec
    operator: Operator
    operand: Value


@dataclass(frozen=True, slots=True)
class All:
    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Not:
    part: Condition


Condition = Comparison | All | AnyOf | Not


@dataclass(frozen=True, slots=True)
class Trace:
    """How a condition was judged: its truth, what was compared in words, and the traces of its parts."""

    truth: Truth
    says: Pair
    parts: tuple[Trace, ...] = ()

    def comparisons(self) -> Iterator[Trace]:
        """The single comparisons, in order."""
        if not self.parts:
            yield self
        for part in self.parts:
            yield from part.comparisons()


@dataclass(frozen=True, slots=True)
class ConditionFault:
    """What is wrong with a condition, and where: "all[1].field"."""

    place: str
    message: str


# Deeper conditions than this no person could read; the limit also keeps a hostile file from exhausting the stack.
_DEEPEST = 12


def parse_condition(raw: object, vocabulary: Vocabulary) -> tuple[Condition | None, tuple[ConditionFault, ...]]:
    """The condition, or every fault in it."""
    faults: list[ConditionFault] = []
    condition = _parse(raw, vocabulary, "", faults)
    return (None if faults else condition), tuple(faults)


def judge(condition: Condition, facts: Facts) -> Trace:
    """The truth of the condition under these facts, with its trace. A fact that is absent is unknown."""
    match condition:
        case Comparison():
            return _compare(condition, facts.get(condition.field.name))
        case All(parts):
            traces = tuple(judge(part, facts) for part in parts)
            return Trace(all_of(trace.truth for trace in traces), ("全部成立", "all of"), traces)
        case AnyOf(parts):
            traces = tuple(judge(part, facts) for part in parts)
            return Trace(any_of(trace.truth for trace in traces), ("任一成立", "any of"), traces)
        case Not(part):
            trace = judge(part, facts)
            return Trace(trace.truth.negated, ("并非", "not"), (trace,))


def fields_in(condition: Condition) -> tuple[str, ...]:
    """The names of the fields that the condition asks for, in order, each once."""
    match condition:
        case Comparison(field):
            return (field.name,)
        case Not(part):
            return fields_in(part)
        case All(parts) | AnyOf(parts):
            return tuple(dict.fromkeys(name for part in parts for name in fields_in(part)))


def shown(value: Value, field: FieldSpec) -> Pair:
    """A fact as people read it."""
    if value is None:
        return "未知", "unknown"
    if isinstance(value, bool):
        return ("是", "yes") if value else ("否", "no")
    if isinstance(value, tuple):
        return ("、".join(value) or "无", ", ".join(value) or "none")
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return f"{text}{field.unit}", f"{text}{field.unit}"


def unknown_field(name: object, vocabulary: Vocabulary) -> str:
    """The line for a field that does not exist: the nearest name first, then all."""
    near = get_close_matches(str(name), vocabulary, n=1)
    hint = (f"，是否为 {near[0]}？", f"; did you mean {near[0]}?") if near else ("", "")
    known = ", ".join(sorted(vocabulary))
    return f"没有字段 {name!r}{hint[0]} / there is no field {name!r}{hint[1]} 可用 / known: {known}"


def _parse(raw: object, vocabulary: Vocabulary, place: str, faults: list[ConditionFault]) -> Condition | None:
    if place.count("[") + place.count("not") > _DEEPEST:
        faults.append(ConditionFault(place, "嵌套过深，请拆成几条规则 / nested too deeply; make several rules"))
        return None
    if not isinstance(raw, Mapping):
        faults.append(
            ConditionFault(
                place,
                f"{_cut(raw)} 不是条件，请写 {{field: …, 算符: …}} 或 all、any、not"
                f" / {_cut(raw)} is no condition; write {{field: ..., operator: ...}} or all, any, not",
            )
        )
        return None
    joins = [name for name in ("all", "any", "not") if name in raw]
    if joins:
        return _parse_join(raw, joins[0], vocabulary, place, faults)
    return _parse_comparison(raw, vocabulary, place, faults)


def _parse_join(
    raw: Mapping[Any, Any], join: str, vocabulary: Vocabulary, place: str, faults: list[ConditionFault]
) -> Condition | None:
    if len(raw) != 1:
        other = ", ".join(str(name) for name in raw if name != join)
        faults.append(
            ConditionFault(
                place, f"{join} 旁不能有 {other}，请分开写 / {other} cannot stand beside {join}; separate them"
            )
        )
        return None
    inner = f"{place}.{join}" if place else join
    if join == "not":
        part = _parse(raw["not"], vocabulary, inner, faults)
        return None if part is None else Not(part)
    listed = raw[join]
    if not isinstance(listed, Sequence) or isinstance(listed, str) or not listed:
        faults.append(
            ConditionFault(inner, f"{join} 须为非空列表 / {join} must be a list with at least one condition")
        )
        return None
    parts = [_parse(part, vocabulary, f"{inner}[{at}]", faults) for at, part in enumerate(listed)]
    found = tuple(part for part in parts if part is not None)
    return All(found) if join == "all" else AnyOf(found)


def _parse_comparison(
    raw: Mapping[Any, Any], vocabulary: Vocabulary, place: str, faults: list[ConditionFault]
) -> Comparison | None:
    def refuse(at: str, message: str) -> None:
        faults.append(ConditionFault(f"{place}.{at}" if place else at, message))

    if "field" not in raw:
        refuse("field", "缺少 field，请写明字段 / field is missing; name one")
        return None
    spec = vocabulary.get(raw["field"]) if isinstance(raw["field"], str) else None
    if spec is None:
        refuse("field", unknown_field(raw["field"], vocabulary))
        return None
    fitting = _OPERATORS[spec.type]
    given = [name for name in raw if name != "field"]
    if len(given) != 1 or given[0] not in {operator.value for operator in fitting}:
        operators = ", ".join(operator.value for operator in fitting)
        said = ", ".join(str(name) for name in given) or "-"
        refuse(
            spec.name,
            f"算符为 {said}；字段 {spec.name}（{spec.type}）须恰有其一：{operators}"
            f" / the operator is {said}; the field {spec.name} ({spec.type}) takes exactly one of {operators}",
        )
        return None
    operator = Operator(given[0])
    operand = _operand(raw[operator.value], spec, operator)
    if operand is None:
        wanted = _wanted(spec, operator)
        refuse(
            f"{spec.name}.{operator}",
            f"{_cut(raw[operator.value])} 不合适，须为{wanted[0]} / {_cut(raw[operator.value])} does not fit;"
            f" {wanted[1]} is needed",
        )
        return None
    return Comparison(spec, operator, operand)


def _operand(given: object, spec: FieldSpec, operator: Operator) -> Value:
    """The operand in the field's type; None when it is of another one."""
    if operator in (Operator.KNOWN, Operator.EMPTY) or spec.type is FieldType.BOOLEAN:
        return given if isinstance(given, bool) else None
    if operator in (Operator.ONE_OF, Operator.CONTAINS_ANY, Operator.INCLUDES_ANY):
        return _words(given)
    if spec.type is FieldType.NUMBER:
        if isinstance(given, int | float) and not isinstance(given, bool) and isfinite(given):
            return given
        return None
    return given if isinstance(given, str) and given else None


def _words(given: object) -> tuple[str, ...] | None:
    if not isinstance(given, list | tuple):
        return None
    words = tuple(one for one in given if isinstance(one, str) and one)
    return words if words and len(words) == len(given) else None


def _wanted(spec: FieldSpec, operator: Operator) -> Pair:
    if operator in (Operator.KNOWN, Operator.EMPTY) or spec.type is FieldType.BOOLEAN:
        return "true 或 false", "true or false"
    if operator in (Operator.ONE_OF, Operator.CONTAINS_ANY, Operator.INCLUDES_ANY):
        return "非空的文字列表", "a list of texts"
    return ("数字", "a number") if spec.type is FieldType.NUMBER else ("文字", "a text")


def _compare(condition: Comparison, value: Value) -> Trace:
    spec, operator, operand = condition.field, condition.operator, condition.operand
    zh, en = shown(value, spec)
    if operator is Operator.KNOWN:
        holds = truth_of((value is not None) == operand)
        return Trace(holds, (f"{spec.zh}：{zh}", f"{spec.en}: {en}"))
    if operator is Operator.EMPTY:
        holds = Truth.UNKNOWN if value is None else truth_of((not value) == operand)
        return Trace(holds, (f"{spec.zh}：{zh}", f"{spec.en}: {en}"))
    limit = shown(operand, spec)
    sign = _SIGNS[operator]
    says = (f"{spec.zh} {zh}（{sign}{limit[0]}）", f"{spec.en} {en} ({sign}{limit[1]})")
    return Trace(Truth.UNKNOWN if value is None else truth_of(_holds(value, operator, operand)), says)


def _holds(value: Any, operator: Operator, operand: Any) -> bool:
    match operator:
        case Operator.IS | Operator.EQUALS:
            return bool(value == operand)
        case Operator.ONE_OF:
            return value in operand
        case Operator.CONTAINS_ANY:
            return any(word.casefold() in value.casefold() for word in operand)
        case Operator.INCLUDES_ANY:
            return not set(value).isdisjoint(operand)
        case Operator.AT_LEAST:
            return bool(value >= operand)
        case Operator.AT_MOST:
            return bool(value <= operand)
        case Operator.ABOVE:
            return bool(value > operand)
        case Operator.BELOW:
            return bool(value < operand)
        case Operator.KNOWN | Operator.EMPTY:
            raise AssertionError("these two are judged before: they need no operand of the field's type")


def _cut(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"

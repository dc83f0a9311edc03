"""What a pydantic form says when it refuses a value, as rules that people read: 中文 / English, in one line.

Who calls this: readers of files in a form (pool catalogue, freezes, wave plans), to say place, value and rule.
Pydantic's own messages are English only; a message that we raise in a validator has both languages already.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pydantic import ValidationError

_LONGEST_VALUE = 60
# By pydantic's error type; {…} are the names of its context. A type that is not listed keeps its English.
_RULES: Mapping[str, tuple[str, str]] = {
    "missing": ("缺少此项，请补上", "is missing; add it"),
    "extra_forbidden": ("没有此项，请删除", "is not known here; remove it"),
    "greater_than_equal": ("不得小于 {ge}", "must be at least {ge}"),
    "greater_than": ("须大于 {gt}", "must be more than {gt}"),
    "less_than_equal": ("不得大于 {le}", "must be at most {le}"),
    "less_than": ("须小于 {lt}", "must be less than {lt}"),
    "int_parsing": ("须为整数", "must be a whole number"),
    "int_from_float": ("须为整数", "must be a whole number"),
    "int_type": ("须为整数", "must be a whole number"),
    "float_parsing": ("须为数字", "must be a number"),
    "float_type": ("须为数字", "must be a number"),
    "finite_number": ("须为有限的数字", "must be a finite number"),
    "string_type": ("须为文字", "must be text"),
    "string_too_short": ("不得少于 {min_length} 个字符", "must have at least {min_length} characters"),
    "string_too_long": ("不得多于 {max_length} 个字符", "must have at most {max_length} characters"),
    "string_pattern_mismatch": ("须符合 {pattern}", "must match {pattern}"),
    "too_short": ("不得少于 {min_length} 项", "must have at least {min_length} entries"),
    "too_long": ("不得多于 {max_length} 项", "must have at most {max_length} entries"),
    "enum": ("须为 {expected} 之一", "must be {expected}"),
    "literal_error": ("须为 {expected}", "must be {expected}"),
    "date_from_datetime_parsing": ("须为 YYYY-MM-DD 的日期", "must be a date, YYYY-MM-DD"),
    "date_parsing": ("须为 YYYY-MM-DD 的日期", "must be a date, YYYY-MM-DD"),
    "date_type": ("须为 YYYY-MM-DD 的日期", "must be a date, YYYY-MM-DD"),
    "datetime_from_date_parsing": ("须为 ISO 8601 的时刻", "must be a moment as ISO 8601"),
    "datetime_parsing": ("须为 ISO 8601 的时刻", "must be a moment as ISO 8601"),
    "timezone_aware": ("须带时区，例如 +08:00", "must have a time zone, for example +08:00"),
    "timezone_naive": ("须为当地时间，不带时区", "must be local time, without a zone"),
    "bool_parsing": ("须为 true 或 false", "must be true or false"),
    "bool_type": ("须为 true 或 false", "must be true or false"),
    "json_invalid": ("不是合法的 JSON（{error}）", "is not valid JSON ({error})"),
    "model_type": ("须为一组有名称的项", "must be an object with named fields"),
    "model_attributes_type": ("须为一组有名称的项", "must be an object with named fields"),
    "dict_type": ("须为一组有名称的项", "must be an object with named fields"),
    "tuple_type": ("须为列表", "must be a list"),
    "list_type": ("须为列表", "must be a list"),
    "frozen_set_type": ("须为列表", "must be a list"),
}


@dataclass(frozen=True, slots=True)
class FormFault:
    """One refused value. `place` is the path of field names and positions ("" for the whole); `value` is as given,
    cut when long; `rule` is what it should be, in both languages."""

    place: tuple[str | int, ...]
    value: str
    rule: str


def form_faults(refusal: ValidationError) -> Iterator[FormFault]:
    """Each fault that pydantic found, in its order. A list is not called too short for entries that are refused themselves."""
    errors = refusal.errors(include_url=False)
    inside = {error["loc"][:depth] for error in errors for depth in range(len(error["loc"]))}
    for error in errors:
        if error["type"] == "too_short" and error["loc"] in inside:
            continue
        known = _RULES.get(error["type"])
        if known is None:
            rule = error["msg"].removeprefix("Value error, ")
        else:
            context = error.get("ctx", {})
            rule = f"{known[0].format(**context)} / {known[1].format(**context)}"
        yield FormFault(tuple(error["loc"]), _shown(error["input"]), rule)


def _shown(value: object) -> str:
    if isinstance(value, Mapping):
        return "{…}"
    if isinstance(value, list | tuple | set | frozenset):
        return "[…]"
    shown = value if isinstance(value, int | float | bool | None) else str(value)
    text = repr(shown)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"

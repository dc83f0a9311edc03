"""The condition language: what it refuses, and what it holds for true, false and unknown."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inventory.rules.condition import FieldSpec, FieldType, Value, fields_in, judge, parse_condition
from inventory.rules.truth import Truth

WORDS = {
    spec.name: spec
    for spec in (
        FieldSpec("closed", FieldType.BOOLEAN, "已关停", "closed"),
        FieldSpec("users", FieldType.NUMBER, "用户数", "users"),
        FieldSpec("zone", FieldType.TEXT, "网络区域", "zone"),
        FieldSpec("used_by", FieldType.NAMES, "使用者", "used by"),
    )
}


@pytest.mark.parametrize(
    ("case", "raw", "place", "fragment"),
    [
        ("an unknown field lists the known ones", {"field": "user", "at_most": 5}, "field", "users"),
        ("and proposes the nearest", {"field": "user", "at_most": 5}, "field", "是否为 users"),
        ("a number is not asked by is", {"field": "users", "is": True}, "users", "at_least"),
        ("two operators are refused", {"field": "users", "at_least": 1, "below": 5}, "users", "exactly one"),
        ("no operator is refused", {"field": "users"}, "users", "exactly one"),
        ("a text is no number", {"field": "users", "at_most": "5"}, "users.at_most", "a number"),
        ("true is no number", {"field": "users", "at_most": True}, "users.at_most", "a number"),
        ("not a number at all", {"field": "users", "at_most": float("nan")}, "users.at_most", "a number"),
        ("1 is no truth", {"field": "closed", "is": 1}, "closed.is", "true or false"),
        ("a list of texts is needed", {"field": "zone", "one_of": "互联网"}, "zone.one_of", "a list of texts"),
        ("an empty list holds nothing", {"field": "zone", "one_of": []}, "zone.one_of", "a list of texts"),
        ("names are not equal to a text", {"field": "used_by", "equals": "甲"}, "used_by", "includes_any"),
        ("all needs parts", {"all": []}, "all", "at least one"),
        ("all stands alone", {"all": [{"field": "closed", "is": True}], "any": []}, "", "beside"),
        ("a text is no condition", "closed", "", "no condition"),
        ("nothing is no condition", None, "", "no condition"),
        ("the place of a nested fault", {"all": [{"not": {"field": "nope"}}]}, "all[0].not.field", "nope"),
    ],
)
def test_a_faulty_condition_is_refused_with_its_place(case: str, raw: Any, place: str, fragment: str) -> None:
    condition, faults = parse_condition(raw, WORDS)
    assert condition is None, case
    assert faults[0].place == place, case
    assert fragment in faults[0].message, case
    assert " / " in faults[0].message


def test_every_fault_is_reported_in_one_go() -> None:
    _, faults = parse_condition({"any": [{"field": "a"}, {"field": "b"}, {"field": "users", "below": "x"}]}, WORDS)
    assert len(faults) == 3


def test_a_condition_without_end_is_refused_and_not_followed() -> None:
    endless: dict[str, Any] = {}
    endless["not"] = endless
    assert "nested too deeply" in parse_condition(endless, WORDS)[1][0].message


@pytest.mark.parametrize(
    ("case", "raw", "facts", "truth"),
    [
        ("a fact that fits", {"field": "users", "at_most": 5}, {"users": 5}, "true"),
        ("above is more than", {"field": "users", "above": 5}, {"users": 5}, "false"),
        ("unknown is not small", {"field": "users", "at_most": 5}, {}, "unknown"),
        ("unknown is not no", {"field": "closed", "is": False}, {"closed": None}, "unknown"),
        ("that it is unknown is known", {"field": "users", "known": False}, {}, "true"),
        ("not unknown stays unknown", {"not": {"field": "closed", "is": True}}, {}, "unknown"),
        ("0 is known", {"field": "users", "known": True}, {"users": 0}, "true"),
        ("words are found in any case", {"field": "zone", "contains_any": ["VPN"]}, {"zone": "vpn 专区"}, "true"),
        ("no names is empty", {"field": "used_by", "empty": True}, {"used_by": ()}, "true"),
        ("unknown names are not empty", {"field": "used_by", "empty": True}, {}, "unknown"),
        ("one of the names", {"field": "used_by", "includes_any": ["乙"]}, {"used_by": ("甲", "乙")}, "true"),
        (
            "one false decides all",
            {"all": [{"field": "users", "below": 5}, {"field": "closed", "is": True}]},
            {"closed": False},
            "false",
        ),
        (
            "one true decides any",
            {"any": [{"field": "users", "below": 5}, {"field": "closed", "is": True}]},
            {"closed": True},
            "true",
        ),
    ],
)
def test_a_condition_under_facts(case: str, raw: Any, facts: dict[str, Value], truth: str) -> None:
    condition, faults = parse_condition(raw, WORDS)
    assert condition is not None, faults
    trace = judge(condition, facts)
    assert trace.truth == truth, case
    assert {"users", "zone", "closed", "used_by"} >= set(fields_in(condition))


def test_the_trace_names_fact_limit_and_unit_in_both_languages() -> None:
    condition, _ = parse_condition({"all": [{"field": "users", "at_most": 5}]}, WORDS)
    assert condition is not None
    (said,) = [one.says for one in judge(condition, {"users": 3}).comparisons()]
    assert said == ("用户数 3（≤5）", "users 3 (≤5)")


comparisons = st.one_of(
    st.builds(lambda n: {"field": "users", "at_most": n}, st.integers(-3, 3)),
    st.builds(lambda n: {"field": "users", "above": n}, st.integers(-3, 3)),
    st.builds(lambda yes: {"field": "closed", "is": yes}, st.booleans()),
    st.builds(lambda zone: {"field": "zone", "one_of": [zone]}, st.sampled_from("甲乙")),
)
conditions = st.recursive(
    comparisons,
    lambda inner: st.one_of(
        st.builds(lambda parts: {"all": parts}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda parts: {"any": parts}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda part: {"not": part}, inner),
    ),
    max_leaves=8,
)
facts = st.fixed_dictionaries(
    {"users": st.integers(-3, 3), "closed": st.booleans(), "zone": st.sampled_from("甲乙")}
)


@settings(deadline=None)
@given(conditions, facts, st.sets(st.sampled_from(["users", "closed", "zone"])))
def test_what_is_decided_with_few_facts_stays_decided_with_more(
    raw: Any, known: dict[str, Value], hidden: set[str]
) -> None:
    condition, _ = parse_condition(raw, WORDS)
    assert condition is not None
    few = judge(condition, {name: value for name, value in known.items() if name not in hidden}).truth
    more = judge(condition, known).truth
    assert more is not Truth.UNKNOWN
    assert few in (more, Truth.UNKNOWN)


words_of_the_language = st.sampled_from(["all", "any", "not", "field", "is", "users"])
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words_of_the_language, inner, max_size=3),
    max_leaves=10,
)


@settings(deadline=None)
@given(anything)
def test_no_content_makes_the_reader_fail_otherwise_than_by_faults(raw: Any) -> None:
    condition, faults = parse_condition(raw, WORDS)
    assert (condition is None) == bool(faults)

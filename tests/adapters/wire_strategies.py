"""Whatever may go over the wire, as Hypothesis draws it: shared by the tests of converters and of what is made of them."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import strategies as st

from inventory.model.constraints import (
    AcceleratorKind,
    Affinity,
    InputPlace,
    NodeSelector,
    SelectorOperator,
    Spread,
    Toleration,
)
from inventory.model.system import Architecture, Zone
from inventory.model.units import Resources
from inventory.model.workload import Program, Requirements, Submission

words = st.text(st.characters(categories=("L", "N")), min_size=1, max_size=12)
ids = st.from_regex(r"[a-z0-9][a-z0-9-]{0,20}", fullmatch=True)
times = st.integers(0, 4_102_444_800_000)  # to the year 2100
durations = st.integers(0, 10 * 366 * 86_400_000)
amounts = st.builds(
    Resources, st.integers(1, 10**9), st.integers(0, 2**50), st.integers(0, 2**60), st.integers(0, 10**9)
)
per_task = st.builds(
    Resources,
    st.integers(1, 10**9),
    st.integers(0, 2**50),
    st.integers(0, 2**60),
    st.integers(0, 999) | st.integers(0, 64).map(lambda cards: cards * 1000),
)
label_sets = st.dictionaries(ids, words, max_size=3).map(lambda given: frozenset(given.items()))
some_values = st.frozensets(words, min_size=1, max_size=3)
selectors = st.builds(
    NodeSelector, ids, st.sampled_from([SelectorOperator.IN, SelectorOperator.NOT_IN]), some_values
) | st.builds(NodeSelector, ids, st.sampled_from([SelectorOperator.EXISTS, SelectorOperator.DOES_NOT_EXIST]))
requirements = st.builds(
    Requirements,
    per_task,
    st.integers(1, 10),
    st.none() | st.sampled_from(Zone),
    st.integers(0, 4),
    st.frozensets(st.sampled_from(Architecture)),
    st.none() | ids,
    st.frozensets(ids, max_size=3),
    st.none() | st.sampled_from(AcceleratorKind),
    st.frozensets(selectors, max_size=2),
    st.frozensets(st.builds(Toleration, ids | st.just("*"), st.just("") | words), max_size=2),
    label_sets,
    st.frozensets(st.builds(Affinity, label_sets.filter(bool), ids, st.booleans()), max_size=2),
    st.frozensets(st.builds(Spread, ids, st.integers(1, 9)), max_size=2),
    st.none() | ids,
    st.integers(0, 9),
)
settings_of_programs: st.SearchStrategy[Mapping[str, str]] = st.dictionaries(
    st.from_regex(r"[A-J_]{1,8}", fullmatch=True), words, max_size=3
)
programs = st.builds(
    Program, st.lists(words, min_size=1, max_size=4).map(tuple), st.none() | ids, settings_of_programs
)
submissions = st.builds(
    Submission,
    queue=ids,
    client_key=words,
    name=words,
    requirements=requirements,
    program=programs,
    priority=st.integers(0, 1000),
    max_attempts=st.integers(1, 100),
    after=st.lists(words, max_size=3).map(tuple),
    estimated_ms=durations,
    max_runtime_ms=durations,
    labels=st.dictionaries(words, words, max_size=3),
    inputs=st.lists(st.builds(InputPlace, words, st.integers(0, 2**60)), max_size=2).map(tuple),
)

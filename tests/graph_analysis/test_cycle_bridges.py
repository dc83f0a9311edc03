"""The cheapest bridges for a cycle, the critical path, and measured against declared: each against a naive twin."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inventory.graph import Flow, Observation, SystemGraph, compare_traffic, order_of_cycle, split_cycle
from inventory.graph.cycles import MOST_FOR_EXACT

Weights = dict[tuple[str, str], int]


@st.composite
def weighted_cycles(draw: st.DrawFn, most: int = 6) -> tuple[list[str], Weights]:
    """A ring of systems, so that it is one cycle, with more dependencies across it."""
    keys = [f"s{at}" for at in range(draw(st.integers(2, most)))]
    ring = {(keys[at - 1], keys[at]) for at in range(len(keys))}
    pairs = [(a, b) for a in keys for b in keys if a != b]
    more = draw(st.sets(st.sampled_from(pairs)))
    return keys, {edge: draw(st.integers(0, 20)) for edge in sorted(ring | more)}


def cost_of(order: tuple[str, ...], weights: Weights) -> int:
    place = {key: at for at, key in enumerate(order)}
    return sum(weight for (user, used), weight in weights.items() if place[user] < place[used])


@settings(deadline=None)
@given(weighted_cycles())
def test_no_order_is_cheaper_than_the_split(cycle: tuple[list[str], Weights]) -> None:
    keys, weights = cycle
    split = split_cycle(keys, weights)
    assert split.is_least
    assert split.cost == cost_of(split.order, weights) == sum(weights[edge] for edge in split.bridges)
    assert split.cost == min(cost_of(order, weights) for order in permutations(keys))


@settings(deadline=None)
@given(weighted_cycles())
def test_without_its_bridges_nothing_of_the_cycle_is_left(cycle: tuple[list[str], Weights]) -> None:
    keys, weights = cycle
    bridges = set(split_cycle(keys, weights).bridges)
    kept: dict[str, list[str]] = {key: [] for key in keys}
    for user, used in weights.keys() - bridges:
        kept[user].append(used)
    assert SystemGraph(keys, kept).cycles() == ()


@settings(deadline=None)
@given(weighted_cycles(), st.randoms(use_true_random=False))
def test_the_split_does_not_depend_on_the_order_of_its_input(cycle: tuple[list[str], Weights], random) -> None:  # type: ignore[no-untyped-def]  # hypothesis' own Random
    keys, weights = cycle
    mixed, edges = list(keys), list(weights)
    random.shuffle(mixed)
    random.shuffle(edges)
    assert split_cycle(mixed, {edge: weights[edge] for edge in edges}) == split_cycle(keys, weights)


def test_a_cycle_too_large_to_be_exact_says_so() -> None:
    keys = [f"s{at:02}" for at in range(MOST_FOR_EXACT + 1)]
    ring = {(keys[at - 1], key): 3 for at, key in enumerate(keys)}
    split = split_cycle(keys, ring)
    assert not split.is_least
    assert split.order == order_of_cycle(keys, ring)
    assert split.cost == 3


def test_the_heavy_dependency_is_kept_and_the_light_one_bridged() -> None:
    split = split_cycle(["a", "b"], {("a", "b"): 1, ("b", "a"): 50})
    assert split.bridges == (("a", "b"),)
    assert split.order == ("a", "b")


@st.composite
def graphs(draw: st.DrawFn) -> tuple[list[str], dict[str, set[str]], dict[str, int]]:
    keys = [f"s{at}" for at in range(draw(st.integers(1, 6)))]
    uses = {key: draw(st.sets(st.sampled_from(keys), max_size=3)) for key in keys}
    return keys, uses, {key: draw(st.integers(0, 9)) for key in keys}


def heaviest_chain(keys: list[str], uses: dict[str, set[str]], weights: dict[str, int]) -> int:
    """Over all simple paths: a chain may pass through all of a cycle, so only acyclic graphs are compared."""

    def from_(key: str) -> int:
        return weights[key] + max((from_(used) for used in uses[key] if used != key), default=0)

    return max(from_(key) for key in keys)


@settings(deadline=None)
@given(graphs())
def test_the_critical_path_is_the_heaviest_chain(
    graph: tuple[list[str], dict[str, set[str]], dict[str, int]],
) -> None:
    keys, uses, weights = graph
    built = SystemGraph(keys, uses)
    path = built.critical_path(weights)
    assert path.length == sum(weights[key] for step in path.steps for key in step)
    for below, above in zip(path.steps, path.steps[1:], strict=False):
        assert any(used in below for key in above for used in built.uses(key))
    if not built.cycles():
        assert path.length == heaviest_chain(keys, uses, weights)


def test_a_cycle_is_one_step_of_the_critical_path() -> None:
    graph = SystemGraph("abc", {"a": ["b"], "b": ["a", "c"]})
    path = graph.critical_path({"a": 2, "b": 3, "c": 5})
    assert path.steps == (("c",), ("a", "b"))
    assert path.length == 10


def test_an_empty_ledger_has_no_critical_path() -> None:
    assert SystemGraph((), {}).critical_path().steps == ()


DECLARED = {"门户": ["认证"], "审批": ["认证"], "档案": ["认证"]}


@pytest.mark.parametrize(
    ("case", "flows", "observed", "expected"),
    [
        ("traffic confirms what is declared", [Flow("门户", "认证", 9, 0)], ["门户", "认证"], "confirmed"),
        ("bytes alone are traffic", [Flow("门户", "认证", 0, 9)], ["门户", "认证"], "confirmed"),
        ("both watched and nothing seen is unseen", [], ["门户", "认证"], "unseen"),
        ("a flow of nothing is no traffic", [Flow("门户", "认证", 0, 0)], ["门户", "认证"], "unseen"),
        ("a system that was not watched refutes nothing", [], ["门户"], "unobserved"),
        ("traffic the other way refutes nothing else", [Flow("认证", "门户", 9, 0)], ["门户", "认证"], "unseen"),
    ],
)
def test_declared_against_measured(case: str, flows: list[Flow], observed: list[str], expected: str) -> None:
    found = {(one.user, one.used): one.observation for one in compare_traffic(DECLARED, flows, observed)}
    assert found["门户", "认证"] == expected, case
    assert found["审批", "认证"] is Observation.UNOBSERVED


def test_what_nobody_declared_is_named_with_its_sum() -> None:
    flows = [Flow("审批", "支付", 3, 10), Flow("审批", "支付", 4, 20), Flow("审批", "审批", 99, 99)]
    (found,) = [one for one in compare_traffic(DECLARED, flows, []) if one.observation is Observation.UNDECLARED]
    assert (found.user, found.used, found.requests, found.bytes) == ("审批", "支付", 7, 30)

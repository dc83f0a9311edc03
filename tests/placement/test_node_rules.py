"""What workloads ask of nodes beyond amounts: labels, taints, kinds of cards, affinity, spread, gangs in one domain."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inventory.model.constraints import (
    AcceleratorKind,
    Affinity,
    NodeSelector,
    SelectorOperator,
    Spread,
    Taint,
    Toleration,
    labels,
)
from inventory.model.placement import Reason, ReasonCode
from inventory.model.pool import Node
from inventory.model.system import Architecture
from inventory.model.units import TIB, Resources
from inventory.model.workload import Requirements
from scheduler.core.placement.pool_state import PoolState
from scheduler.core.placement.protocol import NodeBatch
from tests.cycle.fakes import amount

X86 = Architecture.X86_64
WEB, DB = labels({"app": "web"}), labels({"app": "db"})
IN, NOT_IN, EXISTS, ABSENT = SelectorOperator


def a_node(name: str, offer: Resources | None = None, **more: object) -> Node:
    return Node(name, X86, offer or amount(4, 8), **more)  # type: ignore[arg-type]  # the builder's keys are Node's


def racks(count: int, nodes: int, offer: Resources | None = None) -> list[Node]:
    return [a_node(f"r{r}n{n}", offer, rack=f"r{r}") for r in range(count) for n in range(nodes)]


def ask(
    state: PoolState, run_id: str, per_task: Resources | None = None, **more: object
) -> tuple[str, ...] | Reason:
    asked = Requirements(per_task or amount(1, 1), **more)  # type: ignore[arg-type]  # keys are Requirements' fields
    answers = state.place(NodeBatch.of([(run_id, asked)]))
    return answers.nodes_of(0) if answers.granted[0] else answers.refusals[0]


def refused(answer: tuple[str, ...] | Reason) -> Reason:
    assert isinstance(answer, Reason)
    return answer


LABELLED = [
    a_node("a-old", labels=labels({"gen": "old"})),
    a_node("b-new", labels=labels({"gen": "new", "disk": "ssd"})),
    a_node("c-bare"),
]
SELECTORS = [
    ("a value", NodeSelector("gen", IN, frozenset({"new"})), {"b-new"}),
    ("one of several values", NodeSelector("gen", IN, frozenset({"new", "old"})), {"a-old", "b-new"}),
    (
        "not a value takes nodes without the label too",
        NodeSelector("gen", NOT_IN, frozenset({"old"})),
        {"b-new", "c-bare"},
    ),
    ("any value", NodeSelector("gen", EXISTS), {"a-old", "b-new"}),
    ("without the label", NodeSelector("gen", ABSENT), {"c-bare"}),
]


@pytest.mark.parametrize(("selector", "nodes"), [pytest.param(*row[1:], id=row[0]) for row in SELECTORS])
def test_a_node_selector_takes(selector: NodeSelector, nodes: set[str]) -> None:
    state = PoolState(TIB, LABELLED)
    found = ask(state, "r", amount(4, 1), tasks=len(nodes), node_selectors=frozenset({selector}))
    assert set(found) == nodes  # type: ignore[arg-type]  # a reason is not a set of nodes


def test_labels_that_no_node_has_are_refused_with_the_count() -> None:
    wanted = frozenset({NodeSelector("gen", IN, frozenset({"next"}))})
    reason = refused(ask(PoolState(TIB, LABELLED), "r", node_selectors=wanted))
    assert (reason.code, reason.needed) == (ReasonCode.NODE_SELECTOR, "gen=next")
    assert [(one.code, one.nodes) for one in reason.nodes] == [(ReasonCode.NODE_SELECTOR, 3)]


def test_a_taint_keeps_away_whoever_does_not_tolerate_it() -> None:
    state = PoolState(TIB, [a_node("n", taints=frozenset({Taint("team", "ai")}))])
    reason = refused(ask(state, "r"))
    assert reason.code is ReasonCode.TAINTED and "team=ai" in reason.remedy_en
    for i, tolerated in enumerate((Toleration("team", "ai"), Toleration("team"), Toleration("*"))):
        assert ask(state, f"r{i}", tolerations=frozenset({tolerated})) == ("n",)
    assert refused(ask(state, "x", tolerations=frozenset({Toleration("team", "hpc")}))).code is ReasonCode.TAINTED


def test_a_kind_of_card_is_found_by_its_models() -> None:
    nodes = [
        a_node("a", amount(4, 8, 2), accelerator="A800"),
        a_node("b", amount(4, 8, 2), accelerator="Ascend910B"),
    ]
    state = PoolState(TIB, nodes)
    assert ask(state, "r", amount(1, 1, 1), accelerator_kind=AcceleratorKind.ASCEND) == ("b",)
    reason = refused(ask(state, "s", amount(1, 1, 1), accelerator_kind=AcceleratorKind.CAMBRICON))
    assert (reason.code, reason.needed) == (ReasonCode.ACCELERATOR, "寒武纪")


class TestSharedCards:
    def test_two_halves_share_a_card_and_a_third_task_needs_another(self) -> None:
        state = PoolState(TIB, [a_node("n", amount(8, 8, 2), accelerator="A800")])
        for run_id in ("a", "b", "c"):
            assert ask(state, run_id, amount(1, 1, 0.5)) == ("n",)
        assert [state.held.cards(run_id).tolist() for run_id in ("a", "b", "c")] == [[1], [1], [2]]

    def test_rests_on_several_cards_do_not_make_a_card(self) -> None:
        state = PoolState(TIB, [a_node("n", amount(8, 8, 2), accelerator="A800")])
        for run_id in ("a", "b"):
            ask(state, run_id, amount(1, 1, 0.7))
        reason = refused(ask(state, "c", amount(1, 1, 0.5)))
        assert reason.code is ReasonCode.FRAGMENTED
        assert reason.remedy_en == "wait until it is free: at best 1 node short of 0.2 cards"

    def test_one_and_a_half_cards_are_refused_with_the_remedy(self) -> None:
        state = PoolState(TIB, [a_node("n", amount(8, 8, 2), accelerator="A800")])
        reason = refused(ask(state, "a", amount(1, 1, 1.5)))
        assert reason.remedy_en == "ask for 1 or 2 whole cards per task"

    def test_a_node_with_more_cards_than_can_be_told_apart_is_named(self) -> None:
        with pytest.raises(ValueError, match="node big has 64 cards; at most 32"):
            PoolState(TIB, [a_node("big", amount(8, 8, 64), accelerator="A800")])


class TestNeighbours:
    def test_affinity_puts_a_task_where_the_other_runs(self) -> None:
        state = PoolState(TIB, racks(3, 2))
        (db,) = ask(state, "db", placement_labels=DB, node_selectors=frozenset())  # type: ignore[misc]
        near = frozenset({Affinity(DB, "rack")})
        for i in range(3):
            (node,) = ask(state, f"web{i}", affinities=near)  # type: ignore[misc]
            assert str(node)[:2] == str(db)[:2]

    def test_affinity_to_nobody_is_refused_until_somebody_runs(self) -> None:
        state = PoolState(TIB, racks(2, 1))
        reason = refused(ask(state, "web", affinities=frozenset({Affinity(DB)})))
        assert reason.code is ReasonCode.AFFINITY
        assert [(one.code, one.nodes) for one in reason.nodes] == [(ReasonCode.AFFINITY, 2)]
        ask(state, "db", placement_labels=DB)
        assert ask(state, "web", affinities=frozenset({Affinity(DB)})) == ("r0n0",)

    def test_affinity_to_its_own_labels_is_met_by_its_first_task(self) -> None:
        state = PoolState(TIB, racks(3, 2))
        mine = {"placement_labels": WEB, "affinities": frozenset({Affinity(WEB, "rack")})}
        nodes = ask(state, "web", amount(4, 1), tasks=2, **mine)
        assert nodes == ("r0n0", "r0n1")

    def test_anti_affinity_works_in_both_directions(self) -> None:
        state = PoolState(TIB, racks(2, 1))
        assert ask(state, "db", affinities=frozenset({Affinity(WEB, "rack", anti=True)})) == ("r0n0",)
        assert ask(state, "web", placement_labels=WEB) == ("r1n0",)
        state.release("db")
        assert ask(state, "web2", placement_labels=WEB) == ("r1n0",) or ask(state, "web3") is not None
        assert (
            refused(ask(state, "db2", tasks=2, affinities=frozenset({Affinity(WEB, "pool", anti=True)}))).code
            is ReasonCode.AFFINITY
        )

    def test_a_released_neighbour_no_longer_counts(self) -> None:
        state = PoolState(TIB, racks(1, 1))
        ask(state, "web", placement_labels=WEB)
        away = frozenset({Affinity(WEB, "pool", anti=True)})
        assert refused(ask(state, "db", affinities=away)).code is ReasonCode.AFFINITY
        state.release("web")
        assert ask(state, "db", affinities=away) == ("r0n0",)


class TestGangs:
    def test_a_gang_of_one_rack_takes_the_fullest_rack_that_holds_it(self) -> None:
        state = PoolState(TIB, racks(3, 2))
        ask(state, "x", amount(4, 1), node_selectors=frozenset())
        nodes = ask(state, "gang", amount(4, 1), tasks=2, gang_topology="rack")
        assert nodes == ("r1n0", "r1n1")

    def test_a_gang_that_no_rack_holds_is_refused_though_the_pool_would(self) -> None:
        state = PoolState(TIB, racks(3, 2))
        reason = refused(ask(state, "gang", amount(4, 1), tasks=3, gang_topology="rack"))
        assert reason.code is ReasonCode.AFFINITY
        assert state.totals().held == Resources()

    def test_a_gang_of_one_node(self) -> None:
        state = PoolState(TIB, racks(1, 3))
        ask(state, "x", amount(2, 1))
        assert ask(state, "gang", amount(1, 1), tasks=3, gang_topology="node") == ("r0n1",) * 3

    def test_at_most_so_many_tasks_a_node(self) -> None:
        found = ask(PoolState(TIB, racks(1, 3)), "r", tasks=5, tasks_per_node=2)
        assert sorted(Counter(found).values()) == [1, 2, 2]  # type: ignore[arg-type]  # nodes

    def test_a_spread_gang_differs_by_one_at_most(self) -> None:
        found = ask(PoolState(TIB, racks(3, 2)), "r", tasks=7, spreads=frozenset({Spread("rack", 1)}))
        assert sorted(Counter(str(node)[:2] for node in found).values()) == [2, 2, 3]  # type: ignore[union-attr]


rules = st.fixed_dictionaries(
    {
        "placement_labels": st.sampled_from([frozenset(), WEB, DB]),
        "affinities": st.frozensets(
            st.builds(Affinity, st.sampled_from([WEB, DB]), st.sampled_from(["node", "rack"]), st.booleans()),
            max_size=2,
        ),
        "spreads": st.frozensets(
            st.builds(Spread, st.sampled_from(["node", "rack"]), st.integers(1, 2)), max_size=1
        ),
        "gang_topology": st.sampled_from([None, None, "rack", "node"]),
        "tasks_per_node": st.sampled_from([0, 0, 1, 2]),
        "tasks": st.integers(1, 3),
    }
)


@settings(max_examples=60, deadline=None)
@given(asked=st.lists(rules, min_size=1, max_size=8))
def test_whatever_is_placed_keeps_every_rule_at_the_moment_it_is_placed(asked: list[dict[str, object]]) -> None:
    state = PoolState(TIB, racks(3, 2))
    running: list[tuple[Requirements, tuple[str, ...]]] = []
    for i, rule in enumerate(asked):
        wanted = Requirements(amount(1, 1), **rule)  # type: ignore[arg-type]  # keys are Requirements' fields
        found = ask(state, f"r{i}", **rule)
        if isinstance(found, Reason):
            continue
        if wanted.gang_topology:
            assert len({domain(node, wanted.gang_topology) for node in found}) == 1
        if wanted.tasks_per_node:
            assert max(Counter(found).values()) <= wanted.tasks_per_node
        for affinity in wanted.affinities:
            near = {
                domain(n, affinity.topology)
                for o, ns in running
                for n in ns
                if affinity.labels <= o.placement_labels
            }
            mine = {domain(node, affinity.topology) for node in found}
            if affinity.anti:
                assert not near & mine
            elif not affinity.labels <= wanted.placement_labels:
                assert mine <= near
        for other, nodes in running:
            for affinity in other.affinities:
                if affinity.anti and affinity.labels <= wanted.placement_labels:
                    theirs = {domain(node, affinity.topology) for node in nodes}
                    assert not theirs & {domain(node, affinity.topology) for node in found}
        running.append((wanted, found))


def domain(node: str, topology: str) -> str:
    return node if topology == "node" else node[:2]

"""The dependency graph: names made into keys, move groups, cycles, blast radius, and where to cut a cycle."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.graph import (
    GroupCause,
    SystemGraph,
    build_graph,
    move_groups,
    order_of_cycle,
    resolve_names,
    strong_components,
)
from inventory.model.system import Disposition, System
from tests.waves.estates import a_system, key


def in_department(name: str, department: str, *uses: str) -> System:
    return replace(a_system(name, *uses), department=department)


def test_a_name_is_found_whatever_its_width_and_spaces() -> None:
    resolution = resolve_names([a_system("门户", "数据 共享平台(A)"), a_system("数据共享平台(A)")])
    assert resolution.uses[key("门户")] == (key("数据共享平台(A)"),)
    assert not resolution.unresolved


def test_a_name_in_the_own_department_is_meant_before_one_elsewhere() -> None:
    resolution = resolve_names(
        [
            in_department("门户", "甲局", "档案系统"),
            in_department("档案系统", "甲局"),
            in_department("档案系统", "乙局"),
        ]
    )
    assert resolution.uses["甲局/门户"] == ("甲局/档案系统",)


@pytest.mark.parametrize(
    ("others", "candidates"),
    [
        pytest.param([], (), id="a name that nobody bears is reported"),
        pytest.param(
            [in_department("档案系统", "甲局"), in_department("档案系统", "乙局")],
            ("甲局/档案系统", "乙局/档案系统"),
            id="a name that two other departments bear is reported with both, and no edge is guessed",
        ),
    ],
)
def test_a_name_that_is_no_one_system_is_reported(others: list[System], candidates: tuple[str, ...]) -> None:
    resolution = resolve_names([in_department("门户", "丙局", "档案系统"), *others])
    assert [(each.user, each.name, each.candidates) for each in resolution.unresolved] == [
        ("丙局/门户", "档案系统", candidates)
    ]
    assert resolution.uses["丙局/门户"] == ()


def test_an_edge_points_from_the_dependent_to_what_it_uses() -> None:
    graph, _ = build_graph([a_system("门户", "认证"), a_system("认证")])
    assert graph.uses(key("门户")) == (key("认证"),)
    assert graph.used_by(key("认证")) == (key("门户"),)


def test_the_blast_radius_is_everyone_who_depends_directly_or_not() -> None:
    graph = SystemGraph("abcde", {"a": "b", "b": "c", "d": "c"})
    assert graph.blast_radius("c") == ("a", "b", "d")
    assert graph.blast_sizes() == {"a": 0, "b": 1, "c": 3, "d": 0, "e": 0}


def test_the_members_of_a_cycle_are_in_each_others_blast_radius() -> None:
    graph = SystemGraph("abcd", {"a": "b", "b": "a", "c": "a", "a2": ""} | {"d": "c"})
    assert graph.blast_sizes()["a"] == graph.blast_sizes()["b"] == 3
    assert graph.blast_radius("a") == ("b", "c", "d")


def test_cycles_are_named_and_a_self_reference_is_none() -> None:
    graph = SystemGraph("abcd", {"a": "b", "b": "ac", "c": "c", "d": "a"})
    assert graph.cycles() == (("a", "b"),)


def test_depth_counts_from_what_uses_nothing() -> None:
    graph = SystemGraph("abcd", {"a": "b", "b": "c", "d": "ac"})
    assert graph.depths() == {"c": 0, "b": 1, "a": 2, "d": 3}


@given(st.integers(1, 12).flatmap(lambda n: st.sets(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)))))
def test_all_blast_sizes_at_once_equal_each_blast_radius(edges: set[tuple[int, int]]) -> None:
    names = sorted({str(end) for edge in edges for end in edge} | {"0"})
    uses = {name: {str(used) for user, used in edges if str(user) == name} for name in names}
    graph = SystemGraph(names, uses)
    assert graph.blast_sizes() == {name: len(graph.blast_radius(name)) for name in names}


class TestMoveGroups:
    def test_a_mere_dependency_makes_no_group(self) -> None:
        groups = move_groups([a_system("门户", "认证"), a_system("认证")], {})
        assert [group.members for group in groups] == [(key("认证"),), (key("门户"),)]
        assert all(group.causes == () for group in groups)

    def test_systems_on_one_database_instance_are_one_group_however_it_is_typed(self) -> None:
        systems = [
            a_system("甲", database_instance="DM-01 主库"),
            a_system("乙", database_instance="DM-01主库"),
            a_system("丙", database_instance="DM-02"),
        ]
        groups = {group.members: group.causes for group in move_groups(systems, {})}
        assert set(groups) == {tuple(sorted((key("甲"), key("乙")))), (key("丙"),)}
        assert groups[tuple(sorted((key("甲"), key("乙"))))] == ((GroupCause.DATABASE, "DM-01主库"),)

    def test_a_system_moves_with_the_one_that_it_is_merged_into(self) -> None:
        systems = [a_system("旧", disposition=Disposition.CONSOLIDATE, merged_into="新"), a_system("新")]
        (group,) = move_groups(systems, {key("旧"): key("新")})
        assert group.causes == ((GroupCause.CONSOLIDATION, "新"),)

    def test_groups_that_share_a_member_become_one(self) -> None:
        systems = [a_system("甲", database_instance="库"), a_system("乙", database_instance="库"), a_system("丙")]
        (group,) = move_groups(systems, {}, [{key("乙"), key("丙")}])
        assert len(group.members) == 3
        assert {cause for cause, _ in group.causes} == {GroupCause.DATABASE, GroupCause.DECLARED}


class TestCuttingCycles:
    def test_the_cheapest_edge_of_a_ring_is_cut(self) -> None:
        weights = {("a", "b"): 5, ("b", "c"): 5, ("c", "a"): 1}
        # c moves before a, which it uses: one dependency is cut. Any other order cuts five or more.
        assert order_of_cycle("abc", weights) == ("c", "b", "a")

    def test_without_a_cycle_nothing_is_cut(self) -> None:
        order = order_of_cycle("abcd", {("a", "b"): 1, ("b", "c"): 1, ("a", "d"): 9})
        place = {name: number for number, name in enumerate(order)}
        assert place["c"] < place["b"] < place["a"] and place["d"] < place["a"]

    @given(
        st.dictionaries(
            st.tuples(st.sampled_from("abcdefg"), st.sampled_from("abcdefg")).filter(lambda e: e[0] != e[1]),
            st.integers(1, 9),
        )
    )
    def test_at_most_half_of_all_weight_is_cut_and_everyone_is_in_the_order(
        self, weights: dict[tuple[str, str], int]
    ) -> None:
        """Eades, Lin, Smyth guarantee at most half."""
        order = order_of_cycle("abcdefg", weights)
        assert sorted(order) == list("abcdefg")
        place = {name: number for number, name in enumerate(order)}
        cut = sum(weight for (user, used), weight in weights.items() if place[user] < place[used])
        assert 2 * cut <= sum(weights.values())


def test_strong_components_come_in_a_fixed_order() -> None:
    assert strong_components({"b": "a", "a": "b", "d": "", "c": "d"}) == [("a", "b"), ("c",), ("d",)]

"""One pool node by node: reservations, releases, nodes that change, and the reasons for a no."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from inventory.model.placement import Reason, ReasonCode
from inventory.model.pool import Node, PoolHealth
from inventory.model.system import Architecture
from inventory.model.units import GIB, TIB, Resources
from inventory.model.workload import Requirements
from scheduler.core.placement.pool_state import PoolState
from scheduler.core.placement.protocol import NodeBatch
from tests.cycle.fakes import BOTH_RUNTIMES, a_pool, amount, equal_nodes

X86, ARM, C86 = Architecture.X86_64, Architecture.ARM64, Architecture.C86


@dataclass(frozen=True)
class Answer:
    nodes: tuple[str, ...]
    refusal: Reason | None


def ask(state: PoolState, run_id: str, per_task: Resources, **more: object) -> Answer:
    answers = state.place(NodeBatch.of([(run_id, Requirements(per_task, **more))]))  # type: ignore[arg-type]
    assert answers.granted.tolist() == [not answers.refusals]
    return Answer(answers.nodes_of(0), answers.refusals.get(0))


def refusal(state: PoolState, per_task: Resources, **more: object) -> Reason:
    before = state.totals()
    answer = ask(state, "refused", per_task, **more)
    assert answer.refusal is not None and answer.nodes == ()
    assert state.totals() == before, "a refusal reserves nothing"
    return answer.refusal


def two_nodes(disk_bytes: int = TIB) -> PoolState:
    return PoolState(disk_bytes, equal_nodes(2, amount(16, 64, 8), accelerator="A800"))


class TestReservation:
    def test_asking_again_for_a_run_gives_the_same_nodes_and_takes_nothing_more(self) -> None:
        state = two_nodes()
        first = ask(state, "r", amount(10, 10))
        taken = state.totals()
        assert ask(state, "r", amount(10, 10)) == first
        assert state.totals() == taken

    def test_answers_come_in_the_order_asked(self) -> None:
        state = two_nodes()
        asked = [("r3", 9), ("r1", 9), ("r2", 9), ("small", 1)]
        answers = state.place(NodeBatch.of((run_id, Requirements(amount(cpu, 1))) for run_id, cpu in asked))
        assert answers.granted.tolist() == [True, True, False, True]
        assert [answers.nodes_of(i) for i in range(4)] == [("n00000",), ("n00001",), (), ("n00000",)]
        assert answers.refusals.keys() == {0}, "by shape: the first three have one"
        assert set(state.holds()) == {"r3", "r1", "small"}

    def test_answers_may_name_only_the_nodes_that_were_granted(self) -> None:
        state = PoolState(TIB, equal_nodes(5, amount(16, 64)))
        for run_id in ("a", "b"):
            ask(state, run_id, amount(16, 1))
        answers = state.place(NodeBatch.of([("c", Requirements(amount(16, 1), tasks=2))]))
        sent = answers.with_used_node_ids()
        assert sent.nodes_of(0) == answers.nodes_of(0) == ("n00002", "n00003")
        assert len(sent.node_ids) == 2

    def test_a_gang_gets_a_node_for_every_task(self) -> None:
        assert ask(two_nodes(), "r", amount(8, 8), tasks=4).nodes == ("n00000", "n00000", "n00001", "n00001")

    def test_a_release_gives_everything_back_and_may_be_repeated(self) -> None:
        state = two_nodes()
        empty = state.totals()
        ask(state, "r", amount(8, 8, 2, disk_gib=10), tasks=3)
        state.release("r")
        state.release("r")
        assert state.totals() == empty

    def test_a_reservation_is_told_from_a_confirmed_run(self) -> None:
        state = two_nodes()
        ask(state, "kept", amount(1, 1))
        ask(state, "open", amount(1, 1))
        state.confirm("kept")
        state.confirm("never heard of")
        assert {run_id: hold.is_confirmed for run_id, hold in state.holds().items()} == {
            "kept": True,
            "open": False,
        }

    def test_the_disk_is_shared_by_the_pool(self) -> None:
        state = two_nodes(disk_bytes=100 * GIB)
        ask(state, "r", amount(1, 1, disk_gib=30), tasks=2)
        assert state.totals().free.disk_bytes == 40 * GIB
        assert refusal(state, amount(1, 1, disk_gib=50)).code is ReasonCode.CAPACITY
        assert refusal(state, amount(1, 1, disk_gib=101)).code is ReasonCode.TOO_LARGE

    def test_an_adopted_run_holds_its_nodes_after_a_restart(self) -> None:
        before = two_nodes()
        nodes = ask(before, "r", amount(12, 8), tasks=2).nodes
        after = two_nodes()
        after.adopt("r", Requirements(amount(12, 8), tasks=2), nodes)
        assert after.totals() == before.totals()
        assert ask(after, "r", amount(12, 8), tasks=2).nodes == nodes
        assert after.holds()["r"].is_confirmed

    def test_an_adopted_run_on_a_node_that_is_gone_is_kept(self) -> None:
        state = two_nodes()
        state.adopt("r", Requirements(amount(12, 8)), ("vanished",))
        assert state.free_on("vanished") == Resources() - amount(12, 8)
        state.release("r")
        assert state.totals().held == Resources()


class TestNodesThatChange:
    def test_a_cordoned_node_takes_nothing_new_and_keeps_what_it_has(self) -> None:
        state = PoolState(TIB, equal_nodes(1, amount(16, 64)))
        ask(state, "r", amount(1, 1))
        state.change_nodes([Node("n00000", X86, amount(16, 64), cordoned=True)])
        assert refusal(state, amount(1, 1)).code is ReasonCode.CORDONED
        assert set(state.holds()) == {"r"}

    def test_a_node_that_shrinks_below_what_is_held_gets_nothing_more(self) -> None:
        state = PoolState(TIB, equal_nodes(1, amount(16, 64)))
        ask(state, "r", amount(10, 10))
        state.change_nodes([Node("n00000", X86, amount(8, 64))])
        assert state.free_on("n00000").cpu_milli == -2000
        assert ask(state, "memory only", Resources(memory_bytes=1)).refusal is not None
        state.release("r")
        assert ask(state, "r2", amount(8, 8)).nodes == ("n00000",)

    def test_a_node_that_goes_away_with_runs_stays_until_they_are_released(self) -> None:
        state = two_nodes()
        ask(state, "r", amount(10, 10))
        state.change_nodes([], removed=["n00000"])
        assert state.free_on("n00000") == Resources() - amount(10, 10)
        state.release("r")
        state.set_nodes(equal_nodes(2, amount(16, 64))[1:])
        with pytest.raises(KeyError):
            state.free_on("n00000")

    def test_new_nodes_are_used(self) -> None:
        state = PoolState(TIB)
        assert refusal(state, amount(1, 1)).code is ReasonCode.TOO_LARGE
        state.set_nodes(equal_nodes(1, amount(16, 64)))
        assert ask(state, "r", amount(1, 1)).nodes == ("n00000",)

    def test_a_list_that_names_a_node_twice_is_refused_and_changes_nothing(self) -> None:
        state = two_nodes()
        with pytest.raises(ValueError, match="the node list names n00000 twice"):
            state.set_nodes(equal_nodes(1, amount(1, 1)) * 2)
        assert state.totals().allocatable.cpu_milli == 32_000

    def test_the_disk_may_grow_and_shrink(self) -> None:
        state = two_nodes(disk_bytes=100 * GIB)
        ask(state, "r", amount(1, 1, disk_gib=60))
        state.set_disk(50 * GIB)
        assert state.totals().free.disk_bytes == -10 * GIB
        assert ask(state, "no disk asked", amount(1, 1)).nodes, (
            "an over-committed disk stops only work that needs disk"
        )
        state.set_disk(100 * GIB)
        assert state.totals().free.disk_bytes == 40 * GIB

    def test_a_disk_that_grew_is_seen_at_once(self) -> None:
        state = two_nodes(disk_bytes=GIB)
        assert refusal(state, amount(1, 1, disk_gib=2)).code is ReasonCode.TOO_LARGE
        state.set_disk(2 * GIB)
        assert ask(state, "r", amount(1, 1, disk_gib=2)).nodes

    def test_a_cordon_that_is_lifted_is_seen_at_once(self) -> None:
        state = PoolState(TIB, [Node("a", X86, amount(16, 64), cordoned=True)])
        assert refusal(state, amount(1, 1)).code is ReasonCode.CORDONED
        state.change_nodes([Node("a", X86, amount(16, 64))])
        assert ask(state, "r", amount(1, 1)).nodes == ("a",)


class TestView:
    def test_the_view_sums_nodes_that_take_runs_and_keeps_the_largest_of_all(self) -> None:
        nodes = [Node("a", X86, amount(16, 64)), Node("b", X86, amount(96, 32), cordoned=True)]
        state = PoolState(TIB, nodes)
        ask(state, "r", amount(6, 4, disk_gib=24))
        view = state.view(a_pool("p"), PoolHealth.READY, False, BOTH_RUNTIMES)
        assert view.allocatable == amount(16, 64, disk_gib=1024)
        assert view.free == amount(10, 60, disk_gib=1000)
        assert view.largest_task == amount(96, 64, disk_gib=1024)

    def test_what_one_node_lacks_is_not_taken_off_the_others(self) -> None:
        state = PoolState(TIB, equal_nodes(2, amount(16, 64)))
        state.adopt("r", Requirements(amount(20, 1)), ("n00000",))
        view = state.view(a_pool("p"), PoolHealth.READY, False, BOTH_RUNTIMES)
        assert view.free.cpu_milli == 16_000
        assert state.totals().free.cpu_milli == 12_000


class TestEligibility:
    MIXED = (
        Node("arm", ARM, amount(16, 64)),
        Node("arm-npu", ARM, amount(16, 64, 8), accelerator="Ascend910B"),
        Node("c86", C86, amount(16, 64)),
        Node("x86-gpu", X86, amount(16, 64, 8), accelerator="A800"),
    )

    TABLE = (
        ("an arm64 program goes to an arm64 node", amount(1, 1), {"architectures": frozenset({ARM})}, "arm"),
        ("an x86_64 program goes to a c86 node", amount(1, 1), {"architectures": frozenset({X86})}, "c86"),
        (
            "cards are found on the node that has them",
            amount(1, 1, 1),
            {"architectures": frozenset({X86})},
            "x86-gpu",
        ),
        ("a card model is found", amount(1, 1, 1), {"accelerator": "Ascend910B"}, "arm-npu"),
    )

    @pytest.mark.parametrize(("per_task", "more", "node"), [pytest.param(*row[1:], id=row[0]) for row in TABLE])
    def test_eligible(self, per_task: Resources, more: dict[str, object], node: str) -> None:
        assert ask(PoolState(TIB, self.MIXED), "r", per_task, **more).nodes == (node,)

    def test_an_architecture_that_no_node_has_is_refused_as_such(self) -> None:
        state = PoolState(TIB, self.MIXED[:2])
        assert refusal(state, amount(1, 1), architectures=frozenset({X86})).code is ReasonCode.ARCHITECTURE

    def test_a_model_that_no_node_of_the_architecture_has_is_refused_as_such(self) -> None:
        state = PoolState(TIB, self.MIXED)
        reason = refusal(state, amount(1, 1, 1), architectures=frozenset({ARM}), accelerator="A800")
        assert reason.code is ReasonCode.ACCELERATOR


class TestRefusals:
    def test_two_cards_short_on_each_of_three_nodes(self) -> None:
        state = PoolState(TIB, equal_nodes(3, amount(64, 64, 8)))
        for i in range(3):
            state.adopt(f"r{i}", Requirements(amount(1, 1, 6)), (f"n{i:05d}",))
        reason = refusal(state, amount(1, 1, 4))
        assert reason.code is ReasonCode.FRAGMENTED
        assert reason.remedy_en == "wait until it is free: at best 3 nodes short of 2 cards"
        assert "3 个节点各差 2 卡" in reason.remedy_zh

    def test_a_gang_of_which_only_a_part_fits_is_fragmented(self) -> None:
        state = PoolState(TIB, equal_nodes(3, amount(10, 64)))
        for i in range(3):
            state.adopt(f"r{i}", Requirements(amount(i + 1, 1)), (f"n{i:05d}",))
        reason = refusal(state, amount(8, 1), tasks=3)
        assert reason.code is ReasonCode.FRAGMENTED
        assert "room for 2 tasks now" in reason.offered
        assert reason.remedy_en == "wait until it is free: at best 1 node short of 1 CPU"

    def test_too_little_in_sum_is_capacity_with_the_shortage(self) -> None:
        state = two_nodes()
        ask(state, "r", amount(1, 1, 7), tasks=2)
        reason = refusal(state, amount(1, 1, 2), tasks=2)
        assert reason.code is ReasonCode.CAPACITY
        assert reason.remedy_en == "2 cards fewer, or wait until it is free"

    def test_a_task_above_every_node_is_too_large_even_when_the_pool_is_full(self) -> None:
        state = two_nodes()
        ask(state, "r", amount(16, 64), tasks=2)
        reason = refusal(state, amount(1, 1, 10))
        assert reason.code is ReasonCode.TOO_LARGE
        assert reason.remedy_en == "2 cards fewer per task"

    def test_a_gang_that_the_empty_pool_could_not_hold_is_too_large_though_the_sum_would_do(self) -> None:
        reason = refusal(two_nodes(), amount(10, 1), tasks=3)
        assert reason.code is ReasonCode.TOO_LARGE
        assert reason.remedy_en == "2 tasks at most"

    def test_a_reason_is_not_older_than_the_last_release(self) -> None:
        state = two_nodes()
        ask(state, "r", amount(16, 64), tasks=2)
        assert refusal(state, amount(1, 1)).code is ReasonCode.CAPACITY
        state.release("r")
        assert ask(state, "r2", amount(1, 1)).nodes

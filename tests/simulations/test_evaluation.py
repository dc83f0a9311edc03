"""The evaluation on a cluster small enough to count by hand: arrivals, levels, bound, JSON, seeds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.core.placement.policies import registry
from scheduler.core.placement.policies.protocol import TightestCard
from scheduler.core.placement.policies.shape import NodeFree, TaskShape
from simulations.allocation_bound import allocation_bound
from simulations.evaluation import evaluate_openb, parse_seeds, run_trace_evaluation, write_results
from simulations.traces.openb import NodeList, PodList
from simulations.traces.openb_arrivals import arrival_order

NODES = NodeList(("a", "b"), (NodeFree.empty(8_000, 100, 2, "T4"), NodeFree.empty(8_000, 100, 2, "G2")))
HALVES = PodList("halves", ("p", "q"), (TaskShape(1_000, 1, 1, 500), TaskShape(1_000, 1, 1, 500)))


def test_half_cards_fill_the_cluster_exactly() -> None:
    [result] = evaluate_openb(NODES, HALVES, ["bestfit"], [0, 1], 1.3)
    assert result.workload == "halves"
    assert (result.alloc[50].mean, result.alloc[50].sd) == (50.0, 0.0)
    assert result.alloc[100].mean == 100.0
    assert result.frag[100].mean == 0.0
    assert set(result.alloc) == {50, 100}  # half cards reach 50, 62.5, 75 ...: no arrival rounds to 95, 120 or 130
    assert result.arrivals_per_second > 0


@given(
    requests=st.lists(st.sampled_from([0, 100, 500, 1000, 2000]), min_size=1, max_size=50),
    ratio=st.floats(0.1, 3),
    seed=st.integers(0, 99),
)
def test_arrivals_reach_the_ratio_and_no_further(requests: list[int], ratio: float, seed: int) -> None:
    """Copies are appended until the ratio is reached, or pods dropped until it is not exceeded."""
    milli = np.array(requests, dtype=np.int64)
    order = arrival_order(milli, 3, 4_000, ratio, seed)
    arrived, target = int(milli[order.pods].sum()), ratio * 4_000
    if milli.sum() > target:
        assert arrived <= target
        assert len(set(order.pods.tolist())) == len(order.pods)
        assert target - arrived < 2_000
    elif milli.sum() == 0:
        assert len(order.pods) == len(milli)
    else:
        assert sorted(order.pods[: len(milli)].tolist()) == list(range(len(milli)))
        assert arrived >= target or len(order.pods) == len(milli)
        assert arrived - target < 2_000 or len(order.pods) == len(milli)
    assert sorted(order.nodes.tolist()) == [0, 1, 2]
    assert len(order.draws) == len(order.pods)
    assert (order.draws >= 0).all()


def test_one_seed_gives_one_order() -> None:
    milli = np.array([500, 1000, 200, 300], dtype=np.int64)
    first, again = (arrival_order(milli, 5, 4_000, 1.3, 7) for _ in range(2))
    other = arrival_order(milli, 5, 4_000, 1.3, 8)
    assert first.pods.tolist() == again.pods.tolist()
    assert first.draws.tolist() == again.draws.tolist()
    assert (first.pods.tolist(), first.nodes.tolist()) != (other.pods.tolist(), other.nodes.tolist())


BOUNDS = [
    ("all that arrived, where it fits", {TaskShape(1_000, 1, 1, 500): 3}, 1_500),
    ("not more than the cards", {TaskShape(1_000, 1, 1, 500): 99}, 4_000),
    ("CPU binds: two tasks a node", {TaskShape(4_000, 1, 1, 500): 99}, 2_000),
    ("memory binds: one task a node", {TaskShape(0, 100, 1, 1000): 99}, 2_000),
    ("the model binds", {TaskShape(1_000, 1, 1, 1000, frozenset({"T4"})): 99}, 2_000),
    ("six tenths never share a card", {TaskShape(1_000, 1, 1, 600): 99}, 2_400),
    ("four tenths go two to a card", {TaskShape(100, 1, 1, 400): 99}, 3_200),
    ("tasks without cards allocate none", {TaskShape(1_000, 1): 99}, 0),
    ("tasks that fit nowhere allocate none", {TaskShape(1_000, 1, 4, 1000): 99}, 0),
]


@pytest.mark.parametrize(("arrived", "bound"), [b[1:] for b in BOUNDS], ids=[b[0] for b in BOUNDS])
def test_no_policy_can_allocate_more_than(arrived: dict[TaskShape, int], bound: int) -> None:
    assert allocation_bound(NODES.nodes, arrived) == bound


@pytest.mark.parametrize(
    ("text", "seeds"), [("0-3", [0, 1, 2, 3]), ("7", [7]), ("0-2,9", [0, 1, 2, 9]), ("1,1", [1])]
)
def test_seeds_are_read(text: str, seeds: list[int]) -> None:
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize("text", ["", "a", "3-1", "1-", "-1", "1;2"])
def test_bad_seeds_show_the_form(text: str) -> None:
    with pytest.raises(ValueError, match="0-9"):
        parse_seeds(text)


def test_bad_arguments_name_the_rule() -> None:
    with pytest.raises(ValueError, match="known"):
        evaluate_openb(NODES, HALVES, ["bestest"], [0], 1.3)
    with pytest.raises(ValueError, match="at least one seed"):
        evaluate_openb(NODES, HALVES, ["fgd"], [], 1.3)
    with pytest.raises(ValueError, match="arrive"):
        evaluate_openb(NODES, HALVES, ["fgd"], [0], float("nan"))


def test_files_to_json(tmp_path: Path) -> None:
    nodes, pods = tmp_path / "nodes.csv", tmp_path / "openb_pod_list_two.csv"
    nodes.write_text("sn,cpu_milli,memory_mib,gpu,model\nn,8000,100,2,T4\n", encoding="utf-8")
    pods.write_text(
        "name,cpu_milli,memory_mib,num_gpu,gpu_milli\np,1000,1,1,500\nq,oops,1,1,500\n", encoding="utf-8"
    )
    evaluation = run_trace_evaluation(nodes, pods, ["fgd", "random"], [0, 1, 2], 1.0, skip_bad=True)
    write_results(evaluation, tmp_path / "out.json")
    written = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert [row["policy"] for row in written["results"]] == ["fgd", "random"]
    first = written["results"][0]
    assert set(first) == {"workload", "policy", "alloc", "frag", "arrivals_per_second"}
    assert first["workload"] == "two"
    assert first["alloc"]["100"] == {"mean": 100.0, "sd": 0.0}
    assert evaluation.bounds[100] == 100.0
    assert any("line 3" in note for note in evaluation.notes)


class SmallestNode(TightestCard):
    """A reader's first policy: the node with the fewest cards."""

    def score(self, task: TaskShape, node: NodeFree) -> int:
        return 16 - len(node.free_cards)


def test_a_new_policy_needs_one_class_and_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        registry, "POLICIES", {**registry.POLICIES, "smallest-node": lambda _scale, _demand: SmallestNode()}
    )
    [result] = evaluate_openb(NODES, HALVES, ["smallest-node"], [0], 1.3)
    assert result.alloc[100].mean == 100.0

"""The stack: explicit maps, unknown names, weights; and how pools of equal score are told apart."""

from __future__ import annotations

import pytest

from inventory.model.pool import PoolHealth
from inventory.model.workload import Requirements
from scheduler.core.placement.evaluation import Evaluation
from scheduler.core.placement.protocol import PoolView, Shape
from scheduler.core.placement.stack import DEFAULT_WEIGHTS, FILTERS, UnknownPolicy, build_stack
from tests.cycle.fakes import BOTH_RUNTIMES, a_pool, amount

ONE_CPU = Shape(Requirements(amount(1, 1)))
WHOLE = amount(16, 64)


def a_view(pool_id: str, **pool: object) -> PoolView:
    return PoolView(a_pool(pool_id, **pool), PoolHealth.READY, False, WHOLE, WHOLE, WHOLE, BOTH_RUNTIMES)


def test_the_default_stack_has_every_filter_and_every_score() -> None:
    stack = build_stack()
    assert len(stack.declared_filters) + len(stack.free_filters) == len(FILTERS) == 10
    assert {name for name, _, _ in (*stack.declared_scores, *stack.free_scores)} == set(DEFAULT_WEIGHTS)


def test_an_unknown_filter_is_named_and_the_valid_ones_are_listed() -> None:
    with pytest.raises(UnknownPolicy, match=r"unknown filter zonee; valid ones: accelerator, .*, zone$"):
        build_stack(filters=["zone", "zonee"])


def test_an_unknown_score_is_named_and_the_valid_ones_are_listed() -> None:
    with pytest.raises(
        UnknownPolicy,
        match=r"unknown score speed; valid ones: carbon, data_locality, energy, free_capacity, latency, price$",
    ):
        build_stack(weights={"speed": 1})


def test_a_negative_weight_is_refused() -> None:
    with pytest.raises(ValueError, match="score price has weight -1; give 0 or more"):
        build_stack(weights={"price": -1})


def test_a_weight_of_zero_switches_a_score_off() -> None:
    stack = build_stack(weights={"price": 0, "latency": 3})
    assert [(name, weight) for name, _, weight in (*stack.declared_scores, *stack.free_scores)] == [("latency", 3)]


def test_the_weights_decide_which_pool_is_best() -> None:
    views = [
        a_view("cheap", vcpu_hour_cny=0.01, one_way_ms=15.0),
        a_view("near", vcpu_hour_cny=0.15, one_way_ms=0.0),
    ]
    assert Evaluation(build_stack(weights={"price": 1}), views, seed=1).best(ONE_CPU) == "cheap"
    assert Evaluation(build_stack(weights={"latency": 1}), views, seed=1).best(ONE_CPU) == "near"


def test_the_score_is_the_weighted_sum_and_the_parts_are_shown() -> None:
    (opinion,) = Evaluation(build_stack(weights={"price": 2, "latency": 3}), [a_view("p")], seed=0).opinions(
        ONE_CPU
    )
    assert dict(opinion.scores) == {"price": 50, "latency": 95}
    assert opinion.score == 2 * 50 + 3 * 95


def test_ties_fall_to_an_order_that_the_seed_decides_and_nothing_else() -> None:
    views = [a_view(f"p{i}") for i in range(8)]
    chosen = {seed: Evaluation(build_stack(), views, seed).best(ONE_CPU) for seed in range(40)}
    again = {seed: Evaluation(build_stack(), list(reversed(views)), seed).best(ONE_CPU) for seed in range(40)}
    assert chosen == again, "the order of the views must not matter"
    assert len(set(chosen.values())) > 3, "different seeds prefer different pools"


def test_a_pool_that_goes_away_does_not_disturb_the_order_of_the_others() -> None:
    views = [a_view(f"p{i}") for i in range(8)]
    for seed in range(20):
        first = Evaluation(build_stack(), views, seed).best(ONE_CPU)
        bystander = next(view.pool.pool_id for view in views if view.pool.pool_id != first)
        rest = [view for view in views if view.pool.pool_id != bystander]
        assert Evaluation(build_stack(), rest, seed).best(ONE_CPU) == first


def test_what_is_under_way_counts_at_once() -> None:
    evaluation = Evaluation(build_stack(), [a_view("p")], seed=0)
    whole_pool = Shape(Requirements(WHOLE))
    evaluation.take("p", ONE_CPU)
    assert evaluation.best(whole_pool) is None
    assert evaluation.view("p").free == amount(15, 63)
    evaluation.give_back("p", ONE_CPU)
    assert evaluation.best(whole_pool) == "p"


def test_equal_opinions_are_one_object_until_something_changes() -> None:
    evaluation = Evaluation(build_stack(), [a_view("p")], seed=0)
    before = evaluation.opinions(ONE_CPU)
    assert evaluation.opinions(Shape(Requirements(amount(1, 1)))) is before
    evaluation.take("p", ONE_CPU)
    assert evaluation.opinions(ONE_CPU) is not before

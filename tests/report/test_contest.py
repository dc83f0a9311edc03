"""Who is best, by how much, how sure: the verdict, and the sentences that say it."""

from __future__ import annotations

import pytest

from simulations.report.contest import Verdict, contests, verdict
from simulations.report.wording import answer, certainty, overall
from tests.report.made_results import a_result, results


def judged(waits: dict[str, float], seeds: range = range(6), by: str | None = None) -> Verdict:
    (contest,) = contests(results(waits, seeds))
    found = verdict(contest, by)
    assert found is not None
    return found


def test_a_clear_difference_is_found_although_seeds_differ_more_than_policies() -> None:
    found = judged({"fifo": 200.0, "easy": 190.0, "slow": 300.0})
    assert (found.metric.key, found.best, found.is_sure) == ("wait_mean", "easy", True)
    assert [rival.name for rival in found.rivals] == ["fifo", "slow"]
    said = answer(found)
    assert "easy 最好" in said.zh and "easy is best" in said.en and "fifo" in said.en
    assert "Sure" in certainty(found).en


def test_what_cannot_be_told_apart_is_said_so_with_the_seeds_that_it_would_take() -> None:
    found = judged({"aa": 200.0, "bbb": 200.1}, by="wait_mean")
    assert not found.is_sure
    assert "领先" in answer(found).zh and "最好" not in answer(found).zh
    assert "Not sure" in certainty(found).en and "seeds would be needed" in certainty(found).en


def test_one_seed_gives_no_certainty() -> None:
    found = judged({"fifo": 200.0, "easy": 100.0}, range(1))
    assert not found.is_sure
    assert "One shared seed" in certainty(found).en


def test_a_single_policy_has_nothing_to_compare_with() -> None:
    found = judged({"fifo": 200.0})
    assert found.rivals == () and "nothing to compare" in answer(found).en


def test_higher_is_better_where_the_metric_says_so() -> None:
    found = [a_result("low", s, 9, allocation_cpu=0.5) for s in range(3)]
    found += [a_result("high", s, 9, allocation_cpu=0.6) for s in range(3)]
    (contest,) = contests(found)
    best = verdict(contest, "allocation_cpu")
    assert best is not None and best.best == "high"


def test_the_first_metric_that_differs_decides() -> None:
    (contest,) = contests([a_result(policy, 0, 50) for policy in ("a", "long-name")])
    found = verdict(contest)
    assert found is not None and (found.metric.key, found.best) == ("charge_cny", "a")


def test_an_immaterial_difference_decides_nothing_however_clear_it_is() -> None:
    assert judged({"a": 200.0, "long-name": 200.9}).metric.key == "charge_cny"


def test_what_differs_is_compared_and_the_rest_is_held_fixed() -> None:
    both = results({"fifo": 200.0}) + results({"fifo": 100.0}, capacity="doubled")
    (contest,) = contests(both)
    assert contest.axis == "capacity" and list(contest.entries) == ["today", "doubled"]
    assert contest.setting == {"policy": "fifo", "failures": "none", "trace": "month"}
    assert len(contests(both, "policy")) == 2


def test_a_sum_in_another_order_is_the_same_sum() -> None:
    (contest,) = contests([a_result("a", 0, 1.0, charge_cny=0.1 + 0.2), a_result("b", 0, 2.0, charge_cny=0.3)])
    assert contest.value("a", "charge_cny") == contest.value("b", "charge_cny")


def test_several_settings_are_summed_up() -> None:
    both = results({"fifo": 200.0, "easy": 100.0}) + results({"fifo": 50.0, "easy": 20.0}, capacity="doubled")
    verdicts = [one for contest in contests(both) if (one := verdict(contest))]
    said = overall(verdicts)
    assert said is not None and "easy leads in 2 of 2 settings (sure in 2)" in said.en


def test_headlines_leave_out_zeros_and_repetitions() -> None:
    (contest,) = contests(results({"fifo": 200.0}))
    keys = [metric.key for metric in contest.headline()]
    assert "allocation_cpu" in keys
    assert {"utilisation_cpu", "wasted_core_hours"} & set(keys) == set()


@pytest.mark.parametrize("key", ["waiting", "jobs"])
def test_an_unknown_metric_or_one_that_is_no_merit_lists_the_known_ones(key: str) -> None:
    (contest,) = contests(results({"fifo": 200.0}))
    with pytest.raises(ValueError, match="wait_mean"):
        verdict(contest, key)


def test_no_results_and_unknown_axes_are_refused() -> None:
    with pytest.raises(ValueError, match="no results"):
        contests([])
    with pytest.raises(ValueError, match="known: policy, capacity, failures, trace"):
        contests(results({"fifo": 1.0}), "seed")

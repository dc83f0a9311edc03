"""The order of waiting workloads: priority, then dominant-resource-fair filling over queues, then first come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.model.units import Resources
from inventory.model.workload import Workload
from scheduler.core.queueing.order import FairOrder, fair_order
from tests.cycle.fakes import a_workload, amount

WHOLE = Resources(cpu_milli=9000, memory_bytes=18000)
ONE_NINTH = Resources(cpu_milli=1000)


def names(workloads: Sequence[Workload], **more: object) -> str:
    settings = {"usage": {}, "weights": {}, "capacity": WHOLE, **more}
    return " ".join(workloads[i].workload_id for i in fair_order(workloads, **settings))  # type: ignore[arg-type]


def queued(ids: str, queue: str, need: Resources = ONE_NINTH, **more: object) -> list[Workload]:
    return [a_workload(name, need, queue=queue, **more) for name in ids.split()]


def test_the_example_of_the_paper() -> None:
    """Ghodsi et al., NSDI 2011, table 1: 9 CPUs and 18 GB; A asks (1 CPU, 4 GB), B (3 CPUs, 1 GB).

    Three tasks of A and two of B fill the cluster.
    """
    a = queued("a1 a2 a3 a4 a5", "A", Resources(1000, 4000))
    b = queued("b1 b2 b3 b4 b5", "B", Resources(3000, 1000))
    assert names(a + b).split()[:5] == ["a1", "b1", "a2", "b2", "a3"]


def test_within_a_queue_the_first_to_come_goes_first_and_equal_times_go_by_id() -> None:
    waiting = [
        a_workload("late", submitted_ms=9),
        a_workload("b", submitted_ms=5),
        a_workload("a", submitted_ms=5),
        a_workload("early", submitted_ms=1),
    ]
    assert names(waiting) == "early a b late"


def test_a_higher_priority_goes_before_every_lower_one_of_every_queue() -> None:
    waiting = queued("a1", "A") + queued("b1 b2", "B", priority=1) + queued("c1", "C", priority=-1)
    assert names(waiting) == "b1 b2 a1 c1"


def test_what_a_queue_got_at_a_higher_priority_counts_at_the_lower() -> None:
    waiting = queued("a1", "A", priority=1) + queued("a2 a3", "A") + queued("b1 b2", "B")
    assert names(waiting) == "a1 b1 a2 b2 a3"


def test_a_queue_that_holds_much_waits_for_those_that_hold_little() -> None:
    waiting = queued("a1 a2", "A") + queued("b1 b2 b3", "B")
    assert names(waiting, usage={"A": ONE_NINTH * 2}) == "b1 b2 a1 b3 a2"


def test_a_queue_of_twice_the_weight_gets_twice_as_much() -> None:
    waiting = queued("a1 a2 a3", "A") + queued("b1 b2 b3 b4 b5 b6", "B")
    assert names(waiting, weights={"B": 2}) == "a1 b1 b2 a2 b3 b4 a3 b5 b6"


def test_a_dimension_that_no_pool_has_counts_nothing() -> None:
    waiting = queued("a1 a2", "A", amount(cards=8)) + queued("b1 b2", "B")
    assert names(waiting) == "a1 a2 b1 b2"


def test_without_any_capacity_the_order_is_by_queue_and_arrival() -> None:
    assert names(queued("b1", "B") + queued("a2 a1", "A"), capacity=Resources()) == "a1 a2 b1"


def test_a_weight_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="queue A has weight 0; give 1 or more"):
        names(queued("a1", "A"), weights={"A": 0})


def test_a_queue_whose_head_could_not_be_placed_does_not_lose_its_turn() -> None:
    waiting = queued("a0", "A", Resources(cpu_milli=9000)) + queued("a1 a2", "A") + queued("b1 b2", "B")
    order = FairOrder(waiting, {}, {}, WHOLE)
    assert order.take(1) == [0]
    order.give_back(0)
    rest = [waiting[i].workload_id for i in order.take(10)]
    assert rest == ["a1", "b1", "a2", "b2"]
    assert order.take(10) == []


def test_a_batch_never_spans_two_priorities() -> None:
    order = FairOrder(queued("a1 a2", "A", priority=2) + queued("b1", "B"), {}, {}, WHOLE)
    assert [order.take(10), order.take(10), order.take(10)] == [[0, 1], [2], []]


needs = st.builds(Resources, st.integers(0, 9000), st.integers(0, 18000), st.integers(0, 5), st.integers(0, 5))
waiting_lists = st.lists(
    st.tuples(st.sampled_from("ABCD"), needs, st.integers(-1, 1), st.integers(0, 3)), max_size=25
).map(
    lambda rows: [
        a_workload(f"w{i:02d}", need, queue=queue, priority=priority, submitted_ms=submitted)
        for i, (queue, need, priority, submitted) in enumerate(rows)
    ]
)
usages = st.dictionaries(st.sampled_from("ABCD"), needs)
queue_weights = st.dictionaries(st.sampled_from("ABCD"), st.integers(1, 4))


def plain_order(
    waiting: Sequence[Workload], usage: Mapping[str, Resources], weights: Mapping[str, int], whole: Resources
) -> list[int]:
    """The rule in loops: of the highest priority, the queue with the least share, its oldest workload."""
    held, left, result = dict(usage), set(range(len(waiting))), []

    def share(queue: str) -> int:
        mine = held.get(queue, Resources())
        pairs = [(mine.cpu_milli, whole.cpu_milli), (mine.memory_bytes, whole.memory_bytes)]
        return int(max(Fraction(part * 10**12, all_of_it) for part, all_of_it in pairs)) // weights.get(queue, 1)

    while left:
        top = max(waiting[i].priority for i in left)
        level = [i for i in left if waiting[i].priority == top]
        queue = min({waiting[i].queue for i in level}, key=lambda name: (share(name), name))
        chosen = min(
            (i for i in level if waiting[i].queue == queue),
            key=lambda i: (waiting[i].submitted_ms, waiting[i].workload_id),
        )
        held[queue] = held.get(queue, Resources()) + waiting[chosen].requirements.total
        left.remove(chosen)
        result.append(chosen)
    return result


@given(waiting=waiting_lists, usage=usages, weights=queue_weights)
def test_the_heap_orders_as_the_plain_rule_does(
    waiting: list[Workload], usage: dict[str, Resources], weights: dict[str, int]
) -> None:
    assert fair_order(waiting, usage, weights, WHOLE) == plain_order(waiting, usage, weights, WHOLE)


@given(waiting=waiting_lists, limit=st.integers(1, 7), refused=st.sets(st.integers(0, 24)))
def test_everyone_is_taken_once_whatever_is_given_back(
    waiting: list[Workload], limit: int, refused: set[int]
) -> None:
    order = FairOrder(waiting, {}, {}, WHOLE)
    taken: list[int] = []
    while batch := order.take(limit):
        assert len(batch) <= limit and len({waiting[i].priority for i in batch}) == 1
        taken += batch
        for i in batch:
            if i in refused:
                order.give_back(i)
    assert sorted(taken) == list(range(len(waiting)))
    assert [waiting[i].priority for i in taken] == sorted((w.priority for w in waiting), reverse=True)


def test_workloads_of_one_moment_go_in_the_order_of_their_numbers() -> None:
    assert names(queued("w-10 w-9 w-100 w-11 w-2", "q", submitted_ms=7)) == "w-2 w-9 w-10 w-11 w-100"

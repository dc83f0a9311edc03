"""Each policy's score on nodes small enough to work out by hand, as tables."""

from __future__ import annotations

import pytest

from scheduler.core.placement.policies.demand import Demand, typical_demand
from scheduler.core.placement.policies.fgd import sigmoid_steps
from scheduler.core.placement.policies.fragmentation import fragmentation, unusable
from scheduler.core.placement.policies.registry import KERNELS, POLICIES, policy_named
from scheduler.core.placement.policies.shape import NodeFree, Scale, TaskShape, fits, put

SCALE = Scale(cpu_milli=100_000, card_milli=8_000)
NOTHING = Demand((), ())


def node(cpu: int, *cards: int, held: tuple[int, ...] = (0, 0, 0, 0, 0), model: str = "A") -> NodeFree:
    """A node of 100 cores and 1,000 of memory with so much free."""
    return NodeFree(100_000, 1_000, model, cpu, 500, cards, held)


def share(milli: int, cpu: int = 10_000) -> TaskShape:
    return TaskShape(cpu, 10, 1, milli)


def whole(cards: int, cpu: int = 10_000) -> TaskShape:
    return TaskShape(cpu, 10, cards, 1000)


NO_CARD = TaskShape(10_000, 10)
ONE_SHARE = (1, 0, 0, 0, 0)
SHARE_AND_PAIR = (1, 0, 1, 0, 0)

SCORES = [
    # 90 of 100 cores and 7.5 of 8 cards left: (0.9 + 0.9375) / 2 free
    ("bestfit: an empty large node has little used", "bestfit", share(500), node(100_000, *[1000] * 8), 8),
    ("bestfit: nothing left is 100", "bestfit", share(500), node(10_000, 500), 100),
    ("worst-fit: nothing left is 0", "worst-fit", share(500), node(10_000, 500), 0),
    ("worst-fit: an empty large node is best", "worst-fit", share(500), node(100_000, *[1000] * 8), 91),
    ("first-fit: all alike", "first-fit", share(500), node(10_000, 500), 0),
    # CPU (50-10)/100 = 40, memory (500-10)/1000 = 49: mean 44.5
    ("least-allocated: mean of CPU and memory left, rounded down", "least-allocated", NO_CARD, node(50_000), 44),
    # 1 * 0.1 and 1 * 0.0625: 100 * (1 - 0.1625 / 2) = 91.875
    ("dotprod: an empty node", "dotprod", share(500), node(100_000, *[1000] * 8), 91),
    ("dotprod: a node with no CPU to spare", "dotprod", TaskShape(0, 10, 1, 500), node(0, 500), 99),
    ("packing: the shared card is 40 % idle", "packing", share(300), node(50_000, 1000, 400), 96),
    ("packing: must open a free card of a used node", "packing", share(500), node(50_000, 1000, 400), 49),
    ("packing: two free cards of a used node", "packing", whole(2), node(50_000, 1000, 1000, 400), 48),
    ("packing: an untouched node of 4 cards", "packing", whole(2), node(50_000, *[1000] * 4), 29),
    ("packing: an untouched node of 8 cards", "packing", whole(2), node(50_000, *[1000] * 8), 25),
    ("packing: no card asked", "packing", NO_CARD, node(50_000, 1000), 0),
    # 25 * (8000 - 1500) / 8000 = 20.3
    ("clustering: only its own class", "clustering", share(300), node(1, 1000, 500, held=ONE_SHARE), 95),
    (
        "clustering: its class among others",
        "clustering",
        share(300),
        node(1, 1000, 500, held=SHARE_AND_PAIR),
        70,
    ),
    ("clustering: no card in use", "clustering", share(300), node(1, 1000, 500), 45),
    ("clustering: only another class", "clustering", whole(1), node(1, 1000, 500, held=ONE_SHARE), 20),
    ("clustering: no card asked", "clustering", NO_CARD, node(1, 1000), 0),
]


@pytest.mark.parametrize(("policy", "task", "at", "score"), [s[1:] for s in SCORES], ids=[s[0] for s in SCORES])
def test_scores_by_hand(policy: str, task: TaskShape, at: NodeFree, score: int) -> None:
    assert policy_named(policy, SCALE, NOTHING).score(task, at) == score


FITS = [
    ("a share fits where one card has enough", share(500), node(10_000, 400, 500), True),
    ("two halves are no whole", whole(1), node(10_000, 500, 500), False),
    ("two whole cards need two wholly free", whole(2), node(10_000, 1000, 999), False),
    ("CPU is a hard limit", share(500, cpu=10_001), node(10_000, 1000), False),
    ("memory is a hard limit", TaskShape(0, 501, 1, 500), node(10_000, 1000), False),
    ("another model is refused", TaskShape(0, 0, 1, 500, frozenset({"B"})), node(1, 1000), False),
    ("one of several models suffices", TaskShape(0, 0, 1, 500, frozenset({"A", "B"})), node(1, 1000), True),
    ("no model at all will do", TaskShape(0, 0, 1, 500, frozenset()), node(1, 1000), False),
    ("without cards the model does not matter", TaskShape(0, 0, 0, 0, frozenset({"B"})), node(1), True),
]


@pytest.mark.parametrize(("task", "at", "expected"), [f[1:] for f in FITS], ids=[f[0] for f in FITS])
def test_fits(task: TaskShape, at: NodeFree, expected: bool) -> None:
    assert fits(task, at) is expected


def test_put_takes_the_lowest_wholly_free_cards() -> None:
    after, mask = put(whole(2), node(50_000, 1000, 600, 1000, 1000), -1)
    assert after.free_cards == (0, 600, 0, 1000)
    assert mask == 0b101
    assert after.held == (0, 0, 1, 0, 0)
    assert (after.free_cpu, after.free_memory) == (40_000, 490)


UNUSABLE = [
    ("whoever asks for no card can use none", NO_CARD, 1400),
    ("a share uses the cards that have enough", share(500), 400),
    ("a whole card", whole(1), 400),
    ("too few whole cards: nothing is usable", whole(2), 1400),
    ("CPU short: nothing is usable", share(500, cpu=50_001), 1400),
    ("wrong model: nothing is usable", TaskShape(0, 0, 1, 10, frozenset({"B"})), 1400),
]


@pytest.mark.parametrize(("task", "expected"), [u[1:] for u in UNUSABLE], ids=[u[0] for u in UNUSABLE])
def test_idle_cards_that_a_typical_task_cannot_use(task: TaskShape, expected: int) -> None:
    assert unusable(task, node(50_000, 1000, 400)) == expected


def test_fragmentation_is_the_mean_over_the_typical_tasks() -> None:
    demand = Demand((share(500), whole(2)), (3, 1))
    assert fragmentation(node(50_000, 1000, 400), demand) == 3 * 400 + 1 * 1400


def test_fgd_takes_the_card_whose_rest_stays_usable() -> None:
    """Half a card is typical: filling the 500 leaves 1000 usable; opening the whole card leaves 500 + 500, usable
    too; so both are equal in fragmentation and the lower card wins; with 600 typical the whole card must stay."""
    at = node(50_000, 1000, 500)
    assert policy_named("fgd", SCALE, Demand((share(500),), (1,))).card(share(500), at) == 0
    assert policy_named("fgd", SCALE, Demand((share(600),), (1,))).card(share(500), at) == 1


def test_fgd_scores_no_change_as_fifty() -> None:
    policy = policy_named("fgd", SCALE, Demand((share(500),), (1,)))
    assert policy.score(share(500), node(50_000, 1000)) == 50
    # 500 idle milli become unusable: floor(100 / (1 + e^0.5)) = 37
    assert policy.score(share(500, cpu=45_000), node(50_000, 1000)) == 37


def test_sigmoid_steps_are_the_integer_form_of_the_sigmoid() -> None:
    steps = sigmoid_steps(7)
    assert len(steps) == 99
    assert steps[49] == 0
    assert steps == sorted(steps)


def test_typical_demand_covers_95_percent_and_forgets_memory() -> None:
    tasks = [share(500)] * 60 + [TaskShape(10_000, 99, 1, 500)] * 30 + [whole(1)] * 5 + [whole(2)] * 5
    demand = typical_demand(tasks)
    assert demand.shapes == (TaskShape(10_000, 0, 1, 500), TaskShape(10_000, 0, 1, 1000))
    assert demand.counts == (90, 5)


def test_an_unknown_policy_lists_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"'magic'.*random.*fgd"):
        policy_named("magic", SCALE, NOTHING)


def test_every_kernel_has_a_readable_twin() -> None:
    assert set(KERNELS) <= set(POLICIES)
    assert set(KERNELS.values()) == set(range(11))

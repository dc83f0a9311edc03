"""The order of waiting workloads: guarantee, priority, dominant-resource-fair filling down the tree, first come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inventory.model.placement import ReasonCode
from inventory.model.units import Resources
from inventory.model.workload import Requirements, Workload
from scheduler.core.placement.protocol import Shape
from scheduler.core.queueing.blocks import reason_for
from scheduler.core.queueing.order import FairOrder
from scheduler.core.queueing.queues import Budget, QueueSpec, QueueTree
from scheduler.core.queueing.running import FAR
from scheduler.core.queueing.tables import QueueTables
from tests.cycle.fakes import a_workload, amount

WHOLE = Resources(cpu_milli=9000, memory_bytes=18000)
ONE_NINTH = Resources(cpu_milli=1000)


def order_of(
    waiting: Sequence[Workload],
    usage: Mapping[str, Resources] | None = None,
    queues: Sequence[QueueSpec] = (),
    capacity: Resources = WHOLE,
    limit: int = 1000,
) -> tuple[FairOrder, Sequence[str]]:
    """The order, and the ids by row."""
    tables = QueueTables(QueueTree(queues))
    for queue, held in (usage or {}).items():
        shape = tables.shapes.number(Shape(Requirements(held)))
        tables.usage.charge(tables.tree.leaf(queue), shape, 0, FAR)
    for workload in waiting:
        tables.wait(workload, 1)
    window = tables.waiting.window(limit)
    return FairOrder(window, tables.usage.columns(0), tables.shapes, capacity), window.workload_ids


def names(waiting: Sequence[Workload], **more: object) -> str:
    order, ids = order_of(waiting, **more)  # type: ignore[arg-type]  # the keywords are order_of's
    taken: list[str] = []
    while len(rows := order.take(1000)):
        taken += [ids[row] for row in rows]
    return " ".join(taken)


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
    assert names(waiting, queues=[QueueSpec("B", weight=2)]) == "a1 b1 b2 a2 b3 b4 a3 b5 b6"


def test_a_dimension_that_no_pool_has_counts_nothing() -> None:
    waiting = queued("a1 a2", "A", amount(cards=8)) + queued("b1 b2", "B")
    assert names(waiting) == "a1 a2 b1 b2"


def test_without_any_capacity_the_order_is_by_queue_and_arrival() -> None:
    assert names(queued("b1", "B") + queued("a2 a1", "A"), capacity=Resources()) == "a1 a2 b1"


def test_a_weight_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="queue A has weight 0; give 1 or more"):
        QueueTree([QueueSpec("A", weight=0)])


def test_workloads_of_one_moment_go_in_the_order_of_their_numbers() -> None:
    assert names(queued("w-10 w-9 w-100 w-11 w-2", "q", submitted_ms=7)) == "w-2 w-9 w-10 w-11 w-100"


def test_a_queue_whose_head_could_not_be_placed_does_not_lose_its_turn() -> None:
    waiting = queued("a0", "A", Resources(cpu_milli=9000)) + queued("a1 a2", "A", submitted_ms=1)
    order, ids = order_of(waiting + queued("b1 b2", "B"))
    first = order.take(1)
    assert [ids[row] for row in first] == ["a0"]
    order.give_back(first)
    assert [ids[row] for row in order.take(10)] == ["a1", "b1", "a2", "b2"]
    assert len(order.take(10)) == 0


def test_a_batch_never_spans_two_priorities() -> None:
    order, ids = order_of(queued("a1 a2", "A", priority=2) + queued("b1", "B"))
    assert [[ids[row] for row in order.take(10)] for _ in range(3)] == [["a1", "a2"], ["b1"], []]


class TestTrees:
    def test_districts_share_alike_whatever_number_of_systems_each_has(self) -> None:
        """A district of two systems gets no more than a district of one."""
        city = [QueueSpec("市/甲"), QueueSpec("市/乙")]
        waiting = (
            queued("a1 a2 a3", "市/甲/一") + queued("b1 b2 b3", "市/甲/二") + queued("c1 c2 c3 c4", "市/乙/三")
        )
        order = names(waiting, queues=city).split()
        # 乙 and 甲 take turns; within 甲, its two systems do.
        assert [name[0] for name in order[:6]] == ["c", "a", "c", "b", "c", "a"]

    def test_what_is_submitted_to_a_district_itself_shares_with_its_systems(self) -> None:
        waiting = queued("d1 d2", "市/甲") + queued("a1 a2", "市/甲/一")
        assert names(waiting, queues=[QueueSpec("市/甲")]) == "d1 a1 d2 a2"

    def test_a_queue_within_its_guarantee_goes_before_a_higher_priority_of_another(self) -> None:
        specs = [QueueSpec("B", guaranteed=ONE_NINTH)]
        waiting = queued("a1 a2", "A", priority=5) + queued("b1 b2", "B")
        assert names(waiting, queues=specs) == "b1 a1 a2 b2"


class TestLimits:
    def test_beyond_its_maximum_a_queue_gets_nothing(self) -> None:
        specs = [QueueSpec("市", maximum=Resources(cpu_milli=2000, memory_bytes=10**9))]
        waiting = queued("a1 a2", "市/甲") + queued("b1 b2", "市/乙") + queued("c1 c2 c3", "C")
        order, ids = order_of(waiting, queues=specs)
        taken = [ids[row] for row in order.take(100)]
        assert sorted(taken) == ["a1", "b1", "c1", "c2", "c3"]
        assert sorted(ids[block.row] for block in order.blocks) == ["a2", "b2"]

    def test_who_waits_first_at_a_quota_gets_what_becomes_free_of_it(self) -> None:
        specs = [QueueSpec("A", maximum=ONE_NINTH * 4)]
        large = queued("large", "A", ONE_NINTH * 3)
        waiting = large + queued("a1 a2", "A", submitted_ms=1)
        assert names(waiting, queues=specs, usage={"A": ONE_NINTH * 2}) == ""

    def test_who_can_never_have_its_quota_stops_nobody(self) -> None:
        specs = [QueueSpec("A", maximum=ONE_NINTH * 2)]
        waiting = queued("huge", "A", ONE_NINTH * 3) + queued("a1 a2", "A", submitted_ms=1)
        assert names(waiting, queues=specs) == "a1 a2"

    def test_what_a_queue_does_not_lend_is_kept_while_it_lies_idle(self) -> None:
        """B is guaranteed 5 of 9 CPUs and lends 2: three stay free whatever A asks."""
        specs = [QueueSpec("B", guaranteed=ONE_NINTH * 5, lendable=ONE_NINTH * 2)]
        waiting = queued("a1 a2 a3 a4 a5 a6 a7 a8", "A")
        assert len(names(waiting, queues=specs).split()) == 6

    @pytest.mark.parametrize(
        ("spent_ms", "card_milli", "estimated_ms", "refused"),
        [
            (0, 1000, 100, None),  # all of the budget
            (0, 1000, 101, ReasonCode.TOO_LARGE),  # no period has so much: waiting is no help
            (60, 1000, 40, None),
            (60, 1000, 41, ReasonCode.BUDGET),
            (99, 1000, 0, None),  # nobody knows how long: some of the budget is left
            (100, 1000, 0, ReasonCode.BUDGET),
            (100, 0, 10**6, None),  # who asks for no cards needs no budget for them,
            (150, 0, 10**6, None),  # also where a run went on beyond what was left
            (150, 0, 0, None),
        ],
    )
    def test_a_budget_of_a_hundred_card_milliseconds(
        self, spent_ms: int, card_milli: int, estimated_ms: int, refused: ReasonCode | None
    ) -> None:
        tables = QueueTables(QueueTree([QueueSpec("A", budget=Budget(100 * 1000, period_ms=10**9))]))
        card = tables.shapes.number(Shape(Requirements(Resources(accelerator_milli=1000))))
        tables.usage.charge(tables.tree.leaf("A"), card, 1, FAR)
        tables.usage.discharge(tables.tree.leaf("A"), card, 1 + spent_ms, FAR)
        need = Resources(cpu_milli=1, accelerator_milli=card_milli)
        tables.wait(a_workload("w", need, queue="A", estimated_ms=estimated_ms), 1)
        columns = tables.usage.columns(1 + spent_ms)
        window = tables.waiting.window(9)
        order = FairOrder(window, columns, tables.shapes, WHOLE)
        assert len(order.take(9)) == (refused is None)
        told = [reason_for(block, window, tables.shapes, columns) for block in order.blocks]
        assert [reason.code for reason in told] == ([refused] if refused else [])


needs = st.builds(Resources, st.integers(0, 9000), st.integers(0, 18000), st.integers(0, 5), st.integers(0, 5))
QUEUES = ("A", "B", "市/甲", "市/乙", "市/甲/一", "市/丙")
waiting_lists = st.lists(
    st.tuples(st.sampled_from(QUEUES), needs, st.integers(-1, 1), st.integers(0, 3)), max_size=25
).map(
    lambda rows: [
        a_workload(f"w{i:02d}", need, queue=queue, priority=priority, submitted_ms=submitted)
        for i, (queue, need, priority, submitted) in enumerate(rows)
    ]
)
usages = st.dictionaries(st.sampled_from(QUEUES), needs)
DEFINED = ("A", "市", "市/甲")
limits = st.sampled_from([Resources(), Resources(2000, 4000), Resources(5000, 9000, 4, 4)])
spec_lists = st.fixed_dictionaries(
    {path: st.tuples(st.integers(1, 4), limits, st.booleans()) for path in DEFINED}
).map(
    lambda drawn: [
        QueueSpec(
            path,
            weight=weight,
            guaranteed=guaranteed if path != "市" else Resources(),
            maximum=Resources(7000, 14000, 9, 9) if is_limited else QueueSpec(path).maximum,
        )
        for path, (weight, guaranteed, is_limited) in drawn.items()
    ]
)


class PlainOrder:
    """The rule in loops over names and fractions: the twin of the kernel."""

    def __init__(
        self, waiting: Sequence[Workload], usage: Mapping[str, Resources], specs: Sequence[QueueSpec]
    ) -> None:
        self.specs = {spec.path: spec for spec in specs}
        self.left = list(waiting)
        self.held: dict[tuple[str, ...], Resources] = {}
        self.claims: dict[str, Resources] = {}
        for queue, amount_held in usage.items():
            self.add(queue, amount_held)

    def nodes(self, queue: str) -> list[tuple[str, ...]]:
        """From the top down: defined queues, then the leaf; a leaf is marked apart from a queue of its name."""
        parts = queue.split("/")
        prefixes = ["/".join(parts[:n]) for n in range(1, len(parts) + 1)]
        deepest = max((n for n, path in enumerate(prefixes) if path in self.specs), default=-1)
        return [(path,) for path in prefixes[: deepest + 1]] + [(queue, "leaf")]

    def add(self, queue: str, need: Resources) -> None:
        for node in self.nodes(queue):
            self.held[node] = self.held.get(node, Resources()) + need

    def share(self, node: tuple[str, ...]) -> int:
        mine = self.held.get(node, Resources())
        pairs = [(mine.cpu_milli, WHOLE.cpu_milli), (mine.memory_bytes, WHOLE.memory_bytes)]
        weight = self.specs[node[0]].weight if len(node) == 1 else 1
        return int(max(Fraction(part * 10**12, all_of_it) for part, all_of_it in pairs)) // weight

    def is_entitled(self, workload: Workload) -> bool:
        need = workload.requirements.total
        return any(
            _asks(need) and _within(self.held.get((path,), Resources()), need, self.specs[path].guaranteed)
            for (path, *leaf) in self.nodes(workload.queue)
            if not leaf
        )

    def is_blocked(self, workload: Workload) -> bool:
        need = workload.requirements.total
        for path, *leaf in reversed(self.nodes(workload.queue)):
            held = self.held.get((path,), Resources()) + self.claims.get(path, Resources())
            if not leaf and not _within(held, need, self.specs[path].maximum):
                if need.fits_in(self.specs[path].maximum):
                    self.claims.setdefault(path, need)
                return True
        return False

    def next_of(self, candidates: Sequence[Workload]) -> Workload:
        depth = 0
        while True:
            level = {self.nodes(w.queue)[depth] for w in candidates}
            # A leaf and a queue of one name stand beside each other only where the queue is the leaf's parent.
            best = min(level, key=lambda node: (self.share(node), node[0]))
            candidates = [w for w in candidates if self.nodes(w.queue)[depth] == best]
            if len(best) == 2:
                return min(candidates, key=lambda w: (w.submitted_ms, w.workload_id))
            depth += 1

    def run(self) -> list[str]:
        result: list[str] = []
        phases = [True, False] if any(spec.guaranteed != Resources() for spec in self.specs.values()) else [False]
        for within_guarantee in phases:
            closed: set[tuple[int, str]] = set()
            for priority in sorted({w.priority for w in self.left}, reverse=True):
                while candidates := [
                    w for w in self.left if w.priority == priority and (priority, w.queue) not in closed
                ]:
                    chosen = self.next_of(candidates)
                    if within_guarantee and not self.is_entitled(chosen):
                        closed.add((priority, chosen.queue))
                        continue
                    self.left.remove(chosen)
                    if not self.is_blocked(chosen):
                        self.add(chosen.queue, chosen.requirements.total)
                        result.append(chosen.workload_id)
        return result


def _asks(need: Resources) -> bool:
    return need != Resources()


def _within(held: Resources, need: Resources, limit: Resources) -> bool:
    pairs = (
        (held.cpu_milli, need.cpu_milli, limit.cpu_milli),
        (held.memory_bytes, need.memory_bytes, limit.memory_bytes),
        (held.disk_bytes, need.disk_bytes, limit.disk_bytes),
        (held.accelerator_milli, need.accelerator_milli, limit.accelerator_milli),
    )
    return all(asked <= 0 or mine + asked <= most for mine, asked, most in pairs)


@settings(max_examples=120, deadline=None)
@given(waiting=waiting_lists, usage=usages, specs=spec_lists)
def test_the_kernel_orders_as_the_plain_rule_does(
    waiting: list[Workload], usage: dict[str, Resources], specs: list[QueueSpec]
) -> None:
    assert names(waiting, usage=usage, queues=specs).split() == PlainOrder(waiting, usage, specs).run()


@settings(deadline=None)
@given(waiting=waiting_lists, limit=st.integers(1, 7), refused=st.sets(st.integers(0, 24)))
def test_everyone_is_taken_once_whatever_is_given_back(
    waiting: list[Workload], limit: int, refused: set[int]
) -> None:
    order, ids = order_of(waiting)
    by_id = {workload.workload_id: workload for workload in waiting}
    taken: list[str] = []
    while len(batch := order.take(limit)):
        assert len(batch) <= limit and len({by_id[ids[row]].priority for row in batch}) == 1
        taken += [ids[row] for row in batch]
        order.give_back(batch[[int(ids[row][1:]) in refused for row in batch]])
    assert sorted(taken) == sorted(by_id)
    priorities = [by_id[workload_id].priority for workload_id in taken]
    assert priorities == sorted(priorities, reverse=True)

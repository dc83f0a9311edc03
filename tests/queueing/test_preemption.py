"""Preemption: who is stopped for whom, at what cost, and who never is."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from inventory.model.units import Resources
from scheduler.core.queueing.queues import QueueSpec, QueueTree
from scheduler.core.queueing.tables import PREEMPTIBLE_LABEL, QueueTables
from scheduler.cycle import BackfillRules, CycleReport, CycleSettings, PreemptionRules, run_cycle
from scheduler.ports import NodeBatch, RunningRow, Snapshot
from tests.cycle.fakes import AcceptingSink, FixedClock, SitePools, a_site, a_workload, equal_nodes

NOW = 1_000
CPU = Resources(cpu_milli=1)


class Estate:
    """Runs on pool p of `nodes` nodes of `procs` processors, in queues as defined."""

    def __init__(self, specs: Sequence[QueueSpec], procs: int = 8, nodes: int = 1, memory: int = 0) -> None:
        self.tables = QueueTables(QueueTree(specs))
        node = Resources(cpu_milli=procs, memory_bytes=memory)
        self.pools = SitePools.of(a_site("p", equal_nodes(nodes, node), node_groups=()))

    def run(self, name: str, queue: str, need: int | Resources, since: int = 0, **more: object) -> bool:
        """False where it does not fit. A number is of processors."""
        workload = a_workload(name, _amount(need), queue=queue, **more)
        answers = self.pools.sites["p"].state.place(NodeBatch.of([(f"{name}.1", workload.requirements)]))
        if answers.granted[0]:
            self.tables.start("p", self.tables.run_of(workload, f"{name}.1", since), since)
        return bool(answers.granted[0])

    def wait(self, name: str, queue: str, need: int | Resources, **more: object) -> None:
        self.tables.wait(a_workload(name, _amount(need), queue=queue, **more), 1)

    def snapshot(self, limit: int) -> Snapshot:
        views = tuple(site.view() for site in self.pools.sites.values())
        return Snapshot(
            self.tables.waiting.window(limit), self.tables.shapes, self.tables.usage.columns(NOW), views
        )

    def running(self, pool_id: str) -> Sequence[RunningRow]:
        return self.tables.running.by_end(pool_id)

    def cycle(self, **rules: object) -> CycleReport:
        how = CycleSettings(
            backfill=BackfillRules(hold_after_ms=10**9),
            preemption=PreemptionRules(**rules),  # type: ignore[arg-type]  # the keywords are the rules' own
        )
        return run_cycle(self, self.pools, AcceptingSink(), FixedClock(NOW), how)

    def victims(self, **rules: object) -> list[str]:
        return [preemption.workload_id for preemption in self.cycle(**rules).plan.preemptions]


def _amount(need: int | Resources) -> Resources:
    return need if isinstance(need, Resources) else CPU * need


GUARANTEED = QueueSpec("A", guaranteed=CPU * 4)


def test_a_queue_within_its_guarantee_takes_back_what_another_borrowed() -> None:
    estate = Estate([GUARANTEED])
    for i in range(4):
        estate.run(f"b{i}", "B", 2, since=i * 100)
    estate.wait("a", "A", 4)
    report = estate.cycle()
    # The youngest two have wasted least: 600 and 700 of the 1,000 milliseconds begun are already spent.
    assert [(p.workload_id, p.for_workload_id, p.cost) for p in report.plan.preemptions] == [
        ("b3", "a", 700 * 250_000),
        ("b2", "a", 800 * 250_000),
    ]
    assert estate.pools.held().keys() == {"b0.1", "b1.1", "b2.1", "b3.1"}, "the plan changes nothing by itself"


def test_beyond_its_guarantee_a_queue_waits_like_everybody() -> None:
    estate = Estate([GUARANTEED])
    estate.run("b", "B", 8)
    estate.wait("a", "A", 5)
    assert estate.victims() == []


def test_nobody_falls_below_his_own_guarantee() -> None:
    estate = Estate([GUARANTEED, QueueSpec("B", guaranteed=CPU * 4)])
    estate.run("b0", "B", 4)
    estate.run("b1", "B", 2)
    estate.run("b2", "B", 2)
    estate.wait("a", "A", 4)
    assert sorted(estate.victims()) == ["b1", "b2"]


def two(procs: int, memory: int) -> Resources:
    return Resources(cpu_milli=procs, memory_bytes=memory)


@pytest.mark.parametrize(
    ("guaranteed", "runs", "asks", "victims"),
    [
        # B borrows processors and leaves its memory idle: what it has of that is no reason to keep the processors.
        (two(4, 64), [two(4, 1), two(4, 1)], two(4, 1), ["b1"]),
        (two(4, 64), [two(4, 1), two(4, 1)], two(2, 1), ["b1"]),
        # It has the processors that it is guaranteed, and no more: a processor is what the pool lacks.
        (two(8, 1), [two(4, 4), two(4, 4)], two(4, 1), []),
        # The pool lacks memory, and B has less of it than it is guaranteed, however many processors it borrows.
        (two(1, 64), [two(2, 32), two(2, 32)], two(4, 32), []),
        # It would fall from all of its memory to half of it, which is what the pool has enough of.
        (two(4, 16), [two(4, 8), two(4, 8)], two(4, 1), []),
    ],
)
def test_what_a_queue_borrows_is_looked_at_for_what_the_pool_lacks(
    guaranteed: Resources, runs: list[Resources], asks: Resources, victims: list[str]
) -> None:
    estate = Estate(
        [QueueSpec("A", guaranteed=two(4, 64)), QueueSpec("B", guaranteed=guaranteed)], procs=8, memory=64
    )
    for number, amount in enumerate(runs):
        assert estate.run(f"b{number}", "B", amount, since=number)
    estate.wait("a", "A", asks)
    assert estate.victims() == victims


def test_who_may_not_be_preempted_is_not() -> None:
    estate = Estate([GUARANTEED, QueueSpec("C", preemptible=False)])
    estate.run("b", "B", 4, labels={PREEMPTIBLE_LABEL: "no"})
    estate.run("c", "C", 4)
    estate.wait("a", "A", 4)
    assert estate.victims() == []


def test_nobody_is_stopped_where_it_would_not_let_the_claimant_start() -> None:
    """Two nodes of 8: stopping b on each gives 8 free in sum, but no node of 8."""
    estate = Estate([QueueSpec("A", guaranteed=CPU * 8)], nodes=2)
    for name, labels in (
        ("k0", {PREEMPTIBLE_LABEL: "no"}),
        ("b0", {}),
        ("k1", {PREEMPTIBLE_LABEL: "no"}),
        ("b1", {}),
    ):
        estate.run(name, "B", 4, labels=labels)
    estate.wait("a", "A", 8)
    assert estate.victims() == []


def test_runs_that_are_being_stopped_are_enough() -> None:
    estate = Estate([GUARANTEED])
    estate.run("b0", "B", 4)
    estate.run("b1", "B", 4)
    row = estate.tables.running.row("b0.1")
    assert row is not None
    estate.tables.running.change("b0.1", row._replace(is_stopping=True))
    estate.wait("a", "A", 4)
    assert estate.victims() == []


def test_priorities_preempt_only_where_the_rules_say_so() -> None:
    estate = Estate([])
    estate.run("low", "q", 4, priority=1)
    estate.run("same", "q", 4, priority=5)
    estate.wait("high", "q", 4, priority=5)
    assert estate.victims() == []
    assert estate.victims(by_priority=True) == ["low"]


runs = st.lists(
    st.tuples(st.sampled_from(["A", "B", "市/甲", "市/乙"]), st.integers(1, 5), st.integers(0, 9), st.booleans()),
    max_size=9,
)
guarantees = st.fixed_dictionaries({path: st.integers(0, 6) for path in ("A", "B", "市/甲")})
claims = st.lists(st.tuples(st.sampled_from(["A", "B", "市/甲"]), st.integers(1, 6)), min_size=1, max_size=3)


@settings(max_examples=80, deadline=None)
@given(runs=runs, guarantees=guarantees, claims=claims, by_priority=st.booleans())
def test_preemption_is_safe(
    runs: list[tuple[str, int, int, bool]],
    guarantees: dict[str, int],
    claims: list[tuple[str, int]],
    by_priority: bool,
) -> None:
    """Never below a guarantee, never who is exempt, never twice, and never in vain."""
    estate = Estate(
        [QueueSpec(path, guaranteed=CPU * procs) for path, procs in guarantees.items()], procs=6, nodes=2
    )
    exempt = set()
    for i, (queue, procs, since, is_exempt) in enumerate(runs):
        labels = {PREEMPTIBLE_LABEL: "no"} if is_exempt else {}
        estate.run(f"r{i}", queue, procs, since=since, labels=labels)
        exempt |= {f"r{i}"} if is_exempt else set()
    for i, (queue, procs) in enumerate(claims):
        estate.wait(f"c{i}", queue, procs, priority=1)
    report = estate.cycle(by_priority=by_priority)
    victims = [p.run_id for p in report.plan.preemptions]
    event(f"{len(victims)} victims")
    assert len(set(victims)) == len(victims)
    assert not {p.workload_id for p in report.plan.preemptions} & exempt
    placed = {p.workload_id for p in report.plan.placements}
    held: dict[str, int] = dict.fromkeys(guarantees, 0)
    lost: dict[str, int] = dict.fromkeys(guarantees, 0)
    for run_id in estate.pools.held():
        row = estate.tables.running.row(run_id)
        if row is not None:
            path = estate.tables.tree.name(row.queue)
            size = int(estate.tables.shapes.totals[row.shape][0])
            held[path] = held.get(path, 0) + size
            lost[path] = lost.get(path, 0) + (size if run_id in victims else 0)
    for i, (queue, procs) in enumerate(claims):
        if f"c{i}" in placed or f"c{i}" in {p.for_workload_id for p in report.plan.preemptions}:
            held[queue] += procs
    for path, procs in guarantees.items():
        if lost[path]:
            assert held[path] - lost[path] >= procs
    for claimant in {p.for_workload_id for p in report.plan.preemptions}:
        assert claimant not in placed
    # Not in vain: with all victims gone, every claimant gets nodes, one after the other.
    state = estate.pools.sites["p"].state
    state.release(*victims)
    for i, (_, procs) in enumerate(claims):
        if f"c{i}" in {p.for_workload_id for p in report.plan.preemptions}:
            need = a_workload("x", CPU * procs).requirements
            assert state.place(NodeBatch.of([(f"c{i}.1", need)])).granted[0]

"""The cycle by example: who is placed where, who waits and why, and who holds a pool."""

from __future__ import annotations

from dataclasses import replace

import pytest

from inventory.model.placement import Placement, PoolOpinion, ReasonCode
from inventory.model.pool import NodeGroup
from inventory.model.system import Architecture, Zone
from inventory.model.units import Resources
from inventory.model.workload import Requirements, Workload
from scheduler.core.placement.protocol import NodeBatch
from scheduler.cycle import Backfill, BackfillRules, CycleReport, CycleSettings, Head, run_cycle
from scheduler.ports import Plan
from tests.cycle.fakes import (
    AcceptingSink,
    FixedClock,
    Site,
    SitePools,
    WaitingState,
    a_site,
    a_workload,
    amount,
    equal_nodes,
)

SETTINGS = CycleSettings()


def cycle(
    pools: SitePools, *waiting: Workload, settings: CycleSettings = SETTINGS, at_ms: int = 1_000, **state: object
) -> CycleReport:
    sink, clock = AcceptingSink(), FixedClock(at_ms)
    return run_cycle(WaitingState(waiting, pools, **state), pools, sink, clock, settings)  # type: ignore[arg-type]


def placed(plan: Plan) -> dict[str, str]:
    return {placement.workload_id: placement.pool_id for placement in plan.placements}


def said(plan: Plan, workload_id: str) -> dict[str, PoolOpinion]:
    (verdicts,) = [verdicts for verdicts in plan.unplaced if verdicts.workload_id == workload_id]
    return {opinion.pool_id: opinion for opinion in verdicts.opinions}


def codes(plan: Plan, workload_id: str) -> dict[str, list[ReasonCode]]:
    return {pool: [reason.code for reason in o.reasons] for pool, o in said(plan, workload_id).items()}


def small(pool_id: str, cpus: int = 16, nodes: int = 1, **more: object) -> Site:
    group = NodeGroup("general", nodes, Architecture.X86_64, amount(cpus, 64))
    return a_site(pool_id, equal_nodes(nodes, amount(cpus, 64)), node_groups=(group,), **more)


class TestPlacement:
    def test_a_workload_is_placed_on_a_node_of_the_best_pool_under_its_run_id(self) -> None:
        pools = SitePools.of(small("far", one_way_ms=15.0), small("near"))
        report = cycle(pools, a_workload("w"), attempt=3, at_ms=77)
        assert report.plan.decided_ms == 77
        assert report.plan.placements == (Placement("w", "w.3", 3, "near", ("n00000",)),)
        assert report.commit.accepted == {"w.3"}
        assert pools.held() == {"w.3": "near"}

    def test_nothing_is_committed_when_nothing_waits(self) -> None:
        sink = AcceptingSink()
        pools = SitePools.of(small("p"))
        report = run_cycle(WaitingState((), pools), pools, sink, FixedClock(), SETTINGS)
        assert sink.plans == [] and report.plan.placements == () and report.host_calls == 0

    def test_reasons_are_committed_when_nothing_can_be_placed(self) -> None:
        sink = AcceptingSink()
        pools = SitePools.of(small("p"))
        state = WaitingState([a_workload("w", zone=Zone.INTRANET)], pools)
        run_cycle(state, pools, sink, FixedClock(), SETTINGS)
        assert [codes(plan, "w") for plan in sink.plans] == [{"p": [ReasonCode.ZONE]}]

    def test_no_pool_at_all_leaves_the_workload_waiting(self) -> None:
        report = cycle(SitePools.of(), a_workload("w"))
        assert [verdicts.opinions for verdicts in report.plan.unplaced] == [()]

    def test_workloads_of_one_cycle_see_what_the_earlier_ones_took(self) -> None:
        pools = SitePools.of(small("p"), small("r"))
        report = cycle(pools, *[a_workload(f"w{i}", amount(8, 8), submitted_ms=i) for i in range(5)])
        assert sorted(placed(report.plan).values()) == ["p", "p", "r", "r"]
        assert codes(report.plan, "w4") == {"p": [ReasonCode.CAPACITY], "r": [ReasonCode.CAPACITY]}
        assert report.host_calls == 1, "the sums alone told that the fifth does not fit"

    def test_a_higher_priority_takes_the_last_room(self) -> None:
        pools = SitePools.of(small("p"))
        report = cycle(pools, a_workload("low", amount(16, 1)), a_workload("high", amount(16, 1), priority=1))
        assert placed(report.plan) == {"high": "p"}

    def test_a_gang_is_placed_whole_or_not_at_all(self) -> None:
        pools = SitePools.of(small("p", nodes=2))
        report = cycle(
            pools,
            a_workload("three", amount(10, 1), tasks=3, submitted_ms=1),
            a_workload("two", amount(10, 1), tasks=2, submitted_ms=2),
        )
        assert [(p.workload_id, p.nodes) for p in report.plan.placements] == [("two", ("n00000", "n00001"))]

    def test_the_same_snapshot_and_seed_give_the_same_plan(self) -> None:
        def decide(seed: int) -> Plan:
            pools = SitePools.of(*[small(f"p{i}") for i in range(6)])
            waiting = [a_workload(f"w{i}", amount(3, 3), queue="AB"[i % 2]) for i in range(20)]
            return cycle(pools, *waiting, settings=CycleSettings(seed=seed)).plan

        assert decide(1) == decide(1)
        assert len({decide(seed).placements for seed in range(5)}) > 1

    def test_a_workload_that_waits_twice_in_one_snapshot_is_an_error_before_anything_is_reserved(self) -> None:
        pools = SitePools.of(small("p"))
        with pytest.raises(ValueError, match="w waits twice"):
            cycle(pools, a_workload("w"), a_workload("w"))
        assert pools.calls == []


class TestRefusalByTheHost:
    def fragmented(self, pool_id: str, **more: object) -> Site:
        """Two nodes with half their CPUs each: enough in sum for a task of a whole node, on no node enough."""
        site = small(pool_id, nodes=2, **more)
        for i in range(2):
            site.state.adopt(f"{pool_id}-{i}", Requirements(amount(8, 8)), (f"n{i:05d}",))
        return site

    def test_who_is_refused_goes_to_the_next_best_pool(self) -> None:
        pools = SitePools.of(self.fragmented("near"), small("far", one_way_ms=19.0))
        report = cycle(pools, a_workload("w", amount(16, 8)), settings=CycleSettings())
        assert placed(report.plan) == {"w": "far"}

    def test_the_host_s_reason_stands_in_the_opinion_of_its_pool(self) -> None:
        pools = SitePools.of(self.fragmented("p"), small("inner", zones=frozenset({Zone.INTRANET})))
        report = cycle(pools, a_workload("w", amount(16, 8), zone=Zone.EXTRANET))
        assert codes(report.plan, "w") == {"p": [ReasonCode.FRAGMENTED], "inner": [ReasonCode.ZONE]}
        assert (
            said(report.plan, "w")["p"].reasons[0].remedy_en
            == "wait until it is free: at best 2 nodes short of 8 CPUs"
        )

    def test_a_shape_that_a_host_refused_is_not_asked_again_in_the_cycle(self) -> None:
        pools = SitePools.of(self.fragmented("p"))
        waiting = [a_workload(f"w{i}", amount(16, 8)) for i in range(3)]
        report = cycle(pools, *waiting, settings=CycleSettings(batch=1))
        assert len(report.plan.unplaced) == 3
        assert pools.calls == [{"p": ["w0.1"]}]

    def test_a_smaller_workload_gets_the_room_that_the_refused_one_gave_back(self) -> None:
        pools = SitePools.of(self.fragmented("p"))
        report = cycle(pools, a_workload("big", amount(16, 8)), a_workload("w", amount(8, 8), submitted_ms=1))
        assert placed(report.plan) == {"w": "p"}

    def test_a_lower_priority_does_not_take_the_second_choice_of_a_higher_one(self) -> None:
        pools = SitePools.of(self.fragmented("first"), small("second", one_way_ms=19.0))
        high = a_workload("high", amount(16, 8), priority=1)
        low = a_workload("low", amount(16, 8), pools=frozenset({"second"}))
        assert placed(cycle(pools, low, high).plan) == {"high": "second"}


class TestFairness:
    def test_queues_share_a_pool_that_is_too_small_for_both(self) -> None:
        pools = SitePools.of(small("p"))
        waiting = [a_workload(f"{q}{i}", amount(4, 4), queue=q, submitted_ms=i) for q in "AB" for i in range(10)]
        assert set(placed(cycle(pools, *waiting).plan)) == {"A0", "A1", "B0", "B1"}

    def test_a_queue_whose_head_fits_nowhere_still_gets_its_share(self) -> None:
        pools = SitePools.of(small("p"))
        waiting = [a_workload("A-huge", amount(99, 1), queue="A")]
        waiting += [
            a_workload(f"{q}{i}", amount(4, 4), queue=q, submitted_ms=1 + i) for q in "AB" for i in range(10)
        ]
        report = cycle(pools, *waiting, settings=CycleSettings(batch=1))
        assert set(placed(report.plan)) == {"A0", "A1", "B0", "B1"}

    def test_a_queue_that_already_holds_half_waits(self) -> None:
        site = small("p")
        site.state.adopt("A-running", Requirements(amount(8, 4)), ("n00000",))
        waiting = [a_workload(f"{q}{i}", amount(4, 4), queue=q, submitted_ms=i) for q in "AB" for i in range(4)]
        report = cycle(SitePools.of(site), *waiting, usage={"A": amount(8, 4)})
        assert set(placed(report.plan)) == {"B0", "B1"}


class TestStarvation:
    """A large workload that has waited long enough holds a pool, which then drains."""

    PATIENCE = CycleSettings(backfill=BackfillRules(hold_after_ms=1_000), batch=1)
    LARGE = a_workload("large", amount(16, 16))
    SMALL = a_workload("small", amount(2, 2), submitted_ms=1)

    def half_full(self) -> SitePools:
        site = small("p")
        site.state.place(NodeBatch.of([("running", Requirements(amount(8, 8)))]))
        return SitePools.of(site)

    def test_at_first_smaller_work_passes_by(self) -> None:
        report = cycle(self.half_full(), self.LARGE, self.SMALL, settings=self.PATIENCE, at_ms=999)
        assert placed(report.plan) == {"small": "p"} and report.heads == ()

    def test_after_its_patience_nothing_behind_it_is_placed_in_the_pool_it_holds(self) -> None:
        pools = self.half_full()
        report = cycle(pools, self.LARGE, self.SMALL, settings=self.PATIENCE, at_ms=1_000)
        assert placed(report.plan) == {}
        assert report.heads == (Head("p", "large", None),)
        assert said(report.plan, "small")["p"].reasons[0].remedy_en == "wait until large is placed"

    def test_when_the_pool_has_drained_the_large_one_is_placed(self) -> None:
        pools = self.half_full()
        pools.sites["p"].state.release("running")
        report = cycle(pools, self.LARGE, self.SMALL, settings=self.PATIENCE, at_ms=1_000)
        assert placed(report.plan) == {"large": "p"} and report.heads == ()

    def test_what_stands_before_it_in_the_order_is_still_placed(self) -> None:
        urgent = replace(self.SMALL, workload_id="urgent", priority=1)
        report = cycle(self.half_full(), self.LARGE, urgent, settings=self.PATIENCE, at_ms=5_000)
        assert placed(report.plan) == {"urgent": "p"}

    def test_other_pools_go_on(self) -> None:
        pools = self.half_full()
        other = SitePools.of(pools.sites["p"], small("tiny", cpus=4))
        report = cycle(other, self.LARGE, self.SMALL, settings=self.PATIENCE, at_ms=5_000)
        assert placed(report.plan) == {"small": "tiny"}

    def test_a_gang_that_the_empty_pool_could_not_hold_does_not_hold_it(self) -> None:
        site = small("p", nodes=2)
        report = cycle(
            SitePools.of(site),
            a_workload("never", amount(10, 1), tasks=3),
            self.SMALL,
            settings=self.PATIENCE,
            at_ms=99_000,
        )
        assert codes(report.plan, "never") == {"p": [ReasonCode.TOO_LARGE]}
        assert placed(report.plan) == {"small": "p"} and report.heads == ()

    def test_under_a_stream_of_small_work_the_large_one_runs_in_bounded_time(self) -> None:
        """Each small run lasts 4 cycles; without holds the stream would keep the node busy for ever."""
        pools = SitePools.of(small("p"))
        ends: dict[str, int] = {}
        for now in range(60):
            for run_id in [run_id for run_id, end in ends.items() if end <= now]:
                pools.sites["p"].state.release(run_id)
                del ends[run_id]
            stream = [a_workload(f"s{now}-{i}", amount(2, 2), submitted_ms=now) for i in range(4)]
            large = a_workload("large", amount(16, 16), submitted_ms=2)
            report = cycle(
                pools, *stream, large, settings=CycleSettings(backfill=BackfillRules(hold_after_ms=10)), at_ms=now
            )
            if "large" in placed(report.plan):
                assert now <= 2 + 10 + 4
                return
            ends |= {placement.run_id: now + 4 for placement in report.plan.placements}
        pytest.fail("the large workload was starved")


class TestHeadsOfSeveralPools:
    """Who is the head of one pool waits in the others as everybody does, and is told so."""

    def two_pools(self) -> SitePools:
        """Sixteen CPUs each: in `b` half of them are taken by a run of unknown length, in `s` all but two."""
        big, small_one = small("b"), small("s", one_way_ms=9.0)
        big.state.place(NodeBatch.of([("in-b", Requirements(amount(8, 1)))]))
        small_one.state.place(NodeBatch.of([("in-s", Requirements(amount(14, 1)))]))
        return SitePools.of(big, small_one)

    @pytest.mark.parametrize("policy", list(Backfill))
    def test_the_head_of_one_pool_is_told_of_the_head_of_another(self, policy: Backfill) -> None:
        rules = BackfillRules(policy, hold_after_ms=0)
        waiting = [
            a_workload("first", amount(16, 1), pools=frozenset({"b"})),
            a_workload("second", amount(8, 1), submitted_ms=1),
            a_workload("third", amount(2, 1), pools=frozenset({"b"}), submitted_ms=2),
        ]
        plan = cycle(self.two_pools(), *waiting, settings=CycleSettings(batch=1, backfill=rules)).plan
        assert codes(plan, "first")["b"] == [ReasonCode.CAPACITY], "nothing is kept from it where it is first"
        assert codes(plan, "second") == {"b": [ReasonCode.BACKFILL], "s": [ReasonCode.CAPACITY]}
        assert codes(plan, "third")["b"] == [ReasonCode.BACKFILL]

    def test_nobody_is_told_to_wait_for_who_came_after_it(self) -> None:
        rules = BackfillRules(Backfill.NONE, hold_after_ms=0)
        waiting = [
            a_workload("armed", architectures=frozenset({Architecture.ARM64}), priority=1),
            a_workload("first", amount(16, 1), pools=frozenset({"b"})),
        ]
        plan = cycle(self.two_pools(), *waiting, settings=CycleSettings(backfill=rules)).plan
        assert codes(plan, "armed") == {"b": [ReasonCode.ARCHITECTURE], "s": [ReasonCode.ARCHITECTURE]}


def test_thousands_of_equal_workloads_share_their_opinions() -> None:
    pools = SitePools.of(small("p"))
    waiting = [a_workload(f"w{i}", Resources(cpu_milli=17_000), submitted_ms=i) for i in range(2_000)]
    report = cycle(pools, *waiting)
    assert len({id(verdicts.opinions) for verdicts in report.plan.unplaced}) == 1

"""Named safety properties of a cycle, over random pools, workloads, hosts and sinks.

Never over capacity; never two owners of a run id; gangs are all or nothing; resources are conserved; the same
snapshot and seed give the same plan; who waits has a reason from every pool; lower priorities change nothing for
higher ones.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from hypothesis import event, given, settings
from hypothesis import strategies as st

from inventory.model.placement import ReasonCode
from inventory.model.pool import Node, PoolHealth
from inventory.model.system import Architecture, Zone
from inventory.model.units import Resources
from inventory.model.workload import Workload
from scheduler.cycle import Backfill, BackfillRules, CycleReport, CycleSettings, run_cycle
from tests.cycle.fakes import FixedClock, RefusingSink, Site, SitePools, WaitingState, a_site, a_workload

ARCHITECTURES = tuple(Architecture)
ZONES = (Zone.INTERNET, Zone.EXTRANET)

offers = st.builds(Resources, st.integers(0, 8), st.integers(1, 8), st.just(0), st.integers(0, 3))
node_lists = st.lists(
    st.tuples(st.sampled_from(ARCHITECTURES), offers, st.booleans()), min_size=0, max_size=4
).map(
    lambda rows: [
        Node(f"n{i}", arch, offer, "A800" if offer.accelerator_milli else None, cordoned)
        for i, (arch, offer, cordoned) in enumerate(rows)
    ]
)


@dataclass(frozen=True)
class SiteDraft:
    nodes: list[Node]
    zones: frozenset[Zone]
    health: PoolHealth
    cordoned: bool
    disk: int

    def build(self, pool_id: str) -> Site:
        site = a_site(
            pool_id,
            self.nodes,
            zones=self.zones,
            architectures=frozenset(node.arch for node in self.nodes),
            accelerator="A800" if any(node.accelerator for node in self.nodes) else None,
            disk_bytes=self.disk,
            node_groups=(),
        )
        site.health, site.cordoned = self.health, self.cordoned
        return site


drafts = st.builds(
    SiteDraft,
    node_lists,
    st.frozensets(st.sampled_from(ZONES), min_size=1),
    st.sampled_from([PoolHealth.READY] * 6 + [PoolHealth.UNREACHABLE]),
    st.sampled_from([False] * 5 + [True]),
    st.integers(0, 10),
)
per_task = st.builds(
    Resources, st.integers(0, 5), st.integers(0, 4), st.integers(0, 2), st.sampled_from([0, 0, 1, 2])
)
rows = st.tuples(
    per_task,
    st.integers(1, 3),
    st.sampled_from("AB"),
    st.integers(0, 2),
    st.sampled_from([None, *ZONES]),
    st.frozensets(st.sampled_from(ARCHITECTURES), max_size=2),
)
waiting_lists = st.lists(rows, max_size=14).map(
    lambda drawn: [
        a_workload(
            f"w{i:02d}",
            need,
            tasks=tasks,
            queue=queue,
            priority=priority,
            zone=zone,
            architectures=archs,
            submitted_ms=i,
        )
        for i, (need, tasks, queue, priority, zone, archs) in enumerate(drawn)
    ]
)
chosen_settings = st.builds(
    CycleSettings,
    seed=st.integers(0, 3),
    batch=st.integers(1, 6),
    backfill=st.builds(
        BackfillRules, st.sampled_from(Backfill), hold_after_ms=st.sampled_from([0, 999_995, 10**9])
    ),
)


def sites_of(draft: list[SiteDraft]) -> SitePools:
    return SitePools.of(*[site.build(f"p{i}") for i, site in enumerate(draft)])


def run(pools: SitePools, waiting: list[Workload], how: CycleSettings, refused: frozenset[str]) -> CycleReport:
    return run_cycle(WaitingState(waiting, pools), pools, RefusingSink(only=refused), FixedClock(), how)


site_lists = st.lists(drafts, max_size=4)
refused_runs = st.frozensets(st.integers(0, 13)).map(lambda numbers: frozenset(f"w{i:02d}.1" for i in numbers))


@settings(max_examples=120, deadline=None)
@given(draft=site_lists, waiting=waiting_lists, how=chosen_settings, refused=refused_runs)
def test_a_cycle_is_safe(
    draft: list[SiteDraft], waiting: list[Workload], how: CycleSettings, refused: frozenset[str]
) -> None:
    pools = sites_of(draft)
    report = run(pools, waiting, how, refused)
    placements = {placement.run_id: placement for placement in report.plan.placements}
    by_id = {workload.workload_id: workload for workload in waiting}
    event(f"placed {min(len(placements), 4)}+" if placements else "placed none")

    # Every workload is decided once.
    decided = [p.workload_id for p in report.plan.placements] + [v.workload_id for v in report.plan.unplaced]
    assert sorted(decided) == sorted(by_id)

    # Never two owners of a run id; what is held is exactly what was committed.
    held = pools.held()
    assert held == {run_id: p.pool_id for run_id, p in placements.items() if run_id not in refused}

    # Gangs are all or nothing.
    for placement in report.plan.placements:
        assert len(placement.nodes) == by_id[placement.workload_id].requirements.tasks

    for pool_id, site in pools.sites.items():
        # Never over capacity, not even by what the sink refused afterwards.
        offered = {node.node_id: node.allocatable for node in draft[int(pool_id[1:])].nodes}
        for node_id, offer in offered.items():
            taken = Resources()
            for placement in report.plan.placements:
                if placement.pool_id == pool_id:
                    need = by_id[placement.workload_id].requirements.per_task
                    taken = taken + need * Counter(placement.nodes)[node_id]
            assert Resources(taken.cpu_milli, taken.memory_bytes, 0, taken.accelerator_milli).fits_in(offer)
        # Resources are conserved.
        totals = site.state.totals()
        assert totals.free + totals.held == totals.allocatable
        assert not totals.free.is_negative

    # Whoever waits has a reason from every pool.
    for verdicts in report.plan.unplaced:
        assert [opinion.pool_id for opinion in verdicts.opinions] == list(pools.sites)
        assert all(opinion.reasons for opinion in verdicts.opinions)


@settings(max_examples=60, deadline=None)
@given(draft=site_lists, waiting=waiting_lists, how=chosen_settings)
def test_the_same_snapshot_and_seed_give_the_same_plan(
    draft: list[SiteDraft], waiting: list[Workload], how: CycleSettings
) -> None:
    first = run(sites_of(draft), waiting, how, frozenset())
    second = run(sites_of(draft), list(reversed(waiting)), how, frozenset())
    assert first.plan == second.plan


@settings(max_examples=60, deadline=None)
@given(draft=site_lists, waiting=waiting_lists, how=chosen_settings)
def test_lower_priorities_change_nothing_for_higher_ones(
    draft: list[SiteDraft], waiting: list[Workload], how: CycleSettings
) -> None:
    upper = [workload for workload in waiting if workload.priority > 0]
    everyone = run(sites_of(draft), waiting, how, frozenset()).plan
    alone = run(sites_of(draft), upper, how, frozenset()).plan
    ids = {workload.workload_id for workload in upper}
    event("some wait" if alone.unplaced else "none waits")
    assert tuple(p for p in everyone.placements if p.workload_id in ids) == alone.placements
    together = [verdicts for verdicts in everyone.unplaced if verdicts.workload_id in ids]
    assert [v.workload_id for v in together] == [v.workload_id for v in alone.unplaced]
    # What is free is told as of the cycle's end, when lower priorities have taken their part: so a pool may have one
    # reason more, and none less; but nobody waits for the head of a lower priority.
    for verdicts, before in zip(together, alone.unplaced, strict=True):
        for now, then in zip(verdicts.opinions, before.opinions, strict=True):
            more = {reason.code for reason in now.reasons} - {reason.code for reason in then.reasons}
            assert {reason.code for reason in then.reasons} <= {reason.code for reason in now.reasons}
            assert more <= {ReasonCode.CAPACITY}


@settings(max_examples=60, deadline=None)
@given(draft=site_lists, waiting=waiting_lists, how=chosen_settings)
def test_what_a_pool_could_still_hold_afterwards_does_not_wait(
    draft: list[SiteDraft], waiting: list[Workload], how: CycleSettings
) -> None:
    """Without holds, nobody waits for a pool that has room for him when the cycle ends."""
    pools = sites_of(draft)
    patient = CycleSettings(seed=how.seed, batch=how.batch, backfill=BackfillRules(hold_after_ms=10**9))
    report = run(pools, waiting, patient, frozenset())
    left = [w for w in waiting if w.workload_id in {v.workload_id for v in report.plan.unplaced}]
    assert run(pools, left, patient, frozenset()).plan.placements == ()

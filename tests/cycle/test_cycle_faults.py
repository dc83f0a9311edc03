"""The cycle when others fail: sinks that refuse or break, hosts that fail, lie, or do not answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from inventory.model.placement import Placement, Reason, ReasonCode
from inventory.model.workload import Workload
from scheduler.cycle import CycleReport, CycleSettings, run_cycle
from scheduler.ports import Commit, NodeAnswers, NodeBatch, Plan, Pools
from tests.cycle.fakes import (
    AcceptingSink,
    BreakingSink,
    FixedClock,
    RefusingSink,
    SinkBroken,
    Site,
    SitePools,
    WaitingState,
    a_site,
    a_workload,
    amount,
    equal_nodes,
)

WAITING = tuple(a_workload(f"w{i}", amount(2, 2), submitted_ms=i) for i in range(10))
DOWN = Reason(ReasonCode.UNREACHABLE, "ready", "down", "等待", "wait")


def two_sites(**more: object) -> SitePools:
    sites = [a_site(pool_id, equal_nodes(2, amount(16, 64))) for pool_id in ("p", "r")]
    return SitePools.of(*sites, **more)


def totals(pools: SitePools) -> list[object]:
    return [site.state.totals() for site in pools.sites.values()]


def run(
    pools: SitePools, sink: object, port: Pools | None = None, waiting: Sequence[Workload] = WAITING
) -> CycleReport:
    return run_cycle(WaitingState(waiting, pools), port or pools, sink, FixedClock(), CycleSettings())  # type: ignore[arg-type]


def test_a_sink_that_refuses_every_plan_leaves_no_reservation() -> None:
    pools = two_sites()
    before = totals(pools)
    report = run(pools, RefusingSink())
    assert len(report.plan.placements) == report.released == len(WAITING)
    assert pools.held() == {} and totals(pools) == before


def test_what_the_sink_refuses_in_part_is_released_and_the_rest_kept() -> None:
    pools = two_sites()
    run(pools, RefusingSink(only=frozenset({"w1.1", "w7.1"})))
    assert set(pools.held()) == {f"w{i}.1" for i in range(10)} - {"w1.1", "w7.1"}


def test_what_the_sink_does_not_mention_counts_as_refused() -> None:
    class ForgetfulSink:
        def commit(self, plan: Plan) -> Commit:
            return Commit(accepted=frozenset({plan.placements[0].run_id}))

    pools = two_sites()
    report = run(pools, ForgetfulSink())
    assert set(pools.held()) == {report.plan.placements[0].run_id}


def test_a_sink_that_breaks_leaves_no_reservation_and_its_error_is_seen() -> None:
    pools = two_sites()
    with pytest.raises(SinkBroken, match="the database is gone"):
        run(pools, BreakingSink())
    assert pools.held() == {}


def test_after_a_broken_commit_the_next_cycle_places_everything() -> None:
    pools = two_sites()
    with pytest.raises(SinkBroken):
        run(pools, BreakingSink())
    assert len(run(pools, AcceptingSink()).commit.accepted) == len(WAITING)


def test_a_pool_that_cannot_be_asked_is_left_out_and_told_to_release() -> None:
    pools = two_sites(refusals={"p": DOWN})
    report = run(pools, AcceptingSink())
    assert {placement.pool_id for placement in report.plan.placements} == {"r"}
    assert len(report.plan.placements) == len(WAITING)
    asked_p = [run_id for call in pools.calls for run_id in call.get("p", [])]
    assert asked_p and {placement.run_id for placement in pools.released} == set(asked_p)
    assert sum("p" in call for call in pools.calls) == 1, "a failing pool is asked once a cycle"


def test_when_no_pool_answers_every_workload_keeps_a_reason_for_every_pool() -> None:
    pools = two_sites(refusals={"p": DOWN, "r": DOWN})
    report = run(pools, AcceptingSink())
    assert len(report.plan.unplaced) == len(WAITING)
    for verdicts in report.plan.unplaced:
        assert {(o.pool_id, o.reasons[0].code) for o in verdicts.opinions} == {
            ("p", ReasonCode.UNREACHABLE),
            ("r", ReasonCode.UNREACHABLE),
        }


@dataclass
class Lying:
    """A Pools port that lets another place nodes and then answers something else."""

    pools: SitePools
    liar: str

    def answers(self, given: NodeAnswers) -> NodeAnswers:
        raise AssertionError("each lie says what it answers")

    def place(self, requests: Mapping[str, NodeBatch]) -> dict[str, NodeAnswers]:
        given = self.pools.place(requests)
        return {pool: self.answers(answers) if pool == self.liar else answers for pool, answers in given.items()}

    def release(self, placements: Sequence[Placement]) -> None:
        self.pools.release(placements)


class SilentHost(Lying):
    """It reserved, but its answers are lost."""

    def answers(self, given: NodeAnswers) -> NodeAnswers:
        nobody = np.zeros(0, dtype=np.bool_)
        return NodeAnswers(nobody, np.zeros(1, dtype=np.int32), np.zeros(0, dtype=np.int32), (), {})


class HostOfTooFewNodes(Lying):
    def answers(self, given: NodeAnswers) -> NodeAnswers:
        none_left = np.zeros_like(given.offsets)
        return NodeAnswers(given.granted, none_left, given.nodes, given.node_ids, given.refusals)


@pytest.mark.parametrize(
    ("lie", "code"),
    [
        pytest.param(SilentHost, ReasonCode.UNREACHABLE, id="answers that are lost count as unreachable"),
        pytest.param(HostOfTooFewNodes, ReasonCode.QUARANTINED, id="fewer nodes than tasks is nonsense"),
    ],
)
def test_a_host_that_does_not_keep_the_contract_owns_nothing_afterwards(
    lie: type[Lying], code: ReasonCode
) -> None:
    pools = two_sites()
    report = run(pools, AcceptingSink(), port=lie(pools, "p"))
    assert {placement.pool_id for placement in report.plan.placements} == {"r"}
    assert pools.held() == {f"w{i}.1": "r" for i in range(10)}, "no run has two owners"
    only_p = a_workload("only-p", pools=frozenset({"p"}))
    (verdicts,) = run(pools, AcceptingSink(), port=lie(pools, "p"), waiting=[only_p]).plan.unplaced
    assert [o.reasons[0].code for o in verdicts.opinions] == [code, ReasonCode.POOL_NOT_ALLOWED]


class HostsDown(RuntimeError):
    """What the failing port raises."""


def test_when_the_hosts_port_itself_fails_what_was_asked_is_released() -> None:
    @dataclass
    class FailsTheSecondTime:
        pools: SitePools

        def place(self, requests: Mapping[str, NodeBatch]) -> dict[str, NodeAnswers]:
            answers = self.pools.place(requests)
            if len(self.pools.calls) == 2:
                raise HostsDown("after the hosts have reserved")
            return answers

        def release(self, placements: Sequence[Placement]) -> None:
            self.pools.release(placements)

    pools = two_sites()
    state = WaitingState(WAITING, pools)
    with pytest.raises(HostsDown):
        run_cycle(state, FailsTheSecondTime(pools), AcceptingSink(), FixedClock(), CycleSettings(batch=3))
    assert len(pools.calls) == 2 and pools.held() == {}


def test_a_run_that_a_host_already_holds_keeps_its_nodes() -> None:
    """The leader died between reserving and committing; its successor asks again for the same runs."""
    pools = two_sites()
    first = run(pools, AcceptingSink()).plan.placements
    site: Site = pools.sites["p"]
    held = dict(site.state.holds())
    again = run_cycle(WaitingState(WAITING, pools), pools, AcceptingSink(), FixedClock(), CycleSettings())
    same = {placement.run_id: placement.nodes for placement in again.plan.placements if placement.pool_id == "p"}
    assert same and all(held[run_id].nodes == nodes for run_id, nodes in same.items() if run_id in held)
    assert {placement.run_id for placement in first} == {placement.run_id for placement in again.plan.placements}

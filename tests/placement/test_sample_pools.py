"""The hard cases of the domain on the sample pools: the cheapest pool has the wrong architecture, the greenest the
wrong zone, and a CUDA program meets NPUs."""

from __future__ import annotations

import pytest

from inventory.model.placement import ReasonCode, Verdict
from inventory.model.pool import Node, Pool, PoolHealth
from inventory.model.system import Architecture, Zone
from inventory.pool_catalogue import read_pools
from scheduler.core.placement.explain import Explanation, explain
from scheduler.core.placement.pool_state import PoolState
from scheduler.core.placement.protocol import PoolView
from scheduler.core.placement.stack import build_stack
from tests.cycle.fakes import BOTH_RUNTIMES, a_workload, amount
from tests.shared_inputs import shared_input

X86, ARM, C86 = Architecture.X86_64, Architecture.ARM64, Architecture.C86


def nodes_of(pool: Pool) -> list[Node]:
    return [
        Node(f"{group.group}-{i:04d}", group.arch, group.capacity, group.accelerator)
        for group in pool.node_groups
        for i in range(group.nodes)
    ]


@pytest.fixture(scope="module")
def views() -> list[PoolView]:
    pools = read_pools(shared_input("pools-sample.csv"), shared_input("pool-node-groups-sample.csv"))
    return [
        PoolState(pool.disk_bytes, nodes_of(pool)).view(pool, PoolHealth.READY, False, BOTH_RUNTIMES)
        for pool in pools
    ]


def ask(views: list[PoolView], **changes: object) -> Explanation:
    per_task = changes.pop("per_task", amount(4, 16))
    return explain(a_workload("w", per_task, **changes), views, build_stack())  # type: ignore[arg-type]


def codes(found: Explanation, pool_id: str) -> set[ReasonCode]:
    (opinion,) = [opinion for opinion in found.opinions if opinion.pool_id == pool_id]
    return {reason.code for reason in opinion.reasons}


def test_an_empty_pool_offers_what_its_file_declares(views: list[PoolView]) -> None:
    assert len(views) == 9
    for view in views:
        assert view.allocatable == view.free == view.pool.capacity


def test_a_c86_system_of_the_extranet_goes_to_the_x86_pool(views: list[PoolView]) -> None:
    found = ask(views, zone=Zone.EXTRANET, protection_level=3, architectures=frozenset({C86}))
    assert found.feasible == ("cq-gov-x86",)
    assert codes(found, "cq-gov-xc") == {ReasonCode.ARCHITECTURE}


def test_the_cheapest_pool_has_the_wrong_architecture(views: list[PoolView]) -> None:
    found = ask(views, zone=Zone.INTERNET, protection_level=2, architectures=frozenset({X86}))
    assert codes(found, "hlge-ai") == {ReasonCode.ARCHITECTURE}
    assert "hlge-ai" not in found.feasible and found.feasible


def test_the_greenest_pool_is_in_the_wrong_zone_and_of_too_low_a_level(views: list[PoolView]) -> None:
    found = ask(views, zone=Zone.EXTRANET, protection_level=3, architectures=frozenset({ARM}))
    assert codes(found, "hlge-ai") == {ReasonCode.ZONE, ReasonCode.PROTECTION_LEVEL}
    assert set(found.feasible) == {"cq-gov-xc", "cq-ai", "ga-mix"}


def test_a_cuda_program_meets_npus(views: list[PoolView]) -> None:
    found = ask(views, per_task=amount(16, 64, 8), accelerator="A800", zone=Zone.INTERNET)
    assert found.feasible == ("zw-ai",)
    assert ReasonCode.ACCELERATOR in codes(found, "cq-ai")


def test_nine_cards_on_one_node_are_nowhere(views: list[PoolView]) -> None:
    found = ask(views, per_task=amount(16, 64, 9))
    assert (found.feasible, found.verdict) == ((), Verdict.UNRESOLVABLE)
    assert found.nearest is not None
    assert found.nearest.reasons[0].remedy_en == "1 card fewer per task"


def test_the_intranet_is_served_by_one_pool_alone(views: list[PoolView]) -> None:
    found = ask(views, zone=Zone.INTRANET, protection_level=3)
    assert found.feasible == ("cq-inner",)
    assert dict(found.counts)[ReasonCode.ZONE] == 8

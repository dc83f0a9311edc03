"""What people read when a workload waits: golden texts, counts, and the nearest pool."""

from __future__ import annotations

from dataclasses import replace

from inventory.model.placement import ReasonCode, Verdict
from inventory.model.pool import PoolHealth
from inventory.model.system import Architecture, Zone
from inventory.model.workload import Program, Requirements
from scheduler.core.placement.explain import Explanation, explain, explain_opinions, explanation_lines
from scheduler.core.placement.protocol import NodeBatch
from scheduler.core.placement.stack import build_stack
from tests.cycle.fakes import Site, a_site, a_workload, amount, equal_nodes

STACK = build_stack()


def the_sites() -> list[Site]:
    """A nearly full Ascend pool, a general pool without cards, and a cordoned pool of the intranet."""
    ascend = a_site(
        "cq-ai",
        equal_nodes(2, amount(192, 1536, 8), Architecture.ARM64, accelerator="Ascend910B"),
        architectures=frozenset({Architecture.ARM64}),
        accelerator="Ascend910B",
        cards=16,
        card_hour_cny=7.2,
        one_way_ms=0.8,
    )
    ascend.state.place(NodeBatch.of([("running", Requirements(amount(1, 1, 7), tasks=2))]))
    general = a_site("cq-gov", equal_nodes(3, amount(96, 384)), one_way_ms=0.6)
    inner = a_site(
        "cq-inner", equal_nodes(1, amount(64, 256)), zones=frozenset({Zone.INTRANET}), protection_level=4
    )
    return [ascend, general, replace(inner, cordoned=True)]


def ask(sites: list[Site], **changes: object) -> Explanation:
    per_task = changes.pop("per_task", amount(1, 1))
    return explain(a_workload("wl-1", per_task, **changes), [site.view() for site in sites], STACK)  # type: ignore[arg-type]


def test_two_cards_fewer() -> None:
    found = ask(the_sites(), per_task=amount(8, 64, 2), tasks=2, zone=Zone.EXTRANET)
    assert found.verdict is Verdict.UNSCHEDULABLE
    assert dict(found.counts) == {
        ReasonCode.ACCELERATOR: 2,
        ReasonCode.CAPACITY: 1,
        ReasonCode.CORDONED: 1,
        ReasonCode.ZONE: 1,
    }
    assert explanation_lines(found) == [
        "wl-1: 3 个算力池中 0 个可用：2 × 加速卡, 1 × 余量不足, 1 × 已封锁, 1 × 网络区域；"
        "最接近的是 cq-ai：少 2 卡，或等待释放；等待可能有用",
        "wl-1: 0 of 3 pools can take it: 2 × accelerator, 1 × capacity, 1 × cordoned, 1 × zone; "
        "nearest is cq-ai: 2 cards fewer, or wait until it is free; waiting may help",
        "  cq-ai: 余量不足 / capacity: 需要/needs 4 卡/cards; 现有/has 空闲/free 2 卡/cards; "
        "少 2 卡，或等待释放 / 2 cards fewer, or wait until it is free",
        "  cq-gov: 加速卡 / accelerator: 需要/needs 加速卡/cards; 现有/has 无/none; "
        "该池没有加速卡：不要求加速卡，或换池 / ask for no cards: this pool has none",
        "  cq-inner: 网络区域 / zone: 需要/needs 政务外网; 现有/has 政务内网; "
        "允许网络区域 政务内网，或请该池接入 政务外网 / "
        "allow zone 政务内网 (intranet), or have the pool serve 政务外网 (extranet)",
        "  cq-inner: 加速卡 / accelerator: 需要/needs 加速卡/cards; 现有/has 无/none; "
        "该池没有加速卡：不要求加速卡，或换池 / ask for no cards: this pool has none",
        "  cq-inner: 已封锁 / cordoned: 需要/needs 开放/open; 现有/has 已封锁/cordoned; "
        "等待解除封锁 / wait until the pool is uncordoned",
    ]


def test_a_workload_that_can_go_somewhere_names_the_best_pool_first() -> None:
    found = ask(the_sites(), per_task=amount(4, 8), zone=Zone.EXTRANET)
    assert found.verdict is None
    assert found.feasible == ("cq-gov", "cq-ai")
    assert found.summary_en == "2 of 3 pools can take it: cq-gov, cq-ai"
    assert (
        "  cq-gov: 可用 / feasible, 543 (price 50, latency 97, data_locality 100, free_capacity 98)"
        in explanation_lines(found)
    )


def test_what_no_pool_will_ever_take_is_said_so() -> None:
    found = ask(the_sites(), per_task=amount(200, 1))
    assert found.verdict is Verdict.UNRESOLVABLE
    assert found.nearest is not None and found.nearest.pool_id == "cq-ai"
    assert found.summary_en.endswith(
        "nearest is cq-ai: 8 CPUs fewer per task; waiting does not help: change the workload or a pool"
    )
    assert found.summary_zh.endswith("最接近的是 cq-ai：每个任务少 8 核；等待无用，需要修改作业或算力池")


def test_a_pool_that_would_do_but_does_not_answer_is_on_our_side() -> None:
    sites = [replace(site, health=PoolHealth.UNREACHABLE) for site in the_sites()[:1]]
    found = ask(sites, per_task=amount(1, 1))
    assert found.verdict is Verdict.ERROR
    assert found.summary_en.endswith("on our side: wait until a pool answers again")


def test_an_image_needs_a_pool_that_runs_containers() -> None:
    sites = [replace(site, runtimes=frozenset({"process"})) for site in the_sites()[1:2]]
    found = ask(sites, program=Program(image="registry/app:1"))
    assert dict(found.counts) == {ReasonCode.RUNTIME: 1}


def test_memory_short_by_a_little_is_said_in_gib() -> None:
    sites = [a_site("p", equal_nodes(1, amount(16, 64)))]
    sites[0].state.place(NodeBatch.of([("running", Requirements(amount(1, 1)))]))
    found = ask(sites, per_task=amount(1, 63.5))
    assert found.summary_en.startswith("0 of 1 pools can take it: 1 × capacity; nearest is p: 0.5 GiB less memory")


def test_no_pool_at_all() -> None:
    found = explain_opinions("wl-1", ())
    assert (found.verdict, found.nearest, found.feasible) == (Verdict.UNRESOLVABLE, None, ())
    assert found.summary_en == "no pool is registered: register one"


def test_explaining_changes_nothing() -> None:
    sites = the_sites()
    before = [(site.state.totals(), dict(site.state.holds())) for site in sites]
    ask(sites, per_task=amount(1, 1), tasks=3)
    assert [(site.state.totals(), dict(site.state.holds())) for site in sites] == before

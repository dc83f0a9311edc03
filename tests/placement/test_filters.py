"""Each filter as a table: what is asked, what the pool is, and whether that is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.model.placement import ReasonCode, Verdict
from inventory.model.pool import NodeGroup, PoolHealth
from inventory.model.system import Architecture, Zone
from inventory.model.units import TIB, Resources
from inventory.model.workload import Requirements
from scheduler.core.placement.protocol import CONTAINER, PROCESS, PoolView, Shape
from scheduler.core.placement.stack import FILTERS, READS_FREE, SCORES
from scheduler.core.placement.wording import less_or_later
from tests.cycle.fakes import a_pool, amount

X86, ARM, C86 = Architecture.X86_64, Architecture.ARM64, Architecture.C86


def a_view(**changes: object) -> PoolView:
    """A ready, empty pool of two nodes of 16 CPUs, 64 GiB; `changes` are fields of PoolView or of Pool."""
    view_fields = {name: changes.pop(name) for name in list(changes) if name in PoolView.__dataclass_fields__}
    changes.setdefault("node_groups", (NodeGroup("general", 2, X86, amount(16, 64)),))
    whole = amount(32, 128) + Resources(disk_bytes=10 * TIB)
    fields: dict[str, object] = {
        "pool": a_pool("p", **changes),
        "health": PoolHealth.READY,
        "cordoned": False,
        "allocatable": whole,
        "free": whole,
        "largest_task": amount(16, 64) + Resources(disk_bytes=10 * TIB),
        "runtimes": frozenset({PROCESS}),
        **view_fields,
    }
    return PoolView(**fields)  # type: ignore[arg-type]


def asks(per_task: Resources | None = None, runtime: str = PROCESS, **changes: object) -> Shape:
    return Shape(Requirements(per_task or amount(1, 1), **changes), runtime)  # type: ignore[arg-type]


def ascend_pool(**changes: object) -> PoolView:
    whole = amount(32, 128, cards=16)
    group = NodeGroup("train", 2, ARM, amount(16, 64, cards=8), accelerator="Ascend910B")
    return a_view(
        accelerator="Ascend910B",
        cards=16,
        node_groups=(group,),
        allocatable=whole,
        free=whole,
        largest_task=amount(16, 64, cards=8),
        **changes,
    )


TABLE = [
    # zone
    (
        "a system of the extranet is taken by a pool of the extranet",
        "zone",
        asks(zone=Zone.EXTRANET),
        a_view(),
        None,
    ),
    ("a system of no stated zone is taken anywhere", "zone", asks(), a_view(zones=frozenset()), None),
    (
        "a pool of two zones takes both",
        "zone",
        asks(zone=Zone.INTERNET),
        a_view(zones=frozenset({Zone.INTERNET, Zone.EXTRANET})),
        None,
    ),
    (
        "a system of the intranet is refused by a pool of the extranet",
        "zone",
        asks(zone=Zone.INTRANET),
        a_view(),
        ReasonCode.ZONE,
    ),
    # protection level
    (
        "a system of level three is taken by a pool of level three",
        "protection_level",
        asks(protection_level=3),
        a_view(),
        None,
    ),
    (
        "an ungraded system is taken by an ungraded pool",
        "protection_level",
        asks(),
        a_view(protection_level=0),
        None,
    ),
    (
        "a system of level three is refused by a pool of level two",
        "protection_level",
        asks(protection_level=3),
        a_view(protection_level=2),
        ReasonCode.PROTECTION_LEVEL,
    ),
    # architecture
    (
        "a c86 system is taken by an x86_64 pool",
        "architecture",
        asks(architectures=frozenset({C86})),
        a_view(),
        None,
    ),
    (
        "an x86_64 system is taken by a c86 pool",
        "architecture",
        asks(architectures=frozenset({X86})),
        a_view(architectures=frozenset({C86})),
        None,
    ),
    (
        "a program built twice is taken where one build runs",
        "architecture",
        asks(architectures=frozenset({X86, ARM})),
        a_view(architectures=frozenset({ARM})),
        None,
    ),
    (
        "a program of any architecture is taken by an arm64 pool",
        "architecture",
        asks(),
        a_view(architectures=frozenset({ARM})),
        None,
    ),
    (
        "an arm64 system is refused by an x86_64 pool",
        "architecture",
        asks(architectures=frozenset({ARM})),
        a_view(),
        ReasonCode.ARCHITECTURE,
    ),
    (
        "a c86 system is refused by an arm64 pool",
        "architecture",
        asks(architectures=frozenset({C86})),
        a_view(architectures=frozenset({ARM})),
        ReasonCode.ARCHITECTURE,
    ),
    # accelerator
    ("work without cards is taken by a pool without cards", "accelerator", asks(), a_view(), None),
    ("work without cards is taken by a pool with cards", "accelerator", asks(), ascend_pool(), None),
    (
        "work for any card is taken by a pool with cards",
        "accelerator",
        asks(amount(1, 1, cards=1)),
        ascend_pool(),
        None,
    ),
    (
        "work for the pool's card model is taken",
        "accelerator",
        asks(amount(1, 1, cards=1), accelerator="Ascend910B"),
        ascend_pool(),
        None,
    ),
    (
        "work for cards is refused by a pool without cards",
        "accelerator",
        asks(amount(1, 1, cards=1)),
        a_view(),
        ReasonCode.ACCELERATOR,
    ),
    (
        "CUDA work is refused by an Ascend pool",
        "accelerator",
        asks(amount(1, 1, cards=1), accelerator="A800"),
        ascend_pool(),
        ReasonCode.ACCELERATOR,
    ),
    (
        "a card model that only one node group has counts",
        "accelerator",
        asks(amount(1, 1, cards=1), accelerator="A800"),
        a_view(node_groups=(NodeGroup("train", 1, X86, amount(8, 8, cards=1), accelerator="A800"),)),
        None,
    ),
    # allowed pools
    ("work that names no pool is taken anywhere", "allowed_pools", asks(), a_view(), None),
    ("work that names the pool is taken", "allowed_pools", asks(pools=frozenset({"p", "r"})), a_view(), None),
    (
        "work that names other pools is refused",
        "allowed_pools",
        asks(pools=frozenset({"r"})),
        a_view(),
        ReasonCode.POOL_NOT_ALLOWED,
    ),
    # runtime
    ("a command is taken by a pool of processes", "runtime", asks(), a_view(), None),
    (
        "an image is refused by a pool of processes",
        "runtime",
        asks(runtime=CONTAINER),
        a_view(),
        ReasonCode.RUNTIME,
    ),
    (
        "a command is refused by a pool of containers",
        "runtime",
        asks(),
        a_view(runtimes=frozenset({CONTAINER})),
        ReasonCode.RUNTIME,
    ),
    (
        "a ready pool that declares no runtime has none",
        "runtime",
        asks(),
        a_view(runtimes=frozenset()),
        ReasonCode.RUNTIME,
    ),
    (
        "a pool that never answered is not said to lack a runtime",
        "runtime",
        asks(),
        a_view(runtimes=frozenset(), health=PoolHealth.UNKNOWN),
        None,
    ),
    # too large
    ("a task of the size of the largest node is taken", "too_large", asks(amount(16, 64)), a_view(), None),
    (
        "one CPU more than the largest node is too large",
        "too_large",
        asks(amount(17, 1)),
        a_view(),
        ReasonCode.TOO_LARGE,
    ),
    (
        "one byte more than the largest node is too large",
        "too_large",
        asks(Resources(1000, 64 * 2**30 + 1)),
        a_view(),
        ReasonCode.TOO_LARGE,
    ),
    ("a gang of the size of the pool is taken", "too_large", asks(amount(16, 64), tasks=2), a_view(), None),
    (
        "a gang larger than the pool is too large",
        "too_large",
        asks(amount(16, 1), tasks=3),
        a_view(),
        ReasonCode.TOO_LARGE,
    ),
    (
        "a gang that fits when cordoned nodes come back is not too large",
        "too_large",
        asks(amount(16, 1), tasks=2),
        a_view(allocatable=amount(16, 64), free=amount(16, 64)),
        None,
    ),
    (
        "cards in a pool without cards are for the accelerator filter",
        "too_large",
        asks(amount(1, 1, cards=8)),
        a_view(),
        None,
    ),
    (
        "nine cards are too large where a node has eight",
        "too_large",
        asks(amount(1, 1, cards=9)),
        ascend_pool(),
        ReasonCode.TOO_LARGE,
    ),
    (
        "a pool that never answered is not said to be small",
        "too_large",
        asks(),
        a_view(
            runtimes=frozenset(),
            health=PoolHealth.UNKNOWN,
            allocatable=Resources(),
            free=Resources(),
            largest_task=Resources(),
        ),
        None,
    ),
    # health and cordon
    ("a ready pool is taken", "health", asks(), a_view(), None),
    (
        "a pool that never answered is refused",
        "health",
        asks(),
        a_view(health=PoolHealth.UNKNOWN),
        ReasonCode.UNREACHABLE,
    ),
    (
        "an unreachable pool is refused",
        "health",
        asks(),
        a_view(health=PoolHealth.UNREACHABLE),
        ReasonCode.UNREACHABLE,
    ),
    (
        "a quarantined pool is refused",
        "health",
        asks(),
        a_view(health=PoolHealth.QUARANTINED),
        ReasonCode.QUARANTINED,
    ),
    ("an open pool is taken", "cordon", asks(), a_view(), None),
    ("a cordoned pool is refused", "cordon", asks(), a_view(cordoned=True), ReasonCode.CORDONED),
    # capacity
    ("what is free to the last byte is taken", "capacity", asks(amount(16, 64), tasks=2), a_view(), None),
    (
        "one milli-CPU more than is free is refused",
        "capacity",
        asks(Resources(1001, 1)),
        a_view(free=Resources(1000, 2**30)),
        ReasonCode.CAPACITY,
    ),
    (
        "the pool's disk counts as well",
        "capacity",
        asks(amount(1, 1, disk_gib=2)),
        a_view(free=amount(32, 128, disk_gib=1)),
        ReasonCode.CAPACITY,
    ),
    (
        "what is too large for the pool is not short of capacity",
        "capacity",
        asks(amount(17, 1)),
        a_view(free=amount(1, 1)),
        None,
    ),
]


@pytest.mark.parametrize(
    ("name", "shape", "view", "code"),
    [pytest.param(*row[1:], id=row[0]) for row in TABLE],
)
def test_filter(name: str, shape: Shape, view: PoolView, code: ReasonCode | None) -> None:
    reason = FILTERS[name](shape, view)
    assert (reason.code if reason else None) == code
    if reason is not None:
        assert reason.needed and reason.offered and reason.remedy_zh and reason.remedy_en


def test_every_filter_has_a_case_that_it_takes_and_one_that_it_refuses() -> None:
    for name in FILTERS:
        answers = {row[4] is None for row in TABLE if row[1] == name}
        assert answers == {True, False}, name


def test_what_can_change_by_itself_is_told_from_what_cannot() -> None:
    verdicts = {reason.code: reason.verdict for row in TABLE if (reason := FILTERS[row[1]](row[2], row[3]))}
    assert verdicts[ReasonCode.CAPACITY] is Verdict.UNSCHEDULABLE
    assert verdicts[ReasonCode.CORDONED] is Verdict.UNSCHEDULABLE
    assert verdicts[ReasonCode.TOO_LARGE] is Verdict.UNRESOLVABLE
    assert verdicts[ReasonCode.ZONE] is Verdict.UNRESOLVABLE
    assert verdicts[ReasonCode.UNREACHABLE] is Verdict.ERROR


def test_a_shortage_is_said_in_both_languages_as_what_would_have_to_be_less() -> None:
    reason = FILTERS["capacity"](
        asks(amount(1, 1, cards=2), tasks=2), replace(ascend_pool(), free=amount(32, 128, cards=2))
    )
    assert reason is not None
    assert (reason.needed, reason.offered) == ("4 卡/cards", "空闲/free 2 卡/cards")
    assert reason.remedy_zh.startswith("少 2 卡")
    assert reason.remedy_en == "2 cards fewer, or wait until it is free"


def test_who_would_have_to_ask_for_nothing_is_told_to_wait() -> None:
    assert less_or_later(amount(4, 8), amount(4, 2)) == ("等待释放", "wait until it is free")
    assert less_or_later(amount(4, 8), amount(3))[1] == "3 CPUs fewer, or wait until it is free"


def test_taking_off_what_the_remedy_says_is_enough_even_for_one_byte() -> None:
    reason = FILTERS["capacity"](asks(Resources(0, 2**30 + 1)), a_view(free=Resources(1, 2**30)))
    assert reason is not None
    assert reason.remedy_en.startswith("0.01 GiB less memory")


@pytest.mark.parametrize("name", sorted({*FILTERS, *SCORES} - READS_FREE))
@given(free=st.builds(Resources, *[st.integers(0, 10**14)] * 4))
def test_only_the_named_policies_read_what_is_free(name: str, free: Resources) -> None:
    policy = {**FILTERS, **SCORES}[name]
    for row in TABLE:
        assert policy(row[2], row[3]) == policy(row[2], replace(row[3], free=free))

"""Small ledgers and pools for tests of the desks and of the command line: systems in words, workbooks from them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date

from inventory.ledger.export import ExportTitle, export_workbook
from inventory.model.pool import NodeGroup, Pool
from inventory.model.system import Architecture, Disposition, Ownership, System, Zone
from inventory.model.units import GIB, TIB, Resources

AS_OF = date(2025, 12, 31)


def a_system(name: str, **changes: object) -> System:
    """A district system that is to be moved: extranet, level 2, one x86 server of 4C8G with 100 GB."""
    plain = System(
        sheet="台账",
        row=3,
        name=name,
        department="区示例局",
        ownership=Ownership.DISTRICT,
        zone=Zone.EXTRANET,
        classified=False,
        mlps="2",
        servers=1,
        vcpu=4,
        mem_gb=8,
        disk_gb=100,
        golive="2019-05",
        golive_precision="month",
        arch=Architecture.X86_64,
        users=sum(map(ord, name)) % 9_000 + 100,
        disposition=Disposition.REHOST,
        should_migrate=True,
        migrated=False,
        function=f"{name}的业务功能",
    )
    return replace(plain, **changes)  # type: ignore[arg-type]  # the tests name real fields


def a_workbook(systems: Iterable[System], *, illustrative: bool = True) -> bytes:
    return export_workbook(systems, ExportTitle(AS_OF, illustrative))


FIVE = (
    a_system("门户网站"),
    a_system("审批系统", deps=("统一认证平台",), servers=2, vcpu=16, mem_gb=32),
    a_system("统一认证平台"),
    a_system("档案系统", migrated=True),
    a_system("旧申报系统", disposition=Disposition.RETIRE, should_migrate=False),
)


def a_pool(pool_id: str = "gov-a", **changes: object) -> Pool:
    """A simulated pool that serves every zone, with x86 hosts enough for any test."""
    plain = Pool(
        pool_id=pool_id,
        name=f"示例池 {pool_id}",
        hub="成渝",
        adapter="simulated",
        zones=frozenset(Zone),
        protection_level=3,
        architectures=frozenset({Architecture.X86_64, Architecture.ARM64}),
        accelerator=None,
        cards=0,
        disk_bytes=500 * TIB,
        one_way_ms=1.0,
        egress_gbps=10.0,
        pue=1.3,
        green_share=0.4,
        kwh_cny=0.6,
        card_hour_cny=None,
        vcpu_hour_cny=0.1,
        classes=frozenset({"通算"}),
        node_groups=(
            NodeGroup("x86", 10, Architecture.X86_64, Resources(64_000, 256 * GIB)),
            NodeGroup("arm", 10, Architecture.ARM64, Resources(64_000, 256 * GIB)),
        ),
    )
    return replace(plain, **changes)  # type: ignore[arg-type]  # the tests name real fields

"""The government information system (信息系统): one row of the ledger (台账).

The ledger parser makes these, the store keeps them, rates count them, the wave planner moves them. A missing
value is None and means *unknown*: it is never read as "no" (domain rule: unknown is not No).
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from enum import StrEnum


class Ownership(StrEnum):
    """系统归属: who runs the system. Rates count district systems only; every rate names its scope."""

    DISTRICT = "district"  # 区级
    VERTICAL = "vertical"  # 上级垂管
    SOE = "soe"  # 国有公司


class Zone(StrEnum):
    """网络区域: the network a system must be reachable in. A pool serves one or several zones."""

    INTERNET = "互联网"
    EXTRANET = "政务外网"
    INTRANET = "政务内网"
    DEDICATED = "业务专网"


class Architecture(StrEnum):
    """Instruction set. c86 (海光 Hygon) runs x86_64 programs: see `runs_on`."""

    X86_64 = "x86_64"
    ARM64 = "arm64"
    C86 = "c86"

    def runs_on(self, host: Architecture) -> bool:
        """True when a program built for this architecture runs on `host` without a port."""
        x86 = (Architecture.X86_64, Architecture.C86)
        return self == host or (self in x86 and host in x86)


class Disposition(StrEnum):
    """处置方式: what shall become of a system."""

    REHOST = "rehost"  # 平迁
    REPLATFORM = "replatform"  # 改造
    REFACTOR = "refactor"  # 重构
    REPURCHASE = "repurchase"  # 替换
    CONSOLIDATE = "consolidate"  # 整合
    RETIRE = "retire"  # 关停
    RETAIN = "retain"  # 例外保留


@dataclass(frozen=True, slots=True)
class AcceleratorDemand:
    """Accelerator cards as the ledger writes them: the model in the sender's words, and how many."""

    model: str
    count: int


@dataclass(frozen=True, slots=True)
class System:
    """One system as of one import. Field names and value forms are the ledger's answer key.

    `vcpu`, `mem_gb` and `disk_gb` are totals over all servers (GB and T as written, T = 1024 G);
    `mlps` is the protection level (等保) "none", "1".."4" as text; `golive` is an ISO date cut to
    `golive_precision` ("year", "month", "day"); `cpu_avg_pct` is in percent, `opex_wan` in 万元 a year.
    """

    sheet: str
    row: int
    name: str
    department: str | None
    ownership: Ownership | None
    zone: Zone | None = None
    classified: bool | None = None
    mlps: str | None = None
    servers: int | None = None
    vcpu: int | None = None
    mem_gb: int | float | None = None
    disk_gb: int | float | None = None
    golive: str | None = None
    golive_precision: str | None = None
    arch: Architecture | None = None
    users: int | None = None
    zombie: bool | None = None
    cpu_avg_pct: float | None = None
    opex_wan: float | None = None
    crypto_plan: bool | None = None
    data_catalog: bool | None = None
    deps: tuple[str, ...] = ()
    disposition: Disposition | None = None
    merged_into: str | None = None
    should_migrate: bool | None = None
    migrated: bool | None = None
    gpu: AcceleratorDemand | None = None
    function: str | None = None
    environment: str | None = None
    os: str | None = None
    database: str | None = None
    remark: str | None = None
    database_instance: str | None = None  # 数据库实例: systems that name the same one share a database
    defer_reason: str | None = None  # 暂缓原因: why it is not migrated yet, in the sender's words


def system_key(name: str, department: str | None) -> str:
    """The identity of a system across imports: department and name, NFKC, without white space.

    The same system sent twice has the same key, however its cells were typed.
    """
    parts = (department or "", name)
    return "/".join("".join(unicodedata.normalize("NFKC", part).split()) for part in parts)

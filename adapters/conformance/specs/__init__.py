"""The laws, in the order in which they are asked: an explicit list, a file or more a group."""

from __future__ import annotations

from adapters.conformance.spec import Spec
from adapters.conformance.specs import (
    capabilities,
    clocks,
    extras,
    fencing,
    idempotency,
    identity,
    launching,
    leases,
    limits,
    load,
    partitions,
    programs_run,
    recovery,
    room,
    watches,
    wrong_input,
)

ALL: tuple[Spec, ...] = (
    *identity.SPECS,
    *capabilities.SPECS,
    *launching.SPECS,
    *room.SPECS,
    *programs_run.SPECS,
    *extras.SPECS,
    *idempotency.SPECS,
    *watches.SPECS,
    *fencing.SPECS,
    *partitions.SPECS,
    *leases.SPECS,
    *clocks.SPECS,
    *wrong_input.SPECS,
    *limits.SPECS,
    *load.SPECS,
    *recovery.SPECS,
)

GROUPS: dict[str, tuple[str, str]] = {
    "identity": ("身份", "identity"),
    "capabilities": ("能力", "capabilities"),
    "launch": ("启动与停止", "launch and stop"),
    "extras": ("可选能力", "optional capabilities"),
    "idempotency": ("幂等", "idempotency"),
    "watch": ("订阅与续订", "watch and resume"),
    "fencing": ("防旧领导", "fencing"),
    "partition": ("网络分区", "partition"),
    "lease": ("租约到期", "lease expiry"),
    "clock": ("时钟偏差", "clock skew"),
    "input": ("错误输入", "wrong input"),
    "limits": ("限度", "limits"),
    "load": ("负载", "load"),
    "recovery": ("重启与恢复", "restart and recovery"),
}

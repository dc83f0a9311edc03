"""This machine as the one node of a local pool: what it offers, as declared or as measured."""

from __future__ import annotations

import platform

import psutil

from inventory.model.pool import Node, Pool
from inventory.model.system import Architecture
from inventory.model.units import Resources

NODE_ID = "localhost"
_ARCHITECTURE_OF = {
    "x86_64": Architecture.X86_64,
    "amd64": Architecture.X86_64,
    "aarch64": Architecture.ARM64,
    "arm64": Architecture.ARM64,
}


def this_machine(pool: Pool) -> Node:
    """The node: from the pool's one node group of one node, or measured where the pool declares none.

    Raises ValueError when the declaration is not of one machine, or the machine's architecture is not known.
    """
    if pool.node_groups:
        (group, *others) = pool.node_groups
        if others or group.nodes != 1:
            count = sum(each.nodes for each in pool.node_groups)
            raise ValueError(
                f"{pool.pool_id}: 声明了 {count} 个节点；本机池只能有一个节点 / "
                f"declares {count} nodes: a local pool is one machine, declare one group of one node, or none"
            )
        amount = group.capacity
        return Node(
            node_id=NODE_ID,
            arch=group.arch,
            allocatable=Resources(amount.cpu_milli, amount.memory_bytes, 0, amount.accelerator_milli),
            accelerator=group.accelerator,
        )
    machine = platform.machine().lower()
    if machine not in _ARCHITECTURE_OF:
        raise ValueError(f"{machine}: 未知架构，请在池的节点组中声明 / unknown architecture: declare a node group")
    return Node(
        node_id=NODE_ID,
        arch=_ARCHITECTURE_OF[machine],
        allocatable=Resources(
            cpu_milli=(psutil.cpu_count() or 1) * 1000, memory_bytes=int(psutil.virtual_memory().total)
        ),
    )

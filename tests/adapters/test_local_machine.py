"""This machine as a node: as its owner declares it, or as it is measured."""

from __future__ import annotations

from dataclasses import replace

import psutil
import pytest

from adapters.local.machine import NODE_ID, this_machine
from inventory.model.pool import NodeGroup
from inventory.model.system import Architecture
from inventory.model.units import GIB, Resources
from tests.adapters.adapter_process import declared_pool

POOL = declared_pool("local")


def test_a_declared_machine_is_what_its_owner_says() -> None:
    group = NodeGroup("here", 1, Architecture.C86, Resources(3000, GIB, 7, 2000), "HygonK100AI")
    node = this_machine(replace(POOL, node_groups=(group,)))
    assert (node.node_id, node.arch, node.accelerator) == (NODE_ID, Architecture.C86, "HygonK100AI")
    assert node.allocatable == Resources(3000, GIB, 0, 2000), "disk is shared, not of the node"


def test_a_machine_that_is_not_declared_is_measured() -> None:
    node = this_machine(replace(POOL, node_groups=()))
    assert node.allocatable.cpu_milli == (psutil.cpu_count() or 1) * 1000
    assert node.allocatable.memory_bytes == psutil.virtual_memory().total


def test_an_architecture_that_is_not_known_must_be_declared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "sw_64")
    with pytest.raises(ValueError, match="sw_64"):
        this_machine(replace(POOL, node_groups=()))
    assert this_machine(POOL).arch is Architecture.X86_64


@pytest.mark.parametrize("nodes", [(0,), (2,), (1, 1)])
def test_a_local_pool_is_one_machine(nodes: tuple[int, ...]) -> None:
    groups = tuple(NodeGroup(f"g{i}", count, Architecture.X86_64, Resources(1)) for i, count in enumerate(nodes))
    with pytest.raises(ValueError, match="one"):
        this_machine(replace(POOL, node_groups=groups))

"""A start waits for what it needs, and for nothing else: which libraries each process loads, and what of Ray is started."""

from __future__ import annotations

import subprocess
import sys

import pytest
from ray._private.node import Node

from scheduler.runtime.lean_ray import UNUSED, lean


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        pytest.param("console.commands.up", "numba openpyxl networkx pyarrow dbos", id="`xisuan up` itself"),
        pytest.param(
            "scheduler.runtime.gateway_actor", "numba openpyxl networkx sqlalchemy ortools", id="a gateway"
        ),
        pytest.param("scheduler.runtime.pool_host_actor", "numba openpyxl sqlalchemy", id="a pool host"),
        pytest.param(
            "scheduler.runtime.control_plane_actor", "numba openpyxl networkx pyarrow", id="the control plane"
        ),
        pytest.param("scheduler.runtime.actors", "sqlalchemy grpc pydantic", id="whoever calls an actor"),
        pytest.param("console.runbook_host", "dbos", id="the runbook host"),
    ],
)
def test_what_is_not_needed_at_the_start_is_not_loaded(module: str, unwanted: str) -> None:
    asked = f"import sys, {module}; print(*sorted(set({unwanted.split()!r}) & set(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert loaded.stdout.split() == []


def test_this_ray_has_what_a_local_start_leaves_out() -> None:
    before = {name: vars(Node)[name] for name in UNUSED}
    with lean():
        assert all(vars(Node)[name] is not before[name] for name in UNUSED)
    assert {name: vars(Node)[name] for name in UNUSED} == before

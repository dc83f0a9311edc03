"""Fixtures that every group of tests may ask for, and which tests run side by side.

Servers are started only for tests that name them. `make test` spreads the tests that compute over the processors, file
by file, and then runs those that start servers and processes in two processes: one has the tests that bring up the
whole service (two of them would fight over processors and ports), the other has adapters and control planes alone.
They share servers, tell processes of this machine apart by the ids of their runs, and wait for real time.
"""

from __future__ import annotations

import pytest
from hypothesis import settings

# A test is never timed: what takes 200 ms on a busy machine is not wrong.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

pytest_plugins = [
    "tests.servers.postgres",
    "tests.servers.kubernetes_cluster",
    "tests.servers.openstack_cloud",
    "tests.servers.ray_cluster",
    "tests.servers.slurm_cluster",
]

_PARTS = frozenset(
    {"access", "adapters", "conformance", "control_plane", "kubernetes_adapter", "openstack_adapter", "services"}
    | {"servers", "slurm_adapter"}
)
_WITH_SERVERS = _PARTS | {"console", "rayjobs_adapter", "runbooks", "runtime"}


@pytest.hookimpl(tryfirst=True)  # before xdist, which reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        group = item.path.parent.name
        if group in _WITH_SERVERS:
            item.add_marker("servers")
        if item.get_closest_marker("servers"):
            item.add_marker(pytest.mark.xdist_group("parts" if group in _PARTS else "service"))

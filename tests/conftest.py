"""Fixtures that every group of tests may ask for, and which tests run side by side.

Servers are started only for tests that name them. `make test` spreads the tests that compute over the processors, file
by file, and then runs those that start servers and processes one after the other: they share servers, tell processes
of this machine apart by the ids of their runs, and wait for real time.
"""

from __future__ import annotations

import pytest

pytest_plugins = [
    "tests.servers.postgres",
    "tests.servers.kubernetes_cluster",
    "tests.servers.ray_cluster",
    "tests.servers.slurm_cluster",
]

_WITH_SERVERS = frozenset(
    {"adapters", "conformance", "console", "control_plane", "kubernetes_adapter", "rayjobs_adapter", "runbooks"}
    | {"runtime", "services", "slurm_adapter"}
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent.name in _WITH_SERVERS:
            item.add_marker("servers")

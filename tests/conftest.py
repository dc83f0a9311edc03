"""Fixtures that every group of tests may ask for, and which tests run side by side.

Servers are started only for tests that name them. `make test` spreads the tests that compute over the processors, file
by file, and then runs those that start servers and processes in two processes: one has the tests that bring up the
whole service (two of them would fight over processors and ports), the other has adapters and control planes alone.
They share servers, tell processes of this machine apart by the ids of their runs, and wait for real time.
"""

from __future__ import annotations

import pytest
from hypothesis import settings
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent.name in _WITH_SERVERS:
            item.add_marker("servers")


@pytest.hookimpl(optionalhook=True)  # pytest-xdist asks it
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling | None:
    """`--dist loadgroup` here means: parts alone, or the whole service. (The marks that xdist has for it do nothing
    with pytest 9.2, which xdist 3.8 does not know yet.)"""
    return _ByServers(config, log) if config.getoption("dist") == "loadgroup" else None


class _ByServers(LoadScopeScheduling):
    def _split_scope(self, nodeid: str) -> str:
        return "parts" if _PARTS.intersection(nodeid.split("/")) else "service"

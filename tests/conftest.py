"""Fixtures that every group of tests may ask for, and which tests run one after the other.

Servers are started only for tests that name them. With pytest-xdist (`make test`) the tests that start servers and
processes keep to one worker a concern, so that each server is started once; all others are spread file by file.
"""

from __future__ import annotations

import pytest

pytest_plugins = [
    "tests.servers.postgres",
    "tests.servers.kubernetes_cluster",
    "tests.servers.ray_cluster",
    "tests.servers.slurm_cluster",
]

# Folders whose tests share servers, or tell the processes of this machine apart by the ids of their runs.
_TOGETHER = {
    "the service": ("console", "control_plane", "runtime", "services", "runbooks"),
    "adapters": ("adapters", "conformance", "kubernetes_adapter", "rayjobs_adapter", "slurm_adapter"),
}
_GROUP_OF = {folder: group for group, folders in _TOGETHER.items() for folder in folders}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long groups come first: what is left at the end is then small and fits any worker."""
    for item in items:
        folder = item.path.parent.name
        item.add_marker(pytest.mark.xdist_group(_GROUP_OF.get(folder, str(item.path))))
    items.sort(key=lambda item: item.path.parent.name not in _GROUP_OF)

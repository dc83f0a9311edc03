"""Fixtures that every group of tests may ask for. Servers are started only for tests that name them."""

from __future__ import annotations

pytest_plugins = [
    "tests.servers.postgres",
    "tests.servers.kubernetes_cluster",
    "tests.servers.ray_cluster",
    "tests.servers.slurm_cluster",
]

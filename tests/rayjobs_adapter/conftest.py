"""A Ray adapter over a real Ray head and a node with pretended cards."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from inventory.model.pool import Pool
from tests.adapters.adapter_process import AdapterProcess, declared_pool, running


def ray_pool(pool_id: str = "ray-pool") -> Pool:
    return replace(declared_pool("rayjobs"), pool_id=pool_id, accelerator="A100", cards=2)


def new_adapter(address: str, folder: Path, pool: Pool | None = None, *options: str) -> AdapterProcess:
    return AdapterProcess(
        "rayjobs", folder, pool=pool or ray_pool(), options=["--address", address, "--grace", "2", *options]
    )


@pytest.fixture(scope="session")
def ray(ray_cluster: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AdapterProcess]:
    with running(new_adapter(ray_cluster, tmp_path_factory.mktemp("rayjobs"))) as adapter:
        yield adapter

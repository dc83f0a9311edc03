"""A Slurm adapter over a real slurmctld with eight slurmds of 512 CPUs and 8 GPUs each."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from inventory.model.pool import Pool
from tests.adapters.adapter_process import AdapterProcess, declared_pool, running


def slurm_pool(pool_id: str = "slurm-pool") -> Pool:
    return replace(declared_pool("slurm"), pool_id=pool_id, accelerator="H100", cards=64)


def new_adapter(cluster: Path, folder: Path, pool_id: str = "slurm-pool") -> AdapterProcess:
    options = ["--slurm-conf", str(cluster / "slurm.conf")]
    return AdapterProcess("slurm", folder, pool=slurm_pool(pool_id), options=options)


def ask(cluster: Path, *words: str) -> str:
    """What a client of Slurm says, as a person at a login node would ask."""
    environment = {**os.environ, "SLURM_CONF": str(cluster / "slurm.conf")}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=20, check=True)
    return done.stdout


@pytest.fixture(scope="session")
def slurm(slurm_cluster: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AdapterProcess]:
    with running(new_adapter(slurm_cluster, tmp_path_factory.mktemp("slurm"))) as adapter:
        yield adapter

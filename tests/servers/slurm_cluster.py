"""A real Slurm (slurmctld with eight slurmds of 512 CPUs and 8 GPUs each) for the tests that ask for one.

Started once a session by `slurm/cluster.sh`. Where it is not installed these tests are skipped with the reason;
XISUAN_REQUIRE with "slurm" makes it fail. Tests that kill a slurmd start it again by `start_slurmd`.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.required import NOT_INSTALLED, absent, free_port

SLURM_NODES = 8
_SCRIPT = Path(__file__).parent / "slurm" / "cluster.sh"


@pytest.fixture(scope="session")
def slurm_cluster() -> Iterator[Path]:
    """The folder of a running cluster whose nodes n1 to n8 are idle; clients need its `slurm.conf`."""
    folder = Path(tempfile.gettempdir()) / f"xisuan-slurm-{os.getpid()}"
    port = free_port(following=SLURM_NODES)
    start = [str(_SCRIPT), "start", str(folder), str(port), str(os.getpid()), str(SLURM_NODES)]
    # To a file, not a pipe: the servers that the script leaves behind would hold a pipe open.
    with tempfile.TemporaryFile("w+") as output:
        code = subprocess.run(start, stdout=output, stderr=output, check=False).returncode
        output.seek(0)
        said = output.read().strip()
    if code == NOT_INSTALLED:
        absent("slurm", said)
    try:
        assert code == 0, said
        yield folder
    finally:
        subprocess.run([_SCRIPT, "stop", folder], capture_output=True, check=False)


def start_slurmd(folder: Path, node: str) -> None:
    """Starts the slurmd of `node` again after a test has ended it."""
    subprocess.run([_SCRIPT, "slurmd", folder, node], check=True)

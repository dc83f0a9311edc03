"""A real Ray (a head of 8 CPUs, a node of 8 CPUs, 2 GPUs, 4 NPUs) for the tests that ask for one.

Started once a session by `ray/cluster.sh`, where XISUAN_REQUIRE names "ray"; else these tests are skipped, visibly: a
second Ray of 1.7 GB beside everything else does not always start on a small machine.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.required import NOT_INSTALLED, absent

RAY_HEAD = "127.0.0.2"
RAY_NODE = "127.0.0.3"
_SCRIPT = Path(__file__).parent / "ray" / "cluster.sh"
_PORTS = 40
_FIRST_PORT = 21_000  # Ray's own workers, and other servers of the tests, take theirs elsewhere


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[str]:
    """The address of the Jobs API of a running cluster."""
    if "ray" not in os.environ.get("XISUAN_REQUIRE", "").replace(",", " ").split():
        pytest.skip("a Ray cluster of its own is started only where it is asked for: XISUAN_REQUIRE=ray")
    folder = Path(tempfile.gettempdir()) / f"xray-{os.getpid()}"
    port = _FIRST_PORT + os.getpid() % 200 * _PORTS
    start = [str(_SCRIPT), "start", str(folder), str(port), str(os.getpid())]
    # To a file, not a pipe: the servers that the script leaves behind would hold a pipe open.
    with tempfile.TemporaryFile("w+") as output:
        code = subprocess.run(start, stdout=output, stderr=output, check=False).returncode
        output.seek(0)
        said = output.read().strip()
    if code == NOT_INSTALLED:
        absent("ray", said)
    try:
        assert code == 0, said
        yield f"http://{RAY_HEAD}:{port}"
    finally:
        subprocess.run([_SCRIPT, "stop", folder], capture_output=True, check=False)

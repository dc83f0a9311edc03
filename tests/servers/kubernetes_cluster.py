"""A real Kubernetes control plane (API server, etcd, scheduler, controllers) whose nodes KWOK pretends.

Started once a session by `kubernetes/cluster.sh` for the tests that ask for it. Where its programs are neither
installed nor can be built, these tests are skipped with the reason; XISUAN_REQUIRE with "kubernetes" makes it fail.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.required import NOT_INSTALLED, absent, free_port

_SCRIPT = Path(__file__).parent / "kubernetes" / "cluster.sh"


@pytest.fixture(scope="session")
def kubernetes_cluster() -> Iterator[Path]:
    """The folder of a running cluster without nodes; its `kubeconfig` is an administrator's."""
    folder = Path(tempfile.gettempdir()) / f"xisuan-kubernetes-{os.getpid()}"
    start = [str(_SCRIPT), "start", str(folder), str(free_port(following=2)), str(os.getpid())]
    # To a file, not a pipe: the servers that the script leaves behind would hold a pipe open.
    with tempfile.TemporaryFile("w+") as output:
        code = subprocess.run(start, stdout=output, stderr=output, check=False).returncode
        output.seek(0)
        said = output.read().strip()
    if code == NOT_INSTALLED:
        absent("kubernetes", said)
    try:
        assert code == 0, said
        yield folder
    finally:
        subprocess.run([_SCRIPT, "stop", folder], capture_output=True, check=False)

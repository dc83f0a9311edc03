"""A real OpenStack (Keystone, Placement, Glance, Nova with its fake driver) for the tests that ask for one.

Started once a session by `openstack/up.sh`, where XISUAN_REQUIRE names "openstack"; else these tests are skipped,
visibly: it takes a minute and 1.4 GB, and MariaDB and RabbitMQ.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.required import NOT_INSTALLED, absent, free_port

_SCRIPT = Path(__file__).parent / "openstack" / "up.sh"
_PORTS = 9


@pytest.fixture(scope="session")
def openstack_cloud() -> Iterator[Path]:
    """The clouds.yaml of a running cloud: "tests" is its administrator, "tenant" a member of another project."""
    if "openstack" not in os.environ.get("XISUAN_REQUIRE", "").replace(",", " ").split():
        pytest.skip("an OpenStack is started only where it is asked for: XISUAN_REQUIRE=openstack")
    folder = Path(tempfile.gettempdir()) / f"xos-{os.getpid()}"
    start = [str(_SCRIPT), "start", str(folder), str(free_port(following=_PORTS)), str(os.getpid())]
    # To a file, not a pipe: the servers that the script leaves behind would hold a pipe open.
    with tempfile.TemporaryFile("w+") as output:
        code = subprocess.run(start, stdout=output, stderr=output, check=False).returncode
        output.seek(0)
        said = output.read().strip()
    if code == NOT_INSTALLED:
        absent("openstack", said)
    try:
        assert code == 0, said
        yield folder / "clouds.yaml"
    finally:
        subprocess.run([_SCRIPT, "stop", folder], capture_output=True, check=False)

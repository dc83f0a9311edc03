"""A real OpenStack (Keystone, Placement, Glance, Nova with its fake driver) for the tests that ask for one.

Started once a session by `openstack/up.sh`, where XISUAN_REQUIRE names "openstack"; else these tests are skipped,
visibly: it takes a minute and 1.4 GB, and MariaDB and RabbitMQ. Tests that kill a hypervisor's service start it again by
`start_compute`.
"""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.required import NOT_INSTALLED, absent

_SCRIPT = Path(__file__).parent / "openstack" / "up.sh"
_PORTS = 10
_FIRST_PORT, _LAST_PORT = 20_000, 27_000  # below those of `required.free_port`, above those of Ray


def ask_for_openstack() -> None:
    """Skips the asking test where nobody has asked for an OpenStack."""
    if "openstack" not in os.environ.get("XISUAN_REQUIRE", "").replace(",", " ").split():
        pytest.skip("an OpenStack is started only where it is asked for: XISUAN_REQUIRE=openstack")


def free_ports() -> int:
    """The first of ten ports on loopback that nobody listens on. They are taken half a minute later, the last of them:
    until then no client may be given one of them by chance."""
    count = (_LAST_PORT - _FIRST_PORT) // _PORTS
    for number in range(count):
        first = _FIRST_PORT + (os.getpid() + number) % count * _PORTS
        if all(_is_free(port) for port in range(first, first + _PORTS)):
            return first
    raise AssertionError(f"no {_PORTS} free ports between {_FIRST_PORT} and {_LAST_PORT}")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def start_compute(folder: Path, host: str) -> None:
    """Starts the service of a hypervisor again after a test has ended it."""
    subprocess.run([_SCRIPT, "compute", folder, host], check=True)


@pytest.fixture(scope="session")
def openstack_cloud() -> Iterator[Path]:
    """The clouds.yaml of a running cloud: "tests" is its administrator, "tenant" a member of another project."""
    ask_for_openstack()
    folder = Path(tempfile.gettempdir()) / f"xos-{os.getpid()}"
    start = [str(_SCRIPT), "start", str(folder), str(free_ports()), str(os.getpid())]
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

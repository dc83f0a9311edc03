"""No server of the tests outlives the run of tests that started it, even where that run was killed and not collected."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.adapters.adapter_process import eventually
from tests.servers.openstack_cloud import ask_for_openstack
from tests.servers.required import NOT_INSTALLED, absent, free_port

_HERE = Path(__file__).parent
_SCRIPTS = {
    "postgres": ("postgres.sh", ()),
    "slurm": ("slurm/cluster.sh", ("2",)),
    "kubernetes": ("kubernetes/cluster.sh", ()),
    "openstack": ("openstack/up.sh", ()),
}
_TAKES_A_MINUTE = "openstack"


@pytest.fixture
def owner() -> Iterator[subprocess.Popen[bytes]]:
    """A process that is never collected before its test is over: once killed, it is a zombie."""
    process = subprocess.Popen(["sleep", "600"])
    yield process
    process.kill()
    process.wait()


@pytest.mark.faults
@pytest.mark.servers
@pytest.mark.parametrize(
    "server", [pytest.param(one, marks=[pytest.mark.long] if one == _TAKES_A_MINUTE else []) for one in _SCRIPTS]
)
def test_a_server_ends_when_its_owner_is_killed_and_left_a_zombie(
    server: str, owner: subprocess.Popen[bytes], tmp_path_factory: pytest.TempPathFactory
) -> None:
    if server == _TAKES_A_MINUTE:
        ask_for_openstack()
    script, more = _SCRIPTS[server]
    # Right under the temporary folder: PostgreSQL runs as another user, who must get through to it.
    folder = Path(tempfile.gettempdir()) / f"xisuan-owned-{server}-{os.getpid()}"
    start = [str(_HERE / script), "start", str(folder), str(free_port(following=8)), str(owner.pid), *more]
    log = tmp_path_factory.mktemp(server) / "start.log"
    with log.open("w") as output:
        code = subprocess.run(start, stdout=output, stderr=output, check=False).returncode
    if code == NOT_INSTALLED:
        absent(server, log.read_text(encoding="utf-8"))
    assert code == 0, log.read_text(encoding="utf-8")
    assert processes_of(folder), "the server runs"
    os.kill(owner.pid, signal.SIGKILL)
    eventually(lambda: not folder.exists() and not processes_of(folder), "server and folder are gone")
    assert Path(f"/proc/{owner.pid}").exists(), "nobody has collected its owner"


def processes_of(folder: Path) -> list[str]:
    """Processes whose command or environment names the folder, but for the script that waits for the owner."""
    found = []
    for place in Path("/proc").iterdir():
        try:
            words = (place / "cmdline").read_bytes() + (place / "environ").read_bytes()
        except OSError:  # no process, or it has ended meanwhile
            continue
        if str(folder).encode() in words:
            found.append(place.name)
    return found

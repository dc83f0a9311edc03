"""The conformance suite asks adapters over TLS too: as the scheduler of this home, or as it is told, and with a token."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest

from adapters.client import SECURE
from adapters.conformance.caller import Caller, CallerUnusable
from console.embedded import AdapterProcess
from scheduler.access.local import AccessFiles, LocalAccess
from scheduler.access.transport import adapter_tls, to_adapters
from tests.access.guarded import NOW_MS
from tests.adapters.adapter_process import declared_pool
from xisuan.pool.v1 import pool_adapter_service_pb2 as pb
from xisuan.pool.v1.pool_adapter_service_pb2_grpc import (
    PoolAdapterServiceServicer,
    add_PoolAdapterServiceServicer_to_server,
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("home")
    LocalAccess(folder, NOW_MS()).prepare("127.0.0.1", ())
    return folder


@pytest.fixture(scope="module")
def endpoint(home: Path) -> Iterator[str]:
    tls = adapter_tls(AccessFiles(home / "access"))
    adapter = AdapterProcess(declared_pool("simulated"), "simulated", home / "pool", (), tls)
    yield adapter.endpoint()
    adapter.close()


def conformance(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    code = "import sys; from console.entry import run; sys.exit(run(sys.argv[1:]))"
    command: Sequence[str] = [sys.executable, "-c", code, "adapter", "conformance", *words]
    return subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=120, env={"XISUAN_HOME": str(home)}
    )


def test_an_adapter_of_this_home_is_asked_as_its_scheduler(home: Path, endpoint: str) -> None:
    said = conformance(home, endpoint, "--only", "identity", "--only", "partition.cut", "--only", "fencing.first")
    assert said.returncode == 0, said.stdout + said.stderr


def test_whose_certificate_is_shown_can_be_said(home: Path, endpoint: str, tmp_path: Path) -> None:
    tls = to_adapters(AccessFiles(home / "access"))
    shown = ("--ca", str(tls.ca), "--certificate", str(tls.certificate), "--key", str(tls.key))
    said = conformance(tmp_path, endpoint, *shown, "--only", "identity")
    assert said.returncode == 0, said.stdout + said.stderr


def test_a_stranger_is_told_that_nobody_answers_him(endpoint: str, home: Path, tmp_path: Path) -> None:
    ca = str(AccessFiles(home / "access").authority)
    said = conformance(tmp_path, endpoint, "--ca", ca, "--only", "identity", "--patience", "3")
    assert said.returncode == 2
    assert "no good answer from an adapter there" in said.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("127.0.0.1:1", "--ca", "ca.pem"), "certificates are for TLS: write grpcs://127.0.0.1:1"),
        (("grpcs://127.0.0.1:1", "--certificate", "c.pem"), "are given together"),
        (("grpcs://127.0.0.1:1", "--ca", "nowhere.pem"), "nowhere.pem: 无法读取"),
        (("10.0.0.1:1", "--token-file", "TOKEN"), "a token travels over TLS only"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(words: tuple[str, ...], said: str, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("secret\n", encoding="ascii")
    result = conformance(tmp_path, *(str(token) if word == "TOKEN" else word for word in words))
    assert result.returncode == 2
    assert said in result.stderr and result.stderr.count("\n") == 1


class Doorkeeper(PoolAdapterServiceServicer):
    """Notes who calls."""

    def __init__(self) -> None:
        self.heard: list[object] = []

    def GetVersion(self, request: pb.GetVersionRequest, context: grpc.ServicerContext) -> pb.GetVersionResponse:
        self.heard.append(dict(context.invocation_metadata()).get("authorization"))
        return pb.GetVersionResponse()

    GetCapabilities = GetVersion


def test_a_token_goes_with_every_call(tmp_path: Path) -> None:
    server = grpc.server(ThreadPoolExecutor(2))
    keeper = Doorkeeper()
    add_PoolAdapterServiceServicer_to_server(keeper, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    (tmp_path / "token").write_text("opaque.word\n", encoding="ascii")
    words = ("--token-file", str(tmp_path / "token"), "--only", "identity", "--patience", "3")
    conformance(tmp_path, f"127.0.0.1:{port}", *words)
    server.stop(None)
    assert keeper.heard and set(keeper.heard) == {"Bearer opaque.word"}


def test_a_token_of_several_lines_is_none() -> None:
    with pytest.raises(CallerUnusable, match="one line"):
        Caller(token="a\nb").line("127.0.0.1:1")
    assert "secret" not in repr(Caller(token="secret"))
    assert SECURE == "grpcs://"

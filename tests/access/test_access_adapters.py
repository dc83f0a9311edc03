"""An adapter over TLS answers the scheduler alone; the runtime's shells reach it and serve with what the start has made."""

from __future__ import annotations

import asyncio
import pickle
import subprocess
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from adapters.client import SECURE, AdapterClient, ClientTls
from adapters.port import AdapterUnavailable
from console.embedded import AdapterProcess
from scheduler.access.guard import AccessSettings
from scheduler.access.local import AccessFiles, LocalAccess
from scheduler.access.principals import Grant, Role
from scheduler.access.settings import AccessForm
from scheduler.access.transport import adapter_tls, to_adapters
from scheduler.runtime.gateway_actor import GatewayProcess
from tests.access.guarded import NOW_MS, Bearing
from tests.adapters.adapter_process import declared_pool
from xisuan.credentials import of_home


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("home")
    LocalAccess(folder, NOW_MS()).prepare("127.0.0.1", ())
    return folder


@pytest.fixture(scope="module")
def endpoint(home: Path) -> Iterator[str]:
    files = AccessFiles(home / "access")
    adapter = AdapterProcess(declared_pool("simulated"), "simulated", home / "pool", (), adapter_tls(files))
    yield adapter.endpoint()
    adapter.close()


def pool_behind(endpoint: str, tls: ClientTls | None) -> str:
    async def ask() -> str:
        client = AdapterClient(endpoint, tls)
        try:
            return (await client.capabilities()).pool_id
        finally:
            await client.close()

    return asyncio.run(ask())


def test_the_scheduler_is_answered(home: Path, endpoint: str) -> None:
    assert endpoint.startswith(SECURE)
    assert pool_behind(endpoint, to_adapters(AccessFiles(home / "access")))


def test_nobody_else_is(home: Path, endpoint: str, tmp_path: Path) -> None:
    local = LocalAccess(home, NOW_MS())
    issued = local.issue_certificate("somebody", [Grant(Role.ADMINISTRATOR)], 1)
    (tmp_path / "c.pem").write_text(issued.certificate, "ascii")
    (tmp_path / "c.key").write_text(issued.secret, "ascii")
    ca = local.files.authority
    stranger = LocalAccess(tmp_path, NOW_MS())
    stranger.prepare("127.0.0.1", ())
    theirs = to_adapters(stranger.files)
    for tls in (
        ClientTls(ca, tmp_path / "c.pem", tmp_path / "c.key"),  # of the authority, and not the scheduler
        ClientTls(ca, theirs.certificate, theirs.key),  # called so, by another authority
        None,
    ):
        with pytest.raises(AdapterUnavailable):
            pool_behind(endpoint, tls)
    with pytest.raises(AdapterUnavailable):
        pool_behind(endpoint.removeprefix(SECURE), None)


def test_an_adapter_is_told_all_about_tls_or_nothing(home: Path) -> None:
    files = AccessFiles(home / "access")
    adapter = AdapterProcess(declared_pool("simulated"), "simulated", home / "half", ())
    adapter.close()
    command = [*adapter.command(), "--tls-key", str(files.key("adapter"))]
    said = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.PIPE, timeout=60)
    assert said.returncode == 2
    assert "--tls-client-ca" in said.stderr


def test_an_adapter_that_knows_no_callers_listens_on_loopback_only(home: Path) -> None:
    adapter = AdapterProcess(declared_pool("simulated"), "simulated", home / "open", ())
    adapter.close()
    command = [*adapter.command(), "--host", "0.0.0.0"]
    said = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.PIPE, timeout=60)
    assert said.returncode == 2
    assert "loopback" in said.stderr


def test_the_gateways_actor_serves_over_tls_with_what_crossed_to_its_process(home: Path) -> None:
    settings: AccessSettings = pickle.loads(pickle.dumps(AccessSettings(home / "access", AccessForm())))

    async def serve() -> tuple[set[str], set[str]]:
        shell = GatewayProcess(settings)
        port = await shell.start("127.0.0.1", 0)
        try:
            asked = [asyncio.to_thread(services_at, f"127.0.0.1:{port}", one) for one in (home, home / "nobody")]
            known, unknown = await asyncio.gather(*asked)
        finally:
            await shell.close()
        return known, unknown

    known, unknown = asyncio.run(serve())
    assert {"xisuan.workload.v1.WorkloadService", "xisuan.operation.v1.OperationService"} <= known
    assert unknown == set()


def services_at(address: str, home: Path) -> set[str]:
    """What reflection tells whoever has the credentials of this home; nothing where it does not."""
    known = of_home(home)
    with known.channel(address, ()) as plain:
        channel = grpc.intercept_channel(plain, Bearing(known.token))
        try:
            return set(ProtoReflectionDescriptorDatabase(channel).get_services())
        except grpc.RpcError:
            return set()

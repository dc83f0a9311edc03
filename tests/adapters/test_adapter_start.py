"""Starting and ending an adapter process: what it serves besides, what it refuses, and that it leaves nothing."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

import adapters.local.__main__
import adapters.simulated.__main__
from adapters.wire.pools import write_pool_file
from adapters.wire.status import details_of
from tests.adapters.adapter_process import (
    PATIENCE_S,
    TECHNOLOGIES,
    AdapterProcess,
    declared_pool,
    eventually,
    new_run_id,
)
from xisuan.pool.v1 import pool_adapter_service_pb2 as pb

SERVICE = "xisuan.pool.v1.PoolAdapterService"


@pytest.mark.parametrize("service", ["", SERVICE])
def test_the_standard_health_check_says_serving(adapter: AdapterProcess, service: str) -> None:
    health = health_pb2_grpc.HealthStub(adapter.channel)
    answer = health.Check(health_pb2.HealthCheckRequest(service=service), timeout=PATIENCE_S)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_reflection_names_the_services(adapter: AdapterProcess) -> None:
    reflection = reflection_pb2_grpc.ServerReflectionStub(adapter.channel)
    asked = iter([reflection_pb2.ServerReflectionRequest(list_services="")])
    (answer,) = reflection.ServerReflectionInfo(asked, timeout=PATIENCE_S)
    names = {service.name for service in answer.list_services_response.service}
    assert {SERVICE, "grpc.health.v1.Health"} <= names


Refused = Callable[..., str]


@pytest.fixture
def refused(capfd: pytest.CaptureFixture[str]) -> Refused:
    """Starts an adapter that must refuse with exit code 2; gives its one line on standard error."""

    def start(adapter: AdapterProcess, *more: str) -> str:
        words = [word for word in adapter.command()[3:] if word != "--exit-with-parent"]
        entry = {"local": adapters.local.__main__.main, "simulated": adapters.simulated.__main__.main}
        assert entry[adapter.technology]([*words, *more]) == 2
        said = capfd.readouterr()
        assert said.out == ""
        (line,) = said.err.splitlines()
        assert " / " in line, "in Chinese and in English"
        return line

    return start


@pytest.fixture(params=TECHNOLOGIES)
def stopped(request: pytest.FixtureRequest, tmp_path: Path) -> AdapterProcess:
    return AdapterProcess(request.param, tmp_path / "adapter")


def test_a_port_in_use_is_refused_by_name(stopped: AdapterProcess, refused: Refused) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        assert f"127.0.0.1:{port}" in refused(stopped, "--port", str(port))


def test_the_port_of_another_adapter_is_refused_as_well(
    stopped: AdapterProcess, simulated: AdapterProcess, refused: Refused
) -> None:
    port = simulated.endpoint.rpartition(":")[2]
    assert simulated.endpoint in refused(stopped, "--port", port)


def test_a_state_folder_in_use_is_refused_by_name(adapter: AdapterProcess, refused: Refused) -> None:
    assert str(adapter.state_dir) in refused(adapter)
    assert adapter.is_up()


def test_a_state_folder_that_cannot_be_made_is_refused_by_name(stopped: AdapterProcess, refused: Refused) -> None:
    stopped.state_dir.write_text("a file in its place", encoding="utf-8")
    assert str(stopped.state_dir) in refused(stopped)


def test_a_damaged_epoch_is_refused_by_name_and_not_taken_for_none(
    stopped: AdapterProcess, refused: Refused
) -> None:
    stopped.state_dir.mkdir()
    (stopped.state_dir / "epoch").write_text("seven", encoding="utf-8")
    assert "seven" in refused(stopped)


@pytest.mark.parametrize(
    "content", [None, "", "{}", '{"pool_id": 7}'], ids=["missing", "empty", "no id", "no text"]
)
def test_a_pool_file_that_is_no_pool_is_refused_by_name(
    stopped: AdapterProcess, content: str | None, refused: Refused
) -> None:
    path = stopped.folder / "pool.json"
    path.unlink()
    if content is not None:
        path.write_text(content, encoding="utf-8")
    assert "pool" in refused(stopped)


def test_a_local_pool_of_two_machines_is_refused(tmp_path: Path, refused: Refused) -> None:
    adapter = AdapterProcess("local", tmp_path / "adapter")
    write_pool_file(adapter.folder / "pool.json", declared_pool("local", nodes=2))
    assert "2" in refused(adapter)


@pytest.mark.parametrize(
    ("option", "value"),
    [("--speed", "0"), ("--speed", "nan"), ("--failure-probability", "1.5"), ("--launch-latency-ms", "-1")],
)
def test_an_option_out_of_range_is_refused_by_name(
    tmp_path: Path, option: str, value: str, refused: Refused
) -> None:
    assert option in refused(AdapterProcess("simulated", tmp_path / "adapter"), option, value)


def test_a_damaged_run_is_refused_by_name_and_not_forgotten(tmp_path: Path, refused: Refused) -> None:
    adapter = AdapterProcess("local", tmp_path / "adapter")
    damaged = adapter.state_dir / "runs" / "r1" / "spec.json"
    damaged.parent.mkdir(parents=True)
    damaged.write_text('{"nodes": 7}', encoding="utf-8")
    assert str(damaged) in refused(adapter)


def test_it_ends_politely_and_tells_its_watchers(tmp_path: Path) -> None:
    adapter = AdapterProcess("simulated", tmp_path / "adapter")
    adapter.start()
    responses = iter(adapter.stub.Watch(pb.WatchRequest(), timeout=PATIENCE_S))
    next(responses)
    adapter.process.send_signal(signal.SIGTERM)
    with pytest.raises(grpc.RpcError) as error:
        for _ in responses:
            pass
    assert details_of(error.value).code is grpc.StatusCode.UNAVAILABLE
    assert adapter.stop() == 0
    assert not (adapter.folder / "port").exists()


def test_it_ends_when_the_parent_ends(tmp_path: Path) -> None:
    adapter = AdapterProcess("simulated", tmp_path / "adapter")
    # The parent is a process of its own that starts an adapter with a pipe, and is then killed.
    program = (
        "import subprocess, sys, time; subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE); time.sleep(600)"
    )
    parent = subprocess.Popen([sys.executable, "-c", program, *adapter.command()], stdout=subprocess.DEVNULL)
    eventually((adapter.folder / "port").exists, "the adapter is up")
    parent.kill()
    parent.wait(PATIENCE_S)
    eventually(lambda: not adapter.processes(), "the adapter has ended")


def test_it_refuses_to_depend_on_a_parent_that_holds_no_pipe(tmp_path: Path) -> None:
    adapter = AdapterProcess("simulated", tmp_path / "adapter")
    with Path(os.devnull).open("rb") as nothing:
        ended = subprocess.run(
            adapter.command(), stdin=nothing, capture_output=True, text=True, timeout=PATIENCE_S, check=False
        )
    assert ended.returncode == 2
    assert "--exit-with-parent" in ended.stderr


def test_runs_can_be_ended_with_the_adapter(tmp_path: Path) -> None:
    adapter = AdapterProcess("local", tmp_path / "adapter", options=["--stop-runs-at-exit"])
    adapter.start()
    run_id = new_run_id()
    adapter.launch(adapter.launching(run_id))
    assert adapter.stop() == 0
    assert (adapter.state_dir / "runs" / run_id / "ended.json").exists()
    # Its supervisor, which has just written that, is about to end.
    eventually(lambda: not adapter.processes(), "nothing is left of the run")

"""A running service as its operators see it: metrics, status, one trace, logs, reload, backup, and an end in good order."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from inventory.store.verify import verify
from scheduler.store.opening import open_store
from tests.operation.otlp import Receiver, receiving
from tests.runtime.service import Service, until, workload
from xisuan.client import CallError

pytestmark = [pytest.mark.ray, pytest.mark.servers]
TRACE = "0af7651916cd43dd8448eb211c80319c"
_WHOLE_WAY = {"xisuan.workload.v1.WorkloadService/Submit", "store", "place", "launch", "adapter launch"}


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with receiving() as made, pytest.MonkeyPatch.context() as environment:
        environment.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", made.endpoint)
        environment.setenv("OTEL_BSP_SCHEDULE_DELAY", "200")
        # What is not asked to be traced is not: the other tests would fill the receiver.
        environment.setenv("OTEL_TRACES_SAMPLER", "parentbased_always_off")
        yield made


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory, receiver: Receiver) -> Iterator[Service]:
    with Service(tmp_path_factory.mktemp("operated") / "home") as service:
        yield service


@pytest.fixture
def service(started: Service) -> Service:
    """Up, whatever the test before did to it."""
    if started.process.poll() is not None:
        started.start()
    return started


def metrics(service: Service) -> dict[str, Metric]:
    where = json.loads((service.home / "endpoint.json").read_text())["metrics"]
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(f"http://{where}/metrics", timeout=20) as answer:
        text = answer.read().decode()
    return {family.name: family for family in text_string_to_metric_families(text)}


def total(families: dict[str, Metric], sample: str, **labels: str) -> float:
    found = (one for family in families.values() for one in family.samples if one.name == sample)
    return sum(one.value for one in found if labels.items() <= one.labels.items())


def status(service: Service) -> dict[str, Any]:
    said = service.run_command("status", "--json")
    assert said.returncode == 0, said.stderr
    document: dict[str, Any] = json.loads(said.stdout)
    return document


def digest(service: Service) -> str:
    """Of the settings in force; empty while nobody leads."""
    with service.operations() as operations:
        try:
            return operations.service_status().settings.digest
        except CallError:
            return ""


def finish(service: Service, *keys: str, **changes: Any) -> list[str]:
    with service.client() as client:
        ids = [client.submit(workload(key, **changes))[0].workload_id for key in keys]
        for workload_id in ids:
            client.wait(workload_id)
    return ids


def test_metrics_tell_what_was_done_and_how_things_stand(service: Service) -> None:
    before = metrics(service)
    finish(service, *(f"metrics-{number}" for number in range(5)))
    after = metrics(service)

    def grown(sample: str, **labels: str) -> float:
        return total(after, sample, **labels) - total(before, sample, **labels)

    assert grown("xisuan_workloads_submitted_total") == 5
    assert grown("xisuan_workloads_finished_total", state="succeeded") == 5
    assert grown("xisuan_placement_latency_seconds_count") == 5
    assert grown("xisuan_submission_acknowledgement_seconds_count") == 5
    assert grown("xisuan_store_commit_seconds_count") >= 5
    assert grown("xisuan_cycle_duration_seconds_count") >= 1
    assert grown("grpc_server_handled_total", grpc_method="Submit", grpc_code="OK") == 5
    assert grown("xisuan_pool_host_call_seconds_count", method="launch") >= 1
    assert total(after, "xisuan_leader_epoch") >= 1
    assert {s.value for s in after["xisuan_up"].samples} == {1.0}
    assert {s.labels["actor"] for s in after["xisuan_up"].samples} == {"control-plane", "pool-host-0", "gateway-0"}
    for pool in {s.labels["pool"] for s in after["xisuan_pool_capacity"].samples}:
        free = total(after, "xisuan_pool_free", pool=pool, resource="cpu")
        held = total(after, "xisuan_pool_allocated", pool=pool, resource="cpu")
        assert free + held == pytest.approx(total(after, "xisuan_pool_allocatable", pool=pool, resource="cpu"))


def test_status_tells_epoch_store_queues_and_the_last_minute(service: Service) -> None:
    finish(service, "status")
    seen = status(service)
    assert seen["service"]["epoch"] >= 1
    assert set(seen["service"]["last_minute"]) == {"submitted", "placed", "started", "finished"}
    assert sum(seen["service"]["workloads"].values()) >= 1
    assert seen["size_bytes"] > 0 and seen["head"].startswith(f"{seen['events']}:")
    shown = service.run_command("status").stdout
    assert "领导任期 / leader epoch" in shown and "近一分钟 / last minute" in shown


def test_one_trace_goes_from_the_client_to_the_adapter(
    service: Service, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRACEPARENT", f"00-{TRACE}-b7ad6b7169203331-01")
    with service.client() as client:
        client.submit(workload("traced"))
    monkeypatch.delenv("TRACEPARENT")
    # Each process sends its spans when it comes to it, so the last span in time need not be the last to arrive.
    found = receiver.wait_for(TRACE, lambda spans: {span.name for span in spans} >= _WHOLE_WAY)
    by_name = {span.name: span for span in found}
    assert set(by_name) >= _WHOLE_WAY
    assert by_name["adapter launch"].parent_id == by_name["place"].span_id
    assert by_name["store"].parent_id == by_name["xisuan.workload.v1.WorkloadService/Submit"].span_id
    services = {span.service for span in found}
    assert services >= {"xisuan-gateway", "xisuan-control-plane"}
    assert any(name.startswith("xisuan-adapter-") for name in services)


def test_a_failure_is_in_the_log_with_the_ids_of_workload_and_run(service: Service) -> None:
    (workload_id,) = finish(service, "fails", pool="demo-local", command=("sh", "-c", "exit 7"))
    text = (service.home / "logs" / "control-plane.jsonl").read_text(encoding="utf-8")
    lines = [json.loads(line) for line in text.splitlines()]
    told = [line for line in lines if line.get("run_id") == f"{workload_id}.1"]
    assert [(line["workload_id"], line["exit_code"]) for line in told if line["state"] == "failed"] == [
        (workload_id, 7)
    ]


def test_settings_are_read_again_and_a_bad_file_changes_nothing(service: Service) -> None:
    file = service.home / "settings.yaml"
    before = digest(service)
    file.write_text("version: 1\nscores: {price: 3}\n", encoding="utf-8")
    said = service.run_command("settings", "reload")
    assert said.returncode == 0, said.stderr
    changed = digest(service)
    assert changed != before

    file.write_text("version: 1\nscores: {nonsense: 3}\n", encoding="utf-8")
    said = service.run_command("settings", "reload")
    assert said.returncode == 2 and len(said.stderr.splitlines()) == 1 and "nonsense" in said.stderr
    service.process.send_signal(signal.SIGHUP)
    log = service.home / "logs" / "up.jsonl"
    until(lambda: "nonsense" in log.read_text(encoding="utf-8"), "a word about the bad file")
    assert digest(service) == changed
    file.unlink()
    assert service.run_command("settings", "reload").returncode == 0
    assert digest(service) == before


def test_settings_outlive_a_restart_of_the_control_plane(service: Service) -> None:
    file = service.home / "settings.yaml"
    file.write_text("version: 1\nscores: {price: 5}\n", encoding="utf-8")
    assert service.run_command("settings", "reload").returncode == 0
    wanted, epoch = digest(service), _epoch(service)
    service.part("ControlPlaneShell").kill()
    until(lambda: _epoch(service) > epoch, "a new leader")
    until(lambda: digest(service) == wanted, "the settings again")
    file.unlink()
    assert service.run_command("settings", "reload").returncode == 0


def _epoch(service: Service) -> int:
    with service.operations() as operations:
        try:
            return operations.service_status().epoch
        except CallError:
            return 0


def test_a_backup_of_the_running_service_is_restored_into_an_empty_home_only(
    service: Service, tmp_path: Path
) -> None:
    finish(service, "backed-up")
    said = service.run_command("store", "backup", str(tmp_path / "backup"))
    assert said.returncode == 0, said.stderr
    assert service.run_command("store", "verify-backup", str(tmp_path / "backup")).returncode == 0
    refused = service.run_command("store", "restore", str(tmp_path / "backup"))
    assert refused.returncode == 2 and len(refused.stderr.splitlines()) == 1
    elsewhere = Service.__new__(Service)
    elsewhere.home = tmp_path / "new"
    restored = elsewhere.run_command("store", "restore", str(tmp_path / "backup"), "--json")
    assert restored.returncode == 0, restored.stderr
    assert json.loads(restored.stdout)["epoch"] > _epoch(service)
    assert elsewhere.run_command("verify").returncode == 0


def test_it_ends_in_good_order_nothing_acknowledged_is_lost_and_watchers_are_told(service: Service) -> None:
    acknowledged: list[str] = []
    ended: list[str] = []
    begun = threading.Event()

    def watch() -> None:
        with service.client() as client:
            client._channel.patience_s = 0.0  # the word of the service itself is wanted, not a resumption
            try:
                for _ in client.watch():
                    begun.set()
            except CallError as error:
                ended.append(error.code)

    def submit() -> None:
        with service.client() as client:
            client._channel.patience_s = 0.0
            for number in range(10_000):
                try:
                    acknowledged.append(client.submit(workload(f"end-{number}"))[0].workload_id)
                except CallError:
                    return

    threads = [threading.Thread(target=watch), threading.Thread(target=submit)]
    for thread in threads:
        thread.start()
    assert begun.wait(30)
    until(lambda: len(acknowledged) > 20, "some submissions")
    asked = time.monotonic()
    assert service.stop() == os.EX_OK
    took = time.monotonic() - asked
    for thread in threads:
        thread.join(60)
    assert ended == ["UNAVAILABLE"]
    assert took < 50
    assert service.left_behind() == []
    assert not (service.home / "endpoint.json").exists()
    store = open_store(f"sqlite:///{service.home / 'xisuan.db'}")
    try:
        stored = {event.subject for event in store.read(limit=1_000_000, kinds=["workload.submitted"])}
        assert set(acknowledged) <= stored
        assert verify(store).holds
    finally:
        store.close()
    assert not (service.home / "xisuan.db-wal").exists() or (service.home / "xisuan.db-wal").stat().st_size == 0
    told = service.run_command("doctor", "--json")
    bad = [one for one in json.loads(told.stdout) if not one["good"] and "pool" not in one["name"]]
    assert bad == []

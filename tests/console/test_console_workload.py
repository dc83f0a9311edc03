"""`xisuan workload` and `xisuan pool` through a running service: what people see, and what programs read."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from inventory.model.workload import WorkloadState
from scheduler.services.ports import ChangePage, WatchFilter
from tests.console.commandline import Said, xisuan
from tests.console.conftest import Service

JOB = "name: report\nqueue: transport/reports\ncommand: [echo, hi]\ncpu: 1\nmemory: 1Gi\n"
_DEADLINE_S = 20.0


@pytest.fixture
def job(tmp_path: Path) -> Path:
    path = tmp_path / "job.yaml"
    path.write_text(JOB, encoding="utf-8")
    return path


def submitted(job: Path) -> str:
    (workload,) = xisuan("workload", "submit", job, "--json").done().json
    return str(workload["workload_id"])


def test_a_submitted_job_is_listed_and_read_back(service: Service, job: Path) -> None:
    assert "report\ttransport/reports\t排队 queued" in xisuan("workload", "submit", job).done().out
    (listed,) = xisuan("workload", "ls", "--json").done().json
    assert (listed["name"], listed["state"]) == ("report", "queued")
    assert listed["requirements"]["per_task"] == {
        "cpu_milli": 1000,
        "memory_bytes": 2**30,
        "disk_bytes": 0,
        "accelerator_milli": 0,
    }
    shown = xisuan("workload", "get", listed["workload_id"]).done().out
    assert "1 CPU · 1 GiB" in shown and "echo hi" in shown
    assert xisuan("workload", "get", listed["workload_id"], "--json").done().json == listed


@pytest.mark.usefixtures("service")
def test_submitting_the_same_file_again_changes_nothing(job: Path) -> None:
    assert submitted(job) == submitted(job)


@pytest.mark.usefixtures("service")
def test_another_body_under_the_same_key_is_refused_with_the_difference(job: Path) -> None:
    submitted(job)
    job.write_text(JOB.replace("cpu: 1", "cpu: 2"), encoding="utf-8")
    xisuan("workload", "submit", job).refused("report", "cpu_milli: 1000 → 2000")


@pytest.mark.usefixtures("service")
def test_jobs_of_a_file_that_were_taken_are_named_beside_the_refused_one(job: Path) -> None:
    job.write_text(f"{JOB}---\n{JOB.replace('report', 'other', 1)}after: [nobody]\n", encoding="utf-8")
    said = xisuan("workload", "submit", job)
    assert said.code == 2
    assert len(said.error_lines) == 1 and "nobody" in said.error_lines[0] and "“other”" in said.error_lines[0]
    assert "注意 / note: 1 个作业已提交" in said.err


@pytest.mark.usefixtures("service")
def test_a_fault_in_one_job_sends_none_of_the_file(job: Path) -> None:
    job.write_text(f"{JOB}---\n{JOB.replace('report', 'other', 1)}level: 9\n", encoding="utf-8")
    xisuan("workload", "submit", job).refused("job.yaml:12", "level = 9")
    assert xisuan("workload", "ls", "--json").done().json == []


@contextmanager
def ending(service: Service, state: WorkloadState, exit_code: int = 0) -> Iterator[None]:
    """As soon as somebody watches, every open workload ends so."""

    def end() -> None:
        deadline = time.monotonic() + _DEADLINE_S
        while not service.scheduling.watches:
            assert time.monotonic() < deadline, "nobody watches"
            time.sleep(0.01)
        for workload_id in service.scheduling.open_ids():
            service.scheduling.end(workload_id, state, exit_code, f"exit {exit_code}")

    thread = threading.Thread(target=end, daemon=True)
    thread.start()
    yield
    thread.join(_DEADLINE_S)


def test_submit_waits_for_the_end_and_tells_success(service: Service, job: Path) -> None:
    with ending(service, WorkloadState.SUCCEEDED):
        said = xisuan("workload", "submit", job, "--wait").done()
    assert "report\ttransport/reports\t成功 succeeded\tpool-a\t1" in said.out


def test_submit_that_waited_for_a_failure_answers_no(service: Service, job: Path) -> None:
    with ending(service, WorkloadState.FAILED, 3):
        xisuan("workload", "submit", job, "--wait").refused("exit 3", code=3)


def test_waiting_for_what_has_ended_already_does_not_wait(service: Service, job: Path) -> None:
    service.scheduling.end(submitted(job), WorkloadState.SUCCEEDED)
    (workload,) = xisuan("workload", "submit", job, "--wait", "--json").done().json
    assert (workload["state"], workload["runs"][0]["exit_code"]) == ("succeeded", 0)


def test_a_watch_of_some_ends_with_them(service: Service, job: Path) -> None:
    workload_id = submitted(job)
    with ending(service, WorkloadState.SUCCEEDED):
        said = xisuan("workload", "watch", workload_id, "--json").done()
    changes = [json.loads(line) for line in said.out.splitlines()]
    assert [change["state"] for change in changes] == ["succeeded"]
    assert changes[0]["run"]["pool_id"] == "pool-a"
    assert xisuan("workload", "watch", workload_id).done().out == ""


def test_a_watch_tells_of_a_workload_that_ends_while_it_begins(
    service: Service, job: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workload_id = submitted(job)
    begin = service.scheduling.changes

    async def end_first(cursor: int | None, wanted: WatchFilter, wait_ms: int) -> ChangePage:
        if cursor is None:
            service.scheduling.end(workload_id, WorkloadState.SUCCEEDED)
        return await begin(cursor, wanted, wait_ms)

    monkeypatch.setattr(service.scheduling, "changes", end_first)
    said = xisuan("workload", "watch", workload_id, "--json").done()
    assert [json.loads(line)["state"] for line in said.out.splitlines()] == ["succeeded"]


@pytest.mark.usefixtures("service")
def test_cancelling_twice_says_the_same(job: Path) -> None:
    workload_id = submitted(job)
    for _ in range(2):
        assert "已取消 cancelled" in xisuan("workload", "cancel", workload_id, "--reason", "不需要了").done().out


@pytest.mark.usefixtures("service")
def test_an_explanation_says_what_would_have_to_change(job: Path) -> None:
    workload_id = submitted(job)
    said = xisuan("workload", "explain", workload_id).done()
    assert "pool-a\tzone 不可解/unresolvable\t政务内网\t政务外网\t改到政务外网" in said.out
    document = xisuan("workload", "explain", workload_id, "--json").done().json
    assert document["refusals_by_code"] == {"zone": 1}
    assert document["opinions"][0]["reasons"][0]["verdict"] == "unresolvable"


@pytest.mark.usefixtures("service")
def test_a_dry_run_says_where_and_submits_nothing(job: Path) -> None:
    job.write_text(f"{JOB}priority: 1\n", encoding="utf-8")
    assert "report: → pool-b (node-1)，约 ¥1.50" in xisuan("workload", "dry-run", job).done().out
    (placed,) = xisuan("workload", "submit", job, "--dry-run", "--json").done().json
    assert (placed["pool_id"], placed["nodes"]) == ("pool-b", ["node-1"])
    assert xisuan("workload", "ls", "--json").done().json == []


@pytest.mark.usefixtures("service")
def test_a_dry_run_of_an_array_counts_its_elements(job: Path) -> None:
    job.write_text(f"{JOB}priority: 1\narray: {{count: 6, max_parallel: 3}}\n", encoding="utf-8")
    said = xisuan("workload", "dry-run", job).done().out
    assert "元素：2 个→ pool-b，1 个等待资源，3 个等待轮次" in said
    assert "elements: 2 in pool-b, 1 waiting for room, 3 waiting for their turn" in said
    (answer,) = xisuan("workload", "dry-run", job, "--json").done().json
    assert answer["array"] == {"placed": {"pool-b": 2}, "waiting": 1, "later": 3}


@pytest.mark.usefixtures("service")
def test_a_dry_run_that_finds_no_place_answers_no(job: Path) -> None:
    xisuan("workload", "dry-run", job).refused("report", code=3)


def test_lists_are_cut_by_state_and_queue(service: Service, job: Path) -> None:
    service.scheduling.end(submitted(job), WorkloadState.FAILED, 1)
    assert len(xisuan("workload", "ls", "--state", "failed", "--json").done().json) == 1
    assert xisuan("workload", "ls", "--state", "queued", "--state", "active", "--json").done().json == []
    assert xisuan("workload", "ls", "--queue", "other", "--json").done().json == []


@pytest.mark.usefixtures("service")
@pytest.mark.parametrize("command", ["get", "cancel", "explain", "logs", "watch"])
def test_an_unknown_workload_is_one_line(command: str) -> None:
    xisuan("workload", command, "w-404").refused("w-404")


@pytest.mark.usefixtures("service")
def test_a_cursor_that_is_none_is_one_line() -> None:
    xisuan("workload", "watch", "--cursor", "yesterday").refused("yesterday")


def test_logs_of_a_pool_that_is_gone_are_one_line(
    service: Service, job: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("console.connection.PATIENCE_S", 0.2)
    workload_id = submitted(job)
    service.scheduling.end(workload_id, WorkloadState.SUCCEEDED)
    xisuan("workload", "logs", workload_id).refused("没有应答", workload_id)


def test_a_service_that_goes_away_is_one_line(
    service: Service, job: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("console.connection.PATIENCE_S", 0.2)
    monkeypatch.setenv("XISUAN_ADDRESS", service.gateway.address)
    service.gateway.stop()
    try:
        xisuan("workload", "submit", job).refused("没有应答")
    finally:
        service.gateway.start()


@pytest.fixture
def pool_files(tmp_path: Path) -> tuple[object, ...]:
    examples = Path(__file__).parents[2] / "examples" / "pools"
    return "--pools", examples / "pools.csv", "--node-groups", examples / "node-groups.csv"


ADDRESSES = tuple(
    word
    for name in ("demo-gov-xc", "demo-gov-x86", "demo-local")
    for word in ("--endpoint", f"{name}=127.0.0.1:7701")
)


@pytest.mark.usefixtures("service")
def test_pools_are_registered_from_their_files_and_listed(pool_files: tuple[object, ...]) -> None:
    assert "算力池 / pools: 3" in xisuan("pool", "register", *pool_files, *ADDRESSES).done().out
    listed = {pool["pool_id"]: pool for pool in xisuan("pool", "ls", "--json").done().json}
    assert set(listed) == {"demo-gov-xc", "demo-gov-x86", "demo-local"}
    assert listed["demo-local"]["health"] == "unknown"
    # Once an address is known, registering the files again needs none.
    xisuan("pool", "register", *pool_files).done()


@pytest.mark.usefixtures("service")
def test_a_pool_without_an_address_is_named(pool_files: tuple[object, ...]) -> None:
    xisuan("pool", "register", *pool_files, *ADDRESSES[:4]).refused("demo-local", "--endpoint")
    assert xisuan("pool", "ls", "--json").done().json == []


@pytest.mark.usefixtures("service")
@pytest.mark.parametrize("text", ["demo-local", "demo-local=nowhere", "other=127.0.0.1:1"])
def test_an_address_that_cannot_be_is_one_line(pool_files: tuple[object, ...], text: str) -> None:
    xisuan("pool", "register", *pool_files, "--endpoint", text).refused(text)


@pytest.mark.usefixtures("service")
def test_a_pool_is_cordoned_opened_and_drained(pool_files: tuple[object, ...]) -> None:
    xisuan("pool", "register", *pool_files, *ADDRESSES).done()
    assert "已封锁 cordoned" in xisuan("pool", "cordon", "demo-local", "--reason", "维护").done().out
    assert "封锁" not in xisuan("pool", "cordon", "demo-local", "--undo").done().out
    assert "排空中 draining" in xisuan("pool", "drain", "demo-local").done().out
    xisuan("pool", "cordon", "nowhere").refused("nowhere")


def test_status_tells_service_pools_workloads_and_ledger(service: Service, job: Path, workbook: Path) -> None:
    xisuan("ledger", "import", workbook).done()
    submitted(job)
    seen = xisuan("status", "--json").done().json
    assert seen["service"]["address"] == service.gateway.address
    assert seen["service"]["workloads"] == {"queued": 1}
    assert (seen["ledger"]["imports"], seen["ledger"]["illustrative"]) == (1, True)
    said: Said = xisuan("status").done()
    assert "示例数据" in said.out and service.gateway.address in said.out

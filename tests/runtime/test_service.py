"""The service on Ray, as its users see it: it runs what it took, survives the loss of any part, and ends cleanly."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from inventory.store.event_store import Store
from inventory.store.verify import verify
from scheduler.store.opening import open_store
from scheduler.store.projection import LEADERSHIP_STARTED
from tests.runtime.service import Service, until, workload
from tests.shared_inputs import REPOSITORY
from xisuan.client import FINAL_STATES, WORKLOAD_STATE_SUCCEEDED, CallError

pytestmark = pytest.mark.ray


def _store(service: Service) -> Store:
    return open_store(f"sqlite:///{service.home / 'xisuan.db'}")


def _finish(service: Service, keys: list[str], *, seconds: int = 30) -> None:
    with service.client() as client:
        ids = [client.submit(workload(key, seconds=seconds))[0].workload_id for key in keys]
        for workload_id in ids:
            assert client.wait(workload_id).state == WORKLOAD_STATE_SUCCEEDED


class TestAServiceThatIsUp:
    def test_runs_a_burst_to_the_end_on_its_pools(self, service: Service) -> None:
        with service.client() as client:
            results = client.submit_batch([workload(f"burst-{number}") for number in range(200)])
            ids = [result.accepted.workload.workload_id for result in results]
            assert len(set(ids)) == 200
            finished = [client.wait(workload_id) for workload_id in ids]
        assert {one.state for one in finished} == {WORKLOAD_STATE_SUCCEEDED}
        assert {len(one.runs) for one in finished} == {1}

    def test_runs_a_real_command_and_brings_back_its_log_and_exit_code(self, service: Service) -> None:
        command = ("sh", "-c", "echo 你好 from $XISUAN_RUN_ID; exit 7")
        with service.client() as client:
            started, _ = client.submit(workload("log", pool="demo-local", command=command))
            finished = client.wait(started.workload_id)
            log = b"".join(client.logs(started.workload_id)).decode()
        assert finished.runs[-1].exit_code == 7
        assert log == f"你好 from {started.workload_id}.1\n"

    def test_answers_health_checks_and_lists_its_services_by_reflection(self, service: Service) -> None:
        with service.channel() as channel:
            check = health_pb2_grpc.HealthStub(channel).Check
            names = set(ProtoReflectionDescriptorDatabase(channel).get_services())
            ours = {name for name in names if name.startswith("xisuan.")}
            assert ours == {
                "xisuan.workload.v1.WorkloadService",
                "xisuan.pool.v1.PoolService",
                "xisuan.inventory.v1.LedgerService",
                "xisuan.migration.v1.MigrationService",
                "xisuan.assessment.v1.AssessmentService",
                "xisuan.queue.v1.QueueService",
                "xisuan.operation.v1.OperationService",
            }
            for name in ours:
                answer = check(health_pb2.HealthCheckRequest(service=name))
                assert answer.status == health_pb2.HealthCheckResponse.SERVING

    def test_listens_on_loopback_only(self, service: Service) -> None:
        listening = [
            connection.laddr.ip
            for part in service.parts()
            for connection in part.net_connections(kind="inet")
            if connection.status == "LISTEN"
        ]
        assert listening
        assert {address.removeprefix("::ffff:") for address in listening} <= {"127.0.0.1", "::1"}

    def test_refuses_a_second_service_on_its_home_in_one_line(self, service: Service) -> None:
        answer = service.run_command("up")
        assert answer.returncode == 2
        assert len(answer.stderr.strip().splitlines()) == 1, answer.stderr
        assert str(service.home) in answer.stderr


class TestTheLossOfAPart:
    @pytest.mark.parametrize("part", ["ControlPlaneShell", "PoolHostShell"])
    def test_of_an_actor_is_made_good_and_nothing_is_lost_or_run_twice(self, service: Service, part: str) -> None:
        keys = [f"{part}-{number}" for number in range(20)]
        with service.client() as client:
            ids = [client.submit(workload(key, seconds=60))[0].workload_id for key in keys]
            service.part(part).kill()
            finished = [client.wait(workload_id) for workload_id in ids]
        assert {one.state for one in finished} == {WORKLOAD_STATE_SUCCEEDED}
        assert {len(one.runs) for one in finished} == {1}
        _finish(service, [f"{part}-after"])

    def test_of_an_adapter_is_made_good_by_starting_it_again_on_its_state(self, service: Service) -> None:
        with service.client() as client:
            started, _ = client.submit(workload("outage", pool="demo-gov-x86", seconds=120))
            until(lambda: client.get(started.workload_id).runs, "placement")
            service.part("demo-gov-x86").kill()
            finished = client.wait(started.workload_id)
        assert finished.state == WORKLOAD_STATE_SUCCEEDED
        assert len(finished.runs) == 1


@pytest.mark.faults
def test_a_kill_of_everything_amid_submissions_loses_nothing_that_was_acknowledged(own_service: Service) -> None:
    acknowledged: list[str] = []
    enough = threading.Event()

    def submit_until_it_breaks() -> None:
        with own_service.client() as client:
            for number in range(100_000):
                try:
                    results = client.submit_batch([workload(f"{number}-{i}", seconds=30) for i in range(20)])
                except CallError:
                    return
                acknowledged.extend(result.accepted.workload.workload_id for result in results)
                if len(acknowledged) >= 200:
                    enough.set()

    submitting = threading.Thread(target=submit_until_it_breaks, daemon=True)
    submitting.start()
    assert enough.wait(60)
    own_service.kill()
    assert own_service.left_behind() == []

    store = _store(own_service)
    result = verify(store)
    assert result.holds, result
    stored = {event.subject for event in store.read(limit=10**6, kinds=["workload.submitted"])}
    assert set(acknowledged) <= stored
    store.close()

    own_service.start()
    with own_service.client() as client:
        finished = {one.workload_id: one for one in client.list()}
        for workload_id in stored:
            if finished[workload_id].state not in FINAL_STATES:
                finished[workload_id] = client.wait(workload_id)
    assert {finished[workload_id].state for workload_id in stored} == {WORKLOAD_STATE_SUCCEEDED}
    assert max(len(finished[workload_id].runs) for workload_id in stored) == 1
    assert own_service.stop() == 0
    assert own_service.left_behind() == []
    store = _store(own_service)
    assert verify(store).holds
    assert len(store.read(limit=10**6, kinds=[LEADERSHIP_STARTED])) == 2
    store.close()


def test_the_demo_runs_by_itself_and_leaves_no_process_behind(tmp_path_factory: pytest.TempPathFactory) -> None:
    home = tmp_path_factory.mktemp("demo")
    told = subprocess.run(
        [sys.executable, "-m", "console", "demo"],
        env={"XISUAN_HOME": str(home), "PATH": "/usr/bin:/bin", "PYTHONPATH": ""},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert told.returncode == 0, told.stdout[-3000:] + told.stderr
    assert "51/51" in told.stdout
    assert {path.name for path in home.iterdir()} == {"demo", "lock"}


EXAMPLES = {
    "hello.yaml": ("submit", "--wait"),
    "report.yaml": ("submit", "--wait"),
    "train.yaml": ("dry-run",),  # six hours of work, so only where it would go
}


@pytest.mark.parametrize(("job", "words"), EXAMPLES.items())
def test_every_example_job_does_what_its_comment_says(service: Service, job: str, words: tuple[str, ...]) -> None:
    command, *options = words
    said = service.run_command("workload", command, str(REPOSITORY / "examples" / "jobs" / job), *options)
    assert said.returncode == 0, said.stdout + said.stderr


def test_no_example_job_is_left_untried() -> None:
    assert {path.name for path in (REPOSITORY / "examples" / "jobs").iterdir()} == set(EXAMPLES)

"""What Ray says is read as what happened, and what is launched is said as Ray wants it: tables, without a Ray."""

from __future__ import annotations

import itertools
import subprocess
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.contract import Launch
from adapters.rayjobs import naming
from adapters.rayjobs.api import Json
from adapters.rayjobs.jobs import is_ours, report_of
from adapters.rayjobs.nodes import Cards, live_nodes
from adapters.rayjobs.output import ProgramOutput
from adapters.rayjobs.submission import entrypoint, submission
from inventory.model.units import GIB, Resources
from inventory.model.workload import Program, Requirements, RunState
from tests.rayjobs_adapter.conftest import ray_pool

PREFIX = naming.prefix("p")
LAUNCH = Launch(
    run_id="r-1",
    workload_id="w-1",
    name="a test",
    requirements=Requirements(Resources(1500, GIB, 0, 2000)),
    program=Program(("python", "-c", "print('a b')"), environment={"WORD": "西算"}),
    nodes=("n1",),
    runtime="ray-job",
)


def job(**changes: object) -> Json:
    result: Json = {
        "type": "SUBMISSION",
        "submission_id": f"{PREFIX}r-1",
        "status": "FAILED",
        "message": "",
        "error_type": None,
        "start_time": 1000,
        "end_time": 5000,
        "driver_node_id": "abc",
        "driver_exit_code": None,
        "metadata": {"xisuan_node": "n1", "xisuan_node_id": "abc"},
    }
    return {**result, **changes}


@pytest.mark.parametrize(
    ("changes", "state", "exit_code", "said"),
    [
        ({"status": "PENDING"}, RunState.STARTING, None, ""),
        ({"status": "PENDING", "metadata": {"xisuan_node_id": "gone"}}, RunState.LOST, None, "left the cluster"),
        ({"status": "RUNNING"}, RunState.RUNNING, None, ""),
        ({"status": "SUCCEEDED", "driver_exit_code": 0}, RunState.SUCCEEDED, 0, ""),
        ({"status": "STOPPED"}, RunState.STOPPED, None, "stopped in Ray"),
        ({"driver_exit_code": 7}, RunState.FAILED, 7, "exit code 7"),
        ({"driver_exit_code": -9}, RunState.FAILED, 137, "signal 9"),
        ({"driver_exit_code": 124}, RunState.FAILED, 124, "max_runtime"),
        ({"error_type": "JOB_SUPERVISOR_ACTOR_DIED", "message": "node died"}, RunState.LOST, None, "node died"),
        ({"error_type": "JOB_SUPERVISOR_ACTOR_START_TIMEOUT"}, RunState.PREEMPTED, None, "too long"),
        ({"error_type": "RUNTIME_ENV_SETUP_FAILURE", "message": "no pip"}, RunState.FAILED, None, "no pip"),
    ],
)
def test_a_job_is_read_as_what_happened(
    changes: dict[str, object], state: RunState, exit_code: int | None, said: str
) -> None:
    report = report_of(job(**changes), PREFIX, {"abc": "n1"}, {"abc"})
    assert (report.run_id, report.state, report.exit_code) == ("r-1", state, exit_code)
    assert said in report.message


@pytest.mark.parametrize(
    ("changes", "ours"),
    [
        ({}, True),
        ({"type": "DRIVER", "submission_id": None}, False),
        ({"submission_id": "raysubmit_x"}, False),
        ({"submission_id": f"{naming.prefix('another pool')}r-1"}, False),
    ],
)
def test_only_submissions_of_this_pool_are_its_runs(changes: dict[str, object], ours: bool) -> None:
    assert is_ours(job(**changes), PREFIX) is ours


def test_what_is_reserved_and_where_is_said_to_ray() -> None:
    asked = submission(LAUNCH, "p", "abc", "GPU", grace_s=7)
    assert asked["submission_id"] == f"{PREFIX}r-1"
    assert (asked["entrypoint_num_cpus"], asked["entrypoint_memory"], asked["entrypoint_num_gpus"]) == (
        1.5,
        GIB,
        2,
    )
    assert asked["entrypoint_label_selector"] == {"ray.io/node-id": "abc"}
    assert asked["runtime_env"]["env_vars"]["WORD"] == "西算"
    assert asked["runtime_env"]["env_vars"]["RAY_JOB_STOP_WAIT_TIME_S"] == "7"


def test_cards_that_are_no_gpus_are_resources_by_name_and_may_be_shared() -> None:
    half = replace(LAUNCH, requirements=Requirements(Resources(1000, GIB, 0, 500)), nodes=())
    asked = submission(half, "p", "", "NPU", grace_s=7)
    assert asked["entrypoint_resources"] == {"NPU": 0.5}
    assert "entrypoint_num_gpus" not in asked
    assert "entrypoint_label_selector" not in asked


@pytest.mark.parametrize(
    ("command", "limit_ms", "code"),
    [
        (("sh", "-c", "exit 7"), 0, 7),
        (("sh", "-c", "exit 7"), 60_000, 7),
        (("sleep", "60"), 100, 124),
        (("sh", "-c", "sleep 60 & sleep 60"), 100, 124),
        (("sh", "-c", 'echo "$0"; exit 3', "a  b'c"), 60_000, 3),
    ],
)
def test_the_entrypoint_keeps_exit_codes_and_time_limits(
    command: tuple[str, ...], limit_ms: int, code: int
) -> None:
    text = entrypoint(replace(LAUNCH, program=Program(command), max_runtime_ms=limit_ms))
    done = subprocess.run(text, shell=True, start_new_session=True, capture_output=True, timeout=20, check=False)
    assert done.returncode == code  # it comes only when nothing holds the pipe: the whole group has ended


def test_nodes_are_named_once_and_offer_what_their_operator_gave_them() -> None:
    def one(node_id: str, name: str, state: str = "ALIVE", **total: float) -> Json:
        labels = {"ray.io/node-id": node_id, "ray.io/accelerator-type": "A100"}
        return {
            "node_id": node_id, "node_name": name, "state": state, "labels": labels,
            "resources_total": {"CPU": 8.0, "memory": float(GIB), **total},
        }  # fmt: skip

    listed = [one("a" * 12, "x", GPU=2.0), one("b" * 12, "y", NPU=4.0), one("c" * 12, "y"), one("d", "z", "DEAD")]
    pool = replace(ray_pool(), accelerator=None)
    found = live_nodes(pool, listed, Cards({"NPU": "Ascend910B"}))
    assert [(one.node.node_id, one.cards, one.node.accelerator) for one in found] == [
        ("x", "GPU", "A100"),
        ("y-bbbbbbbb", "NPU", "Ascend910B"),
        ("y-cccccccc", "", None),
    ]
    assert found[0].node.allocatable == Resources(8000, GIB, 0, 2000)


SETTING_UP = b"2026-11-22 12:26:10,261\tINFO job_manager.py:581 -- Runtime env is setting up.\n"
STARTS = b"Running entrypoint for job j: echo\n"


@pytest.mark.parametrize(
    ("file", "wrote"),
    [
        (SETTING_UP + STARTS + b"one\ntwo", b"one\ntwo"),
        (STARTS + b"one\n", b"one\n"),
        (SETTING_UP + b"one\n" + STARTS + b"two\n", b"one\ntwo\n"),
        (SETTING_UP + STARTS, b""),
        (STARTS + b"\xff\x00" + STARTS, b"\xff\x00" + STARTS),
    ],
)
@given(cuts=st.lists(st.integers(0, 130), max_size=5))
def test_however_the_file_comes_the_program_s_own_output_is_given(
    file: bytes, wrote: bytes, cuts: list[int]
) -> None:
    program = ProgramOutput("j", "echo")
    places = [0, *sorted(min(cut, len(file)) for cut in cuts), len(file)]
    given_out = b"".join(program.take(file[a:b]) for a, b in itertools.pairwise(places))
    assert given_out + program.rest() == wrote


def test_of_a_program_that_never_started_the_reason_is_given() -> None:
    program = ProgramOutput("j", "echo")
    assert program.take(b"runtime_env setup failed") == b""
    assert program.rest() == b"runtime_env setup failed"

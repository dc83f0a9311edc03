"""The local pool: real processes, their exit codes, output, limits and surroundings."""

from __future__ import annotations

from pathlib import Path

import grpc
import pytest

from adapters.wire.status import details_of
from inventory.model.units import GIB, Resources
from inventory.model.workload import Program, Requirements, RunState
from tests.adapters.adapter_process import AdapterProcess, eventually, new_run_id


def run(local: AdapterProcess, *command: str, **changes: object) -> str:
    """Launches the command and waits for its end; returns the run id."""
    run_id = new_run_id()
    (result,) = local.launch(local.launching(run_id, program=Program(command), **changes))  # type: ignore[arg-type]
    assert result.WhichOneof("outcome") == "accepted", result
    local.ending(run_id)
    return run_id


@pytest.mark.parametrize(
    ("command", "state", "exit_code"),
    [
        (("true",), RunState.SUCCEEDED, 0),
        (("sh", "-c", "exit 3"), RunState.FAILED, 3),
        (("sh", "-c", "kill -KILL $$"), RunState.FAILED, 128 + 9),
        (("sh", "-c", "kill -SEGV $$"), RunState.FAILED, 128 + 11),
        (("no-such-program",), RunState.FAILED, 127),
        (("/no/such/program",), RunState.FAILED, 127),
        (("/etc/passwd",), RunState.FAILED, 126),
    ],
    ids=["success", "an exit code", "killed", "crashed", "not on the path", "no such file", "not executable"],
)
def test_a_program_ends_with_its_exit_code(
    local: AdapterProcess, command: tuple[str, ...], state: RunState, exit_code: int
) -> None:
    run_id = run(local, *command)
    status = local.status(run_id)
    assert (local.state(run_id), status.exit_code) == (state, exit_code)
    assert bool(status.message) is (state is RunState.FAILED)


def test_a_missing_program_is_named(local: AdapterProcess) -> None:
    assert "no-such-program" in local.status(run(local, "no-such-program")).message


def test_output_and_errors_come_back_from_any_offset(local: AdapterProcess) -> None:
    run_id = run(local, "sh", "-c", "printf '你好\\n'; printf 'oops\\n' >&2")
    whole = local.output(run_id)
    assert whole == "你好\noops\n".encode()
    assert local.output(run_id, 3) == whole[3:]
    assert local.output(run_id, len(whole)) == b""
    assert local.output(run_id, 10_000) == b""


def test_output_of_a_megabyte_comes_back_whole(local: AdapterProcess) -> None:
    run_id = run(local, "sh", "-c", "yes 0123456789abcde | head -c 1048576")
    whole = local.output(run_id)
    assert len(whole) == 1048576
    assert whole[:16] == whole[-16:] == b"0123456789abcde\n"


def test_following_a_log_stays_until_the_run_has_ended(local: AdapterProcess, tmp_path: Path) -> None:
    run_id, signpost = new_run_id(), tmp_path / "go"
    script = f"echo one; while [ ! -e {signpost} ]; do sleep 0.02; done; echo two"
    local.launch(local.launching(run_id, program=Program(("sh", "-c", script))))
    eventually(lambda: local.output(run_id) == b"one\n", "the first line is there")
    signpost.touch()
    assert local.output(run_id, follow=True) == b"one\ntwo\n"


def test_the_log_of_an_unknown_run_is_not_found_and_a_negative_offset_is_malformed(local: AdapterProcess) -> None:
    with pytest.raises(grpc.RpcError) as unknown:
        local.output("never-heard-of")
    assert details_of(unknown.value).code is grpc.StatusCode.NOT_FOUND
    with pytest.raises(grpc.RpcError) as negative:
        local.output(run(local, "true"), -1)
    assert [violation.field for violation in details_of(negative.value).violations] == ["offset"]


def test_a_pool_that_keeps_no_logs_says_so(simulated: AdapterProcess) -> None:
    with pytest.raises(grpc.RpcError) as error:
        simulated.output("any")
    assert details_of(error.value).code is grpc.StatusCode.UNIMPLEMENTED


def test_a_program_sees_its_settings_and_nothing_of_the_adapter(
    local: AdapterProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = new_run_id()
    program = Program(("env",), environment={"GREETING": "你好", "XISUAN_RUN_ID": "forged"})
    local.launch(local.launching(run_id, program=program))
    local.ending(run_id)
    seen = dict(line.split("=", 1) for line in local.output(run_id).decode().splitlines())
    work = str(local.state_dir / "runs" / run_id / "work")
    assert seen == {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "XISUAN_RUN_DIR": str(local.state_dir / "runs" / run_id),
        "HOME": work,
        "GREETING": "你好",
        "XISUAN_RUN_ID": run_id,
        "XISUAN_WORKLOAD_ID": f"workload-of-{run_id}",
        "XISUAN_TASK": "0",
    }


def test_a_program_starts_in_the_directory_of_its_run_with_nothing_to_read(local: AdapterProcess) -> None:
    run_id = run(local, "sh", "-c", "pwd; cat")
    assert local.output(run_id).decode().strip() == str(local.state_dir / "runs" / run_id / "work")


def test_no_shell_is_involved(local: AdapterProcess) -> None:
    run_id = run(local, "echo", "$HOME", "; rm -rf /", "`id`")
    assert local.output(run_id) == b"$HOME ; rm -rf / `id`\n"


def test_the_usual_signals_do_their_usual_work_in_a_program(local: AdapterProcess) -> None:
    # Python ignores SIGPIPE; a program that inherits that never notices that its reader has gone.
    run_id = run(local, "bash", "-c", "yes | head -1 > /dev/null; echo ${PIPESTATUS[0]}; trap")
    assert local.output(run_id) == b"141\n"


def test_a_task_that_takes_more_memory_than_it_asked_for_fails(local: AdapterProcess) -> None:
    need = Requirements(Resources(100, 64 * 1024 * 1024))
    assert local.status(run(local, "python3", "-c", "b = bytes(500_000_000)", requirements=need)).exit_code == 1
    assert local.status(run(local, "python3", "-c", "b = bytes(5_000_000)", requirements=need)).exit_code == 0


def test_each_task_of_a_gang_knows_its_number(local: AdapterProcess) -> None:
    gang = Requirements(Resources(100, GIB), tasks=4)
    run_id = run(local, "sh", "-c", "echo $XISUAN_TASK", requirements=gang, nodes=("localhost",) * 4)
    assert sorted(local.output(run_id).split()) == [b"0", b"1", b"2", b"3"]


def test_when_one_task_of_a_gang_fails_the_others_are_stopped(local: AdapterProcess) -> None:
    gang = Requirements(Resources(100, GIB), tasks=3)
    script = "[ $XISUAN_TASK = 1 ] && exit 9; exec sleep 600"
    run_id = run(local, "sh", "-c", script, requirements=gang, nodes=("localhost",) * 3)
    status = local.status(run_id)
    assert (local.state(run_id), status.exit_code) == (RunState.FAILED, 9)
    assert "1" in status.message


def test_a_program_that_ends_politely_may_clean_up(local: AdapterProcess) -> None:
    run_id = new_run_id()
    script = "trap 'echo cleaned; exit 7' TERM; echo ready; while :; do sleep 0.02; done"
    local.launch(local.launching(run_id, program=Program(("sh", "-c", script))))
    eventually(lambda: local.output(run_id) == b"ready\n", "the trap is set")
    local.halt(run_id)
    status = local.ending(run_id)
    assert (local.state(run_id), status.exit_code) == (RunState.STOPPED, 7)
    assert local.output(run_id).endswith(b"cleaned\n")


def test_a_program_that_ignores_the_polite_end_is_killed_after_the_grace(local: AdapterProcess) -> None:
    run_id = new_run_id()
    script = "trap '' TERM; echo ready; while :; do sleep 0.02; done"
    local.launch(local.launching(run_id, program=Program(("sh", "-c", script))))
    eventually(lambda: local.output(run_id) == b"ready\n", "the trap is set")
    local.halt(run_id, grace_ms=100)
    status = local.ending(run_id)
    assert (local.state(run_id), status.exit_code) == (RunState.STOPPED, 137)


@pytest.mark.parametrize("leaves", ["sleep 600 &", "setsid sleep 600 &"], ids=["in the background", "as a daemon"])
def test_what_a_program_leaves_behind_is_gone_when_its_run_has_ended(local: AdapterProcess, leaves: str) -> None:
    run_id = run(local, "sh", "-c", f"{leaves} true")
    assert not [words for words in local.places() if f"/{run_id}/" in words]


def test_an_image_is_refused_because_this_pool_runs_processes(local: AdapterProcess) -> None:
    (result,) = local.launch(local.launching(new_run_id(), program=Program(image="registry.example/app:1")))
    assert result.error.code == 3
    assert "command" in result.error.message

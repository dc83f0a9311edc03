"""What binds a local run: cgroups where the machine has them, and no process that outlives the end of its run."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.local.cgroups import MOUNT, pool_group
from adapters.local.run_directory import RunDirectory
from adapters.local.strays import kill_strays
from adapters.local.supervisor import ENDED, RUN_ID_VARIABLE, WORK_VARIABLE, Group, Supervisor, write_json
from inventory.model.retry import FailureCategory
from inventory.model.units import GIB
from tests.adapters.adapter_process import AdapterProcess, eventually, new_run_id


def hierarchy(folder: Path, controllers: str = "cpuset cpu io memory pids") -> Path:
    """Files as the kernel shows them in a delegated group, and in the pool's group below it."""
    for group in (folder, folder / "xisuan-p"):
        group.mkdir(exist_ok=True)
        (group / "cgroup.controllers").write_text(controllers, encoding="ascii")
        (group / "cgroup.subtree_control").write_text("", encoding="ascii")
    return folder


def test_a_delegated_group_hands_out_cpu_and_memory(tmp_path: Path) -> None:
    assert pool_group("p", hierarchy(tmp_path)) == tmp_path / "xisuan-p"
    for group in (tmp_path, tmp_path / "xisuan-p"):
        assert (group / "cgroup.subtree_control").read_text(encoding="ascii") == "+cpu +memory"


@pytest.mark.parametrize("controllers", ["", "io pids", "memory"])
def test_a_hierarchy_without_cpu_and_memory_is_no_good(tmp_path: Path, controllers: str) -> None:
    assert pool_group("p", hierarchy(tmp_path, controllers)) is None


def test_a_machine_without_cgroups_is_no_error(tmp_path: Path) -> None:
    assert pool_group("p", tmp_path / "nowhere") is None


def test_the_group_of_a_run_binds_all_its_tasks_together(tmp_path: Path) -> None:
    path = tmp_path / "run"
    path.mkdir()
    for name in ("cpu.max", "memory.max", "memory.swap.max", "cgroup.procs", "cgroup.kill"):
        (path / name).touch()
    group = Group(str(path), cpu_milli=1500, memory_bytes=GIB)
    group.make()
    group.enter()
    said = {
        name: (path / name).read_text(encoding="ascii") for name in ("cpu.max", "memory.max", "memory.swap.max")
    }
    assert said == {"cpu.max": "150000 100000", "memory.max": str(GIB), "memory.swap.max": "0"}
    assert (path / "cgroup.procs").read_text(encoding="ascii") == "0"  # the kernel's word for "whoever writes"


def test_without_a_group_nothing_is_written() -> None:
    group = Group("", 1000, GIB)
    group.make()
    group.enter()
    group.close()


@pytest.mark.parametrize(
    ("events", "told"),
    [
        ("low 0\nhigh 0\nmax 31\noom 1\noom_kill 1\noom_group_kill 0\n", True),
        ("low 0\nhigh 0\nmax 31\noom 0\noom_kill 0\noom_group_kill 0\n", False),
        ("nonsense", False),
        (None, False),
    ],
)
def test_the_kernel_tells_of_a_group_whether_it_killed_for_want_of_memory(
    tmp_path: Path, events: str | None, told: bool
) -> None:
    if events is not None:
        (tmp_path / "memory.events").write_text(events, encoding="ascii")
    assert Group(str(tmp_path), 0, GIB).has_killed_for_memory() is told
    assert not Group("", 0, GIB).has_killed_for_memory()


def spec(*command: str, max_runtime_ms: int = 0) -> dict[str, object]:
    """What the adapter writes for a run of one task, without a group."""
    return {
        "run_id": new_run_id(), "workload_id": "w", "argv": list(command), "tasks": 1, "environment": {},
        "memory_bytes": GIB, "max_runtime_ms": max_runtime_ms,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("command", "stopped", "killed", "failure"),
    [
        (("sh", "-c", "kill -9 $$"), False, True, FailureCategory.OUT_OF_MEMORY),
        (("sh", "-c", "exit 137"), False, True, FailureCategory.OUT_OF_MEMORY),  # a shell whose child was killed
        (("sh", "-c", "exit 137"), False, False, None),  # it may have said so itself
        (("true",), False, True, None),  # it did without the process that was killed
        (("sh", "-c", "exit 137"), True, True, None),
        (("no-such-program",), False, False, FailureCategory.INPUT_MISSING),
    ],
)
def test_a_run_that_fails_for_want_of_memory_says_so(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: tuple[str, ...],
    stopped: bool,
    killed: bool,
    failure: FailureCategory | None,
) -> None:
    directory = RunDirectory(tmp_path, "run")
    (tmp_path / "run" / "work").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "run")
    monkeypatch.setattr(Group, "has_killed_for_memory", lambda self: killed)
    supervised = Supervisor(spec(*command))
    supervised._stopped = stopped
    masked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:
        write_json(str(tmp_path / "run" / ENDED), supervised.run())
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, masked)
    report = directory.ended(("n",))
    assert report is not None and report.failure is failure
    assert ("for want of memory" in report.message) is (failure is FailureCategory.OUT_OF_MEMORY)


@pytest.mark.skipif(pool_group("probe") is None, reason=f"{MOUNT} is no cgroup v2 hierarchy that we may divide")
def test_a_real_group_counts_its_process_and_is_removed() -> None:
    parent = pool_group("probe")
    assert parent is not None
    group = Group(str(parent / "run"), 1000, GIB)
    group.make()
    process = subprocess.Popen(["sleep", "600"], preexec_fn=group.enter)  # noqa: PLW1509 - as the supervisor does it
    try:
        assert str(process.pid) in (parent / "run" / "cgroup.procs").read_text(encoding="ascii").split()
    finally:
        group.close()
        process.wait(10)
    assert not (parent / "run").exists()
    parent.rmdir()


# -- strays ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def stray(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["sleep", "600"], env={**os.environ, **marks("gone-1", tmp_path)})
    yield process
    process.kill()
    process.wait(10)


def marks(run_id: str, root: Path) -> dict[str, str]:
    return {RUN_ID_VARIABLE: run_id, WORK_VARIABLE: str(root.resolve() / run_id)}


def test_a_process_of_an_ended_run_is_killed(stray: subprocess.Popen[bytes], tmp_path: Path) -> None:
    eventually(lambda: bool(kill_strays(tmp_path, {"gone-1"})), "the stray is found")
    assert stray.wait(10) == -9


@pytest.mark.parametrize("ended", [set(), {"other"}])
def test_a_process_of_a_run_that_goes_on_is_left_alone(
    stray: subprocess.Popen[bytes], tmp_path: Path, ended: set[str]
) -> None:
    assert kill_strays(tmp_path, ended) == []
    assert stray.poll() is None


def test_a_process_of_another_pool_with_the_same_run_id_is_left_alone(
    stray: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    assert kill_strays(tmp_path / "another", {"gone-1"}) == []
    assert stray.poll() is None


def test_a_lost_run_that_proves_alive_is_stopped(local: AdapterProcess) -> None:
    """A process that bears the marks of a run of this pool which has ended: the adapter's sweep ends it."""
    run_id = new_run_id("lost")
    local.launch(local.launching(run_id, 0))
    local.ending(run_id)
    alive = subprocess.Popen(["sleep", "600"], env={**os.environ, **marks(run_id, local.state_dir / "runs")})
    try:
        eventually(lambda: alive.poll() is not None, "what is left of the run is stopped")
    finally:
        alive.kill()
        alive.wait(10)

"""`xisuan migration plan --psplib`: a schedule in JSON, one clear line for what is no project, and little to load."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from console import starting
from console.projects import budget
from scheduler.core.projects.project import faults, makespan
from scheduler.core.projects.psplib import read_project, write_project
from simulations.project_instances import InstanceShape, random_project
from tests.console.commandline import xisuan

PROJECT = random_project(InstanceShape(jobs=8), 3)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "一.sm"
    path.write_text(write_project(PROJECT), encoding="utf-8")
    return path


@pytest.mark.parametrize("separate", [True, False])
def test_a_project_becomes_a_schedule_that_keeps_every_rule(file: Path, separate: bool) -> None:
    given = ("--psplib", file) if separate else (f"--psplib={file}",)
    out = file.with_suffix(".json")
    xisuan("migration", "plan", *given, "--effort", "1", "--json", out).done()
    answer = json.loads(out.read_text("utf-8"))
    starts = {int(number): start for number, start in answer["starts"].items()}
    project = read_project(file.read_text("utf-8"))
    assert list(faults(project, starts)) == []
    assert answer["bound"] <= answer["makespan"] == makespan(project, starts)


def test_what_is_no_project_gets_one_line_and_leaves_no_file(tmp_path: Path) -> None:
    (tmp_path / "不是.sm").write_text("nothing", encoding="utf-8")
    out = tmp_path / "out.json"
    xisuan("migration", "plan", "--psplib", tmp_path / "不是.sm", "--json", out).refused("PRECEDENCE RELATIONS")
    assert not out.exists()


def test_it_loads_neither_the_store_nor_the_service(file: Path) -> None:
    program = (
        "import sys; from console.entry import run; "
        f"code = run(['migration', 'plan', '--psplib', {str(file)!r}, '--effort', '0.1', '--json', {str(file)!r} + '.out']); "
        "sys.exit(code or bool({'sqlalchemy', 'grpc', 'ray', 'numba'} & set(sys.modules)) * 9)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_loading_that_takes_long_counts_as_a_part_of_the_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starting, "_began", [])
    whole = budget(10, 0, 1).seconds_left
    assert starting.seconds_since() == 0 and whole is not None and whole > 9
    monkeypatch.setattr("console.projects.seconds_since", lambda: 6.0)
    late = budget(10, 0, 1).seconds_left
    monkeypatch.setattr("console.projects.seconds_since", lambda: 60.0)
    least = budget(10, 0, 1).seconds_left
    assert late is not None and 5 < late < 6
    assert least is not None and 2 < least <= 2.5

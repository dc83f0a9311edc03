"""Logs: JSON lines with the ids of the workload and the run, short lines for people, and no secret in either."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.model.workload import RunState, WorkloadState
from scheduler.core.changes import RunChanged, WorkloadChanged
from scheduler.operation.logs import Terminal, concerning, configure, without_secrets
from scheduler.operation.workload_log import MOST_LINES, log_changes

log = logging.getLogger("xisuan.tests")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    root = logging.getLogger("xisuan")
    before = list(root.handlers), root.level, root.propagate
    configure("control-plane", tmp_path / "logs", on_terminal=False)
    yield tmp_path / "logs"
    for handler in root.handlers:
        handler.close()
    root.handlers[:], root.level, root.propagate = before


def lines(folder: Path) -> list[dict[str, Any]]:
    text = (folder / "control-plane.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def test_a_record_about_a_workload_carries_its_ids(folder: Path) -> None:
    log.info("放不下 / no room", extra=concerning("w-a-1", "w-a-1.2", pool_id="p"))
    (line,) = lines(folder)
    assert (line["workload_id"], line["run_id"], line["pool_id"]) == ("w-a-1", "w-a-1.2", "p")
    assert (line["message"], line["level"], line["process"]) == ("放不下 / no room", "info", "control-plane")
    assert line["ts"].endswith("+00:00")


def test_a_failure_and_a_cancellation_are_logged_and_success_is_not(folder: Path) -> None:
    log_changes(
        [
            RunChanged("w-a-1.1", RunState.FAILED, exit_code=7, message="oom"),
            RunChanged("w-a-2.1", RunState.SUCCEEDED, exit_code=0),
            WorkloadChanged("w-a-3", WorkloadState.CANCELLED, "不需要了 / not needed"),
        ]
    )
    first, second = lines(folder)
    assert (first["workload_id"], first["run_id"], first["exit_code"]) == ("w-a-1", "w-a-1.1", 7)
    assert (second["workload_id"], second["state"]) == ("w-a-3", "cancelled")


def test_a_pool_that_fails_with_thousands_of_runs_is_told_shortly(folder: Path) -> None:
    log_changes([RunChanged(f"w-a-{n}.1", RunState.LOST) for n in range(5 * MOST_LINES)])
    told = lines(folder)
    assert len(told) == MOST_LINES + 1
    assert told[-1]["message"].startswith(f"{4 * MOST_LINES} more")


@pytest.mark.parametrize(
    "said",
    [
        "DB_PASSWORD=hunter2 given",
        'env {"API_TOKEN": "hunter2", "A": 1}',
        "secret: hunter2, and more",
        "postgresql://xisuan:hunter2@db:5432/x refuses",
        "Authorization: Bearer hunter2",
        "my-api-key='hunter2'",
    ],
)
def test_what_looks_like_a_secret_is_struck_out_of_both_forms(folder: Path, said: str) -> None:
    log.warning("%s", said)
    try:
        raise RuntimeError(said)
    except RuntimeError:
        log.exception("it failed")
    assert "hunter2" not in (folder / "control-plane.jsonl").read_text(encoding="utf-8")
    record = logging.LogRecord(
        "xisuan", logging.ERROR, "", 0, "%s", (said,), (RuntimeError, RuntimeError(said), None)
    )
    assert "hunter2" not in Terminal().format(record)


@given(st.text(st.characters(blacklist_characters="=:", blacklist_categories=["Cs"]), max_size=60))
def test_other_text_stays_as_it_is(said: str) -> None:
    if "bearer" not in said.lower():
        assert without_secrets(said) == said


def test_a_folder_that_cannot_be_written_leaves_the_terminal(
    tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    configure("gateway", tmp_path / "file", on_terminal=False)
    assert "cannot be written" in capsys.readouterr().err


def test_the_terminal_gets_one_line_whatever_the_message_holds() -> None:
    record = logging.LogRecord("xisuan", logging.INFO, "", 0, "first\nsecond", (), None)
    record.run_id = "w-a-1.1"
    assert "\n" not in Terminal().format(record)
    assert Terminal().format(record).endswith("INFO first second [w-a-1.1]")

"""The step `command`: a program on this machine, begun at most once unless it is declared idempotent.

A supervisor of its own (`scheduler.runbooks.attempt`) runs each try and writes down its ending, so that a driver
that was killed finds the command at work, or finds how it ended. Only when the supervisor itself is gone without an
ending (the machine went down) can nobody tell: an idempotent command is then begun again, another one is UNKNOWN.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from scheduler.core.migration.transitions import StepState
from scheduler.runbooks import attempt
from scheduler.runbooks.steps.context import POLL_S, StepContext, StepResult, done, failed

_SHOWN = 300
_START_S = 20.0
_STOP_S = 10.0


def run_command(context: StepContext) -> StepResult:
    action = context.action
    for number in range(1, 100):
        folder = context.folder / f"try-{number}"
        ending = _ending_of(context, folder)
        if ending is not None:
            return _result(context, folder, ending)
        if not action["idempotent"]:
            break
    return StepResult(
        StepState.UNKNOWN,
        "命令已开始，但不知如何结束，且不可重复；请查明后 retry 或 skip / the command began and nobody can tell how it "
        "ended; it is not idempotent: find out, then retry or skip",
    )


def _ending_of(context: StepContext, folder: Path) -> dict[str, Any] | None:
    """How the try in this folder ended, starting it where nobody has; None when that cannot be told."""
    folder.mkdir(parents=True, exist_ok=True)
    if _is_lost(folder):
        return None
    if not (folder / attempt.STARTED).exists() and not _is_at_work(folder):
        _start(context, folder)  # where another supervisor was faster, this one finds that out and ends
    began = time.monotonic()
    stopped_at: float | None = None
    while not (folder / attempt.ENDED).exists():
        has_begun = (folder / attempt.STARTED).exists()
        if _is_lost(folder) or (not has_begun and time.monotonic() - began > _START_S):
            return None
        if context.is_out_of_time and stopped_at is None:
            (folder / attempt.STOP).touch()
            stopped_at = time.monotonic()
        if stopped_at is not None and time.monotonic() - stopped_at > _STOP_S:
            return None
        time.sleep(POLL_S)
    ending: dict[str, Any] = json.loads((folder / attempt.ENDED).read_text(encoding="utf-8"))
    return ending


def _start(context: StepContext, folder: Path) -> None:
    action = context.action
    spec = {"argv": list(action["argv"]), "secrets": sorted(action["secrets"])}
    (folder / attempt.SPEC).write_text(json.dumps(spec), encoding="utf-8")
    environment = {
        **os.environ,
        **action["environment"],
        **{variable: context.secret(name) for variable, name in action["secrets"].items()},
        "XISUAN_RUN": context.run.run_id,
        "XISUAN_STEP": context.step.step_id,
        # The same in every try of one attempt: what a program needs to make itself idempotent.
        "XISUAN_ATTEMPT": context.attempt_key,
    }
    subprocess.Popen(
        [sys.executable, "-I", "-S", attempt.__file__, str(folder)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment,
        start_new_session=True,
    )


def _is_lost(folder: Path) -> bool:
    """True when the command began and its supervisor is gone without an ending.

    In this order: a supervisor holds the lock before it says that it began, and until it has written the ending.
    """
    if not (folder / attempt.STARTED).exists() or _is_at_work(folder):
        return False
    return not (folder / attempt.ENDED).exists()


def _is_at_work(folder: Path) -> bool:
    """True while a supervisor holds the folder's lock."""
    try:
        with (folder / attempt.LOCK).open("r+b") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def _result(context: StepContext, folder: Path, ending: dict[str, Any]) -> StepResult:
    output = (folder / attempt.LOG).read_bytes() if (folder / attempt.LOG).exists() else b""
    digest = hashlib.sha256(output).hexdigest()
    last = output.decode(errors="replace").strip().rpartition("\n")[2][:_SHOWN]
    if ending["stopped"]:
        return failed("超时，命令已停止 / out of time: the command was stopped", output_sha256=digest)
    if ending["exit_code"] != 0:
        return failed(f"退出码 / exit code {ending['exit_code']}: {last}", output_sha256=digest)
    if not context.action["value"]:
        return done(output_sha256=digest)
    try:
        value = int(last)
    except ValueError:
        return failed(f"输出末行须为整数 / the last line must be a whole number: {last!r}", output_sha256=digest)
    at_most = context.action.get("at_most")  # runs that were opened before had none
    if at_most is not None and value > at_most:
        return failed(
            f"为 {value}，最多 {at_most} / it is {value}, at most {at_most}", output_sha256=digest, value=value
        )
    return done(output_sha256=digest, value=value)

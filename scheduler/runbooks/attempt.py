"""The supervisor of one command attempt: runs it at most once, and writes down how it ended.

`steps.command` starts one as `python -I -S attempt.py FOLDER`, in a session of its own: it outlives a driver that is
killed, and the next driver finds it at work, or finds its ending. Standard library only. The folder is its only
interface; each file is written once and as a whole:

    spec.json     by the driver: argv, and the names of the variables whose values must not reach the log
    lock          held for as long as the supervisor lives
    started       made before the command begins: a command is never begun twice in one folder
    stop          by the driver: end the command
    ended.json    when the command has ended: exit code, whether it was stopped
    output.log    its output, with the values of secrets replaced
"""

# Few modules: one of these is started for every command.
# ruff: noqa: PTH104, PTH110, PTH123

from __future__ import annotations

import fcntl
import io
import json
import os
import select
import signal
import subprocess
import sys
import time

SPEC, LOCK, STARTED, STOP, ENDED, LOG = "spec.json", "lock", "started", "stop", "ended.json", "output.log"
_POLL_S = 0.05
_LOCK_TRIES = 100
_GRACE_S = 3.0
_NOT_FOUND, _CANNOT_EXECUTE = 127, 126
_SHORTEST_SECRET = 4


def main(folder: str) -> int:
    os.chdir(folder)
    lock = os.open(LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    if not take(lock):
        return 0  # another supervisor is at work on it
    try:
        os.close(os.open(STARTED, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        return 0
    sync_folder()
    with open(SPEC, encoding="utf-8") as file:
        spec = json.load(file)
    write_once(ENDED, json.dumps(run(spec)))
    return 0


def take(lock: int) -> bool:
    """A driver that looks whether somebody holds the lock holds it himself for a moment: so it is tried for a while."""
    for _ in range(_LOCK_TRIES):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_POLL_S)
        else:
            return True
    return False


def run(spec: dict[str, list[str]]) -> dict[str, object]:
    hidden = [
        value.encode() for name in spec["secrets"] if len(value := os.environ.get(name, "")) >= _SHORTEST_SECRET
    ]
    with open(LOG, "wb") as log:
        try:
            process = subprocess.Popen(
                spec["argv"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            log.write(f"{spec['argv'][0]}: {error.strerror}\n".encode())
            code = _NOT_FOUND if isinstance(error, FileNotFoundError) else _CANNOT_EXECUTE
            return {"exit_code": code, "stopped": False}
        stopped = follow(process, log, hidden)
    return {"exit_code": process.returncode, "stopped": stopped}


def follow(process: subprocess.Popen[bytes], log: io.BufferedWriter, hidden: list[bytes]) -> bool:
    """Copies the output until the command has ended; returns whether it was asked to stop."""
    assert process.stdout is not None
    pipe = process.stdout.fileno()
    rest, stop_at, is_open = b"", 0.0, True
    while True:
        ended = process.poll() is not None
        ready = select.select([pipe], [], [], 0 if ended else _POLL_S)[0] if is_open else []
        if ready:
            chunk = os.read(pipe, 65536)
            is_open = bool(chunk)
            rest = copy_lines(rest + chunk, log, hidden)
        elif ended:
            copy_lines(rest + b"\n" if rest else b"", log, hidden)
            return stop_at > 0
        elif not is_open:
            time.sleep(_POLL_S)
        if not stop_at and os.path.exists(STOP):
            stop_at = time.monotonic() + _GRACE_S
            signal_group(process.pid, signal.SIGTERM)
        elif stop_at and time.monotonic() > stop_at:
            signal_group(process.pid, signal.SIGKILL)


def copy_lines(text: bytes, log: io.BufferedWriter, hidden: list[bytes]) -> bytes:
    """Writes the whole lines with secrets replaced; returns what is not yet a line."""
    lines, _, rest = text.rpartition(b"\n")
    if lines or text.endswith(b"\n"):
        shown = lines + b"\n"
        for value in hidden:
            shown = shown.replace(value, b"***")
        log.write(shown)
        log.flush()
    return rest


def signal_group(pid: int, number: int) -> None:
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        return  # it ended by itself


def write_once(name: str, text: str) -> None:
    with open(f"{name}.new", "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.rename(f"{name}.new", name)
    sync_folder()


def sync_folder() -> None:
    descriptor = os.open(".", os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))

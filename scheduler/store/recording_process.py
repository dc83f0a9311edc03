"""A process that records large groups for the leader, so that hashing and storing them does not take its interpreter.

`SchedulerStore.record` hands over what is large once `RecordingProcess` is ready; small groups are recorded where they were
decided, which is sooner done than telling another. A group is one transaction there as here, guarded by the same epoch in
the same transaction: a process that outlives its leader records nothing for him that his successor has not seen. It lives
as long as the connection to it, keeps nothing, and is started anew after any trouble.
"""

from __future__ import annotations

import gc
import logging
import os
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
from typing import Any, Final, NamedTuple

from inventory.store.chain import Draft
from inventory.store.errors import StoreError, Unreachable

log = logging.getLogger("xisuan.recording")
# Fewer drafts than these are recorded in a shorter time than it takes to hand them over and to wake up again.
LARGE: Final = 256
STORE_APART_VARIABLE: Final = "XISUAN_STORE_APART"
# A transaction takes at most a second or two; the lock of the database is waited for for five.
PATIENCE_S: Final = 60.0


def large_groups(environment: Mapping[str, str]) -> int:
    """From how many drafts on a group is large there. Raises ValueError for what is no positive number."""
    said = environment.get(STORE_APART_VARIABLE) or str(LARGE)
    if not (said.isascii() and said.isdigit() and int(said)):
        raise ValueError(
            f"{STORE_APART_VARIABLE}={said!r} 须为正整数；请更正或取消 / must be a whole number above 0; correct it, or unset it"
        )
    return int(said)


class Group(NamedTuple):
    """What one transaction records, and for whom: the epoch of the leader, and the last event that he has seen."""

    epoch: int
    seen_seq: int
    drafts: Sequence[tuple[Any, ...]]
    cursors: Mapping[str, str]
    actor: str
    now_ms: int


class RecordingProcess:
    """Started by the first large group, which is not made to wait for it. One caller at a time: the writer."""

    def __init__(
        self, url: str, idle_writer_ms: int, *, large: int = LARGE, patience_s: float = PATIENCE_S
    ) -> None:
        """It takes groups of at least `large` drafts. After `patience_s` without an answer the process is ended, and its
        transaction with it."""
        self.large = large
        self._opening = (url, idle_writer_ms)
        self._patience_s = patience_s
        self._process: subprocess.Popen[bytes] | None = None
        self._line: Connection[Any, Any] | None = None
        self._is_ready = False

    def is_ready(self) -> bool:
        """Whether it can take a group now; starts it where it does not run."""
        if self._line is None:
            self._start()
        elif not self._is_ready and self._line.poll():
            self._is_ready = self._hear() is None
        return self._is_ready

    def record(self, group: Group) -> int:
        """The number of the last event, once the group is durable. Raises what the transaction raised, and Unreachable
        where the process is gone: whether the group was stored is unknown then."""
        assert self._line is not None
        try:
            self._line.send(group)
            if not self._line.poll(self._patience_s):
                raise TimeoutError(f"no answer in {self._patience_s:.0f} s")
            answer = self._line.recv()
        except (OSError, EOFError) as error:
            self.close()
            raise Unreachable(
                f"写入数据库的进程已中断（{error}），会自动重启；请重试",
                f"the process that writes the database is gone ({error or 'it ended'}) and is started anew; retry",
            ) from error
        if isinstance(answer, BaseException):
            raise answer
        return int(answer)

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    def close(self) -> None:
        """Its end, whatever it was about to do. After this nothing of it is under way any more."""
        if self._line is not None:
            self._line.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._line, self._process, self._is_ready = None, None, False

    def _start(self) -> None:
        """Where no process can be had (no memory, too many of them) groups are recorded without."""
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", __name__, str(theirs.fileno())], pass_fds=[theirs.fileno()]
                )
            except OSError as error:
                ours.close()
                log.warning("the recording process could not start: %s", error)
                return
        # A process that does not read any more ends the call as one that does not answer.
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", max(1, int(self._patience_s)), 0))
        self._line = Connection(ours.detach())
        self._line.send(self._opening)  # not as an argument, which others can read: it may hold a password

    def _hear(self) -> BaseException | None:
        """What it says of its start. Where that failed it is given up, and tried again with the next large group."""
        assert self._line is not None
        said: BaseException | None
        try:
            said = self._line.recv()
        except (OSError, EOFError) as error:
            said = error
        if said is not None:
            log.warning("the recording process could not start: %s", said)
            self.close()
        return said


def _serve(line: Connection[Any, Any]) -> None:
    from scheduler.store.opening import open_store
    from scheduler.store.scheduler_store import Batch, SchedulerStore

    url, idle_writer_ms = line.recv()
    try:
        store = open_store(url, idle_writer_ms=idle_writer_ms)
    except StoreError as error:
        line.send(error)
        return
    line.send(None)
    recorder = SchedulerStore(store)
    while True:
        group = line.recv()
        recorder.lead(group.epoch, group.seen_seq)
        batch = Batch(list(map(Draft._make, group.drafts)), dict(group.cursors))
        try:
            recorder.record(batch, actor=group.actor, now_ms=group.now_ms)
            answer: object = recorder.seen_seq
        except Exception as error:  # noqa: BLE001 - whatever it is belongs to the writer, who waits for it
            answer = error
        line.send(answer)


def main() -> None:
    """Ends with the connection, and by nothing that its leader is told to end by: a group that is under way is recorded."""
    gc.freeze()
    gc.set_threshold(100_000, 20, 20)  # a group is made of objects that all go together, when it is stored
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with Connection(int(sys.argv[1])) as line:
        try:
            _serve(line)
        except (EOFError, OSError):
            os._exit(0)


if __name__ == "__main__":
    main()

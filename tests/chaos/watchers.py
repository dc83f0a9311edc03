"""Watchers of a round: they follow its queue through every interruption, and read the same stretch once more.

`tests.chaos.load` starts them. One keeps its stream open and leaves resuming to the client library; one hangs up again
and again and goes on from its cursor.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator

from tests.chaos.history import Change, Watched
from xisuan.client import CallError, Client, WatchResponse
from xisuan.workload.v1.workload_pb2 import RunState, WorkloadState

Connect = Callable[[float], Client]  # with a patience in seconds
PATIENCE_S = 120.0
_HOP = 7  # messages


class Watcher(threading.Thread):
    """Follows `queue` until it has seen the end of the workload that it is told of by `until`."""

    def __init__(self, name: str, connect: Connect, queue: str, hop: int = 0) -> None:
        super().__init__(name=name, daemon=True)
        self.listens = threading.Event()
        self._connect = connect
        self._queue = queue
        self._hop = hop
        self._start_cursor = ""
        self._last_id = ""
        self._seen: list[Change] = []
        self._failure = ""

    def until(self, workload_id: str) -> None:
        self._last_id = workload_id

    def run(self) -> None:
        cursor = ""
        try:
            while not _has_ended(self._seen, self._last_id):
                with self._connect(PATIENCE_S) as client:
                    cursor = self._follow(client.watch(queue=self._queue, cursor=cursor)) or cursor
        except CallError as error:
            self._failure = f", and was told {error}"

    def watched(self) -> Watched:
        """What it saw, beside what a watcher is told who begins at the same cursor now, when everything is quiet."""
        again: list[Change] = []
        with self._connect(PATIENCE_S) as client:
            for message in client.watch(queue=self._queue, cursor=self._start_cursor):
                again += changes_of(message)
                if _has_ended(again, self._last_id):
                    break
        cut = _until_end(again, self._last_id)
        return Watched(self.name + self._failure, _until_end(self._seen, self._last_id), cut)

    def _follow(self, stream: Iterator[WatchResponse]) -> str:
        """Until the round is over, or for as many messages as one hop has; the cursor to go on from."""
        cursor = ""
        for number, message in enumerate(stream, start=1):
            cursor = message.cursor or cursor
            self._start_cursor = self._start_cursor or cursor
            self.listens.set()
            self._seen += changes_of(message)
            if number == self._hop or _has_ended(self._seen, self._last_id):
                break
        return cursor


def both(connect: Connect, queue: str) -> tuple[Watcher, Watcher]:
    return (
        Watcher("the watcher that stays", connect, queue),
        Watcher("the watcher that comes and goes", connect, queue, _HOP),
    )


def changes_of(message: WatchResponse) -> list[Change]:
    return [
        Change(
            one.workload_id,
            state_word(one.state),
            one.run.run_id,
            RunState.Name(one.run.state).removeprefix("RUN_STATE_").lower() if one.HasField("run") else "",
        )
        for one in message.changes
    ]


def state_word(state: WorkloadState.ValueType) -> str:
    """As the contract's words have it; empty for a change that is the run's alone."""
    return WorkloadState.Name(state).removeprefix("WORKLOAD_STATE_").lower() if state else ""


def _is_end(change: Change, workload_id: str) -> bool:
    return change.workload_id == workload_id and change.state == "succeeded"


def _has_ended(seen: Iterable[Change], workload_id: str) -> bool:
    return bool(workload_id) and any(_is_end(change, workload_id) for change in seen)


def _until_end(seen: list[Change], workload_id: str) -> tuple[Change, ...]:
    for number, change in enumerate(seen, start=1):
        if _is_end(change, workload_id):
            return tuple(seen[:number])
    return tuple(seen)

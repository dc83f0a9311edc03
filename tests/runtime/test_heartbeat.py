"""A leader that stands still is ended; one that works, starts, stands by or has died is left alone. Without Ray."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest
from ray.exceptions import RayActorError

from scheduler.runtime import heartbeat
from scheduler.runtime.actors import Pulse
from scheduler.runtime.heartbeat import Heartbeat

PATIENCE_S = 20.0
HERE, THERE = "this-node", "another-node"
LEADS = Pulse(4711, HERE, leads=True)


class FakeRay:
    """Calls are answered when the test says so; what was killed is noted."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.answers: list[Pulse | None] = []  # of each call, in order; None: not yet
        self.ended: list[object] = []
        self.plane: Any = self
        monkeypatch.setattr(heartbeat, "ray", self)
        monkeypatch.setattr(os, "kill", lambda pid, number: self.ended.append((pid, number)))

    @property
    def pulse(self) -> FakeRay:
        return self

    def remote(self) -> int:
        self.answers.append(None)
        return len(self.answers) - 1

    def wait(self, calls: list[int], timeout: float) -> tuple[list[int], list[int]]:
        assert timeout == 0
        return ([one for one in calls if self.answers[one] is not None], [])

    def get(self, call: int) -> Pulse:
        answer = self.answers[call]
        assert answer is not None
        if not answer.pid:
            raise RayActorError
        return answer

    def get_runtime_context(self) -> FakeRay:
        return self

    def get_node_id(self) -> str:
        return HERE

    def kill(self, plane: object, *, no_restart: bool) -> None:
        assert plane is self.plane and not no_restart
        self.ended.append("by Ray")


DIED = Pulse(0, HERE, leads=False)


@pytest.mark.parametrize(
    ("answers", "silent_s", "ended"),
    [
        pytest.param([LEADS], PATIENCE_S + 1, [(4711, signal.SIGKILL)], id="one that led and is silent is killed"),
        pytest.param([LEADS], PATIENCE_S - 1, [], id="not before its time"),
        pytest.param([LEADS, LEADS], PATIENCE_S + 1, [(4711, signal.SIGKILL)], id="whenever it falls silent"),
        pytest.param([], 1_000, [], id="one that has never answered may be starting"),
        pytest.param(
            [Pulse(4711, HERE, leads=False)], 1_000, [], id="one that stands by or loads may take its time"
        ),
        pytest.param([LEADS, DIED], 1_000, [], id="one that died is another process, which is starting"),
        pytest.param([Pulse(4711, THERE, leads=True)], PATIENCE_S + 1, ["by Ray"], id="on another node by Ray"),
    ],
)
def test_a_leader_that_is_silent_for_too_long_is_ended(
    monkeypatch: pytest.MonkeyPatch, answers: list[Pulse], silent_s: float, ended: list[object]
) -> None:
    ray = FakeRay(monkeypatch)
    beat = Heartbeat(ray.plane, PATIENCE_S)
    now_s = 0.0
    beat.look(now_s)
    for answer in answers:
        ray.answers[-1] = answer
        now_s += 1
        beat.look(now_s)
    for _ in range(int(silent_s)):
        now_s += 1
        beat.look(now_s)
    assert ray.ended == ended


def test_a_watch_that_stood_still_itself_ends_nobody_for_that(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = FakeRay(monkeypatch)
    beat = Heartbeat(ray.plane, PATIENCE_S)
    beat.look(0.0)
    ray.answers[-1] = LEADS
    beat.look(1.0)
    beat.look(10_000.0)
    assert ray.ended == []
    ray.answers[-1] = LEADS
    beat.look(10_001.0)
    assert ray.ended == []


def test_what_takes_the_place_of_one_that_was_ended_has_all_the_time_it_needs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ray = FakeRay(monkeypatch)
    beat = Heartbeat(ray.plane, PATIENCE_S)
    beat.look(0.0)
    ray.answers[-1] = LEADS
    for second in range(1, 1_000):
        beat.look(float(second))
    assert ray.ended == [(4711, signal.SIGKILL)]

"""An end in good order and settings that are read again, part by part, without a whole service."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from pathlib import Path

import pytest

from console.reloading import SettingsInForce
from console.service_settings import ServiceSettings
from inventory.model.workload import RunState
from scheduler.core.placement.stack import DEFAULT_WEIGHTS
from scheduler.cycle import CycleSettings
from scheduler.services.ports import WorkloadRecord
from tests.control_plane.fake_pool import UNTIL_TOLD, FakePool
from tests.control_plane.site import Site, eventually, story
from tests.lifecycle.bookkeeping import submission
from tests.services.memory import MemoryScheduling
from tests.services.serving import Serving
from xisuan.client import CallError, Client


class SlowScheduling(MemoryScheduling):
    """A `get` that has begun takes until `go_on`."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = threading.Event()
        self.go_on = threading.Event()

    async def get(self, workload_id: str) -> WorkloadRecord:
        self.begun.set()
        await asyncio.to_thread(self.go_on.wait, 20)
        return await super().get(workload_id)


def test_a_gateway_that_ends_tells_watchers_at_once_and_lets_calls_finish() -> None:
    scheduling = SlowScheduling()
    serving = Serving(scheduling)
    said: dict[str, str] = {}
    watching = threading.Event()

    def watch() -> None:
        with Client(serving.address, patience_s=0.0) as client:
            try:
                for _ in client.watch():
                    watching.set()
            except CallError as error:
                said["watch"] = f"{error.code} {error.reason}"
                scheduling.go_on.set()  # the call below goes on only after the stream has ended

    def get() -> None:
        with Client(serving.address, patience_s=0.0) as client:
            try:
                client.get("nobody")
            except CallError as error:
                said["get"] = error.code

    threads = [threading.Thread(target=watch), threading.Thread(target=get)]
    for thread in threads:
        thread.start()
    assert watching.wait(20) and scheduling.begun.wait(20)
    serving.close()
    for thread in threads:
        thread.join(20)
    assert said == {"watch": "UNAVAILABLE CLOSING", "get": "NOT_FOUND"}


@story
async def test_a_launch_under_way_is_sent_to_its_end_and_its_answer_is_stored(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.start()
    pool = await site.add_pool("p", FakePool("p", course=UNTIL_TOLD))
    pool.answer_delay_s = 0.3
    (a,) = await site.submit(submission("a"))
    await eventually(lambda: "launch" in pool.asked, "the launch is under way")
    began = time.monotonic()
    await site.plane.close()
    assert time.monotonic() - began < 4.0  # as long as the launch took, not until patience ends
    assert pool.starts == {f"{a}.1": 1}
    found = site.store.workload(a)
    assert found is not None and found[1][-1].state is not RunState.PLACED
    site.store.store.close()


class Runtime:
    def __init__(self) -> None:
        self.given: list[CycleSettings] = []

    def reconfigure(self, cycle: CycleSettings) -> None:
        self.given.append(cycle)


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    monkeypatch.setattr(logging.getLogger("xisuan"), "propagate", True)
    caplog.set_level(logging.INFO, "xisuan")
    return caplog


def test_a_good_file_is_put_in_force(tmp_path: Path, told: pytest.LogCaptureFixture) -> None:
    file, runtime = tmp_path / "settings.yaml", Runtime()
    in_force = SettingsInForce(lambda: file if file.exists() else None, ServiceSettings(), runtime)
    file.write_text("version: 1\nscores: {price: 3}\noperation: {archive_after_days: 7}\n", encoding="utf-8")
    assert in_force.reload()
    (cycle,) = runtime.given
    weights = {name: weight for name, _, weight in (*cycle.stack.declared_scores, *cycle.stack.free_scores)}
    assert weights == {"price": 3}
    assert in_force.stated.operation.archive_after_days == 7
    file.unlink()
    assert in_force.reload()
    stack = runtime.given[-1].stack
    assert {name for name, _, _ in (*stack.declared_scores, *stack.free_scores)} == set(DEFAULT_WEIGHTS)


@pytest.mark.parametrize(
    "content",
    ["version: 2\n", "scores: {nonsense: 1}\n", "scores: [", "operation: {metrics_port: 70000}\n", "a: 1\nb: 2\n"],
)
def test_a_bad_file_changes_nothing_and_is_told_in_one_line(
    tmp_path: Path, told: pytest.LogCaptureFixture, content: str
) -> None:
    file, runtime = tmp_path / "settings.yaml", Runtime()
    file.write_text(content, encoding="utf-8")
    before = ServiceSettings()
    in_force = SettingsInForce(lambda: file, before, runtime)
    assert not in_force.reload()
    assert (runtime.given, in_force.stated) == ([], before)
    (line,) = [record.getMessage() for record in told.records if record.levelno >= logging.ERROR]
    assert "\n" not in line and str(file) in line


def test_what_only_a_start_can_change_is_said(tmp_path: Path, told: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text("operation: {metrics_port: 9464}\n", encoding="utf-8")
    assert SettingsInForce(lambda: file, ServiceSettings(), Runtime()).reload()
    assert any("metrics_port" in record.getMessage() for record in told.records)

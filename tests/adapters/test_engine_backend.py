"""What an adapter of a remote engine does while the engine is slow: others are told of, and nothing is lost or cut short."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.contract import Capabilities, Launch, Refusal, RunReport, Stop
from adapters.kubernetes.mirror import without_managed_fields
from adapters.sdk.engine import Cancel, Observer, Seen, Taken
from adapters.sdk.engine_backend import EngineBackend
from adapters.sdk.run_table import RunRow, RunTable, Stage
from inventory.model.pool import Node
from inventory.model.retry import FailureCategory
from inventory.model.units import Resources
from inventory.model.workload import Program, Requirements, RunState


class SlowEngine:
    """Takes what it is given once `gate` is open; lists what it has taken, and what it was asked to cancel."""

    shared_disk_bytes = 0

    def __init__(self) -> None:
        self.capabilities = Capabilities("p", "test", ("process",))
        self.gate = asyncio.Event()
        self.gate.set()
        self.survey_gate = asyncio.Event()
        self.survey_gate.set()
        self.asked = asyncio.Event()
        self.has: dict[str, RunState] = {}
        self.cancelled: list[Cancel] = []

    async def open(self, observer: Observer) -> None:
        self.observer = observer

    async def close(self) -> None:
        return None

    async def submit(self, launches: Sequence[Launch]) -> Sequence[Taken | Refusal]:
        self.asked.set()
        await self.gate.wait()
        self.has.update((one.run_id, RunState.STARTING) for one in launches)
        return [Taken(one.run_id, f"handle-{one.run_id}") for one in launches]

    async def cancel(self, cancels: Sequence[Cancel]) -> None:
        self.cancelled += cancels

    async def survey(self) -> Sequence[Seen]:
        listed = [self.seen(run_id, state) for run_id, state in self.has.items()]
        await self.survey_gate.wait()
        return listed

    async def recall(self, missing: Mapping[str, str]) -> Sequence[Seen]:
        return ()

    async def nodes(self) -> Sequence[Node]:
        return ()

    async def logs(self, handle: str, offset: int, follow: bool) -> AsyncIterator[bytes]:
        yield b""

    @staticmethod
    def seen(run_id: str, state: RunState) -> Seen:
        return Seen(RunReport(run_id, state), f"handle-{run_id}")


class Heard:
    """An `EventSink` that remembers."""

    def __init__(self) -> None:
        self.told: list[tuple[str, RunState]] = []
        self.failure = ""

    def publish(self, reports: Sequence[RunReport], *, nodes_changed: bool = False) -> None:
        self.told += [(report.run_id, report.state) for report in reports]

    def fail(self, message: str) -> None:
        self.failure = message


def a_launch(run_id: str) -> Launch:
    return Launch(run_id, "w", "n", Requirements(Resources(100)), Program(("true",)), ("n",))


Story = Callable[[EngineBackend, SlowEngine, Heard], Awaitable[None]]


def play(story: Story, folder: Path, survey_every_s: float = 60.0) -> None:
    async def played() -> None:
        engine, heard = SlowEngine(), Heard()
        backend = EngineBackend(engine, folder, survey_every_s)
        await backend.start(heard)
        try:
            async with asyncio.timeout(20):
                await story(backend, engine, heard)
            assert heard.failure == ""
        finally:
            await backend.close()

    asyncio.run(played())


async def until(holds: Callable[[], bool]) -> None:
    while not holds():
        await asyncio.sleep(0.005)


def test_while_the_engine_is_asked_to_take_one_run_another_is_told_of(tmp_path: Path) -> None:
    async def story(backend: EngineBackend, engine: SlowEngine, heard: Heard) -> None:
        await backend.launch([a_launch("first")])
        engine.gate.clear()
        engine.asked.clear()
        second = asyncio.create_task(backend.launch([a_launch("second")]))
        await engine.asked.wait()
        engine.observer.observed([engine.seen("first", RunState.RUNNING)])
        await until(lambda: ("first", RunState.RUNNING) in heard.told)
        assert not second.done()
        engine.gate.set()
        (report,) = await second
        assert isinstance(report, RunReport) and report.state is RunState.STARTING

    play(story, tmp_path)


def test_a_run_is_told_once_though_it_runs_before_the_engine_has_answered(tmp_path: Path) -> None:
    async def story(backend: EngineBackend, engine: SlowEngine, heard: Heard) -> None:
        engine.gate.clear()
        launch = asyncio.create_task(backend.launch([a_launch("r")]))
        await engine.asked.wait()
        engine.observer.observed([engine.seen("r", RunState.RUNNING)])
        await until(lambda: bool(heard.told))
        engine.gate.set()
        (report,) = await launch
        assert isinstance(report, RunReport) and report.state is RunState.RUNNING
        assert heard.told == [("r", RunState.RUNNING)]

    play(story, tmp_path)


def test_a_list_that_was_read_before_the_engine_took_a_run_does_not_lose_it(tmp_path: Path) -> None:
    async def story(backend: EngineBackend, engine: SlowEngine, heard: Heard) -> None:
        engine.gate.clear()
        launch = asyncio.create_task(backend.launch([a_launch("r")]))
        await engine.asked.wait()
        engine.survey_gate.clear()
        backend.gap()  # the list is read now, without the run
        await asyncio.sleep(0.1)
        engine.gate.set()
        await launch
        engine.survey_gate.set()
        await asyncio.sleep(0.1)
        report = await backend.inspect("r")
        assert report is not None and report.state is RunState.STARTING

    play(story, tmp_path)


def test_a_run_that_the_engine_no_longer_lists_is_lost(tmp_path: Path) -> None:
    async def story(backend: EngineBackend, engine: SlowEngine, heard: Heard) -> None:
        await backend.launch([a_launch("r")])
        engine.has.clear()
        backend.gap()
        await until(lambda: ("r", RunState.LOST) in heard.told)

    play(story, tmp_path)


@pytest.mark.parametrize(("grace_ms", "asked"), [(60_000, [60_000]), (0, [0, 0])])
def test_a_look_at_the_engine_does_not_cut_the_grace_of_a_stop_short(
    tmp_path: Path, grace_ms: int, asked: list[int]
) -> None:
    async def story(backend: EngineBackend, engine: SlowEngine, heard: Heard) -> None:
        await backend.launch([a_launch("r")])
        await backend.stop([Stop("r", grace_ms)])
        backend.gap()
        await asyncio.sleep(0.2)
        assert [one.grace_ms for one in engine.cancelled][: len(asked)] == asked
        assert len(engine.cancelled) >= len(asked) and (grace_ms == 0 or len(engine.cancelled) == 1)

    play(story, tmp_path)


def test_a_stop_of_before_a_restart_is_repeated_at_the_start(tmp_path: Path) -> None:
    table = RunTable(tmp_path / "runs.db")
    row = table.new_row(RunReport("r", RunState.RUNNING), Stage.HELD)
    table.write([RunRow(row.number, row.report, row.stage, "handle-r", stopping=True)])
    table.close()

    async def story() -> list[Cancel]:
        engine = SlowEngine()
        engine.has["r"] = RunState.RUNNING
        backend = EngineBackend(engine, tmp_path)
        await backend.start(Heard())
        await backend.close()
        return engine.cancelled

    assert asyncio.run(story()) == [Cancel("r", "handle-r", 0)]


# -- the table --------------------------------------------------------------------------------------------------------


def test_a_row_is_read_as_it_was_written(tmp_path: Path) -> None:
    report = RunReport(
        "r", RunState.FAILED, ("a", "b"), 9, "说明 / why", 1, 2, True, True, 3, FailureCategory.OUT_OF_MEMORY
    )  # fmt: skip
    table = RunTable(tmp_path / "runs.db")
    row = RunRow(table.new_row(report, Stage.HELD).number, report, Stage.ENDED, "h", True, "because")
    table.write([row])
    table.close()
    assert RunTable(tmp_path / "runs.db").get("r") == row


def test_the_oldest_endings_are_forgotten_and_nothing_that_lives(tmp_path: Path) -> None:
    table = RunTable(tmp_path / "runs.db", remembered=3)
    table.write([table.new_row(RunReport("live", RunState.RUNNING), Stage.HELD)])
    for number in range(7):
        table.write([table.new_row(RunReport(f"r{number}", RunState.STOPPED), Stage.ENDED)])
    names = [row.run_id for row in table.after(0)]
    assert names == ["live", "r4", "r5", "r6"]
    table.close()
    assert [row.run_id for row in RunTable(tmp_path / "runs.db").after(0)] == names


# -- watch events without what nobody reads -----------------------------------------------------------------------------

_TEXTS = st.text(max_size=12) | st.sampled_from(['"managedFields":[', ']},"spec":', '{"a":"]}'])
_FIELDS = st.lists(
    st.dictionaries(_TEXTS, st.dictionaries(_TEXTS, st.just({}), max_size=2), max_size=3), max_size=3
)


@given(
    annotations=st.dictionaries(_TEXTS, _TEXTS, max_size=3),
    fields=st.none() | _FIELDS,
    spec=st.dictionaries(_TEXTS, _TEXTS),
)
def test_an_event_is_the_same_without_its_managed_fields(
    annotations: dict[str, str], fields: list[object] | None, spec: dict[str, str]
) -> None:
    metadata: dict[str, object] = {"name": "n", "annotations": annotations}
    without = {"type": "MODIFIED", "object": {"metadata": dict(metadata), "spec": spec, "status": {"phase": "x"}}}
    if fields is not None:
        metadata["managedFields"] = fields
    event = {"type": "MODIFIED", "object": {"metadata": metadata, "spec": spec, "status": {"phase": "x"}}}
    line = json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
    assert json.loads(without_managed_fields(line)) == without

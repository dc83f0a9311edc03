"""One trace from a client's submission to the adapter that launches its run; none where no endpoint is configured."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters import tracing
from adapters.client import AdapterClient
from adapters.contract import Launch
from inventory.model import units
from inventory.model import workload as model
from inventory.model.workload import Run, RunState, Submission
from scheduler.core.admission import Accepted, Outcome
from scheduler.core.changes import RunPlaced
from scheduler.operation.run_traces import MOST_OF_A_BATCH, RUN_TRACES, RunTraces
from tests.adapters.adapter_process import AdapterProcess
from tests.operation.otlp import Receiver, receiving
from tests.services.memory import NOW_MS, MemoryScheduling
from tests.services.serving import Serving
from xisuan.client import Client, Program, Requirements, Resources, WorkloadSpec
from xisuan.tracing import FORM, trace_metadata

TRACE = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = f"00-{TRACE}-b7ad6b7169203331-01"


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    with receiving() as made:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", made.endpoint)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
        tracing.start_tracing("test")
        yield made
        tracing.stop_tracing()


class TracedScheduling(MemoryScheduling):
    """Does with a submission what the control plane's actor does."""

    def __init__(self) -> None:
        super().__init__()
        self.accepted: list[str] = []

    async def submit(self, submissions: Sequence[Submission]) -> list[Outcome]:
        outcomes = await super().submit(submissions)
        ids = [one.workload_id for one in outcomes if isinstance(one, Accepted)]
        RUN_TRACES.accepted(ids, tracing.current_traceparent(), NOW_MS)
        self.accepted += ids
        return outcomes


def placed(workload_id: str) -> RunPlaced:
    return RunPlaced(Run(f"{workload_id}.1", workload_id, 1, "pool-a", (), RunState.PLACED))


async def launch(adapter: AdapterProcess, run_id: str) -> None:
    one = Launch(
        run_id=run_id, workload_id=run_id[:-2], name="traced", program=model.Program(("true",)), nodes=(adapter.node,),
        requirements=model.Requirements(units.Resources(cpu_milli=100, memory_bytes=1 << 20)), max_runtime_ms=60_000, queue="q",
    )  # fmt: skip
    client = AdapterClient(adapter.endpoint)
    try:
        with RUN_TRACES.sending([run_id], "pool-a"):
            await client.launch(1, [one])
    finally:
        await client.close()


def test_a_submission_a_placement_and_the_adapters_launch_are_one_trace(
    receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRACEPARENT", TRACEPARENT)
    adapter = AdapterProcess("simulated", tmp_path / "adapter")
    adapter.start()
    serving = Serving(scheduling := TracedScheduling())
    try:
        with Client(serving.address) as client:
            need = Requirements(per_task=Resources(cpu_milli=100))
            spec = WorkloadSpec(queue="q", client_key="k", requirements=need, program=Program(command=["true"]))
            client.submit(spec)
        (workload_id,) = scheduling.accepted
        RUN_TRACES.committed([placed(workload_id)])
        asyncio.run(launch(adapter, f"{workload_id}.1"))
        found = receiver.wait_for(TRACE, lambda spans: len(spans) >= 5)
    finally:
        serving.close()
        adapter.stop()
    parents = {span.name: span.parent_id for span in found}
    ids = {span.name: span.span_id for span in found}
    assert parents == {
        "xisuan.workload.v1.WorkloadService/Submit": "b7ad6b7169203331",
        "store": ids["xisuan.workload.v1.WorkloadService/Submit"],
        "place": ids["store"],
        "launch": ids["place"],
        "adapter launch": ids["place"],
    }
    assert {span.service for span in found} == {"test", "xisuan-adapter-simulated"}


def test_a_caller_without_a_trace_begins_one(receiver: Receiver) -> None:
    serving = Serving(TracedScheduling())
    try:
        with Client(serving.address) as client:
            assert list(client.list()) == []
    finally:
        serving.close()
    tracing.stop_tracing()
    assert [(span.name, span.parent_id) for span in receiver.all()] == [
        ("xisuan.workload.v1.WorkloadService/List", "")
    ]


def test_of_a_batch_the_first_are_followed_and_memory_is_bounded(receiver: Receiver) -> None:
    traces = RunTraces(lambda: NOW_MS)
    traces.accepted([f"w-{n}" for n in range(10_000)], TRACEPARENT, NOW_MS)
    traces.committed([placed(f"w-{n}") for n in range(10_000)])
    assert len(traces.launching(f"w-{n}.1" for n in range(10_000))) == MOST_OF_A_BATCH


def test_a_collector_that_is_gone_holds_up_nobody_s_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Left alone, the exporter tries for as long as it is set to: here for some 3 s, by default for up to half a minute."""
    with receiving() as gone:
        endpoint = gone.endpoint
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "4")
    monkeypatch.setattr(tracing, "LONGEST_STOP_S", 0.1)
    tracing.start_tracing("test")
    with tracing.span("work"):
        pass
    began = time.monotonic()
    tracing.stop_tracing()
    took = time.monotonic() - began
    (still_trying,) = (one for one in threading.enumerate() if one.name == "last-spans")
    still_trying.join()
    assert took < 1.5
    assert not tracing.is_tracing()


def test_without_an_endpoint_nothing_is_traced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    tracing.start_tracing("test")
    traces = RunTraces(lambda: NOW_MS)
    traces.accepted(["w-1"], TRACEPARENT, NOW_MS)
    traces.committed([placed("w-1")])
    with tracing.span("anything", TRACEPARENT) as own:
        assert own == tracing.current_traceparent() == ""
    assert not tracing.is_tracing()
    assert traces.launching(["w-1.1"]) == {}


@given(
    st.dictionaries(
        st.from_regex(r"w-[0-9a-f]{6}-[0-9]{1,6}\.[1-9]", fullmatch=True), st.just(TRACEPARENT), max_size=80
    )
)
def test_what_a_launch_says_of_its_traces_is_what_the_adapter_reads(traced: dict[str, str]) -> None:
    token = tracing.launching.set(traced)
    try:
        metadata = tracing.launch_metadata(traced)
    finally:
        tracing.launching.reset(token)
    assert tracing.traces_of_runs(metadata) == dict(list(traced.items())[: tracing.MOST_RUNS])
    assert sum(len(key) + len(value) + 32 for key, value in metadata) < 8192


@pytest.mark.parametrize("wrong", ["", "nonsense", "00-" + "0" * 32 + "-" + "1" * 16 + "-01", TRACEPARENT + "\n"])
def test_a_trace_that_is_none_is_not_sent(monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    monkeypatch.setenv("TRACEPARENT", wrong)
    assert trace_metadata() == ()
    assert not FORM.fullmatch(wrong)

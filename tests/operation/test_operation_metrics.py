"""What the service counts: the numbers are right, the names and labels are those of the field, and it costs little."""

from __future__ import annotations

import re
import socket
import urllib.request

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from inventory.model.placement import Placement
from inventory.model.workload import RunState
from scheduler.core.admission import Known, admit
from scheduler.core.book import Book
from scheduler.core.changes import Change, RunChanged
from scheduler.core.lifecycle import place, report_run
from scheduler.operation import instruments
from scheduler.operation.commits import CommitMeter
from scheduler.operation.exposition import ActorMetrics, MetricsServer, PortTaken, collected, merged
from scheduler.operation.histogram import BatchHistogram
from scheduler.operation.rates import WINDOW_S, RateWindow
from tests.lifecycle.bookkeeping import submission
from tests.services.memory import MemoryScheduling
from tests.services.serving import Serving
from xisuan.client import CallError, Client, WorkloadSpec

BOUNDS = (0.001, 0.01, 0.1, 1.0)
ALLOWED_LABELS = {"state", "pool", "method", "reason", "grpc_service", "grpc_method", "grpc_code", "le", "actor"}
UNITS = ("_total", "_seconds", "_bytes", "_created")


def value(name: str, **labels: str) -> float:
    return instruments.REGISTRY.get_sample_value(name, labels) or 0.0


class TestHistogramsOfBatches:
    @given(
        st.lists(st.lists(st.floats(-1, 5, allow_nan=False) | st.sampled_from(BOUNDS), max_size=40), max_size=5)
    )
    def test_count_as_the_librarys_own_does(self, batches: list[list[float]]) -> None:
        ours, theirs = CollectorRegistry(), CollectorRegistry()
        batch = BatchHistogram("waits_seconds", "waits", BOUNDS, ours)
        plain = Histogram("waits_seconds", "waits", buckets=BOUNDS, registry=theirs)
        for values in batches:
            batch.observe_many(values)
            for one in values:
                plain.observe(max(one, 0.0))
        names = ["waits_seconds_count", *("waits_seconds_bucket",) * (len(BOUNDS) + 1)]
        labels: list[dict[str, str]] = [{}, *({"le": str(bound)} for bound in BOUNDS), {"le": "+Inf"}]
        for name, label in zip(names, labels, strict=True):
            assert ours.get_sample_value(name, label) == theirs.get_sample_value(name, label)
        total = theirs.get_sample_value("waits_seconds_sum")
        assert ours.get_sample_value("waits_seconds_sum") == pytest.approx(total)


class TestRatesOfTheLastMinute:
    @given(st.lists(st.tuples(st.integers(0, 100), st.integers(0, 50)), max_size=30), st.integers(0, 200))
    def test_count_what_happened_in_the_sixty_whole_seconds_before(
        self, steps: list[tuple[int, int]], pause: int
    ) -> None:
        window, second, happened = RateWindow(("placed",)), 1_000, []
        for wait, count in steps:
            second += wait
            window.add({"placed": count}, second)
            happened.append((second, count))
        now = second + pause
        plain = sum(count for when, count in happened if now - WINDOW_S <= when < now)
        assert window.last_minute(now) == {"placed": plain}


class BookAlone:
    def __init__(self) -> None:
        self.book = Book()

    def glance(self) -> Book:
        return self.book


class TestACommit:
    def test_counts_what_became_of_workloads_and_how_long_they_waited(self) -> None:
        reader = BookAlone()
        now_ms = 1_000
        meter = CommitMeter(reader, lambda: now_ms)
        names = (
            "xisuan_workloads_submitted_total",
            "xisuan_runs_started_total",
            "xisuan_placement_latency_seconds_count",
            "xisuan_placement_latency_seconds_sum",
            "xisuan_launch_latency_seconds_sum",
        )
        before = {name: value(name) for name in names}
        pool_before = value("xisuan_runs_placed_total", pool="p")
        ended_before = value("xisuan_runs_ended_total", state="succeeded")
        finished_before = value("xisuan_workloads_finished_total", state="succeeded")

        def commit(changes: list[Change]) -> None:
            reader.book.apply(changes)
            reader.book.settle()
            meter.committed(changes)

        ids = iter(("w1", "w2"))
        _, changes = admit(
            reader.book, Known({}, {}), [submission("a"), submission("b")], lambda: next(ids), now_ms
        )
        commit(list(changes))
        now_ms = 3_000
        changes, _ = place(reader.book, [Placement("w1", "w1.1", 1, "p", ("n",))], now_ms)
        commit(list(changes))
        now_ms = 3_500
        commit(list(report_run(reader.book, RunChanged("w1.1", RunState.RUNNING, started_ms=3_400))))
        commit(list(report_run(reader.book, RunChanged("w1.1", RunState.SUCCEEDED, exit_code=0, ended_ms=3_450))))

        assert {name: value(name) - before[name] for name in names} == pytest.approx(
            {
                "xisuan_workloads_submitted_total": 2,
                "xisuan_runs_started_total": 1,
                "xisuan_placement_latency_seconds_count": 1,
                "xisuan_placement_latency_seconds_sum": 2.0,
                "xisuan_launch_latency_seconds_sum": 0.5,
            }
        )
        assert value("xisuan_runs_placed_total", pool="p") - pool_before == 1
        assert value("xisuan_runs_ended_total", state="succeeded") - ended_before == 1
        assert value("xisuan_workloads_finished_total", state="succeeded") - finished_before == 1


class TestNames:
    def test_end_in_their_unit_and_have_no_label_without_a_bound(self) -> None:
        for family in collected():
            for sample in family.samples:
                assert set(sample.labels) <= ALLOWED_LABELS, sample.name
            if family.name.startswith("xisuan_"):
                full = f"{family.name}_total" if family.type == "counter" else family.name
                assert full.endswith(UNITS), full
                assert re.fullmatch(r"[a-z_]+", full) and family.documentation, full


def families_of(*answers: ActorMetrics) -> dict[str, Metric]:
    with MetricsServer("127.0.0.1", 0, lambda: list(answers)) as server:
        url = f"http://{server.address}/metrics"
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=10) as answer:
            text = answer.read().decode()
    return {family.name: family for family in text_string_to_metric_families(text)}


class TestTheExposition:
    def test_puts_the_processes_of_a_service_under_one_name_each(self) -> None:
        found = families_of(ActorMetrics("control-plane", collected()), ActorMetrics("gateway-0", collected()))
        actors = {sample.labels["actor"] for sample in found["xisuan_workloads_submitted"].samples}
        assert actors == {"control-plane", "gateway-0"}
        assert found["xisuan_placement_latency_seconds"].type == "histogram"
        assert {(s.labels["actor"], s.value) for s in found["xisuan_up"].samples} == {
            ("control-plane", 1.0),
            ("gateway-0", 1.0),
        }

    def test_says_of_a_process_that_does_not_answer_that_it_is_down(self) -> None:
        found = families_of(ActorMetrics("control-plane", None), ActorMetrics("gateway-0", collected()))
        up = {sample.labels["actor"]: sample.value for sample in found["xisuan_up"].samples}
        assert up == {"control-plane": 0.0, "gateway-0": 1.0}

    def test_loses_no_sample_when_it_merges(self) -> None:
        one = collected()
        both = merged([ActorMetrics("a", one), ActorMetrics("b", one)])
        assert sum(len(f.samples) for f in both.values()) == 2 * sum(len(f.samples) for f in one)

    def test_a_port_in_use_is_refused_in_one_line_that_names_it(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            with pytest.raises(PortTaken, match=f"--metrics-port {port}") as refused:
                MetricsServer("127.0.0.1", port, list)
        assert "\n" not in str(refused.value)


SERVICE = {"grpc_service": "xisuan.workload.v1.WorkloadService"}


class TestAGateway:
    def test_counts_calls_by_method_and_code_and_unknown_methods_under_one_name(self) -> None:
        def handled(method: str, code: str) -> float:
            return value("grpc_server_handled_total", **SERVICE, grpc_method=method, grpc_code=code)

        def unknown() -> float:
            labels = {"grpc_service": "unknown", "grpc_method": "unknown", "grpc_code": "UNIMPLEMENTED"}
            return value("grpc_server_handled_total", **labels)

        before = handled("Get", "NOT_FOUND"), handled("List", "OK"), unknown(), len(collected())
        serving = Serving(MemoryScheduling())
        try:
            with Client(serving.address) as client:
                assert list(client.list()) == []
                with pytest.raises(CallError):
                    client.get("nobody")
            with grpc.insecure_channel(serving.address) as channel:
                for number in range(3):
                    with pytest.raises(grpc.RpcError):
                        channel.unary_unary(f"/made.up.{number}/Call")(b"", timeout=5)
        finally:
            serving.close()
        after = handled("Get", "NOT_FOUND"), handled("List", "OK"), unknown(), len(collected())
        assert [new - old for new, old in zip(after, before, strict=True)] == [1, 1, 3, 0]

    def test_counts_refusals_by_reason_of_calls_and_of_items(self) -> None:
        def refused(reason: str) -> float:
            return value("xisuan_requests_refused_total", reason=reason)

        before = refused("NOT_FOUND"), refused("INVALID_ARGUMENT")
        serving = Serving(MemoryScheduling())
        try:
            with Client(serving.address) as client:
                with pytest.raises(CallError):
                    client.get("nobody")
                client.submit_batch([WorkloadSpec(), WorkloadSpec()])
        finally:
            serving.close()
        assert (refused("NOT_FOUND") - before[0], refused("INVALID_ARGUMENT") - before[1]) == (1, 2)

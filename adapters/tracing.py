"""Traces across the processes of a service and its adapters: OpenTelemetry, exported where an endpoint is configured.

Gateways, the control plane, pool hosts and adapters each call `start_tracing`; without OTEL_EXPORTER_OTLP_ENDPOINT (or
its form for traces) it does nothing, OpenTelemetry is not even loaded, and every function here costs a comparison. The
standard variables hold (OTEL_TRACES_SAMPLER, OTEL_EXPORTER_OTLP_HEADERS and so on).

Between processes a trace is a `traceparent` of the W3C. A launch carries many runs of many traces in one call, which one
`traceparent` cannot say: RUN_KEY names the run in front of it, once for each run that is traced.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

KEY = "traceparent"
# Metadata "RUN_ID=TRACEPARENT", once for each traced run of a Launch.
RUN_KEY = "xisuan-run-trace"
# Metadata of a call has some 8 KB: what is beyond is launched untraced.
MOST_RUNS = 50
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")

_provider: Any = None
LONGEST_STOP_S = 3.0
# Of the launch that is being sent: run id -> traceparent. Set by the pool host, read by the client of the adapter.
launching: ContextVar[Mapping[str, str]] = ContextVar("launching", default={})  # noqa: B039 - never changed in place


def start_tracing(service_name: str) -> None:
    """From now on spans are exported, if an endpoint is configured. Once a process; again it changes nothing."""
    global _provider
    if _provider is not None or not any(os.environ.get(name) for name in _ENDPOINTS):
        return
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    _provider = TracerProvider(resource=Resource.create({"service.name": service_name}), shutdown_on_exit=False)
    _provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))


def stop_tracing() -> None:
    """Exports what is left; blocks for `LONGEST_STOP_S` at most, also where nobody takes it."""
    global _provider
    if _provider is not None:
        # Both try for up to half a minute where the collector does not answer, whatever they are asked: nobody's orderly
        # end waits for that. The thread dies with its process.
        ending = threading.Thread(target=_provider.shutdown, name="last-spans", daemon=True)
        ending.start()
        ending.join(LONGEST_STOP_S)
        _provider = None


def is_tracing() -> bool:
    return _provider is not None


@contextmanager
def span(
    name: str, traceparent: str = "", attributes: Mapping[str, Any] | None = None, *, is_server: bool = False
) -> Iterator[str]:
    """A span around the block, below `traceparent` (empty: below the current span, or a trace of its own); gives its own
    traceparent, empty where nothing is traced or this trace is not sampled. An error of the block is recorded."""
    if _provider is None:
        yield ""
        return
    from opentelemetry.trace import SpanKind

    kind = SpanKind.SERVER if is_server else SpanKind.INTERNAL
    parent = _context_of(traceparent) if traceparent else None
    with _tracer().start_as_current_span(name, parent, kind, attributes or {}):
        yield current_traceparent()


def record_span(
    name: str, traceparent: str, times_ms: tuple[int, int], attributes: Mapping[str, Any] | None = None
) -> str:
    """A span that is over, from its beginning to its end; returns its traceparent (empty: nothing is traced)."""
    if _provider is None or not traceparent:
        return ""
    began_ms, ended_ms = times_ms
    made = _tracer().start_span(
        name, _context_of(traceparent), attributes=attributes or {}, start_time=began_ms * 1_000_000
    )
    made.end(max(began_ms, ended_ms) * 1_000_000)
    return _traceparent_of(made.get_span_context())


def current_traceparent() -> str:
    """Of the span around the present task; empty where there is none that is sampled."""
    if _provider is None:
        return ""
    from opentelemetry.trace import get_current_span

    return _traceparent_of(get_current_span().get_span_context())


def launch_metadata(run_ids: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """The metadata of a Launch: the traces of its runs, of the first `MOST_RUNS` that are traced."""
    traced = launching.get()
    if not traced:
        return ()
    named = [(run_id, traced[run_id]) for run_id in run_ids if run_id in traced][:MOST_RUNS]
    if not named:
        return ()
    return ((KEY, named[0][1]), *((RUN_KEY, f"{run_id}={parent}") for run_id, parent in named))


def traces_of_runs(metadata: Iterable[tuple[str, Any]]) -> Mapping[str, str]:
    """What `launch_metadata` said, as an adapter received it; what is not of its form is left out."""
    pairs = (str(value).partition("=") for key, value in metadata if key == RUN_KEY)
    return {run_id: parent for run_id, _, parent in pairs if run_id and parent}


def record_launches(metadata: Sequence[tuple[str, Any]], times_ms: tuple[int, int], pool_id: str) -> None:
    """One span for each traced run of a Launch that an adapter has answered."""
    if _provider is not None:
        for run_id, parent in traces_of_runs(metadata).items():
            record_span("adapter launch", parent, times_ms, {"xisuan.run_id": run_id, "xisuan.pool_id": pool_id})


def _tracer() -> Tracer:
    tracer: Tracer = _provider.get_tracer("xisuan")
    return tracer


def _context_of(traceparent: str) -> Any:
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return TraceContextTextMapPropagator().extract({KEY: traceparent})


def _traceparent_of(context: Any) -> str:
    if not context.is_valid or not context.trace_flags.sampled:
        return ""
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags):02x}"

"""Which trace a call belongs to, in the form of the W3C (`traceparent`), without a tracing library of our own.

`xisuan.calls` adds it to every call. An application that uses OpenTelemetry has a current span: the call becomes part of
its trace. One that does not may name a trace in the environment variable TRACEPARENT, as command-line tools do.
"""

from __future__ import annotations

import os
import re
import sys

KEY = "traceparent"
FORM = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


def trace_metadata() -> tuple[tuple[str, str], ...]:
    """gRPC metadata with the present trace; empty where there is none."""
    traceparent = _of_the_application() or os.environ.get("TRACEPARENT", "")
    return ((KEY, traceparent),) if FORM.fullmatch(traceparent) else ()


def _of_the_application() -> str:
    """Asked only where the application has loaded OpenTelemetry itself: the bare installation does not need it."""
    trace = sys.modules.get("opentelemetry.trace")
    if trace is None:
        return ""
    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        return ""
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags):02x}"

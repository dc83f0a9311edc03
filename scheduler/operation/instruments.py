"""Every metric that a process of the service counts by itself, under its name, with its unit and its labels.

Counters and histograms live here, one registry a process; the parts of the service count into them. Gauges that say
how things stand (queues, pools, epoch, store) are read when somebody asks: `scheduler.runtime.operation_desk`.

Rules: names end in their unit or in _total; labels are bounded by the code, by the pools that are registered or by the
contracts, and never hold an id of a workload, a run, a caller or a machine. docs/operation.md lists them for readers.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector

from scheduler.operation.histogram import BatchHistogram
from scheduler.operation.rates import RateWindow

REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)

_FAST = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
# From a trickle on an idle service to a workload that waits a month for its window.
_WAITS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 1800.0, 7200.0, 43200.0, 604800.0)


def _counter(name: str, documentation: str, labels: tuple[str, ...] = ()) -> Counter:
    return Counter(name, documentation, labels, registry=REGISTRY)


def _histogram(name: str, documentation: str, labels: tuple[str, ...] = ()) -> Histogram:
    return Histogram(name, documentation, labels, registry=REGISTRY, buckets=_FAST)


# What happens to workloads and runs (control plane)
SUBMITTED = _counter("xisuan_workloads_submitted_total", "Workloads accepted and stored")
FINISHED = _counter("xisuan_workloads_finished_total", "Workloads that ended", ("state",))
PLACED = _counter("xisuan_runs_placed_total", "Runs whose placement was committed", ("pool",))
STARTED = _counter("xisuan_runs_started_total", "Runs that their pool reported to be running")
ENDED = _counter("xisuan_runs_ended_total", "Runs that ended", ("state",))
ACKNOWLEDGEMENT = _histogram(
    "xisuan_submission_acknowledgement_seconds",
    "From the arrival of a submission at the leader until it is durable",
)
PLACEMENT_LATENCY = BatchHistogram(
    "xisuan_placement_latency_seconds", "From submission to the commit of the first placement", _WAITS, REGISTRY
)
LAUNCH_LATENCY = BatchHistogram(
    "xisuan_launch_latency_seconds", "From the commit of a placement until its pool says running", _WAITS, REGISTRY
)
RATES = RateWindow(("submitted", "placed", "started", "finished"))

# How the leader works
CYCLE = _histogram("xisuan_cycle_duration_seconds", "One scheduling cycle, with its commit")
COMMIT = _histogram("xisuan_store_commit_seconds", "One transaction of the leader, until it is on disk")
COMMITTED_EVENTS = _counter("xisuan_store_committed_events_total", "Events in committed transactions")
WATCH_LAG = _histogram(
    "xisuan_watch_lag_seconds", "Age of the newest change in a page when a watcher's call takes it"
)
POOL_CALL = _histogram("xisuan_pool_host_call_seconds", "Calls of the leader to a pool host", ("method",))

# What callers see (gateways); the names are those of the gRPC ecosystem's own interceptors
GRPC_HANDLED = _counter(
    "grpc_server_handled_total", "RPCs that ended, by code", ("grpc_service", "grpc_method", "grpc_code")
)
GRPC_SECONDS = _histogram("grpc_server_handling_seconds", "Duration of RPCs", ("grpc_service", "grpc_method"))
REFUSED = _counter(
    "xisuan_requests_refused_total", "Requests and items of batches refused, by reason", ("reason",)
)

"""What is measured of the service: one function a row of the table in docs/service-benchmarks.md.

Each takes an empty folder and returns its figures as JSON values. Figures hold for everything on one machine: the
service, its simulated pools and the client that loads it share the processors.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from pathlib import Path
from statistics import median

from tests.benchmarks.service.bed import Bed, Pools, spec, until
from tests.benchmarks.service.open_loop import Call, drive, poisson, quantiles_ms
from xisuan.client import CallError, Client
from xisuan.workload.v1.workload_service_pb2 import SubmitRequest
from xisuan.workload.v1.workload_service_pb2_grpc import WorkloadServiceStub

Figures = dict[str, object]
_BATCH = 2_000
# Full after two hundred runs: what is measured is the acknowledgement; `to_running` measures the way behind it.
_SMALL = Pools(pools=2, nodes_each=10, cores_a_node=1)
_LARGE = Pools(pools=8, nodes_each=1_250)
_FULL = Pools(pools=8, nodes_each=1_250, cores_a_node=1)
_MILLION = 1_000_000


def batch_submission(folder: Path) -> Figures:
    """Durable acknowledgements a second of batches of 2,000 from two clients, ten seconds long."""
    with Bed(folder, _SMALL) as bed:
        rates = []
        _submit_for(bed, 2.0, "warm")
        for number in range(3):
            begin = time.perf_counter()
            done = _submit_for(bed, 10.0, f"round-{number}")
            rates.append(done / (time.perf_counter() - begin))
    return {"per_s": round(median(rates)), "rounds_per_s": [round(rate) for rate in rates], "batch": _BATCH}


def to_running(folder: Path) -> Figures:
    """Runs that pools report as running, a second, over a minute in which submissions never cease: 8 pools of 10,000
    nodes in all, runs of 30 s."""
    with Bed(folder, _LARGE) as bed:
        stop = threading.Event()
        senders = [
            threading.Thread(target=_keep_submitting, args=(bed, stop, f"to-running-{n}")) for n in range(2)
        ]
        for sender in senders:
            sender.start()
        until(lambda: bed.counted("xisuan_runs_started_total") > 0, "the first run has started")
        begin, before = time.perf_counter(), bed.counted("xisuan_runs_started_total")
        time.sleep(60)
        started, seconds = bed.counted("xisuan_runs_started_total") - before, time.perf_counter() - begin
        submitted = bed.counted("xisuan_workloads_submitted_total")
        stop.set()
        for sender in senders:
            sender.join()
    return {"per_s": round(started / seconds), "seconds": round(seconds, 1), "submitted": round(submitted)}


def unary_submission(folder: Path) -> Figures:
    """Milliseconds to the durable acknowledgement of single submissions that arrive at 1,000 a second."""
    with Bed(folder, _SMALL) as bed, bed.client() as client, closing(bed.channel()) as channel:
        for number in range(200):
            client.submit(spec("unary", f"warm-{number}"))
        submit = WorkloadServiceStub(channel.grpc).Submit

        def begin(number: int) -> Call:
            request = SubmitRequest(workload=spec("unary", str(number)))
            return submit.future(request, metadata=channel.metadata)

        arrivals = list(poisson(1_000, 20, seed=1))
        found = drive(arrivals, begin)
    return {"acknowledged_ms": quantiles_ms(found.seconds), "calls": len(arrivals), "failed": found.failed}


def placement_latency(folder: Path) -> Figures:
    """Milliseconds from a submission to the news of its placement, one at a time, with 100 pools and nothing else to
    do."""
    with Bed(folder, Pools(pools=100, nodes_each=10)) as bed, bed.client() as client, bed.client() as listener:
        placed: dict[str, float] = {}
        ready = threading.Event()
        threading.Thread(target=_note_placements, args=(listener, placed, ready), daemon=True).start()
        until(ready.is_set, "the stream of changes is open")
        seconds = []
        for number in range(200):
            begin = time.perf_counter()
            workload, _ = client.submit(spec("latency", str(number), seconds=1))
            until(lambda name=workload.workload_id: name in placed, "the workload is placed")
            seconds.append(placed[workload.workload_id] - begin)
            time.sleep(0.05)
    return {"placed_ms": quantiles_ms(seconds), "pools": 100}


def million_queued(folder: Path) -> Figures:
    """A million workloads that wait, on pools that are full: memory of the tree, seconds a cycle of 10,000 takes, and
    the start of the service on that store."""
    with Bed(folder, _FULL) as bed:
        begin = time.perf_counter()
        with bed.client() as client:
            for start in range(0, _MILLION, 10_000):
                client.submit_batch(
                    [spec("queued", str(n), seconds=3_600, cpu_milli=1_000) for n in range(start, start + 10_000)]
                )
        submitted_s = time.perf_counter() - begin
        until(lambda: bed.counted("xisuan_runs_started_total") > 0, "the pools are busy")
        time.sleep(10)
        total, cycles = (bed.counted(f"xisuan_cycle_duration_seconds_{part}") for part in ("sum", "count"))
        time.sleep(60)
        spent = bed.counted("xisuan_cycle_duration_seconds_sum") - total
        ran = bed.counted("xisuan_cycle_duration_seconds_count") - cycles
        memory = bed.memory_bytes()
        bed.stop()
        restart_s = bed.start()
    return {
        "memory_gib": round(memory / 2**30, 2),
        "cycle_s": round(spent / ran, 3) if ran else None,
        "cycles": ran,
        "submitted_s": round(submitted_s, 1),
        "restart_s": round(restart_s, 1),
    }


def _submit_for(bed: Bed, seconds: float, queue: str) -> int:
    """How many were acknowledged by two clients; the last batches are waited for."""
    done: list[int] = []
    begin = time.perf_counter()

    def send(sender: int) -> None:
        with bed.client() as client:
            number = 0
            while time.perf_counter() - begin < seconds:
                batch = [spec(queue, f"{sender}-{number + n}") for n in range(_BATCH)]
                results = client.submit_batch(batch)
                done.append(sum(result.WhichOneof("outcome") == "accepted" for result in results))
                number += _BATCH

    threads = [threading.Thread(target=send, args=(sender,)) for sender in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(done)


def _keep_submitting(bed: Bed, stop: threading.Event, queue: str) -> None:
    with bed.client() as client:
        number = 0
        while not stop.is_set():
            client.submit_batch([spec(queue, str(number + n)) for n in range(_BATCH)])
            number += _BATCH


def _note_placements(client: Client, placed: dict[str, float], ready: threading.Event) -> None:
    """Until the connection is closed."""
    with suppress(CallError):
        for message in client.watch(queue="latency"):
            now = time.perf_counter()
            ready.set()
            for change in message.changes:
                if change.HasField("run"):
                    placed.setdefault(change.workload_id, now)


MEASUREMENTS: Mapping[str, Callable[[Path], Figures]] = {
    "batch-submission": batch_submission,
    "submitted-to-running": to_running,
    "unary-submission": unary_submission,
    "placement-latency": placement_latency,
    "million-queued": million_queued,
}

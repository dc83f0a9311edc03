"""How long a trickle of single workloads takes from submission to placed, on a running service.

`python -m tests.benchmarks.trickle --count 100 --every 0.2` against the service of XISUAN_HOME (docs/queues.md has the
last numbers). One connection submits at even times, another watches: what is told is what a submitting system sees.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
import time
from collections.abc import Sequence

from console.connection import require_service
from console.home import find_home
from xisuan.client import Client, Program, Requirements, Resources, WorkloadSpec

_PATIENCE_S = 30.0


class Placed(threading.Thread):
    """Notes when the first news of a run came, by workload."""

    def __init__(self, address: str, queue: str) -> None:
        super().__init__(daemon=True)
        self._address, self._queue = address, queue
        self.ready = threading.Event()
        self.at: dict[str, float] = {}

    def run(self) -> None:
        with Client(self._address) as client:
            for message in client.watch(queue=self._queue):
                now = time.perf_counter()
                self.ready.set()
                for change in message.changes:
                    if change.HasField("run"):
                        self.at.setdefault(change.workload_id, now)


def measure(address: str, count: int, every_s: float) -> dict[str, object]:
    """Milliseconds from before the call until it was acknowledged, and until the news of its placement came."""
    queue = f"trickle-{os.getpid()}"
    watcher = Placed(address, queue)
    watcher.start()
    if not watcher.ready.wait(_PATIENCE_S):
        raise SystemExit("the service sends no changes; see xisuan status")
    sent, acknowledged = {}, []
    with Client(address) as client:
        begin = time.perf_counter()
        for number in range(count):
            time.sleep(max(0.0, begin + number * every_s - time.perf_counter()))
            at = time.perf_counter()
            workload, _ = client.submit(_spec(queue, number))
            acknowledged.append((time.perf_counter() - at) * 1000)
            sent[workload.workload_id] = at
        end = time.perf_counter() + _PATIENCE_S
        while len(watcher.at) < count and time.perf_counter() < end:
            time.sleep(0.05)
    placed = [(watcher.at[name] - at) * 1000 for name, at in sent.items() if name in watcher.at]
    return {
        "workloads": count,
        "every_s": every_s,
        "not_placed": count - len(placed),
        "acknowledged_ms": quantiles(acknowledged),
        "placed_ms": quantiles(placed),
        "load": round(os.getloadavg()[0], 1),
    }


def quantiles(values: Sequence[float]) -> dict[str, float]:
    """Median, 90th and 99th percentile (nearest rank), and the largest."""
    ranked = sorted(values)
    if not ranked:
        return {}
    ranks = {"p50": 0.50, "p90": 0.90, "p99": 0.99, "max": 1.0}
    return {name: round(ranked[max(0, -int(-len(ranked) * rank // 1) - 1)], 1) for name, rank in ranks.items()}


def _spec(queue: str, number: int) -> WorkloadSpec:
    return WorkloadSpec(
        queue=queue,
        client_key=f"t{number}",
        name=f"trickle-{number}",
        requirements=Requirements(per_task=Resources(cpu_milli=100, memory_bytes=2**26)),
        program=Program(command=["true"]),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--every", type=float, default=0.2, help="seconds between two submissions")
    arguments = parser.parse_args()
    result = measure(require_service(find_home()), arguments.count, arguments.every)
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()

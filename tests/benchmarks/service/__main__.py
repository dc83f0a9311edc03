"""`python -m tests.benchmarks.service [NAME...]`: runs the measurements, prints each, and writes them as JSON.

The file says on what they ran: processors, memory, load before, version of Python. Called by `make bench-service`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import psutil

from scheduler.runtime.clock import SystemClock
from tests.benchmarks.service.measurements import MEASUREMENTS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(MEASUREMENTS)}; none: all")
    parser.add_argument("--json", type=Path, help="where to write; default .benchmarks/service-TIME.json")
    arguments = parser.parse_args()
    if unknown := sorted(set(arguments.names) - set(MEASUREMENTS)):
        parser.error(f"no measurement {', '.join(unknown)}; there are {', '.join(MEASUREMENTS)}")
    begun = datetime.fromtimestamp(SystemClock().now_ms() / 1000, UTC)
    results: dict[str, object] = {"begun": begun.isoformat(timespec="seconds"), "machine": _machine()}
    path = arguments.json or Path(".benchmarks") / f"service-{begun:%Y%m%dT%H%M%S}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    for name in arguments.names or MEASUREMENTS:
        with tempfile.TemporaryDirectory(prefix="xisuan-bench-") as folder:
            load = round(os.getloadavg()[0], 1)
            results[name] = {**MEASUREMENTS[name](Path(folder)), "load_before": load}
        sys.stdout.write(f"{name}: {json.dumps(results[name])}\n")
        sys.stdout.flush()
        path.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    sys.stdout.write(f"{path}\n")


def _machine() -> dict[str, object]:
    return {
        "processors": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "python": platform.python_version(),
    }


main()

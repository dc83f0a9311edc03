"""Small traces and the files that hold them, for the tests of readers."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np

from inventory.model.units import Resources
from inventory.model.workload import Requirements
from scheduler.core.placement.protocol import Shape
from simulations.traces.trace import Trace, TraceColumns, strings

ONE_CPU = Shape(Requirements(Resources(cpu_milli=1000)))
FOUR_CPUS_TWICE = Shape(Requirements(Resources(cpu_milli=4000), tasks=2, pools=frozenset({"b", "a"})))


def a_trace(submitted_s: list[int], runtime_s: list[int] | None = None, name: str = "small") -> Trace:
    """Jobs job-0, job-1, ... in the order given; shapes alternate."""
    count = len(submitted_s)
    return Trace.of(
        name,
        TraceColumns(
            job_ids=strings([f"job-{i}" for i in range(count)]),
            submitted_ms=np.array(submitted_s, dtype=np.int64) * 1000,
            runtime_ms=np.array(runtime_s or [60] * count, dtype=np.int64) * 1000,
            shape=np.arange(count, dtype=np.int32) % 2,
            shapes=[ONE_CPU, FOUR_CPUS_TWICE],
            queue=np.arange(count, dtype=np.int32) % 3,
            queues=["政务", "科研", "企业"],
        ),
        origin_ms=1_700_000_000_000,
    )


def swf_line(job: int, submit: object = 0, run: object = 60, processors: object = 1, **others: object) -> str:
    """One record; `others` by the names of the fields."""
    from simulations.traces.swf import FIELDS

    record: dict[str, object] = dict.fromkeys(FIELDS, -1)
    record |= {"job": job, "submit": submit, "run": run, "requested": processors, "status": 1, **others}
    return " ".join(str(record[name]) for name in FIELDS)


def swf_file(folder: Path, *lines: str, packed: bool = False) -> Path:
    text = "\n".join(lines) + "\n"
    path = folder / ("log.swf.gz" if packed else "log.swf")
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    return path

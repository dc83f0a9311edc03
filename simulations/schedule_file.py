"""The schedule of one simulation as a table: when and where each run began and ended. `xisuan sim run --schedule` writes it.

It is what one holds against the schedule that another simulator, or a real machine, made of the same log. CSV, or Parquet
where the file's name ends so. One row a run, in the order in which they began; a job that was interrupted has several,
one that never began has none.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from simulations.engine.outcome import Ending, Outcome
from simulations.whole_file import whole_file

_NAMES = {ending: ending.name.lower() for ending in Ending}


def schedule_table(outcome: Outcome) -> pa.Table:
    """Columns `job`, `attempt` (from 1), `pool`, `submitted_s`, `started_s`, `ended_s`, `waited_s` (from submission to this
    start) and `ending` (`simulations.engine.outcome.Ending`). Times are seconds since the trace's origin, exact to the
    millisecond."""
    runs, trace = outcome.runs, outcome.trace
    submitted = trace.submitted_ms[runs.job]
    pools = [pool.pool_id for pool in outcome.pools]
    return pa.table(
        {
            "job": pa.array(trace.job_ids[runs.job].tolist(), pa.string()),
            "attempt": runs.attempt,
            "pool": pa.array([pools[number] for number in runs.pool.tolist()], pa.string()),
            "submitted_s": submitted / 1000,
            "started_s": runs.started_ms / 1000,
            "ended_s": runs.ended_ms / 1000,
            "waited_s": (runs.started_ms - submitted) / 1000,
            "ending": pa.array(
                [_NAMES[Ending(number)] for number in runs.ending.astype(np.int64).tolist()], pa.string()
            ),
        }
    )


def write_schedule(outcome: Outcome, path: Path) -> None:
    """Replaces the file as a whole. Raises OSError where it cannot be written."""
    table = schedule_table(outcome)
    with whole_file(path) as draft:
        if path.suffix == ".parquet":
            pq.write_table(table, draft, compression="zstd")
        else:
            pa_csv.write_csv(table, draft, pa_csv.WriteOptions(quoting_style="needed"))

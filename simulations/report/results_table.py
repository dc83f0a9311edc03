"""Results as one Parquet table, for notebooks and other tools: written and read here, described in docs/metrics.md.

One row a run, and one more for each of its pools; `pool` is empty for the run as a whole. A metric is a column of
doubles, null where it does not exist. Equal results give equal bytes under one version of pyarrow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from simulations.metrics.definitions import METRICS
from simulations.metrics.result import Result
from simulations.whole_file import whole_file

VERSION_KEY = b"xisuan.results.version"
SCHEMA_VERSION = 1
TEXTS = (
    "trace",
    "capacity",
    "failures",
    "policy",
    "scenario",
    "scenario_hash",
    "trace_hash",
    "code_version",
    "pool",
)


def write_results_table(results: Sequence[Result], path: Path) -> None:
    """Replaces the file as a whole. Rows are ordered by label, so that the order of the runs does not matter."""
    rows: list[dict[str, object]] = []
    for result in sorted(results, key=lambda one: one.label):
        common = asdict(result.label) | asdict(result.provenance)
        parts: Mapping[str, Mapping[str, float]] = {"": result.measures.metrics, **result.measures.pools}
        rows += [common | {"pool": pool} | dict(metrics) for pool, metrics in parts.items()]
    columns: list[tuple[str, pa.DataType]] = [(name, pa.string()) for name in TEXTS]
    columns += [("seed", pa.int64()), *((key, pa.float64()) for key in METRICS)]
    schema = pa.schema(
        columns,
        metadata={VERSION_KEY: str(SCHEMA_VERSION).encode()},
    )
    with whole_file(path) as draft:
        pq.write_table(pa.Table.from_pylist(rows, schema=schema), draft, compression="zstd")


def read_results_table(path: Path) -> list[dict[str, object]]:
    """The rows as they were written; metrics that do not exist are left out."""
    return [
        {key: value for key, value in row.items() if value is not None} for row in pq.read_table(path).to_pylist()
    ]

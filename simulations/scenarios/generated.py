"""Generators in the trace part of a scenario: a load for stress, or the workload that a ledger's systems will bring.

`simulations.scenarios.workload.TraceForm` holds them; `xisuan sim generate` writes the same traces to files.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path

from pydantic import Field

from inventory.ledger import read_ledger
from inventory.model.units import Resources
from simulations.generator import STRESS_NODE, StressSettings, stress_trace
from simulations.generator_ledger import DAY_MS, HOUR_MS, LedgerSettings, ledger_trace
from simulations.scenarios.fields import HOUR, Bytes, Duration, Form, MilliCpu
from simulations.traces.bad_rows import TraceError
from simulations.traces.trace import Trace

_EPOCH = date(1970, 1, 1)
_CITY_MS = 8 * HOUR_MS  # midnight in the city is 16:00 UTC


class StressForm(Form):
    """`jobs` of `shapes` shapes at a load of `load` on `nodes` nodes of this size; see `StressSettings`."""

    jobs: int = Field(ge=1, le=10_000_000)
    shapes: int = Field(default=200, ge=1, le=100_000)
    load: float = Field(default=0.9, gt=0, le=10)
    nodes: int = Field(ge=1, le=1_000_000)
    cpu: MilliCpu = STRESS_NODE.cpu_milli
    memory: Bytes = STRESS_NODE.memory_bytes
    cards: int = Field(default=0, ge=0, le=1000)
    runtime: Duration = HOUR
    swing: float = Field(default=0.0, ge=0, lt=1)
    queues: int = Field(default=4, ge=1, le=10_000)

    def trace(self, seed: int) -> Trace:
        node = Resources(self.cpu, self.memory, 0, self.cards * 1000)
        settings = StressSettings(
            self.jobs,
            self.shapes,
            self.load,
            self.nodes,
            node,
            mean_runtime_ms=self.runtime,
            queues=self.queues,
            swing=self.swing,
        )
        return stress_trace(settings, seed)


class LedgerForm(Form):
    """The systems of a ledger workbook beside the scenario, from a day on; see `LedgerSettings`."""

    file: str = Field(min_length=1)
    days: int = Field(default=7, ge=1, le=3660)
    from_: date = Field(default=date(2026, 1, 5), alias="from")

    def trace(self, folder: Path, seed: int) -> Trace:
        """Raises TraceError for a file that cannot be read, ValueError for systems that make no workload."""
        path = folder / self.file
        try:
            content = path.read_bytes()
        except OSError as error:
            raise TraceError(
                f"{path}: 无法读取（{error.strerror}），请检查路径 / cannot be read; check the path"
            ) from error
        origin_ms = (self.from_ - _EPOCH).days * DAY_MS - _CITY_MS
        settings = LedgerSettings(days=self.days, origin_ms=origin_ms)
        return ledger_trace(tuple(read_ledger(content, path.name, None).systems), settings, seed)

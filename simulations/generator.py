"""A workload for stress: so many jobs of so many shapes at a given load on a given cluster. A million in seconds.

`xisuan sim generate stress` and the benchmarks call `stress_trace`. The load is exact, not expected: the arrivals are
spread over just the time in which that cluster, busy to that part, would do their work.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from inventory.model.units import GIB, Resources
from inventory.model.workload import Requirements
from scheduler.core.placement.protocol import Shape
from simulations.random_streams import Stream
from simulations.traces.trace import Trace, TraceColumns, strings

Int64s = npt.NDArray[np.int64]

SHAPES, ARRIVALS, RUNTIMES, CHOICES, ESTIMATES = range(5)  # purposes of random streams
MILLI = 1000
MINUTE_MS, DAY_MS = 60_000, 86_400_000
LARGEST_CPU = 64
STRESS_NODE = Resources(128_000, 512 * GIB)
SIGMA = 1.2  # of the logarithm of running times: p95 about seven times the median, as in most published logs


@dataclass(frozen=True, slots=True)
class StressSettings:
    """`jobs` of at most `shapes` shapes offer `load` (1.0: all) of `nodes` equal nodes of `node`, in the resource that
    they ask most of. Running times are log-normal around `mean_runtime_ms`. Arrivals rise and fall by the part
    `swing` within each day (0: never), so that a mean load below 1 is above 1 for hours. Shape number k is chosen with a
    probability falling as 1 / (k + 1). A part `card_share` of the shapes asks for cards, where the node has any."""

    jobs: int
    shapes: int
    load: float
    nodes: int
    node: Resources = STRESS_NODE
    mean_runtime_ms: int = 3_600_000
    card_share: float = 0.5
    queues: int = 4
    swing: float = 0.0

    def check(self) -> None:
        """Raises ValueError, naming the value and the rule."""
        for name, value, least in (("jobs", self.jobs, 1), ("shapes", self.shapes, 1), ("nodes", self.nodes, 1)):
            if value < least:
                raise ValueError(f"{name} {value}: 至少为 {least} / at least {least}")
        if not 0 < self.load <= 10:
            raise ValueError(f"load {self.load}: 须大于 0 且不超过 10，如 0.9 / must be in (0, 10], such as 0.9")
        if self.mean_runtime_ms < 1 or self.queues < 1:
            raise ValueError("mean_runtime_ms 与 queues 至少为 1 / must be at least 1")
        if not 0 <= self.swing < 1:
            raise ValueError(f"swing {self.swing}: 须在 0（含）与 1 之间 / must be in [0, 1)")


def stress_trace(settings: StressSettings, seed: int) -> Trace:
    """Raises ValueError for settings that make no workload."""
    settings.check()
    shapes = _shapes(settings, seed)
    count = settings.jobs
    rank = Stream(seed, CHOICES).uniform(count)
    odds = np.cumsum(1.0 / np.arange(1, len(shapes) + 1))
    shape = np.searchsorted(odds / odds[-1], rank).clip(max=len(shapes) - 1).astype(np.int32)
    runtime = np.maximum(1, Stream(seed, RUNTIMES).lognormal(settings.mean_runtime_ms, SIGMA, count)).astype(
        np.int64
    )
    # People ask for one to three times what they need (Mu'alem and Feitelson, TPDS 2001, find far more at times).
    estimate = (runtime * (1.0 + 2.0 * Stream(seed, ESTIMATES).uniform(count))).astype(np.int64)
    columns = TraceColumns(
        job_ids=strings([f"job-{number}" for number in range(count)]),
        submitted_ms=_arrivals(settings, _span(settings, shapes, shape, runtime), seed),
        runtime_ms=runtime,
        estimate_ms=estimate,
        shape=shape,
        shapes=shapes,
        queue=(np.arange(count) % settings.queues).astype(np.int32),
        queues=[f"queue-{number}" for number in range(settings.queues)],
    )
    return Trace.of(f"stress-{count}-{len(shapes)}-{settings.load:g}-{settings.nodes}-{seed}", columns)


def _shapes(settings: StressSettings, seed: int) -> list[Shape]:
    """Distinct shapes, each of one task that fits on a node: CPU log-uniform, 1 to 8 GiB a core, cards a power of 2."""
    stream, node = Stream(seed, SHAPES), settings.node
    most_cpu = max(1, min(LARGEST_CPU, node.cpu_milli // MILLI))
    most_cards = node.accelerator_milli // MILLI
    found: dict[Shape, None] = {}
    # Small nodes have few distinct shapes: give up after many draws that found nothing new.
    for _ in range(50 * settings.shapes):
        cpu_draw, memory_draw, card_draw, size_draw = stream.uniform(4).tolist()
        cpu = max(1, int(most_cpu**cpu_draw))
        memory = min(node.memory_bytes, int(cpu * 8**memory_draw) * GIB)
        cards = 0
        if most_cards and card_draw < settings.card_share:
            cards = min(most_cards, 1 << int(size_draw * most_cards.bit_length()))
        found.setdefault(Shape(Requirements(Resources(cpu * MILLI, memory, 0, cards * MILLI))))
        if len(found) == settings.shapes:
            break
    return list(found)


def _arrivals(settings: StressSettings, span: int, seed: int) -> Int64s:
    """Poisson arrivals whose rate is in proportion to 1 + swing x sin(2 pi t / day): moments of an even process, each
    moved to where the integral of that rate has come as far."""
    even = Stream(seed, ARRIVALS).moments(span, settings.jobs)
    if not settings.swing:
        return even
    time = np.linspace(0.0, span, 1 + max(1000, span // MINUTE_MS))
    turn = 2.0 * np.pi / DAY_MS
    integral = time + settings.swing / turn * (1.0 - np.cos(turn * time))
    moved: Int64s = np.interp(even / span * integral[-1], integral, time).astype(np.int64)
    return moved


def _span(settings: StressSettings, shapes: list[Shape], shape: npt.NDArray[np.int32], runtime: Int64s) -> int:
    """How long the cluster needs for the work at the wanted load, in its busiest resource."""
    node = settings.node
    whole = (
        np.array([node.cpu_milli, node.memory_bytes, node.accelerator_milli], dtype=np.float64) * settings.nodes
    )
    asked = np.array(
        [(one.total.cpu_milli, one.total.memory_bytes, one.total.accelerator_milli) for one in shapes],
        dtype=np.float64,
    )
    work = np.array([(asked[:, i][shape] * runtime).sum() for i in range(3)])
    busiest = max(float(w / c) for w, c in zip(work, whole, strict=True) if c > 0)
    return max(1, int(busiest / settings.load))

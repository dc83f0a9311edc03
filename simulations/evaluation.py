"""The published openb evaluation: how much GPU capacity a policy gets allocated as pods keep arriving.

`xisuan sim trace` calls `run_trace_evaluation`. Source: Weng et al., USENIX ATC'23, and the evaluation that comes
with its trace. "At r %" is the mean over the arrivals whose arrived share of capacity rounds to r.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from scheduler.core.placement.kernels.arrays import PoolArrays, Shapes, Tasks
from scheduler.core.placement.kernels.events import place
from scheduler.core.placement.policies.demand import Demand, typical_demand
from scheduler.core.placement.policies.encode import (
    FillTables,
    encode_demand,
    encode_fill,
    encode_nodes,
    encode_shapes,
    model_numbers,
    no_fill,
    scale_of,
    suited_models,
)
from scheduler.core.placement.policies.plain_run import PlainRun
from scheduler.core.placement.policies.registry import PolicyStack
from scheduler.core.placement.policies.shape import NodeFree, TaskShape
from simulations.allocation_bound import allocation_bound
from simulations.traces.bad_rows import TraceError
from simulations.traces.openb import NodeList, PodList, read_nodes, read_pods
from simulations.traces.openb_arrivals import ArrivalOrder, arrival_order
from simulations.whole_file import whole_file

LEVELS = (50, 95, 100, 120, 130)  # percent of the GPU capacity that has arrived
Int64s = npt.NDArray[np.int64]
Progress = Callable[[str, str, int], None]


@dataclass(frozen=True, slots=True)
class Spread:
    """Mean and sample standard deviation (n - 1; 0 for one seed) over the seeds, in percent of GPU capacity."""

    mean: float
    sd: float


@dataclass(frozen=True, slots=True)
class PolicyResult:
    """One policy on one workload. `alloc` and `frag` by level; a level that no arrival reaches is left out."""

    workload: str
    policy: str
    alloc: dict[int, Spread]
    frag: dict[int, Spread]
    arrivals_per_second: float

    def as_json(self) -> dict[str, object]:
        def table(spreads: dict[int, Spread]) -> dict[str, dict[str, float]]:
            return {str(level): {"mean": spread.mean, "sd": spread.sd} for level, spread in spreads.items()}

        return {
            "workload": self.workload,
            "policy": self.policy,
            "alloc": table(self.alloc),
            "frag": table(self.frag),
            "arrivals_per_second": self.arrivals_per_second,
        }


@dataclass(frozen=True, slots=True)
class TraceEvaluation:
    """What `run_trace_evaluation` found. `bounds`: by level, the allocation in percent that no policy can exceed
    (mean over the seeds). `notes`: what was skipped or is odd in the input, for the person who asked."""

    results: tuple[PolicyResult, ...]
    bounds: dict[int, float]
    notes: tuple[str, ...]

    def as_json(self) -> dict[str, object]:
        return {"results": [result.as_json() for result in self.results]}


class OpenbRuns:
    """One workload on one cluster, encoded once; runs any policy for any seed."""

    def __init__(self, nodes: NodeList, workload: PodList, arrive: float) -> None:
        self._nodes, self._workload, self._arrive = nodes, workload, arrive
        models = model_numbers(nodes.nodes)
        self.demand: Demand = typical_demand(workload.pods)
        self.scale = scale_of(nodes.nodes)
        self._columns = encode_nodes(nodes.nodes, models)
        self._tables = encode_demand(self.demand, models)
        self._models = models
        rows: dict[object, int] = {}
        self._row_of = np.array([rows.setdefault(pod, len(rows)) for pod in workload.pods], dtype=np.int32)
        distinct = list(dict.fromkeys(workload.pods))
        self._shapes = Shapes(encode_shapes(distinct), suited_models(distinct, models))
        self._card_milli = np.array([pod.total_card_milli for pod in workload.pods], dtype=np.int64)
        if not self._card_milli.sum():
            raise TraceError(
                f"{workload.name}: 没有任何作业要卡，到达比例无法计算 / no pod asks for a card, so nothing "
                "ever arrives as a share of capacity; 请检查 num_gpu 列 / check the num_gpu column"
            )

    @cached_property
    def _fill(self) -> FillTables:
        return encode_fill(self.demand, self.scale, self._models)

    def order(self, seed: int) -> ArrivalOrder:
        return arrival_order(self._card_milli, len(self._nodes.nodes), self._nodes.card_milli, self._arrive, seed)

    def arrays(self, policy: str, order: ArrivalOrder) -> tuple[PoolArrays, Tasks]:
        """What the policy's kernels read."""
        stack = PolicyStack.parse(policy)
        fill = self._fill if stack.reads_demand else no_fill()
        size = (self.scale.cpu_milli, self.scale.card_milli, self.scale.memory)
        numbers = np.array(stack.numbers(), dtype=np.int64)
        pool = PoolArrays(self._columns.reordered(order.nodes), self._tables, fill, size, numbers)
        events = np.arange(len(order.pods), dtype=np.int64)
        return pool, Tasks(self._shapes, self._row_of[order.pods], order.draws, events)

    def in_order(self, order: ArrivalOrder) -> tuple[list[NodeFree], list[TaskShape]]:
        """The nodes, best first among equals, and the pods as they arrive."""
        nodes = [self._nodes.nodes[i] for i in order.nodes.tolist()]
        return nodes, [self._workload.pods[i] for i in order.pods.tolist()]

    def run(self, policy: str, order: ArrivalOrder) -> tuple[Int64s, Int64s, float]:
        """Allocated milli-GPU and fragmentation (times the demand's total) after each arrival; and the seconds
        that placing took. A policy without a kernel runs as plain Python."""
        stack = PolicyStack.parse(policy)
        if stack.has_kernels:
            pool, tasks = self.arrays(policy, order)
            started = time.perf_counter()
            placed = place(pool, tasks)
            return placed.allocated, placed.fragmentation, time.perf_counter() - started
        nodes, pods = self.in_order(order)
        plain = PlainRun(stack.plain(self.scale, self.demand), nodes, self.demand)
        started = time.perf_counter()
        outcome = plain.run(pods, range(len(pods)), order.draws.tolist())
        seconds = time.perf_counter() - started
        return np.array(outcome.allocated), np.array(outcome.fragmentation), seconds

    def at_levels(self, order: ArrivalOrder, values: npt.NDArray[np.float64]) -> dict[int, float]:
        """Mean of `values`, in percent of capacity, over the arrivals at each level."""
        return {
            level: float(values[arrivals].mean() / self._nodes.card_milli * 100)
            for level, arrivals in self._arrivals_at(order).items()
        }

    def _arrivals_at(self, order: ArrivalOrder) -> dict[int, npt.NDArray[np.bool_]]:
        """Which arrivals count for each level: those whose arrived share of capacity rounds to it."""
        arrived = np.rint(np.cumsum(self._card_milli[order.pods]) / self._nodes.card_milli * 100)
        return {level: arrived == level for level in LEVELS if (arrived == level).any()}

    def evaluate(self, policy: str, seeds: Sequence[int]) -> PolicyResult:
        if PolicyStack.parse(policy).has_kernels:
            self.run(policy, self.order(seeds[0]))  # compiles or loads the kernel, so that it is not timed
        alloc, frag, speeds = [], [], []
        for seed in seeds:
            order = self.order(seed)
            allocated, fragmentation, seconds = self.run(policy, order)
            alloc.append(self.at_levels(order, allocated.astype(np.float64)))
            frag.append(self.at_levels(order, fragmentation / self.demand.total))
            speeds.append(len(order.pods) / max(seconds, 1e-9))
        return PolicyResult(self._workload.name, policy, _spreads(alloc), _spreads(frag), float(np.median(speeds)))

    def bounds(self, seeds: Sequence[int]) -> dict[int, float]:
        """By level, in percent: the mean over the seeds of what any policy can have allocated when the last pod of
        that level has arrived."""
        by_seed: list[dict[int, float]] = []
        for seed in seeds:
            order = self.order(seed)
            last = np.arange(len(order.pods))
            bounds: dict[int, float] = {}
            for level, arrivals in self._arrivals_at(order).items():
                pods = order.pods[: int(last[arrivals].max()) + 1].tolist()
                arrived = Counter(self._workload.pods[i] for i in pods)
                bounds[level] = allocation_bound(self._nodes.nodes, arrived) / self._nodes.card_milli * 100
            by_seed.append(bounds)
        return {level: spread.mean for level, spread in _spreads(by_seed).items()}


def evaluate_openb(
    nodes: NodeList,
    workload: PodList,
    policies: Sequence[str],
    seeds: Sequence[int],
    arrive: float,
    progress: Progress | None = None,
) -> list[PolicyResult]:
    """Every policy on the workload, over the seeds; `arrive` 1.3 lets 130 % of the GPU capacity arrive.

    Raises ValueError for an unknown policy (naming the known ones), no seed, or `arrive` outside 0..100.
    `progress(workload, policy, done)` is told each time a policy is finished.
    """
    runs = _checked(nodes, workload, policies, seeds, arrive)
    results = []
    for done, policy in enumerate(policies, start=1):
        results.append(runs.evaluate(policy, seeds))
        if progress is not None:
            progress(workload.name, policy, done)
    return results


def run_trace_evaluation(
    nodes: Path,
    workload: Path,
    policies: Sequence[str],
    seeds: Sequence[int],
    arrive: float,
    skip_bad: bool = False,
) -> TraceEvaluation:
    """From files to results. Raises TraceError for unusable input, ValueError as `evaluate_openb` does."""
    node_list = read_nodes(nodes, skip_bad=skip_bad)
    pod_list = read_pods(workload, node_list, skip_bad=skip_bad)
    results = evaluate_openb(node_list, pod_list, policies, seeds, arrive)
    bounds = OpenbRuns(node_list, pod_list, arrive).bounds(seeds)
    return TraceEvaluation(tuple(results), bounds, node_list.notes + pod_list.notes)


def write_results(evaluation: TraceEvaluation, path: Path) -> None:
    """The JSON of the evaluation, replaced as a whole."""
    with whole_file(path) as draft:
        draft.write_text(json.dumps(evaluation.as_json(), indent=1) + "\n", encoding="utf-8")


def parse_seeds(text: str) -> list[int]:
    """ "0-9", "3" or "0-4,8". Raises ValueError with the rule."""
    seeds: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()) or (dash and int(last) < int(first)):
            raise ValueError(
                f"{text!r} 不是种子范围，请写成 0-9 或 0,3,7 / is not a range of seeds; write 0-9 or 0,3,7"
            )
        seeds += range(int(first), int(last or first) + 1)
    return list(dict.fromkeys(seeds))


def _checked(
    nodes: NodeList, workload: PodList, policies: Sequence[str], seeds: Sequence[int], arrive: float
) -> OpenbRuns:
    if not seeds:
        raise ValueError("至少要一个种子 / at least one seed is needed")
    if not 0 < arrive <= 100:
        raise ValueError(
            f"到达比例 {arrive} 须大于 0 且不超过 100 / an arrive of {arrive} is not in (0, 100]; "
            "例如 1.3 / for example 1.3"
        )
    runs = OpenbRuns(nodes, workload, arrive)
    for policy in policies:
        PolicyStack.parse(policy)
    return runs


def _spreads(by_seed: Sequence[dict[int, float]]) -> dict[int, Spread]:
    spreads = {}
    for level in LEVELS:
        values = [levels[level] for levels in by_seed if level in levels]
        if values:
            sd = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
            spreads[level] = Spread(float(np.mean(values)), sd)
    return spreads

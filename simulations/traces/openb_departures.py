"""The openb trace as a trace with departures, and its node list as nodes: for the engine, not for the published
evaluation (which lets pods arrive and never leave, see `openb_arrivals`).

A pod arrives at its creation and runs for deletion - scheduled; its QoS class is its queue. Card models "A|B" become a
selector of the node label `accelerator`, which the nodes read here carry.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from inventory.model.constraints import NodeSelector, SelectorOperator
from inventory.model.constraints import labels as labels_of
from inventory.model.pool import Node
from inventory.model.system import Architecture
from inventory.model.units import Resources
from inventory.model.workload import Requirements
from scheduler.core.placement.policies.shape import TaskShape
from scheduler.core.placement.protocol import Shape
from simulations.traces.bad_rows import BadRows, TraceError
from simulations.traces.openb import (
    POD_COLUMNS,
    BadCell,
    NodeList,
    named_rows,
    pod_of,
    read_nodes,
    refuse_giant,
    rows_of,
)
from simulations.traces.trace import Outcome, Trace, TraceColumns, strings

TIME_COLUMNS = ("creation_time", "deletion_time", "scheduled_time")
MODEL_LABEL = "accelerator"
MIB = 1024**2
SECOND_MS = 1000
LATEST_S = 10**10
OUTCOMES = {"Succeeded": Outcome.SUCCEEDED, "Failed": Outcome.FAILED}


@dataclass(frozen=True, slots=True)
class _Pod:
    """Times in seconds of the trace; `runtime_s` None for a pod that never ran."""

    shape: Shape
    created_s: float
    runtime_s: float | None
    queue: str
    outcome: Outcome


def read_openb(pods: Path, nodes: NodeList | None = None, *, skip_bad: bool = False) -> Trace:
    """Raises TraceError, naming line and column. With `nodes`, a pod above the largest node is bad. Pods that never
    ran (phase Pending) have no running time: they are left out, counted. Rows need no order."""
    bad = BadRows(pods, skip_bad)

    def parse(row: dict[str, str]) -> _Pod:
        task = pod_of(row)
        if nodes is not None:
            refuse_giant(task, row, nodes.nodes)
        return _pod(row, task)

    found = dict(named_rows(rows_of(pods, (*POD_COLUMNS, *TIME_COLUMNS)), "name", parse, bad))
    ran = {name: pod for name, pod in found.items() if pod.runtime_s is not None}
    for _ in range(len(found) - len(ran)):
        bad.remark("从未运行 (Pending)，没有运行时间 / never ran (Pending): no running time")
    if not ran:
        raise TraceError(f"{pods.name}: 没有可重放的作业 / no pod that ran; 请检查文件 / check the file")
    shapes = list(dict.fromkeys(pod.shape for pod in ran.values()))
    queues = list(dict.fromkeys(pod.queue for pod in ran.values()))
    of_shape = {shape: number for number, shape in enumerate(shapes)}
    columns = TraceColumns(
        job_ids=strings(list(ran)),
        submitted_ms=np.array([round(pod.created_s * SECOND_MS) for pod in ran.values()], dtype=np.int64),
        runtime_ms=np.array([round((pod.runtime_s or 0) * SECOND_MS) for pod in ran.values()], dtype=np.int64),
        shape=np.array([of_shape[pod.shape] for pod in ran.values()], dtype=np.int32),
        shapes=shapes,
        queue=np.array([queues.index(pod.queue) for pod in ran.values()], dtype=np.int32),
        queues=queues,
        outcome=np.array([pod.outcome for pod in ran.values()], dtype=np.int8),
    )
    return Trace.of(pods.name.removesuffix(".csv"), columns, notes=bad.report())


def read_openb_nodes(path: Path, *, skip_bad: bool = False) -> tuple[Node, ...]:
    """The node list as nodes of a pool. Raises TraceError as `read_nodes` does."""
    listed = read_nodes(path, skip_bad=skip_bad)
    return tuple(
        Node(
            name,
            Architecture.X86_64,
            Resources(node.cpu_capacity, node.memory_capacity * MIB, 0, node.idle_milli),
            node.model or None,
            labels=labels_of({MODEL_LABEL: node.model} if node.model else ()),
        )
        for name, node in zip(listed.names, listed.nodes, strict=True)
    )


def _pod(row: dict[str, str], task: TaskShape) -> _Pod:
    created, deleted = _moment(row, "creation_time"), _moment(row, "deletion_time")
    scheduled = _moment(row, "scheduled_time") if row["scheduled_time"] else None
    for column, value in (("deletion_time", deleted), ("scheduled_time", scheduled)):
        if value is not None and value < max(created, (scheduled or 0) if column == "deletion_time" else 0):
            raise BadCell(
                column, row[column], "早于创建或启动，时长为负", "before creation or start: a negative duration"
            )
    return _Pod(
        shape=_shape(task),
        created_s=created,
        runtime_s=None if scheduled is None else deleted - scheduled,
        queue=row.get("qos", "") or "default",
        outcome=OUTCOMES.get(row.get("pod_phase", ""), Outcome.UNKNOWN),
    )


def _shape(task: TaskShape) -> Shape:
    per_task = Resources(task.cpu_milli, task.memory * MIB, 0, task.total_card_milli)
    if task.models is None:
        return Shape(Requirements(per_task))
    if len(task.models) == 1:
        return Shape(Requirements(per_task, accelerator=next(iter(task.models))))
    selector = NodeSelector(MODEL_LABEL, SelectorOperator.IN, task.models)
    return Shape(Requirements(per_task, node_selectors=frozenset({selector})))


def _moment(row: dict[str, str], column: str) -> float:
    try:
        moment = float(row[column])
    except ValueError:
        moment = -1.0
    if not 0 <= moment <= LATEST_S:
        raise BadCell(column, row[column], "须为不小于 0 的秒数", "seconds from 0 on are needed")
    return moment

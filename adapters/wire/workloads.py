"""Submissions, workloads and runs between the model and protobuf.

The services call `submission_from_wire` for Submit and DryRun: it is the one gate through which a submitting
system's words come in, so it names every violation at once. The rules are those of `workload.proto`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from adapters.wire.constraints import (
    MAX_NEIGHBOUR_RULES,
    affinities_from_wire,
    affinities_to_wire,
    inputs_from_wire,
    inputs_to_wire,
    kind_from_wire,
    labels_from_wire,
    selectors_from_wire,
    selectors_to_wire,
    spreads_from_wire,
    spreads_to_wire,
    tolerations_from_wire,
    tolerations_to_wire,
    topology,
)
from adapters.wire.inspection import Inspection
from adapters.wire.lives import (
    array_from_wire,
    array_to_wire,
    deadline_from_wire,
    deadline_to_wire,
    retry_from_wire,
    retry_to_wire,
)
from adapters.wire.partitions import partition_of_workload, partition_to_wire
from adapters.wire.programs import program_from_wire, program_to_wire
from adapters.wire.scalars import (
    ARCHITECTURES,
    FAILURE_OF,
    RUN_STATES,
    WORKLOAD_STATES,
    ZONES,
    architecture_from_wire,
    duration_from_wire,
    duration_to_wire,
    failure_to_wire,
    resources_from_wire,
    resources_to_wire,
    run_state_from_wire,
    timestamp_from_wire,
    timestamp_to_wire,
    zone_from_wire,
)
from adapters.wire.words import ACCELERATOR, POOL_ID, QUEUE, WordRule
from inventory.model.workload import Requirements, Run, Submission, Workload, WorkloadState
from xisuan.common.v1 import common_pb2
from xisuan.workload.v1 import workload_pb2

MAX_TASKS = 10_000
MAX_PRIORITY = 1000
MAX_ATTEMPTS = 100
MAX_AFTER = 1000
MAX_LABELS = 64
_KEY = WordRule(256)
_LABEL = WordRule(256, may_be_empty=True)
_ELEMENT_KEY = re.compile(r"w-[0-9a-f]+-[0-9]+\[[0-9]+\]")


def submission_from_wire(spec: workload_pb2.WorkloadSpec, path: str = "workload") -> Submission:
    """The validated submission. Raises InvalidMessage with every violation; paths begin with `path`."""
    check = Inspection()
    after = tuple(spec.after)
    check.whole_number(f"{path}.after.length", len(after), 0, MAX_AFTER)
    for i, name in enumerate(after):
        _KEY.inspect(name, check, f"{path}.after[{i}]")
    submission = Submission(
        queue=QUEUE.inspect(spec.queue, check, f"{path}.queue"),
        client_key=inspect_key(spec, check, path),
        name=inspect_name(spec, check, path),
        requirements=requirements_from_wire(spec.requirements, check, f"{path}.requirements"),
        program=program_from_wire(spec.program, check, f"{path}.program"),
        priority=check.whole_number(f"{path}.priority", spec.priority, 0, MAX_PRIORITY),
        max_attempts=check.whole_number(f"{path}.max_attempts", spec.max_attempts, 0, MAX_ATTEMPTS) or 1,
        after=after,
        estimated_ms=duration_from_wire(spec.estimated_runtime, check, f"{path}.estimated_runtime"),
        max_runtime_ms=duration_from_wire(spec.max_runtime, check, f"{path}.max_runtime"),
        labels=_labels(spec, check, path),
        inputs=inputs_from_wire(spec.inputs, check, f"{path}.inputs"),
        partition=partition_of_workload(spec.partition, check, f"{path}.partition"),
        retry=retry_from_wire(spec.retry, check, f"{path}.retry"),
        array=array_from_wire(spec, check, f"{path}.array"),
        finish_by_ms=deadline_from_wire(spec, check, f"{path}.finish_by"),
    )
    check.close()
    return submission


def inspect_key(spec: workload_pb2.WorkloadSpec, check: Inspection, path: str) -> str:
    """The client key; violations go to `check`."""
    key = _KEY.inspect(spec.client_key, check, f"{path}.client_key")
    if _ELEMENT_KEY.fullmatch(key):
        check.refuse(
            f"{path}.client_key",
            key,
            "此形式留给数组的元素，请换一个",
            "keys of this form belong to elements of arrays; choose another",
        )
    return key


def inspect_name(spec: workload_pb2.WorkloadSpec, check: Inspection, path: str) -> str:
    """The name, which is the client key where none is given; violations go to `check`."""
    return _LABEL.inspect(spec.name, check, f"{path}.name") or spec.client_key


def _labels(spec: workload_pb2.WorkloadSpec, check: Inspection, path: str) -> dict[str, str]:
    check.whole_number(f"{path}.labels.length", len(spec.labels), 0, MAX_LABELS)
    for key, value in spec.labels.items():
        _KEY.inspect(key, check, f"{path}.labels")
        _LABEL.inspect(value, check, f"{path}.labels[{key!r}]")
    return dict(spec.labels)


def submission_to_wire(submission: Submission) -> workload_pb2.WorkloadSpec:
    """The WorkloadSpec of a submission or of a stored workload."""
    spec = workload_pb2.WorkloadSpec(
        queue=submission.queue,
        client_key=submission.client_key,
        name=submission.name,
        requirements=requirements_to_wire(submission.requirements),
        program=program_to_wire(submission.program),
        priority=submission.priority,
        max_attempts=submission.max_attempts,
        after=submission.after,
        estimated_runtime=duration_to_wire(submission.estimated_ms),
        max_runtime=duration_to_wire(submission.max_runtime_ms),
        labels=dict(submission.labels),
        inputs=inputs_to_wire(submission.inputs),
        partition=partition_to_wire(submission.partition),
        retry=retry_to_wire(submission.retry),
        array=array_to_wire(submission.array),
    )
    deadline_to_wire(spec, submission.finish_by_ms)
    return spec


def requirements_from_wire(message: workload_pb2.Requirements, check: Inspection, path: str) -> Requirements:
    """The requirements; violations go to `check`. `tasks` 0 means 1."""
    asked = message.per_task
    per_task = resources_from_wire(asked, check, f"{path}.per_task")
    if asked.cpu_milli == 0 and asked.memory_bytes == 0:
        check.refuse(
            f"{path}.per_task",
            0,
            "CPU 与内存至少一项须大于 0",
            "CPU or memory must be above 0: say what one task needs",
        )
    milli = asked.accelerator_milli
    if milli > 1000 and milli % 1000:
        check.refuse(
            f"{path}.per_task.accelerator_milli",
            milli,
            "须为一张卡的一部分（不足 1000），或整卡（1000 的倍数）",
            "must be a share of one card (below 1000) or whole cards (a multiple of 1000)",
        )
    if message.accelerator:
        ACCELERATOR.inspect(message.accelerator, check, f"{path}.accelerator")
    for i, pool_id in enumerate(message.pools):
        POOL_ID.inspect(pool_id, check, f"{path}.pools[{i}]")
    return Requirements(
        per_task=per_task,
        tasks=check.whole_number(f"{path}.tasks", message.tasks, 0, MAX_TASKS) or 1,
        zone=zone_from_wire(message.zone, check, f"{path}.zone"),
        protection_level=check.whole_number(f"{path}.protection_level", message.protection_level, 0, 4),
        architectures=frozenset(
            architecture_from_wire(number, check, f"{path}.architectures[{i}]")
            for i, number in enumerate(message.architectures)
        ),
        accelerator=message.accelerator or None,
        pools=frozenset(message.pools),
        accelerator_kind=kind_from_wire(message.accelerator_kind, check, f"{path}.accelerator_kind"),
        node_selectors=selectors_from_wire(message.node_selectors, check, f"{path}.node_selectors"),
        tolerations=tolerations_from_wire(message.tolerations, check, f"{path}.tolerations"),
        placement_labels=labels_from_wire(
            message.placement_labels, check, f"{path}.placement_labels", MAX_NEIGHBOUR_RULES
        ),
        affinities=affinities_from_wire(message.affinities, check, f"{path}.affinities"),
        spreads=spreads_from_wire(message.spreads, check, f"{path}.spreads"),
        gang_topology=topology(message.gang_topology, check, f"{path}.gang_topology")
        if message.gang_topology
        else None,
        tasks_per_node=check.whole_number(f"{path}.tasks_per_node", message.tasks_per_node, 0, MAX_TASKS),
    )


def requirements_to_wire(requirements: Requirements) -> workload_pb2.Requirements:
    """Sets become sorted lists, so that equal requirements are equal bytes."""
    return workload_pb2.Requirements(
        per_task=resources_to_wire(requirements.per_task),
        tasks=requirements.tasks,
        zone=ZONES[requirements.zone] if requirements.zone else common_pb2.ZONE_UNSPECIFIED,
        protection_level=requirements.protection_level,
        architectures=[ARCHITECTURES[arch] for arch in sorted(requirements.architectures)],
        accelerator=requirements.accelerator or "",
        pools=sorted(requirements.pools),
        accelerator_kind=requirements.accelerator_kind or "",
        node_selectors=selectors_to_wire(requirements.node_selectors),
        tolerations=tolerations_to_wire(requirements.tolerations),
        placement_labels=dict(requirements.placement_labels),
        affinities=affinities_to_wire(requirements.affinities),
        spreads=spreads_to_wire(requirements.spreads),
        gang_topology=requirements.gang_topology or "",
        tasks_per_node=requirements.tasks_per_node,
    )


def run_to_wire(run: Run) -> workload_pb2.Run:
    return workload_pb2.Run(
        run_id=run.run_id,
        attempt=run.attempt,
        pool_id=run.pool_id,
        nodes=run.nodes,
        state=RUN_STATES[run.state],
        exit_code=run.exit_code,
        message=run.message,
        placed_at=timestamp_to_wire(run.placed_ms),
        started_at=timestamp_to_wire(run.started_ms),
        ended_at=timestamp_to_wire(run.ended_ms),
        failure=failure_to_wire(run.failure),
    )


def run_from_wire(message: workload_pb2.Run, workload_id: str, path: str = "run") -> Run:
    """A run of `workload_id`. Raises InvalidMessage for a state that this version does not know."""
    check = Inspection()
    run = Run(
        run_id=message.run_id,
        workload_id=workload_id,
        attempt=message.attempt,
        pool_id=message.pool_id,
        nodes=tuple(message.nodes),
        state=run_state_from_wire(message.state, check, f"{path}.state"),
        exit_code=message.exit_code if message.HasField("exit_code") else None,
        message=message.message,
        placed_ms=timestamp_from_wire(message.placed_at),
        started_ms=timestamp_from_wire(message.started_at) if message.HasField("started_at") else None,
        ended_ms=timestamp_from_wire(message.ended_at) if message.HasField("ended_at") else None,
        failure=FAILURE_OF.get(message.failure),
    )
    check.close()
    return run


def workload_to_wire(
    workload: Workload, runs: Sequence[Run] = (), elements: Sequence[tuple[WorkloadState, int]] = ()
) -> workload_pb2.Workload:
    """The workload with all its attempts, first to last; without a message of its own, with its last run's. Of an
    array, how many elements are in each state."""
    return workload_pb2.Workload(
        workload_id=workload.workload_id,
        spec=submission_to_wire(workload),
        state=WORKLOAD_STATES[workload.state],
        submitted_at=timestamp_to_wire(workload.submitted_ms),
        runs=[run_to_wire(run) for run in runs],
        message=workload.message or (runs[-1].message if runs else ""),
        array_id=workload.array_id,
        array_index=workload.array_index,
        elements=[
            workload_pb2.ElementCount(state=WORKLOAD_STATES[state], count=count) for state, count in elements
        ],
    )

"""JSON forms of what the scheduler stores: events and projections carry these, and nothing else.

Sets become sorted lists, so that the same value always has the same text, and so the same hash.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import orjson

from inventory.model.pool import NodeGroup, Pool
from inventory.model.retry import FailureCategory
from inventory.model.system import Architecture, Zone
from inventory.model.units import Resources
from inventory.model.workload import Program, Requirements, Run, RunState, Submission, Workload, WorkloadState
from scheduler.store.constraint_documents import (
    constraints_document,
    constraints_of,
    inputs_document,
    inputs_of,
    partition_document,
    partition_of,
)
from scheduler.store.retry_documents import element_of, life_document, life_of

Document = dict[str, Any]
_MOST_ALIKE = 1024


def resources_document(amount: Resources) -> Document:
    return {
        "cpu_milli": amount.cpu_milli,
        "memory_bytes": amount.memory_bytes,
        "disk_bytes": amount.disk_bytes,
        "accelerator_milli": amount.accelerator_milli,
    }


def submission_document(submission: Submission) -> Document:
    """The body of a submission: everything but the id, the state and the time."""
    needs, program = submission.requirements, submission.program
    return {
        "queue": submission.queue,
        "client_key": submission.client_key,
        "name": submission.name,
        "requirements": {
            "per_task": resources_document(needs.per_task),
            "tasks": needs.tasks,
            "zone": None if needs.zone is None else needs.zone.value,
            "protection_level": needs.protection_level,
            "architectures": sorted(needs.architectures),
            "accelerator": needs.accelerator,
            "pools": sorted(needs.pools),
            **constraints_document(needs),
        },
        "program": {
            "command": list(program.command),
            "image": program.image,
            "environment": dict(program.environment),
            **({"secrets": dict(program.secrets)} if program.secrets else {}),
        },
        "priority": submission.priority,
        "max_attempts": submission.max_attempts,
        "after": list(submission.after),
        "estimated_ms": submission.estimated_ms,
        "max_runtime_ms": submission.max_runtime_ms,
        "labels": dict(submission.labels),
        **inputs_document(submission.inputs),
        **partition_document(submission.partition),
        **life_document(submission),
    }


def workload_of(row: Mapping[Any, Any]) -> Workload:
    """A workload from its row in the projection, or from the payload of its event."""
    body = orjson.loads(row["body"]) if isinstance(row["body"], str) else row["body"]
    return Workload(
        workload_id=row["workload_id"],
        submitted_ms=row["submitted_ms"],
        state=WorkloadState(row["state"]),
        message=row["message"],
        queue=body["queue"],
        client_key=body["client_key"],
        name=body["name"],
        requirements=_requirements_of(orjson.dumps(body["requirements"])),
        program=_program_of(orjson.dumps(body["program"])),
        priority=body["priority"],
        max_attempts=body["max_attempts"],
        after=tuple(body["after"]),
        estimated_ms=body["estimated_ms"],
        max_runtime_ms=body["max_runtime_ms"],
        labels=body["labels"],
        inputs=inputs_of(body),
        partition=partition_of(body),
        **life_of(body),
        **element_of(body),
    )


# A leader that starts reads a million bodies, most of which ask for the same and run the same: one object serves them all.


@lru_cache(maxsize=_MOST_ALIKE)
def _requirements_of(text: bytes) -> Requirements:
    needs = orjson.loads(text)
    return Requirements(
        per_task=Resources(**needs["per_task"]),
        tasks=needs["tasks"],
        zone=None if needs["zone"] is None else Zone(needs["zone"]),
        protection_level=needs["protection_level"],
        architectures=frozenset(Architecture(name) for name in needs["architectures"]),
        accelerator=needs["accelerator"],
        pools=frozenset(needs["pools"]),
        **constraints_of(needs),
    )


@lru_cache(maxsize=_MOST_ALIKE)
def _program_of(text: bytes) -> Program:
    program = orjson.loads(text)
    command = tuple(program["command"])
    return Program(command, program["image"], program["environment"], program.get("secrets", {}))


def run_document(run: Run) -> Document:
    return {
        "run_id": run.run_id,
        "workload_id": run.workload_id,
        "attempt": run.attempt,
        "pool_id": run.pool_id,
        "nodes": list(run.nodes),
        "state": run.state.value,
        "exit_code": run.exit_code,
        "message": run.message,
        "placed_ms": run.placed_ms,
        "started_ms": run.started_ms,
        "ended_ms": run.ended_ms,
    }


def failure_of(row: Mapping[Any, Any]) -> FailureCategory | None:
    """Why a run failed, as its row or its event says; None where it did not, or an earlier release wrote it."""
    said = row.get("failure")
    return FailureCategory(said) if said else None


def run_of(row: Mapping[Any, Any]) -> Run:
    nodes = json.loads(row["nodes"]) if isinstance(row["nodes"], str) else row["nodes"]
    return Run(
        run_id=row["run_id"],
        workload_id=row["workload_id"],
        attempt=row["attempt"],
        pool_id=row["pool_id"],
        nodes=tuple(nodes),
        state=RunState(row["state"]),
        exit_code=row["exit_code"],
        message=row["message"],
        placed_ms=row["placed_ms"],
        started_ms=row["started_ms"],
        ended_ms=row["ended_ms"],
        failure=failure_of(row),
    )


def pool_document(pool: Pool) -> Document:
    return {
        "pool_id": pool.pool_id,
        "name": pool.name,
        "hub": pool.hub,
        "adapter": pool.adapter,
        "zones": sorted(pool.zones),
        "protection_level": pool.protection_level,
        "architectures": sorted(pool.architectures),
        "accelerator": pool.accelerator,
        "cards": pool.cards,
        "disk_bytes": pool.disk_bytes,
        "one_way_ms": pool.one_way_ms,
        "egress_gbps": pool.egress_gbps,
        "pue": pool.pue,
        "green_share": pool.green_share,
        "kwh_cny": pool.kwh_cny,
        "card_hour_cny": pool.card_hour_cny,
        "vcpu_hour_cny": pool.vcpu_hour_cny,
        "classes": sorted(pool.classes),
        "node_groups": [
            {
                "group": group.group,
                "nodes": group.nodes,
                "arch": group.arch.value,
                "capacity": resources_document(group.capacity),
                "accelerator": group.accelerator,
            }
            for group in pool.node_groups
        ],
        "region": pool.region,
        "idle_watts": pool.idle_watts,
        "loaded_watts": pool.loaded_watts,
        "carbon_g_kwh": pool.carbon_g_kwh,
        "node_policy": pool.node_policy,
    }


def pool_of(document: Mapping[str, Any]) -> Pool:
    fields = dict(document)
    fields["zones"] = frozenset(Zone(zone) for zone in fields["zones"])
    fields["architectures"] = frozenset(Architecture(name) for name in fields["architectures"])
    fields["classes"] = frozenset(fields["classes"])
    fields["node_groups"] = tuple(
        NodeGroup(
            group=group["group"],
            nodes=group["nodes"],
            arch=Architecture(group["arch"]),
            capacity=Resources(**group["capacity"]),
            accelerator=group["accelerator"],
        )
        for group in fields["node_groups"]
    )
    return Pool(**fields)

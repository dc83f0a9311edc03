"""The workload that stands for one system's cutover (割接), as the migration desk submits it. Pure.

What it is, and what it is not: it claims what the whole system needs in the pool that the plan chose, for as long
as the last copy of its data takes over the pool's link, and its end is the go/no-go: exit code 0 means that the
system is migrated. Its command only says what is being cut over. Moving data and switching users is the work of a
runbook (割接方案); until one exists, a person who starts a wave must have one of his own, and on a simulated pool
nothing runs but the clock.
"""

from __future__ import annotations

import hashlib
import re

from inventory.model.calendar import Window
from inventory.model.migration import Assignment, WaveSettings
from inventory.model.pool import Pool
from inventory.model.system import System, system_key
from inventory.model.units import Resources
from inventory.model.workload import Program, Requirements, Submission
from scheduler.core.cutover import cutover_labels
from scheduler.core.waves.accelerators import pool_model
from scheduler.core.waves.eligibility import protection_level
from scheduler.core.waves.items import need_of

# Stopping the source, switching names and checking, beside the copying: half an hour is a common figure.
SWITCH_MS = 30 * 60 * 1000
_MOST_TASKS = 10_000
_LONGEST_KEY = 256


def client_key(plan_id: str, plan_key: str) -> str:
    """The idempotency key of a system's cutover under one plan; a very long system key is told by its hash."""
    key = f"{plan_id}/{plan_key}"
    return key if len(key) <= _LONGEST_KEY else f"{plan_id}/{hashlib.sha256(plan_key.encode()).hexdigest()}"


def queue_of(department: str | None) -> str:
    """The queue that a department's cutovers are charged to.

    A queue's name is lower-case ASCII. A name of other letters becomes "d-" and eight digits of its SHA-256; the
    label `department` of the workload has it in full.
    """
    name = department or "unknown"
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    if not slug or not name.isascii():
        slug = f"d-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
    return f"migration/{slug[:100]}"


def cutover_submission(
    plan_id: str, assignment: Assignment, system: System, place: tuple[Pool, Window], settings: WaveSettings
) -> Submission:
    """`place` is where and when. Raises ValueError for a system whose size, zone or level is not known."""
    pool, window = place
    level = protection_level(system)
    if system.zone is None or system.arch is None or level is None:
        raise ValueError(f"{assignment.system_key}: zone, architecture and protection level must be known")
    tasks = min(system.servers or 1, _MOST_TASKS)
    window_ms = window.seconds * 1000
    return Submission(
        queue=queue_of(system.department),
        client_key=client_key(plan_id, assignment.system_key),
        name=system.name,
        requirements=Requirements(
            per_task=_share(need_of(system), tasks),
            tasks=tasks,
            zone=system.zone,
            protection_level=level,
            architectures=frozenset({system.arch}),
            accelerator=pool_model(system.gpu.model) if system.gpu else None,
            pools=frozenset({pool.pool_id}),
        ),
        program=Program(command=("echo", f"割接 {system.name} → {pool.pool_id} / cutover")),
        estimated_ms=min(SWITCH_MS + _copy_ms(system, pool, settings), window_ms),
        max_runtime_ms=window_ms,
        labels={
            **cutover_labels(system_key(system.name, system.department), window.first_day),
            "department": system.department or "",
            "wave": str(assignment.wave),
        },
    )


def _share(need: Resources, tasks: int) -> Resources:
    """What one of `tasks` equal servers needs, rounded up."""
    return Resources(
        cpu_milli=-(-need.cpu_milli // tasks),
        memory_bytes=-(-need.memory_bytes // tasks),
        disk_bytes=-(-need.disk_bytes // tasks),
        accelerator_milli=-(-need.accelerator_milli // tasks),
    )


def _copy_ms(system: System, pool: Pool, settings: WaveSettings) -> int:
    """How long the copy within the window takes at the pool's share of the link (`WaveSettings`)."""
    copied = need_of(system).disk_bytes * settings.cutover_copy_pct // 100
    per_second = round(pool.egress_gbps * 10**9) // 8 * settings.link_share_pct // 100
    return copied * 1000 // per_second if per_second else 0

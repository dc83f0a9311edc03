"""A wave plan and the ledger's systems, as landings: when each system begins to run in its pool, and what it takes.

`xisuan sim waves` calls it. What a system needs is what the ledger says, spread over its servers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from console.faults import Fault
from inventory.model.migration import WavePlan
from inventory.model.units import GIB, Resources
from inventory.model.workload import Requirements
from simulations.questions.wave_plan import Landing


def landings(plan: WavePlan, documents: Iterable[Mapping[str, Any]]) -> list[Landing]:
    """`documents`: systems in the ledger's JSON form, by `system_key`. Raises Fault for systems that are missing or
    whose size is unknown, all of them at once."""
    by_key = {str(one.get("system_key", "")): one for one in documents}
    windows = {wave.window.window_id: (wave.number, wave.window.ends) for wave in plan.waves}
    found: list[Landing] = []
    faults: list[str] = []
    for assignment in plan.assignments:
        document = by_key.get(assignment.system_key)
        if document is None:
            faults.append(f"{assignment.system_key}：台账中没有 / is not in the ledger; import it first")
            continue
        missing = [name for name in ("vcpu", "mem_gb") if document.get(name) is None]
        if missing:
            faults.append(
                f"{assignment.system_key}：缺少 / lacks {', '.join(missing)}；请补充台账 / complete the ledger"
            )
            continue
        wave, ends = windows[assignment.window_id]
        at_ms = int((ends.date() - plan.starts_on).days * 86_400_000 + (ends.hour * 60 + ends.minute) * 60_000)
        found.append(Landing(assignment.system_key, wave, at_ms, _requirements(document, assignment.pool_id)))
    if faults:
        raise Fault(*faults[:20])
    return found


def _requirements(document: Mapping[str, Any], pool_id: str) -> Requirements:
    """One task a server, each the average of all, rounded up."""
    servers = max(1, int(document.get("servers") or 1))
    gpu = document.get("gpu") or {}
    amounts = (
        int(document["vcpu"]) * 1000,
        round(float(document["mem_gb"]) * GIB),
        round(float(document.get("disk_gb") or 0) * GIB),
        int(gpu.get("count") or 0) * 1000,
    )
    per_server = Resources(*(-(-amount // servers) for amount in amounts))
    return Requirements(per_server, servers, pools=frozenset({pool_id}))

"""CPU architecture: at least one build of the program runs on at least one architecture of the pool.

c86 (海光) runs x86_64 programs and the reverse: `Architecture.runs_on` decides.
"""

from __future__ import annotations

from inventory.model.placement import Reason, ReasonCode
from scheduler.core.placement.protocol import PoolView, Shape


def refuse(shape: Shape, pool: PoolView) -> Reason | None:
    builds, hosts = shape.requirements.architectures, pool.pool.architectures
    if not builds or any(build.runs_on(host) for build in builds for host in hosts):
        return None
    offered = sorted(hosts)
    return Reason(
        ReasonCode.ARCHITECTURE,
        needed="|".join(sorted(builds)),
        offered="|".join(offered) or "无/none",
        remedy_zh=f"提供 {' 或 '.join(offered) or '（无）'} 的版本",
        remedy_en=f"build the program for {' or '.join(offered) or '(none)'}",
    )

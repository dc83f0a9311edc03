"""Preemption (抢占): which runs are stopped so that one that waits can start.

Pure apart from the one question put to the pool's host, whether the waiting run would really get its nodes.
"""

from __future__ import annotations

from collections.abc import Sequence

from scheduler.core.placement.pool_state import PoolState
from scheduler.core.placement.protocol import NodeBatch


def fits_without(state: PoolState, batch: NodeBatch, victims: Sequence[str]) -> bool:
    """Whether the whole batch would get nodes if these runs were gone; the pool is afterwards as before."""
    holds = state.holds()
    gone = {run_id: holds[run_id] for run_id in victims if run_id in holds}
    state.release(*gone)
    answers = state.place(batch)
    state.release(*(run_id for run_id in batch.run_ids if run_id not in holds))
    for run_id, hold in gone.items():
        state.adopt(run_id, hold.requirements, hold.nodes)
    return bool(answers.granted.all())

"""The second start of a program compiles no kernel: it finds them all in the cache of the first."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROGRAM = """
from inventory.model.pool import Node
from inventory.model.system import Architecture
from inventory.model.units import GIB, Resources
from inventory.model.workload import Requirements
from scheduler.core.placement import kernels
from scheduler.core.placement.pool_state import PoolState
from scheduler.core.placement.protocol import NodeBatch

state = PoolState(0, [Node("n", Architecture.X86_64, Resources(8000, GIB, 0, 8000), "A800")])
answers = state.place(NodeBatch.of([("r", Requirements(Resources(1000, 0, 0, 500)))]))
assert answers.granted.all()
state.release("r")
state.adopt("s", Requirements(Resources(1000, 0, 0, 500)), ("n",))
for kernel in (kernels.batches.place_runs, kernels.batches.hold_tasks, kernels.batches.give_back_tasks):
    stats = kernel.stats
    print(sum(stats.cache_hits.values()), sum(stats.cache_misses.values()))
"""


def start() -> list[tuple[int, int]]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, env=environment, cwd=ROOT, check=False
    )
    assert done.returncode == 0, done.stderr
    return [(int(hits), int(misses)) for hits, misses in (line.split() for line in done.stdout.splitlines())]


def test_a_second_start_compiles_nothing() -> None:
    start()
    assert start() == [(1, 0)] * 3

"""Large wave problems through Ray tasks: the same plan as in one process, carried by tasks that were really sent."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.shared_inputs import REPOSITORY

pytestmark = pytest.mark.ray

# In a process of its own: Ray is one a process, and the other tests' service has its own.
PLANNED_TWICE = """
import json, os, sys
import ray
from scheduler.core.budget import Budget
from scheduler.core.waves.document import write_plan
from scheduler.core.waves.estate_file import estate_problem
from scheduler.core.waves.solve import solve
from scheduler.runtime.ray_map import RayMap
from simulations.estates import EstateShape, realistic_estate

ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, _node_ip_address="127.0.0.1")
problem = estate_problem(realistic_estate(EstateShape(60, 120, 3, weeks=20), 4))
def squared(number):
    return os.getpid(), number * number

answers = list(RayMap()(squared, range(8)))
plans = [write_plan(solve(problem, 1, Budget(effort=2.0), how)) for how in (map, RayMap())]
found = {
    "same": plans[0] == plans[1],
    "answers": [answer for _, answer in answers],
    "elsewhere": os.getpid() not in {process for process, _ in answers},
}
json.dump(found, sys.stdout)
ray.shutdown()
"""


def test_a_plan_is_the_same_through_ray_tasks_as_in_one_process() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", PLANNED_TWICE],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        timeout=240,
        check=True,
    )
    found = json.loads(ran.stdout.splitlines()[-1])
    assert found == {"same": True, "answers": [number * number for number in range(8)], "elsewhere": True}

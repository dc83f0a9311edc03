"""A launch as Ray's JobSubmitRequest: its entrypoint, its settings, what it reserves, and the node chosen for it.

`engine.py` posts it. Pure. Ray reserves resources for the entrypoint; tasks and actors that the program starts ask
Ray for theirs on their own.
"""

from __future__ import annotations

import shlex

from adapters.contract import Launch
from adapters.rayjobs.api import Json
from adapters.rayjobs.naming import submission_id

TIMED_OUT = 124  # coreutils' timeout: the program was ended because its time was over
KILLED = 137
_KILL_AFTER_S = 10
NODE_LABEL = "ray.io/node-id"


def submission(launch: Launch, pool_id: str, node_id: str, cards: str, grace_s: int) -> Json:
    """`node_id` is Ray's own id of the node, "" where Ray chooses; `cards` the resource that cards are ("GPU", "NPU").

    `grace_s` lies between the polite and the forced end of a job: Ray wants to know it beforehand.
    """
    need = launch.requirements.per_task
    amount = _amount(need.accelerator_milli)
    result: Json = {
        "submission_id": submission_id(pool_id, launch.run_id),
        "entrypoint": entrypoint(launch),
        "runtime_env": {
            "env_vars": {
                **launch.program.environment,
                "XISUAN_TASK": "0",
                "RAY_JOB_STOP_WAIT_TIME_S": str(grace_s),
            }
        },
        "metadata": {
            "xisuan_run_id": launch.run_id,
            "xisuan_workload_id": launch.workload_id,
            "xisuan_node": launch.nodes[0] if launch.nodes else "",
            "xisuan_node_id": node_id,
        },
        # Above zero, always: Ray puts a job that reserves nothing on its head.
        "entrypoint_num_cpus": max(1, need.cpu_milli) / 1000,
        "entrypoint_memory": need.memory_bytes,
    }
    if amount and cards == "GPU":
        result["entrypoint_num_gpus"] = amount
    elif amount:
        result["entrypoint_resources"] = {cards: amount}
    if node_id:
        result["entrypoint_label_selector"] = {NODE_LABEL: node_id}
    return result


def entrypoint(launch: Launch) -> str:
    """The command for the shell that Ray starts. The time limit stays in the process group that Ray ends.

    `timeout` ends the program itself; what the program started is ended by its group.
    """
    command = shlex.join(launch.program.command)
    if not launch.max_runtime_ms:
        return f"exec {command}"
    limit = f"timeout --foreground --kill-after={_KILL_AFTER_S} {launch.max_runtime_ms / 1000:g}"
    over = f"[ $code -eq {TIMED_OUT} ] || [ $code -eq {KILLED} ]"
    return f"{limit} {command}; code=$?; if {over}; then trap '' TERM; kill -TERM 0; fi; exit $code"


def _amount(milli: int) -> float | int:
    return milli // 1000 if milli % 1000 == 0 else milli / 1000

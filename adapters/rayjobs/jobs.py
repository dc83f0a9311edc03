"""Jobs as Ray lists them, read into reports: states, exit codes, nodes, and why they ended.

`engine.py` hands every entry of `/api/jobs/` to it. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from adapters.contract import RunReport
from adapters.rayjobs.api import Json
from adapters.rayjobs.submission import TIMED_OUT
from inventory.model.retry import FailureCategory
from inventory.model.workload import RunState

_NEVER_STARTED = {
    "JOB_SUPERVISOR_ACTOR_START_TIMEOUT": "等待资源超时 / Ray waited too long for room (RAY_JOB_START_TIMEOUT_SECONDS)",
    "JOB_SUPERVISOR_ACTOR_UNSCHEDULABLE": "节点已不可用 / it could not be put on its node",
}
"""Ray gave these jobs up before they ran: the pool's doing, not the program's."""

_LOST = ("JOB_SUPERVISOR_ACTOR_DIED", "JOB_SUPERVISOR_ACTOR_UNKNOWN_FAILURE", "JOB_SUPERVISOR_ACTOR_START_FAILURE")
_TEXT_LIMIT = 300


def is_ours(job: Json, prefix: str) -> bool:
    """True for a submission of this pool; drivers that people start, and jobs of others, are not."""
    return job.get("type") == "SUBMISSION" and (job.get("submission_id") or "").startswith(prefix)


def report_of(job: Json, prefix: str, names: Mapping[str, str], alive: Collection[str]) -> RunReport:
    """The run of a job. `names` of nodes by Ray's ids of them, `alive` those of them that are.

    Ray tells when a job was submitted and not when it began to run: `started_ms` is the former.
    """
    metadata = job.get("metadata") or {}
    run_id = job["submission_id"].removeprefix(prefix)
    ran_on = job.get("driver_node_id") or ""
    chosen = metadata.get("xisuan_node", "")
    name = chosen or names.get(ran_on, ran_on)
    nodes = (name,) if name else ()
    began, ended = job.get("start_time"), job.get("end_time")
    match job["status"]:
        case "PENDING":
            pinned = metadata.get("xisuan_node_id", "")
            if pinned and pinned not in alive:
                text = f"{chosen}: 节点已离开集群 / the node left the cluster before the job began"
                return RunReport(run_id, RunState.LOST, nodes, message=text)
            return RunReport(run_id, RunState.STARTING, nodes, message=job.get("message") or "")
        case "RUNNING":
            return RunReport(run_id, RunState.RUNNING, nodes, started_ms=began)
        case "SUCCEEDED":
            return RunReport(run_id, RunState.SUCCEEDED, nodes, 0, "", began, ended)
        case "STOPPED":
            text = "在 Ray 中被停止 / stopped in Ray"
            return RunReport(run_id, RunState.STOPPED, nodes, None, text, began, ended)
        case _:
            return _failed(job, run_id, nodes)


def _failed(job: Json, run_id: str, nodes: tuple[str, ...]) -> RunReport:
    began, ended = job.get("start_time"), job.get("end_time")
    kind, said = job.get("error_type") or "", (job.get("message") or "").strip()
    if kind in _NEVER_STARTED:
        return RunReport(run_id, RunState.PREEMPTED, nodes, None, _NEVER_STARTED[kind], None, ended)
    if kind in _LOST:
        text = f"Ray 失去了此作业 / Ray lost the job: {_line(said)}"
        return RunReport(run_id, RunState.LOST, nodes, None, text, began, ended)
    failure: FailureCategory | None = None
    code = job.get("driver_exit_code")
    if code is None:
        return RunReport(run_id, RunState.FAILED, nodes, None, _line(said) or kind, began, ended)
    if code < 0:
        text, code = f"被信号 {-code} 终止 / ended by signal {-code}", 128 - code
    elif code == TIMED_OUT:
        text = f"超过最长运行时间 max_runtime / it ran longer than max_runtime (exit code {code})"
        failure = FailureCategory.TIMEOUT
    else:
        text = f"退出码 {code} / exit code {code}"
    return RunReport(run_id, RunState.FAILED, nodes, code, text, began, ended, failure=failure)


def _line(text: str) -> str:
    return text.splitlines()[0][:_TEXT_LIMIT] if text else ""

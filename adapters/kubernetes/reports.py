"""What a run is, read from its Job or Deployment and its pods: states, nodes, exit codes, and why it ended.

`engine.py` calls it at every change. Pure; unknown means "starting", never "succeeded".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from adapters.contract import RunReport
from adapters.kubernetes import naming
from adapters.kubernetes.api import Json
from inventory.model.retry import FailureCategory
from inventory.model.workload import RunState

_INDEX = "batch.kubernetes.io/job-completion-index"
_TOO_LONG = "DeadlineExceeded"
# Reasons of pods and containers, as the kubelet gives them.
_CATEGORIES = {
    "OOMKilled": FailureCategory.OUT_OF_MEMORY,
    "Evicted": FailureCategory.NODE,
    "NodeLost": FailureCategory.NODE,
    "NodeShutdown": FailureCategory.NODE,
    "Terminated": FailureCategory.NODE,
    "StartError": FailureCategory.INPUT_MISSING,
    "ContainerCannotRun": FailureCategory.INPUT_MISSING,
    "CreateContainerConfigError": FailureCategory.INPUT_MISSING,
}
_NOT_ADMITTED = "等待集群的作业队列放行 / waits for the cluster's job queue to admit it"


def run_id_of(item: Json) -> str | None:
    found: str | None = item["metadata"].get("annotations", {}).get(naming.RUN_ID)
    return found


def job_report(job: Json, pods: Sequence[Json]) -> RunReport:
    """The run of a Job. Nodes are told, in task order, once every task has one."""
    run_id = run_id_of(job) or ""
    status = job.get("status", {})
    tasks = job["spec"].get("completions", 1)
    ordered = sorted(pods, key=_index)
    nodes = _nodes(ordered, tasks)
    started = _latest(pod.get("status", {}).get("startTime") for pod in ordered)
    conditions = {c["type"]: c for c in status.get("conditions", ()) if c.get("status") == "True"}
    if "Complete" in conditions:
        ended = _milliseconds(status.get("completionTime")) or _condition_ms(conditions["Complete"])
        return RunReport(run_id, RunState.SUCCEEDED, nodes, 0, "", started, ended)
    if "Failed" in conditions:
        failed = conditions["Failed"]
        return RunReport(
            run_id,
            RunState.FAILED,
            nodes,
            _exit_code(ordered),
            _why(failed, ordered),
            started,
            _condition_ms(failed),
            failure=_category(failed, ordered),
        )
    if job["spec"].get("suspend"):
        # Not admitted yet, or put back after it had begun: the sdk knows which.
        return RunReport(run_id, RunState.STARTING, message=_NOT_ADMITTED, suspended=True)
    return _active(run_id, ordered, tasks, nodes, started)


def deployment_report(deployment: Json, pods: Sequence[Json]) -> RunReport:
    """The run of a service: running while all its replicas are ready; it ends only by being stopped."""
    run_id = run_id_of(deployment) or ""
    tasks = deployment["spec"].get("replicas", 1)
    ordered = sorted(pods, key=lambda pod: str(pod["metadata"]["name"]))
    live = [pod for pod in ordered if pod.get("status", {}).get("phase") in ("Pending", "Running")]
    started = _latest(pod.get("status", {}).get("startTime") for pod in live)
    return _active(run_id, live, tasks, _nodes(live, tasks), started)


def gone_report(item: Json, ended_ms: int) -> RunReport:
    """An object that was deleted before its run had ended: stopped if that was asked, and else lost."""
    text = "集群中的对象被删除，结果未知 / its object was deleted in the cluster: the outcome is not known"
    return RunReport(run_id_of(item) or "", RunState.LOST, message=text, ended_ms=ended_ms)


def is_ended(job: Json) -> bool:
    return any(
        c["type"] in ("Complete", "Failed") and c.get("status") == "True"
        for c in job.get("status", {}).get("conditions", ())
    )


def _active(
    run_id: str, pods: Sequence[Json], tasks: int, nodes: tuple[str, ...], started: int | None
) -> RunReport:
    phases = [pod.get("status", {}).get("phase") for pod in pods]
    begun = sum(phase in ("Running", "Succeeded") for phase in phases)
    if begun >= tasks:
        return RunReport(run_id, RunState.RUNNING, nodes, started_ms=started)
    return RunReport(run_id, RunState.STARTING, nodes, message=_waiting_for(pods))


def _nodes(pods: Sequence[Json], tasks: int) -> tuple[str, ...]:
    named = [pod["spec"].get("nodeName", "") for pod in pods]
    return tuple(named) if len(named) == tasks and all(named) else ()


def task_of(pod: Json) -> int:
    """The number of the task that a Job's pod is, from 0."""
    return int(pod["metadata"].get("annotations", {}).get(_INDEX, "0"))


def _index(pod: Json) -> tuple[int, str]:
    return task_of(pod), str(pod["metadata"]["name"])


def _waiting_for(pods: Sequence[Json]) -> str:
    """The first thing that a pod waits for: an image, or a node."""
    for pod in pods:
        status = pod.get("status", {})
        for container in status.get("containerStatuses", ()):
            waiting = container.get("state", {}).get("waiting")
            if waiting and waiting.get("reason") not in (None, "ContainerCreating", "PodInitializing"):
                return f"{waiting['reason']}: {waiting.get('message', '')}".rstrip(": ")
        for condition in status.get("conditions", ()):
            if condition["type"] == "PodScheduled" and condition["status"] == "False":
                return f"{condition.get('reason', '')}: {condition.get('message', '')}"
    return ""


def _exit_code(pods: Sequence[Json]) -> int | None:
    codes = [
        container["state"]["terminated"]["exitCode"]
        for pod in pods
        for container in pod.get("status", {}).get("containerStatuses", ())
        if "terminated" in container.get("state", {})
    ]
    return next((code for code in codes if code), None)


def _why(failed: Json, pods: Sequence[Json]) -> str:
    if failed.get("reason") == _TOO_LONG:
        return "超过最长运行时间 / it ran longer than its maximum running time"
    for pod in pods:
        for container in pod.get("status", {}).get("containerStatuses", ()):
            ended = container.get("state", {}).get("terminated")
            if ended and ended["exitCode"]:
                detail = ended.get("message") or ended.get("reason") or ""
                return f"退出码 {ended['exitCode']} / exit code {ended['exitCode']} ({detail})"
        if pod.get("status", {}).get("phase") == "Failed":
            status = pod["status"]
            return f"{status.get('reason', 'Failed')}: {status.get('message', '')}".rstrip(": ")
    return f"{failed.get('reason', 'Failed')}: {failed.get('message', '')}"


def _category(failed: Json, pods: Sequence[Json]) -> FailureCategory | None:
    """What the cluster knows; None where the exit code says all."""
    if failed.get("reason") == _TOO_LONG:
        return FailureCategory.TIMEOUT
    reasons = [pod.get("status", {}).get("reason") for pod in pods]
    for pod in pods:
        for container in pod.get("status", {}).get("containerStatuses", ()):
            reasons.append(container.get("state", {}).get("terminated", {}).get("reason"))
    return next((_CATEGORIES[reason] for reason in reasons if reason in _CATEGORIES), None)


def _condition_ms(condition: Json) -> int | None:
    return _milliseconds(condition.get("lastTransitionTime"))


def _latest(times: Iterable[str | None]) -> int | None:
    found = [_milliseconds(time) for time in times]
    return max((one for one in found if one is not None), default=None)


def _milliseconds(time: str | None) -> int | None:
    return round(datetime.fromisoformat(time).timestamp() * 1000) if time else None

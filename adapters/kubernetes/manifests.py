"""A launch as Kubernetes objects: a Job whose pods start together and never again, or a Deployment for a service.

`engine.py` creates what these functions return. Pure: the same launch gives the same object.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from adapters.contract import Launch
from adapters.kubernetes import naming
from adapters.kubernetes.api import Json
from inventory.model.constraints import ANY

_KEEP_ENDED_S = 3600
_GRACE_S = 30
# The number of the task, under the name that it has on every pool.
_TASK = {
    "name": "XISUAN_TASK",
    "valueFrom": {"fieldRef": {"fieldPath": "metadata.annotations['batch.kubernetes.io/job-completion-index']"}},
}


@dataclass(frozen=True, slots=True)
class PodSettings:
    """What the operator of the cluster decides for every pod.

    `scheduler_name` "" is the cluster's default. `local_queue` names Kueue's LocalQueue: Kueue then admits what runs
    ("": none). `volcano_queue` names Volcano's Queue: Volcano then places each Job as one PodGroup ("": none).
    """

    image_pull_secrets: tuple[str, ...] = ()
    scheduler_name: str = ""
    local_queue: str = ""
    volcano_queue: str = ""

    @property
    def scheduler(self) -> str:
        return self.scheduler_name or ("volcano" if self.volcano_queue else "")


@dataclass(frozen=True, slots=True)
class Target:
    """Where a launch goes: the pool's label, and the extended resource that its cards are counted in."""

    pool_id: str
    card_resource: str | None
    settings: PodSettings


def job(launch: Launch, target: Target) -> Json:
    """An indexed Job: as many pods as tasks, one completion each, no retry (retries are the scheduler's).

    `activeDeadlineSeconds` counts from the start of the Job, as the contract's max_runtime does.
    """
    tasks = launch.requirements.tasks
    spec: Json = {
        "completions": tasks,
        "parallelism": tasks,
        "completionMode": "Indexed",
        "backoffLimit": 0,
        # A pod that is being stopped is not replaced while it ends.
        "podReplacementPolicy": "Failed",
        "ttlSecondsAfterFinished": _KEEP_ENDED_S,
        "template": _template(launch, target, restart="Never"),
    }
    if launch.max_runtime_ms:
        spec["activeDeadlineSeconds"] = -(-launch.max_runtime_ms // 1000)
    if target.settings.local_queue:
        spec["suspend"] = True  # Kueue lets it go when its quota admits it
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": _metadata(launch, target), "spec": spec}


def pod_group(job: Json, queue: str) -> Json:
    """Volcano's word for a gang (scheduling.volcano.sh/v1beta1): all tasks of a stored Job, or none. It goes with it.

    Volcano's own controller makes one of a single member for each owner of pods, unless the pods name theirs.
    """
    metadata = job["metadata"]
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": metadata["name"], "uid": metadata["uid"]}
    return {
        "apiVersion": "scheduling.volcano.sh/v1beta1",
        "kind": "PodGroup",
        "metadata": {"name": metadata["name"], "labels": metadata["labels"], "ownerReferences": [owner]},
        "spec": {"minMember": job["spec"]["completions"], "queue": queue},
    }


def deployment(launch: Launch, target: Target) -> Json:
    """A service: as many replicas as tasks, restarted by the cluster until the run is stopped."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": _metadata(launch, target),
        "spec": {
            "replicas": launch.requirements.tasks,
            "selector": {"matchLabels": {naming.RUN_LABEL: naming.digest(launch.run_id)}},
            "template": _template(launch, target, restart="Always"),
        },
    }


def _metadata(launch: Launch, target: Target) -> Json:
    return {
        "name": naming.object_name(launch.run_id),
        "labels": _labels(launch, target) | _kueue(target),
        "annotations": {
            naming.RUN_ID: launch.run_id,
            naming.WORKLOAD_ID: launch.workload_id,
            naming.WORKLOAD_NAME: launch.name,
            **({naming.NODES: json.dumps(launch.nodes)} if is_gated(launch) else {}),
        },
    }


def is_gated(launch: Launch) -> bool:
    """True for a Job whose tasks go to several nodes. Pods of a Job share one template, so each is held by a
    scheduling gate until `gates.py` has given it the node of its own index."""
    return not launch.service and len(set(launch.nodes)) > 1


def has_pod_group(launch: Launch, target: Target) -> bool:
    """True for a Job that Volcano places; replicas of a service come and go one by one."""
    return bool(target.settings.volcano_queue) and not launch.service


def _labels(launch: Launch, target: Target) -> dict[str, str]:
    return {
        naming.MANAGED[0]: naming.MANAGED[1],
        naming.POOL_LABEL: naming.digest(target.pool_id),
        naming.RUN_LABEL: naming.digest(launch.run_id),
    }


def _kueue(target: Target) -> dict[str, str]:
    """Kueue's label, which stands on a Job or Deployment itself: Kueue puts its own on the pods."""
    return {"kueue.x-k8s.io/queue-name": target.settings.local_queue} if target.settings.local_queue else {}


def _template(launch: Launch, target: Target, restart: str) -> Json:
    spec: Json = {
        "restartPolicy": restart,
        "terminationGracePeriodSeconds": _GRACE_S,
        # Programs of systems have no business with the cluster's own API, and no need of its variables.
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "containers": [_container(launch, target)],
        "tolerations": _tolerations(launch),
    }
    if is_gated(launch):
        spec["schedulingGates"] = [{"name": naming.GATE}]
    elif launch.nodes:
        spec["affinity"] = only(launch.nodes)
    if target.settings.scheduler:
        spec["schedulerName"] = target.settings.scheduler
    if target.settings.image_pull_secrets:
        spec["imagePullSecrets"] = [{"name": name} for name in target.settings.image_pull_secrets]
    annotations = {naming.RUN_ID: launch.run_id}
    if has_pod_group(launch, target):
        annotations["scheduling.k8s.io/group-name"] = naming.object_name(launch.run_id)
    return {"metadata": {"labels": _labels(launch, target), "annotations": annotations}, "spec": spec}


def _container(launch: Launch, target: Target) -> Json:
    need = launch.requirements.per_task
    amounts = {"cpu": f"{need.cpu_milli}m", "memory": str(need.memory_bytes)}
    if need.accelerator_milli and target.card_resource:
        amounts[target.card_resource] = str(need.accelerator_milli // 1000)
    variables: list[Json] = [
        {"name": name, "value": value} for name, value in sorted(launch.program.environment.items())
    ]
    variables += [_from_secret(name, where) for name, where in sorted(launch.program.secrets.items())]
    container: Json = {
        "name": "main",
        "image": launch.program.image,
        # Requests equal limits: what was promised is what binds ("Guaranteed" quality of service).
        "resources": {"requests": amounts, "limits": amounts},
        "env": variables if launch.service else [*variables, _TASK],
    }
    if launch.program.command:
        container["command"] = list(launch.program.command)
    return container


def _from_secret(name: str, reference: str) -> Json:
    """A setting whose value the cluster reads from a Secret of the run's namespace, as "SECRET/KEY" says."""
    secret, _, key = reference.partition("/")
    return {"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}


def _tolerations(launch: Launch) -> list[Json]:
    result: list[Json] = []
    for one in sorted(launch.requirements.tolerations, key=str):
        toleration: Json = {"operator": "Equal" if one.value else "Exists"}
        if one.key != ANY:
            toleration["key"] = one.key
        if one.value:
            toleration["value"] = one.value
        result.append(toleration)
    return result


def only(nodes: Sequence[str]) -> Json:
    """An affinity to these nodes alone, by their names: the label kubernetes.io/hostname may differ from them."""
    terms = [
        {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}
        for node in sorted(set(nodes))
    ]
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}

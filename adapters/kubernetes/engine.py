"""A Kubernetes cluster as an engine: Jobs for runs that end, Deployments for services, watches for what happens.

`adapters.kubernetes.__main__` gives it to the sdk's `EngineBackend`. The API server is the only one who knows of a
run: its name is derived from the run id, so a launch that is repeated finds its own object.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field

from adapters.contract import (
    AcceleratorSupport,
    Capabilities,
    Execution,
    ExecutionOutput,
    Launch,
    Refusal,
    RefusalCode,
)
from adapters.kubernetes import manifests, naming
from adapters.kubernetes.api import Api, ApiRefused, Json
from adapters.kubernetes.cluster import DEPLOYMENTS, JOBS, Cluster, handle_of, path_of
from adapters.kubernetes.namespaces import Namespaces, Quotas
from adapters.kubernetes.pod_commands import run_in_pod
from adapters.kubernetes.reports import is_ended, run_id_of
from adapters.kubernetes.resources import Cards
from adapters.sdk.engine import Cancel, EngineUnavailable, Observer, Seen, Taken
from inventory.model.pool import Node, Pool

_AT_ONCE = 64
_MAX_BATCH = 500
_LOG_SILENCE_S = 60.0
_CODES = {400: RefusalCode.INVALID_ARGUMENT, 404: RefusalCode.NOT_FOUND, 422: RefusalCode.INVALID_ARGUMENT}


@dataclass(frozen=True, slots=True)
class ClusterSettings:
    """What the operator of the adapter chooses; see `--help` of `python -m adapters.kubernetes`."""

    namespace_prefix: str = "xisuan"
    node_selector: str = ""
    cards: Cards = field(default_factory=Cards)
    quotas: Quotas = field(default_factory=dict)
    pods: manifests.PodSettings = field(default_factory=manifests.PodSettings)


class KubernetesEngine:
    """An `Engine` over one cluster, or over the nodes of it that a selector names."""

    def __init__(self, pool: Pool, api: Api, settings: ClusterSettings) -> None:
        self._pool = pool
        self._api = api
        self._settings = settings
        self._cluster = Cluster(api, pool.pool_id, settings.cards, settings.node_selector)
        self.shared_disk_bytes = pool.disk_bytes
        self.capabilities = Capabilities(
            pool_id=pool.pool_id,
            technology="kubernetes",
            runtimes=("container",),
            max_batch=_MAX_BATCH,
            enforces=("cpu", "memory"),
            accelerators=(AcceleratorSupport(pool.accelerator),) if pool.accelerator else (),
            zones=tuple(sorted(pool.zones)),
            chooses_nodes=True,
            services=True,
            secrets=True,
            exec=True,
            refuses_when_full=False,
        )

    async def open(self, observer: Observer) -> None:
        await self._api.open()
        try:
            await self._cluster.open(observer)
        except ApiRefused as refused:
            raise self._not_allowed(refused) from refused
        resource = self._cluster.card_resource((), self._pool.accelerator)
        self._namespaces = Namespaces(self._api, self._settings.namespace_prefix, self._settings.quotas, resource)

    async def close(self) -> None:
        await self._cluster.close()
        await self._api.close()

    async def submit(self, launches: Sequence[Launch]) -> Sequence[Taken | Refusal]:
        at_once = asyncio.Semaphore(_AT_ONCE)

        async def one(launch: Launch) -> Taken | Refusal:
            async with at_once:
                return await self._submit(launch)

        return await asyncio.gather(*(one(launch) for launch in launches))

    async def cancel(self, cancels: Sequence[Cancel]) -> None:
        at_once = asyncio.Semaphore(_AT_ONCE)

        async def one(cancel: Cancel) -> None:
            async with at_once:
                await self._cancel(cancel)

        await asyncio.gather(*(one(cancel) for cancel in cancels))

    async def survey(self) -> Sequence[Seen]:
        """Read from the server, not from the mirrors: a run that was just created is there, and maybe not here."""
        try:
            found = await self._list(JOBS) + await self._list(DEPLOYMENTS)
            if self._settings.pods.volcano_queue:
                # A crash may have come between a Job and its PodGroup.
                for item in found:
                    if "completions" in item["spec"] and not is_ended(item) and not item["status"].get("ready"):
                        await self._group(item)
        except ApiRefused as refused:
            raise self._not_allowed(refused) from refused
        return [self._cluster.seen(item) for item in found if run_id_of(item) is not None]

    async def recall(self, missing: Mapping[str, str]) -> Sequence[Seen]:
        """A cluster has no memory beyond its objects."""
        return ()

    async def nodes(self) -> Sequence[Node]:
        return self._cluster.nodes()

    async def logs(self, handle: str, offset: int, follow: bool) -> AsyncIterator[bytes]:
        """The output of all tasks, one after the other in task order, while their pods exist."""
        _, namespace, name = handle.split("/")
        pods = sorted(
            self._cluster.pods_of(name.removeprefix("xisuan-")), key=lambda pod: str(pod["metadata"]["name"])
        )
        skip = offset
        for pod in pods:
            path = f"/api/v1/namespaces/{namespace}/pods/{pod['metadata']['name']}/log"
            query = {"container": "main", "follow": "true" if follow else "false"}
            try:
                async for piece in self._api.pieces(path, query, _LOG_SILENCE_S):
                    kept, skip = piece[skip:], max(0, skip - len(piece))
                    if kept:
                        yield kept
            except ApiRefused as refused:
                if refused.status not in (400, 404):  # not started yet, or gone: there is nothing to read
                    raise self._not_allowed(refused) from refused

    def pod_of_task(self, run_id: str, task: int) -> Json | None:
        """The pod in which a task runs now; None where it has none."""
        return self._cluster.running_pod(naming.digest(run_id), task)

    async def run_beside(self, pod: Json, execution: Execution) -> AsyncIterator[ExecutionOutput]:
        """A command in a pod. Raises EngineUnavailable."""
        try:
            async for piece in run_in_pod(self._api, pod, execution):
                yield piece
        except ApiRefused as refused:
            raise self._not_allowed(refused) from refused

    # -- one run ------------------------------------------------------------------------------------------------

    async def _submit(self, launch: Launch) -> Taken | Refusal:
        unknown = self._cluster.unknown_node(launch.nodes)
        if unknown is not None:
            text = f"{unknown}: 集群中没有此节点，请重新列出节点 / no such node: list the nodes and place it anew"
            return Refusal(launch.run_id, RefusalCode.NOT_FOUND, text)
        target = self._target(launch)
        if isinstance(target, Refusal):
            return target
        try:
            return await self._create(launch, target)
        except EngineUnavailable as error:
            return Refusal(launch.run_id, RefusalCode.UNAVAILABLE, str(error))
        except ApiRefused as refused:
            return self._refusal(launch, refused)

    def _target(self, launch: Launch) -> manifests.Target | Refusal:
        need = launch.requirements.per_task
        if not launch.program.image:
            text = "image: 此池只运行容器，请给出镜像 / this pool runs containers only: give an image"
            return Refusal(launch.run_id, RefusalCode.INVALID_ARGUMENT, text)
        resource = None
        if need.accelerator_milli:
            resource = self._cluster.card_resource(launch.nodes, launch.requirements.accelerator)
            if resource is None:
                text = (
                    "accelerator: 所选节点没有加速卡，请重新选择 / the chosen nodes have no cards: place it anew"
                )
                return Refusal(launch.run_id, RefusalCode.RESOURCE_EXHAUSTED, text)
            if need.accelerator_milli % 1000:
                text = f"{need.accelerator_milli} milli: 此池只分配整卡 / whole cards only here: ask for multiples of 1000"
                return Refusal(launch.run_id, RefusalCode.INVALID_ARGUMENT, text)
        return manifests.Target(self._pool.pool_id, resource, self._settings.pods)

    async def _create(self, launch: Launch, target: manifests.Target) -> Taken:
        body = manifests.deployment(launch, target) if launch.service else manifests.job(launch, target)
        kind = "/apis/apps/v1/namespaces/{}/deployments" if launch.service else "/apis/batch/v1/namespaces/{}/jobs"
        namespace = await self._namespaces.of(launch.queue)
        try:
            await self._api.create(kind.format(namespace), body)
        except ApiRefused as refused:
            if refused.status == 404:  # the namespace was deleted since
                self._namespaces.forget(namespace)
                await self._namespaces.of(launch.queue)
                await self._api.create(kind.format(namespace), body)
            elif refused.reason != "AlreadyExists":
                raise
        if manifests.has_pod_group(launch, target):
            await self._group(await self._api.get(f"{kind.format(namespace)}/{body['metadata']['name']}"))
        body["metadata"]["namespace"] = namespace
        return Taken(launch.run_id, handle_of(body))

    async def _group(self, job: Json) -> None:
        """The PodGroup of a Job that is there, whose pods wait for it."""
        namespace = job["metadata"]["namespace"]
        body = manifests.pod_group(job, self._settings.pods.volcano_queue)
        await self._api.ensure(f"/apis/scheduling.volcano.sh/v1beta1/namespaces/{namespace}/podgroups", body)

    def _refusal(self, launch: Launch, refused: ApiRefused) -> Refusal:
        if refused.status == 403 and "exceeded quota" in str(refused):
            text = f"{launch.queue}: 超出命名空间配额（{refused}）/ over the namespace's quota"
            return Refusal(launch.run_id, RefusalCode.RESOURCE_EXHAUSTED, text)
        if refused.status in (401, 403):
            return Refusal(launch.run_id, RefusalCode.UNAVAILABLE, str(self._not_allowed(refused)))
        code = _CODES.get(refused.status, RefusalCode.UNAVAILABLE)
        return Refusal(
            launch.run_id, code, f"{launch.run_id}: 集群拒绝了此运行 / the cluster refused it: {refused}"
        )

    async def _cancel(self, cancel: Cancel) -> None:
        """Pods first, with the grace that was asked for; then what would otherwise report them as failed."""
        for handle in await self._handles(cancel):
            _, namespace, _ = handle.split("/")
            label = naming.digest(cancel.run_id)
            try:
                if handle.startswith("deployments"):
                    await self._api.delete(path_of(handle), body=_foreground())
                await self._api.delete(
                    f"/api/v1/namespaces/{namespace}/pods",
                    {
                        "labelSelector": f"{naming.RUN_LABEL}={label}",
                        "gracePeriodSeconds": str(-(-cancel.grace_ms // 1000)),
                    },
                )
                if handle.startswith("jobs"):
                    await self._api.delete(path_of(handle), body=_foreground())
            except ApiRefused as refused:
                raise self._not_allowed(refused) from refused

    async def _handles(self, cancel: Cancel) -> list[str]:
        """The objects of a run; searched for where the answer to its launch never came."""
        if cancel.handle:
            return [cancel.handle]
        label = f"{naming.RUN_LABEL}={naming.digest(cancel.run_id)}"
        found = await self._list(JOBS, label) + await self._list(DEPLOYMENTS, label)
        return [handle_of(item) for item in found]

    async def _list(self, path: str, selector: str = "") -> list[Json]:
        wanted = f"{self._cluster.selector},{selector}" if selector else self._cluster.selector
        query = {"labelSelector": wanted, "limit": "500"}
        found: list[Json] = []
        while True:
            page = await self._api.get(path, query)
            found.extend(page["items"])
            key = page["metadata"].get("continue", "")
            if not key:
                return found
            query["continue"] = key

    def _not_allowed(self, refused: ApiRefused) -> EngineUnavailable:
        return EngineUnavailable(
            f"{self._api.endpoint}: 集群拒绝（{refused.status} {refused}）；请给适配器的账户授权 / "
            f"refused: grant the adapter's account what docs/kubernetes.md lists"
        )


def _foreground() -> Json:
    """The object stays until its pods are gone: its deletion then says that nothing of the run is left."""
    return {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Foreground"}

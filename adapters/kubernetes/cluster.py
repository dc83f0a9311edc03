"""What the adapter knows of a cluster at any moment: mirrors of its nodes, pods and this pool's runs.

`engine.py` asks it. Changes of runs are told within 50 ms, several of one run within that time as one. Node changes
are told when what the scheduler sees of nodes differs, not at every heartbeat.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterable

from adapters.kubernetes import naming
from adapters.kubernetes.api import Api, Json
from adapters.kubernetes.gates import Gatekeeper, is_held
from adapters.kubernetes.mirror import Change, Mirror
from adapters.kubernetes.reports import deployment_report, gone_report, is_ended, job_report, run_id_of, task_of
from adapters.kubernetes.resources import Cards, node_of, requested, what_is_told
from adapters.sdk.engine import Observer, Seen
from inventory.model.pool import Node
from inventory.model.units import Resources

JOBS = "/apis/batch/v1/jobs"
DEPLOYMENTS = "/apis/apps/v1/deployments"
_FINAL_PHASES = ("Succeeded", "Failed")
_NODE_PAUSE_S = 0.5
_TOUCH_PAUSE_S = 0.05


class Cluster:
    """Mirrors of one cluster for one pool. `node_selector` limits which nodes belong to it ("": all)."""

    def __init__(self, api: Api, pool_id: str, cards: Cards, node_selector: str = "") -> None:
        self.selector = f"{naming.POOL_LABEL}={naming.digest(pool_id)}"
        self._api = api
        self._cards = cards
        of_nodes = {"labelSelector": node_selector} if node_selector else {}
        ours = {"labelSelector": self.selector}
        self._jobs = Mirror(api, JOBS, ours, self._run_changed)
        self._deployments = Mirror(api, DEPLOYMENTS, ours, self._run_changed)
        self._pods = Mirror(api, "/api/v1/pods", {}, self._pod_changed)
        self._nodes = Mirror(api, "/api/v1/nodes", of_nodes, self._node_changed)
        self._pods_of: dict[str, dict[str, Json]] = defaultdict(dict)  # our pods: run label -> uid -> pod
        self._others_on: dict[str, dict[str, Json]] = defaultdict(dict)  # pods of others: node -> uid -> pod
        self._node_names: set[str] = set()
        self._run_of: dict[str, Json] = {}  # run label -> its Job or Deployment
        self._touched: set[str] = set()
        self._gatekeeper = Gatekeeper(api)
        self._tasks: list[asyncio.Task[None]] = []
        self._nodes_told: asyncio.TimerHandle | None = None
        self._touched_told: asyncio.TimerHandle | None = None
        self._observer: Observer | None = None

    async def open(self, observer: Observer) -> None:
        """Lists everything, then follows. Raises EngineUnavailable or ApiRefused."""
        mirrors = (self._nodes, self._pods, self._jobs, self._deployments)
        for mirror in mirrors:
            await mirror.list()
        self._observer = observer
        for label in list(self._pods_of):
            self._touch(label)  # gangs that an adapter before this one had not let go
        self._tasks = [asyncio.create_task(mirror.follow()) for mirror in mirrors]
        for task in self._tasks:
            task.add_done_callback(self._stopped_following)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._gatekeeper.close()
        for due in (self._nodes_told, self._touched_told):
            if due is not None:
                due.cancel()

    def nodes(self) -> list[Node]:
        """The nodes of the pool, by name, less what pods of others request on them."""
        found = sorted(self._nodes.objects.values(), key=lambda node: str(node["metadata"]["name"]))
        return [self._node(node) for node in found]

    def card_resource(self, node_ids: Iterable[str], model: str | None) -> str | None:
        """The extended resource that a run's cards are counted in: that of its nodes, else of the model's."""
        wanted = set(node_ids)
        for node in self._nodes.objects.values():
            found = self._cards.on(node)
            if found is None:
                continue
            if node["metadata"]["name"] in wanted or (not wanted and model in (None, found[1])):
                return found[0]
        return None

    def unknown_node(self, node_ids: Iterable[str]) -> str | None:
        return next((node_id for node_id in node_ids if node_id not in self._node_names), None)

    def models(self) -> list[str]:
        """The card models of the pool's nodes."""
        found = [self._cards.on(node) for node in self._nodes.objects.values()]
        return sorted({one[1] for one in found if one})

    def pods_of(self, run_label: str) -> list[Json]:
        return list(self._pods_of.get(run_label, {}).values())

    def running_pod(self, run_label: str, task: int) -> Json | None:
        """The pod of a task that runs: by its index where it is a Job's, else the one at that place by name."""
        pods = [pod for pod in self.pods_of(run_label) if pod.get("status", {}).get("phase") == "Running"]
        item = self._run_of.get(run_label)
        if item is not None and _is_job(item):
            return next((pod for pod in pods if task_of(pod) == task), None)
        pods.sort(key=lambda pod: str(pod["metadata"]["name"]))
        return pods[task] if task < len(pods) else None

    def seen(self, item: Json) -> Seen:
        """The run of a Job or Deployment as it is now."""
        pods = self.pods_of(item["metadata"]["labels"][naming.RUN_LABEL])
        report = job_report(item, pods) if _is_job(item) else deployment_report(item, pods)
        return Seen(report, handle_of(item))

    # -- changes ------------------------------------------------------------------------------------------------

    def _run_changed(self, change: Change) -> None:
        item = change.latest
        label = item["metadata"]["labels"].get(naming.RUN_LABEL, "")
        if change.after is not None:
            self._run_of[label] = item
            self._touch(label)
            return
        self._run_of.pop(label, None)
        if run_id_of(item) is not None and not (_is_job(item) and is_ended(item)):
            self._tell([Seen(gone_report(item, time.time_ns() // 1_000_000), handle_of(item))])

    def _pod_changed(self, change: Change) -> None:
        pod = change.latest
        uid, labels = pod["metadata"]["uid"], pod["metadata"].get("labels", {})
        if self._is_ours(labels):
            label = labels.get(naming.RUN_LABEL, "")
            if change.after is None:
                self._pods_of[label].pop(uid, None)
                if not self._pods_of[label]:
                    del self._pods_of[label]
            else:
                self._pods_of[label][uid] = pod
            self._touch(label)
            return
        node = pod["spec"].get("nodeName", "")
        uses = change.after is not None and pod.get("status", {}).get("phase") not in _FINAL_PHASES
        if uses and node and uid not in self._others_on[node]:
            self._others_on[node][uid] = pod
            self._tell_nodes()
        elif not uses and self._others_on[node].pop(uid, None) is not None:
            self._tell_nodes()

    def _node_changed(self, change: Change) -> None:
        name = change.latest["metadata"]["name"]
        if change.after is None:
            self._node_names.discard(name)
        else:
            self._node_names.add(name)
        if change.before is not None and change.after is not None:
            # A thousand nodes send a hundred heartbeats a second: what is plainly alike is not read any further.
            if what_is_told(change.before) == what_is_told(change.after):
                return
            if self._node(change.before) == self._node(change.after):
                return
        self._tell_nodes()

    def _node(self, node: Json) -> Node:
        found = self._cards.on(node)
        others = self._others_on.get(node["metadata"]["name"], {}).values()
        foreign = Resources()
        for pod in others:
            foreign = foreign + requested(pod, found[0] if found else None)
        return node_of(node, foreign, self._cards)

    def _is_ours(self, labels: dict[str, str]) -> bool:
        key, _, value = self.selector.partition("=")
        return labels.get(key) == value

    def _touch(self, label: str) -> None:
        """Tells of this run in a moment: a Job and its pods change together, and more than once."""
        if self._observer is None:
            return
        if not self._touched:
            self._touched_told = asyncio.get_running_loop().call_later(_TOUCH_PAUSE_S, self._tell_touched)
        self._touched.add(label)

    def _tell_touched(self) -> None:
        touched, self._touched = self._touched, set()
        items = [self._run_of[label] for label in touched if label in self._run_of]
        for item in items:
            self._open_gates(item)
        self._tell([self.seen(item) for item in items if run_id_of(item) is not None])

    def _open_gates(self, item: Json) -> None:
        if naming.NODES in item["metadata"].get("annotations", {}):
            for pod in self.pods_of(item["metadata"]["labels"][naming.RUN_LABEL]):
                if is_held(pod):
                    self._gatekeeper.open(pod, item)

    def _tell(self, seen: list[Seen]) -> None:
        if self._observer is not None and seen:
            self._observer.observed(seen)

    def _tell_nodes(self) -> None:
        """At most twice a second: a thousand nodes that come at once are one change."""
        if self._observer is not None and self._nodes_told is None:
            self._nodes_told = asyncio.get_running_loop().call_later(_NODE_PAUSE_S, self._nodes_due)

    def _nodes_due(self) -> None:
        self._nodes_told = None
        if self._observer is not None:
            self._observer.nodes_changed()

    def _stopped_following(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None and self._observer is not None:
            self._observer.failed(f"{type(error).__name__}: {error}")


def handle_of(item: Json) -> str:
    """The engine's name of a run: kind, namespace and object name."""
    kind = "jobs" if _is_job(item) else "deployments"
    return f"{kind}/{item['metadata']['namespace']}/{item['metadata']['name']}"


def path_of(handle: str) -> str:
    """The API path of what a handle names."""
    kind, namespace, name = handle.split("/")
    group = "/apis/batch/v1" if kind == "jobs" else "/apis/apps/v1"
    return f"{group}/namespaces/{namespace}/{kind}/{name}"


def _is_job(item: Json) -> bool:
    return "completions" in item["spec"]

"""Gives each task of a gang the node that was chosen for it, and lets it go to the cluster's scheduler.

`cluster.py` feeds it with pods that are held by our scheduling gate ("Pod scheduling readiness", Kubernetes: the node
affinity of a gated pod may still be narrowed). A pod that could not be let go is tried again; after a restart of the
adapter the mirror lists the gated pods anew, so no gang stays held.
"""

from __future__ import annotations

import asyncio
import json

from adapters.kubernetes import naming
from adapters.kubernetes.api import Api, ApiRefused, Json
from adapters.kubernetes.manifests import only
from adapters.kubernetes.reports import task_of
from adapters.sdk.engine import EngineUnavailable

_AT_ONCE = 16
_AGAIN_S = 1.0
_GONE = (404, 409, 422)  # deleted, changed by somebody else, or let go already: the next news of it decide


def is_held(pod: Json) -> bool:
    return any(gate["name"] == naming.GATE for gate in pod["spec"].get("schedulingGates", ()))


class Gatekeeper:
    """Opens gates side by side. Use it from one event loop."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._at_once = asyncio.Semaphore(_AT_ONCE)
        self._opening: dict[str, asyncio.Task[None]] = {}

    def open(self, pod: Json, job: Json) -> None:
        """Begins to let the pod go to the node that its Job's annotation names for its index; once at a time."""
        uid = pod["metadata"]["uid"]
        if uid not in self._opening:
            nodes = json.loads(job["metadata"]["annotations"][naming.NODES])
            task = asyncio.create_task(self._open(pod, nodes[task_of(pod)]))
            self._opening[uid] = task
            task.add_done_callback(lambda _: self._opening.pop(uid, None))

    async def close(self) -> None:
        opening = list(self._opening.values())
        for task in opening:
            task.cancel()
        await asyncio.gather(*opening, return_exceptions=True)

    async def _open(self, pod: Json, node: str) -> None:
        metadata = pod["metadata"]
        path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"
        gates = pod["spec"]["schedulingGates"]
        position = next(i for i, gate in enumerate(gates) if gate["name"] == naming.GATE)
        steps: list[Json] = [
            {"op": "test", "path": f"/spec/schedulingGates/{position}/name", "value": naming.GATE},
            {"op": "remove", "path": f"/spec/schedulingGates/{position}"},
            {"op": "add", "path": "/spec/affinity", "value": only([node])},
        ]
        while True:
            try:
                async with self._at_once:
                    await self._api.patch(path, steps)
            except ApiRefused as refused:
                if refused.status in _GONE:
                    return
            except EngineUnavailable:
                pass  # tried again below: the gang waits as long as the API server does not answer
            else:
                return
            await asyncio.sleep(_AGAIN_S)

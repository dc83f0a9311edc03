"""Starts the actors on Ray, on this machine or on a cluster, and ends them.

The command line's `up` calls this; whoever has a Ray already gives its address (`RAY_ADDRESS`).
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ray
from prometheus_client.metrics_core import Metric
from ray.exceptions import RayError, RayTaskError

from inventory.store.errors import StoreError
from scheduler.operation.exposition import ActorMetrics
from scheduler.runtime import ray_guard
from scheduler.runtime.actors import ControlPlaneShell, GatewayShell, PoolHostShell
from scheduler.runtime.calls import CONTROL_PLANE, NAMESPACE, RuntimeSettings, pool_host_name
from scheduler.runtime.heartbeat import Heartbeat
from scheduler.runtime.lean_ray import lean
from scheduler.services.ports import ControlPlaneUnavailable

if TYPE_CHECKING:
    from scheduler.cycle import CycleSettings

# The smallest object store that Ray accepts is 75 MiB; batches of ours are far smaller.
_OBJECT_STORE_BYTES = 80 * 1024 * 1024
# Ray puts Unix sockets below its folder, and a socket's path has at most 107 bytes.
_LONGEST_RAY_FOLDER = 40
# A gateway lets running calls end, and a control plane what it sends to pools, before they close.
_CLOSE_S = 25.0
_METRICS_S = 2.0
_STANDBY_LOOK_S = 0.5
# What Ray nodes offer on which gateways shall run (deploy/kuberay).
GATEWAY_RESOURCE = "xisuan_gateway"
# Restarted for ever, over all nodes; a call that was under way is not repeated by Ray but by its caller, who knows that
# he may.
_ACTOR: dict[str, Any] = {
    "num_cpus": 0,
    "max_restarts": -1,
    "max_task_retries": 0,
    "max_concurrency": 1000,
    "scheduling_strategy": "SPREAD",
}


@contextmanager
def ray_of(folder: Path) -> Iterator[None]:
    """The cluster that RAY_ADDRESS names, whose nodes go on when this process ends, or a Ray of our own (`local_ray`).

    Our actors end with this process in both cases: whoever starts it anew leads with a higher epoch.
    """
    address = os.environ.get("RAY_ADDRESS", "")
    if not address:
        with local_ray(folder):
            yield
        return
    ray.init(address=address, namespace=NAMESPACE, log_to_driver=False, logging_level=logging.ERROR)
    try:
        yield
    finally:
        ray.shutdown()


def _gateway_place() -> dict[str, Any]:
    """On a cluster gateways run where their Service looks for them: on nodes that offer GATEWAY_RESOURCE, if any does."""
    resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]  # Ray gives it no types
    offered = resources.get(GATEWAY_RESOURCE, 0)
    return {"resources": {GATEWAY_RESOURCE: 1}} if offered else {}


@contextmanager
def local_ray(folder: Path) -> Iterator[None]:
    """A Ray of our own on this machine, on loopback only; it ends with the block, and with this process."""
    folder.mkdir(parents=True, exist_ok=True)
    is_short = len(str(folder.resolve())) <= _LONGEST_RAY_FOLDER
    where = folder.resolve() if is_short else Path(tempfile.mkdtemp(prefix="xisuan-ray-"))
    guard = [sys.executable, "-S", "-E", ray_guard.__file__, str(where), "keep" if is_short else "remove"]
    with subprocess.Popen(guard, stdin=subprocess.PIPE, start_new_session=True):
        with lean():
            ray.init(
                "local",
                num_cpus=1,
                include_dashboard=False,
                object_store_memory=_OBJECT_STORE_BYTES,
                log_to_driver=False,
                logging_level=logging.ERROR,
                namespace=NAMESPACE,
                _temp_dir=str(where),
            )
        try:
            yield
        finally:
            ray.shutdown()


class Runtime:
    """The actors of one installation. Made in a block of `local_ray`, or after `ray.init` on a cluster."""

    def __init__(self, settings: RuntimeSettings) -> None:
        # Ray's types lose what an actor's methods are; what they are is written in `actors`.
        self._hosts: list[Any] = [
            ray.remote(PoolHostShell).options(name=pool_host_name(number), **_ACTOR).remote(settings.access)
            for number in range(settings.pool_hosts)
        ]
        self._cycle: CycleSettings | None = None  # as last reconfigured
        self._plane: Any = ray.remote(ControlPlaneShell).options(name=CONTROL_PLANE, **_ACTOR).remote(settings)
        self._gateways: list[Any] = [
            ray.remote(GatewayShell).options(**_ACTOR, **_gateway_place()).remote(settings.access)
            for _ in range(settings.gateways)
        ]
        self._heartbeat = Heartbeat(self._plane, 2 * settings.lease_ms / 1000)
        self._leading: Any = None
        self._lead()
        # Of each gateway: where it listens, and a call that lasts as long as its process.
        self._listening: list[tuple[str, int, Any]] = []

    def call(self, part: str, method: str, *arguments: Any) -> Any:
        """One operation of a port, from this process; blocks."""
        return _get(self._plane.call.remote(part, method, arguments))

    def try_call(self, part: str, method: str, *arguments: Any) -> bool:
        """One operation of a port; False, with a word in the log, while the control plane is started or stands by."""
        try:
            self.call(part, method, *arguments)
        except (RayError, ControlPlaneUnavailable, StoreError) as error:
            logging.getLogger("xisuan.runtime").warning("%s is called again in a moment: %s", method, error)
            return False
        return True

    def await_leadership(self, on_standby: Callable[[str], None]) -> None:
        """Returns when our control plane leads. While another one does, `on_standby` is told whenever it is another. What
        the store says against it meanwhile (a frozen leader holds SQLite's lock) is logged, and it is tried again."""
        told = ""
        while True:
            try:
                leader = _get(self._plane.leader.remote())
            except (RayError, StoreError) as error:
                logging.getLogger("xisuan.runtime").warning("cannot lead yet: %s", error)
            else:
                if not leader:
                    return
                if leader != told:
                    on_standby(leader)
                told = leader
            time.sleep(_STANDBY_LOOK_S)

    def serve(self, host: str, port: int) -> list[int]:
        """Starts the gateways and returns their ports: `port` and those that follow it, or (0) free ones."""
        ports = [port + number if port else 0 for number in range(len(self._gateways))]
        started: list[int] = _get(
            [gateway.start.remote(host, wanted) for gateway, wanted in zip(self._gateways, ports, strict=True)]
        )
        self._listening = [
            (host, bound, gateway.serving.remote()) for gateway, bound in zip(self._gateways, started, strict=True)
        ]
        return started

    def restore(self) -> None:
        """Gives actors that died, and that Ray has started again, their work back: to lead, to listen on a port; ends a
        leader that has stood still for two leases, so that it is started again. Called every second or so."""
        self._heartbeat.look(time.monotonic())
        if ray.wait([self._leading], timeout=0)[0]:
            self._lead()
        for number, (host, port, serving) in enumerate(self._listening):
            if not ray.wait([serving], timeout=0)[0]:
                continue
            gateway = self._gateways[number]
            try:
                ray.get(gateway.start.remote(host, port), timeout=_CLOSE_S)
            except RayError as error:
                logging.getLogger("xisuan.runtime").warning("gateway %d is not back yet: %s", number, error)
                continue
            self._listening[number] = (host, port, gateway.serving.remote())

    def _lead(self) -> None:
        """Has the control plane begin to lead. The call lasts as long as its process."""
        self._leading = self._plane.leading.remote()

    def reconfigure(self, cycle: CycleSettings) -> None:
        """How placements are decided from now on, after restarts of the control plane too (`keep_settings`)."""
        self._cycle = cycle
        self.keep_settings()

    def keep_settings(self) -> None:
        """A control plane that was restarted has the settings of the start: it is given the present ones again."""
        if self._cycle is None:
            return
        # It loads a control plane, for which no start shall wait.
        from scheduler.runtime.operation_desk import settings_digest

        try:
            if self.call("operation", "settings").digest != settings_digest(self._cycle):
                self.call("operation", "reconfigure", self._cycle)
        except (RayError, ControlPlaneUnavailable, StoreError) as error:
            logging.getLogger("xisuan.runtime").warning("the settings are given again in a moment: %s", error)

    def metrics(self) -> list[ActorMetrics]:
        """What each actor counted; an actor that does not answer within two seconds is named without families."""
        named = {
            CONTROL_PLANE: self._plane,
            **{pool_host_name(number): handle for number, handle in enumerate(self._hosts)},
            **{f"gateway-{number}": handle for number, handle in enumerate(self._gateways)},
        }
        asked = {name: handle.metrics.remote() for name, handle in named.items()}
        ready, _ = ray.wait(list(asked.values()), num_returns=len(asked), timeout=_METRICS_S)
        answered = set(ready)
        return [ActorMetrics(name, _families(one) if one in answered else None) for name, one in asked.items()]

    def close(self) -> None:
        """Gateways first, so that nothing new comes in; then the control plane stores what it has taken."""
        for handles in (self._gateways, [self._plane]):
            try:
                ray.get([handle.close.remote() for handle in handles], timeout=_CLOSE_S)
            except RayError as error:
                logging.getLogger("xisuan.runtime").warning("an actor did not end by itself: %s", error)


def _families(answered: Any) -> tuple[Metric, ...] | None:
    """None where the call ended with an error: the actor is being restarted."""
    try:
        families: tuple[Metric, ...] = ray.get(answered)
    except RayError as error:
        logging.getLogger("xisuan.runtime").warning("an actor does not tell its metrics: %s", error)
        return None
    return families


def _get(reference: Any) -> Any:
    """The result of a call; what the actor raised is raised here as it was."""
    try:
        return ray.get(reference)
    except RayTaskError as error:
        raise error.cause from None

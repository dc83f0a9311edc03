"""The metrics of all processes of a service on one HTTP port, in the text format that Prometheus scrapes.

`xisuan up` serves it. Each process gives its families (`collected`); here they are put under one name each, told apart
by the label `actor`, and written. A process that does not answer in time is absent, and `xisuan_up` says so.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from scheduler.operation.instruments import REGISTRY

log = logging.getLogger("xisuan.metrics")


class PortTaken(Exception):
    """The port for metrics cannot be had: one line."""


@dataclass(frozen=True, slots=True)
class ActorMetrics:
    """What one process counted; `families` None: it did not answer."""

    actor: str
    families: tuple[Metric, ...] | None


def collected() -> tuple[Metric, ...]:
    """The families of this process, ready to be sent."""
    return tuple(REGISTRY.collect())


class GatheredMetrics(Collector):
    """A registry's source over all processes: asks `gather` at each scrape."""

    def __init__(self, gather: Callable[[], Sequence[ActorMetrics]]) -> None:
        self._gather = gather

    def describe(self) -> list[Metric]:
        """Nothing: to know the names the processes would have to be asked, and registering must not wait."""
        return []

    def collect(self) -> Iterator[Metric]:
        answers = self._gather()
        answering = GaugeMetricFamily("xisuan_up", "1 where a process of the service answers", labels=("actor",))
        for answer in answers:
            answering.add_metric([answer.actor], 0.0 if answer.families is None else 1.0)
        yield answering
        yield from merged(answers).values()


def merged(answers: Sequence[ActorMetrics]) -> Mapping[str, Metric]:
    """One family a name, with the samples of all processes, each with its `actor`."""
    families: dict[str, Metric] = {}
    for answer in answers:
        for family in answer.families or ():
            known = families.get(family.name)
            if known is None:
                known = families[family.name] = Metric(family.name, family.documentation, family.type, family.unit)
            known.samples += [_of(answer.actor, sample) for sample in family.samples]
    return families


def _of(actor: str, sample: Sample) -> Sample:
    return sample._replace(labels={**sample.labels, "actor": actor})


class MetricsServer:
    """Serves /metrics on loopback until `close`. Raises PortTaken."""

    def __init__(self, host: str, port: int, gather: Callable[[], Sequence[ActorMetrics]]) -> None:
        registry = CollectorRegistry()
        registry.register(GatheredMetrics(gather))
        try:
            started: tuple[WSGIServer, threading.Thread] = start_http_server(port, addr=host, registry=registry)
        except OSError as error:
            raise PortTaken(
                f"--metrics-port {port}：无法监听 {host}（{error.strerror}）；请换一个端口，0 为自动"
                f" / cannot listen on {host}: {error.strerror}; name another port, 0 takes a free one"
            ) from error
        self._server, self._thread = started
        self.address = f"{host}:{self._server.server_port}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

"""A local Ray without the helpers that nobody asks here: `scheduler.runtime.cluster.local_ray` starts Ray within `lean`.

Ray's own start brings up an autoscaler, a dashboard's head (even where no dashboard is wanted) and a reader of worker
logs: three Python processes that take seconds of a start, a hundredth of a core for ever, and 200 MB. One machine
has nothing to scale; our actors log by themselves.

It stands on the names of methods of Ray's node class, which are Ray's own affair: where a later Ray has them no more,
Ray starts with everything, as it would by itself (tests/runtime tells).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ray._private.node import Node

UNUSED = ("start_monitor", "start_api_server", "start_log_monitor")


@contextmanager
def lean() -> Iterator[None]:
    """A Ray that is started in this block, in this process, starts none of UNUSED."""
    begun: dict[str, Any] = {name: vars(Node)[name] for name in UNUSED if name in vars(Node)}
    for name in begun:
        setattr(Node, name, _not_started)
    try:
        yield
    finally:
        for name, method in begun.items():
            setattr(Node, name, method)


def _not_started(node: Node, **asked: Any) -> None:
    """In place of each of UNUSED."""

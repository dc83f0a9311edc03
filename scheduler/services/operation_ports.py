"""What the operation servicer needs: how the service itself does, typed, without a wire.

`scheduler.runtime.operation_desk` implements it inside the control plane; the gateway's proxy calls it there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class StoreStanding:
    """`name` is for people and holds no password; `revision` that of the tables."""

    name: str
    size_bytes: int
    revision: str
    head_seq: int
    head_hash: str


@dataclass(frozen=True, slots=True)
class QueueLength:
    """One queue with everything below it. `oldest_ms` None: nothing waits."""

    path: str
    waiting: int
    running: int
    oldest_ms: int | None


@dataclass(frozen=True, slots=True)
class SettingsStanding:
    """`digest` is the SHA-256 of the settings in force."""

    digest: str
    loaded_ms: int


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """`workloads` by state, of all that are stored; `last_minute` by kind, of 60 whole seconds."""

    version: str
    epoch: int
    leading_since_ms: int
    store: StoreStanding
    workloads: Mapping[str, int]
    queues: tuple[QueueLength, ...]
    last_minute: Mapping[str, int]
    settings: SettingsStanding


class Operation(Protocol):
    async def service_status(self) -> ServiceStatus: ...

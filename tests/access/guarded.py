"""A real gateway behind access control, in this process, with principals of every role and scope; for the tests here."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from inventory.store import attribution
from scheduler.access.guard import AccessSettings, Guard
from scheduler.access.local import LocalAccess
from scheduler.access.principals import Grant, Role, read_grant
from scheduler.access.settings import AccessForm
from scheduler.runtime.clock import SystemClock
from scheduler.services.server import Gateway, GatewayAccess, Ports
from tests.services.memory import MemoryScheduling

ROOT_SCOPE, OWN, OTHERS = "/", "city/east", "city/west"
NOW_MS = SystemClock().now_ms


class Recorder:
    """A port whose every method is awaited, remembered with who asked, and answered as `answers` has it."""

    def __init__(self, answers: Mapping[str, Any] | None = None) -> None:
        self.answers = dict(answers or {})
        self.asked: list[tuple[str, tuple[Any, ...], attribution.Attribution | None]] = []

    def __getattr__(self, name: str) -> Any:
        async def call(*arguments: Any) -> Any:
            self.asked.append((name, arguments, attribution.current()))
            answer = self.answers.get(name)
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call


class GuardedGateway:
    """`tokens` by (role, scope). Its ports are the caller's to choose; those that are not given are recorders."""

    def __init__(self, home: Path, ports: Mapping[str, Any], form: AccessForm) -> None:
        self.local = LocalAccess(home, NOW_MS())
        self.local.prepare("127.0.0.1", ())
        self.scheduling = ports.get("scheduling") or MemoryScheduling()
        self.ports = {
            name: ports.get(name) or Recorder() for name in ("ledger", "migration", "runs", "assessment")
        }
        self.queues = ports.get("queues") or Recorder()
        self.operation = ports.get("operation") or Recorder()
        self._form = form
        self._home = home
        self._tokens: dict[tuple[str, ...], str] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="guarded", daemon=True)
        self._thread.start()
        self.port = self._run(self._start())

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def token(self, *grants: str, name: str = "") -> str:
        """The token of a principal with these grants; the same for the same grants."""
        key = (name, *grants)
        if key not in self._tokens:
            known: Sequence[Grant] = [read_grant(text) for text in grants]
            issued = self.local.issue_token(name or f"某人 {len(self._tokens)}", known, 1)
            self._tokens[key] = issued.secret
        return self._tokens[key]

    def channel(self) -> grpc.Channel:
        return grpc.insecure_channel(self.address)

    def served(self) -> tuple[str, ...]:
        """The services of ours that reflection tells."""
        with self.channel() as plain:
            channel = grpc.intercept_channel(plain, Bearing(self.token("viewer@/")))
            names = ProtoReflectionDescriptorDatabase(channel).get_services()
        return tuple(name for name in names if name.startswith("xisuan."))

    def close(self) -> None:
        self._run(self._gateway.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _start(self) -> int:
        settings = AccessSettings(self._home / "access", self._form)
        guard = Guard(settings, NOW_MS)
        ports = Ports(
            self.scheduling,
            cast(Any, self.ports["ledger"]),
            cast(Any, self.ports["migration"]),
            cast(Any, self.ports["runs"]),
            cast(Any, self.ports["assessment"]),
            cast(Any, self.queues),
        )
        self._gateway = Gateway(ports, GatewayAccess(guard, self._form.path_of))
        self._gateway.offer_operation(cast(Any, self.operation))
        return await self._gateway.start("127.0.0.1", 0)

    def _run(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(20)


class Bearing(grpc.StreamStreamClientInterceptor):  # type: ignore[misc]  # the stubs leave it generic
    """Gives the token to calls of libraries that know no metadata."""

    def __init__(self, token: str) -> None:
        self._token = token

    def intercept_stream_stream(self, continuation: Any, details: Any, requests: Any) -> Any:
        return continuation(details._replace(metadata=bearer(self._token)), requests)


@contextmanager
def guarded(home: Path, form: AccessForm | None = None, **ports: Any) -> Iterator[GuardedGateway]:
    gateway = GuardedGateway(home, ports, form or AccessForm())
    try:
        yield gateway
    finally:
        gateway.close()


def bearer(token: str, request_id: str = "") -> tuple[tuple[str, str], ...]:
    """The metadata of a call."""
    identified = (("x-request-id", request_id),) if request_id else ()
    return (("authorization", f"Bearer {token}"), *identified)


def grant(role: Role, scope: str) -> str:
    return f"{role.value}@{scope}"

"""The door of a gateway: nobody passes who is not known, and everything that passes knows its caller.

`scheduler.services.entrance` asks it before every call: strangers are refused before their message is read. Health stays
open; reflection is for everybody who is known. The `actor` of a request is replaced by the authenticated principal here,
for every RPC at once, so that nobody can be recorded under another's name.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Hashable, Iterable
from contextvars import ContextVar
from functools import cache
from typing import Any, NamedTuple, TypeAlias

import grpc

from adapters.wire.status import Failure, abort
from inventory.store import attribution
from scheduler.access import caller as callers
from scheduler.access.caller import Caller
from scheduler.access.guard import REQUEST_ID, Guard
from scheduler.access.permissions import HEALTH, PERMISSIONS
from scheduler.access.refusals import AccessRefused, Denied, KeysUnavailable, TooFast, Unauthenticated
from scheduler.access.tokens import Verified

Context = grpc.aio.ServicerContext[Any, Any]
# Generic in the stubs of its types, and not at run time.
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
_BEARER = "bearer "
_KEYS_RETRY_MS = 1_000


class AccessDoor:
    """`scheduler.services.entrance.Door` over a guard."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard

    async def refusal(self, details: grpc.HandlerCallDetails) -> Handler | None:
        """What ends the call of a stranger; for anybody else this task, which is the call's own, has its gate now."""
        if details.method in HEALTH:
            return None
        token, request_id = _presented(details.invocation_metadata or ())
        try:
            verified = await self._by_token(token)
        except AccessRefused as refused:
            return refusing(failure_of(refused))
        _GATE.set(_Gate(self._guard, details.method, verified, request_id))
        return None

    def around(self, handler: Handler, method: str) -> Handler:
        return handler if method in HEALTH else _guarded(handler)

    async def _by_token(self, token: str) -> Verified | None:
        """None: his certificate tells, which only the call itself can be asked for."""
        if token:
            return await self._guard.by_token(token)
        if self._guard.wants_certificates:
            return None
        raise Unauthenticated(
            "未登录：请求须带令牌（authorization: Bearer ...）；本机命令请先 xisuan up，或 xisuan login / nobody is logged in: "
            "a call needs a token; see xisuan login"
        )


class _Gate:
    """One call on its way in."""

    __slots__ = ("_guard", "_method", "_request_id", "_verified")

    def __init__(self, guard: Guard, method: str, verified: Verified | None, request_id: str) -> None:
        self._guard = guard
        self._method = method
        self._verified = verified
        self._request_id = request_id

    async def enter(self, context: Context) -> Caller:
        """Ends the call unless it is admitted; from then on the task knows its caller."""
        try:
            if self._verified is None:
                self._verified = self._guard.by_certificate(_certificate(context))
            found = self._guard.admit(self._method, self._verified, self._request_id)
        except AccessRefused as refused:
            await abort(context, failure_of(refused))
        callers.begin(found)
        attribution.begin(attribution.Attribution(found.principal.name, self._request_id))
        return found

    async def take(self, request: Any, found: Caller, context: Context) -> None:
        """One message of the caller: counted, under his own name, and only what he may do."""
        try:
            if not self.is_valid():
                raise _no_longer()
            names = _names_of(request.__class__)
            if names.workloads:
                self._guard.count_workloads(found, len(request.workloads))
            elif names.workload:
                self._guard.count_workloads(found, 1)
            permission = PERMISSIONS.get(self._method)
            if permission is not None and permission.by_act:
                callers.begin(self._guard.narrow(found, self._method, request.act))
        except AccessRefused as refused:
            await abort(context, failure_of(refused))
        # Puts the authenticated name wherever the message names an actor.
        if names.actor:
            request.actor = found.actor(request.actor)
        if names.minute:
            request.minute.actor = found.actor(request.minute.actor)

    def is_valid(self) -> bool:
        return self._verified is not None and self._guard.is_valid(self._verified)


def _guarded(handler: Handler) -> Handler:
    """The same handler behind the gate of each call."""
    if handler.request_streaming and handler.response_streaming:
        return _remade(handler, grpc.stream_stream_rpc_method_handler, _streaming(handler.stream_stream))
    if handler.response_streaming:
        return _remade(handler, grpc.unary_stream_rpc_method_handler, _answering(handler.unary_stream))
    inner: Any = handler.stream_unary if handler.request_streaming else handler.unary_unary

    async def one_answer(request: Any, context: Context) -> Any:
        gate = _GATE.get()
        found = await gate.enter(context)
        if handler.request_streaming:
            return await inner(_taken(request, gate, found, context), context)
        await gate.take(request, found, context)
        return await inner(request, context)

    make = (
        grpc.stream_unary_rpc_method_handler if handler.request_streaming else grpc.unary_unary_rpc_method_handler
    )
    return _remade(handler, make, one_answer)


def _answering(inner: Any) -> Any:
    async def many_answers(request: Any, context: Context) -> AsyncIterator[Any]:
        gate = _GATE.get()
        found = await gate.enter(context)
        await gate.take(request, found, context)
        async for message in inner(request, context):
            await _require_valid(gate, context)
            yield message

    return many_answers


def _streaming(inner: Any) -> Any:
    async def both_ways(requests: Any, context: Context) -> AsyncIterator[Any]:
        gate = _GATE.get()
        found = await gate.enter(context)
        async for message in inner(_taken(requests, gate, found, context), context):
            await _require_valid(gate, context)
            yield message

    return both_ways


async def _taken(requests: Any, gate: _Gate, found: Caller, context: Context) -> AsyncIterator[Any]:
    async for request in requests:
        await gate.take(request, found, context)
        yield request


async def _require_valid(gate: _Gate, context: Context) -> None:
    """A stream does not outlive the credential that opened it."""
    if not gate.is_valid():
        await abort(context, failure_of(_no_longer()))


def _no_longer() -> Unauthenticated:
    return Unauthenticated(
        "凭据已过期或已吊销；请重新登录 / the credential has expired or was revoked; log in again"
    )


def _remade(handler: Handler, make: Any, behaviour: Any) -> Handler:
    made: Handler = make(behaviour, handler.request_deserializer, handler.response_serializer)
    return made


def refusing(failure: Failure) -> Handler:
    """Ends any call without reading what it sends: on the wire every call is a stream."""

    async def refuse(requests: Any, context: Context) -> AsyncIterator[bytes]:
        if not await _ended(context, failure):
            yield b""

    make: Any = grpc.stream_stream_rpc_method_handler  # grpc's types know no asyncio
    handler: Handler = make(refuse)
    return handler


async def _ended(context: Context, failure: Failure) -> bool:
    await abort(context, failure)


def failure_of(refused: AccessRefused) -> Failure:
    match refused:
        case TooFast():
            return Failure(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                str(refused),
                refused.reason,
                retry_after_ms=refused.retry_after_ms,
            )
        case KeysUnavailable():
            return Failure(
                grpc.StatusCode.UNAVAILABLE, str(refused), refused.reason, retry_after_ms=_KEYS_RETRY_MS
            )
        case Denied():
            return Failure(grpc.StatusCode.PERMISSION_DENIED, str(refused), refused.reason)
        case _:
            return Failure(grpc.StatusCode.UNAUTHENTICATED, str(refused), refused.reason)


def _presented(metadata: Iterable[tuple[str, Any]]) -> tuple[str, str]:
    """The bearer token ("": none), and the request's id: the caller's own, or a new one."""
    token = request_id = ""
    for key, value in metadata:
        text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
        if key == "authorization" and text[: len(_BEARER)].lower() == _BEARER:
            token = text[len(_BEARER) :].strip()
        elif key == "x-request-id" and REQUEST_ID.fullmatch(text):
            request_id = text
    return token, request_id or secrets.token_hex(8)


def _certificate(context: Context) -> bytes:
    for pem in context.auth_context().get("x509_pem_cert", ()):
        return bytes(pem)
    raise Unauthenticated("连接没有客户端证书 / the connection has no client certificate")


class _Names(NamedTuple):
    """Which fields a kind of message has that the door looks at."""

    workload: bool
    workloads: bool
    actor: bool
    minute: bool


@cache
def _names_of(kind: Hashable) -> _Names:
    fields = getattr(kind, "DESCRIPTOR", None)
    if fields is None:
        return _Names(
            workload=False, workloads=False, actor=False, minute=False
        )  # reflection's own, read elsewhere
    return _Names(*(name in fields.fields_by_name for name in _Names._fields))


# The gate of the call whose task this is, from the door to the handler.
_GATE: ContextVar[_Gate] = ContextVar("gate")

"""TLS of ports: the certificates that a server shows and a client trusts, and who may call an adapter.

`adapters.sdk.server` and the gateway (`scheduler.services.server`) serve with it, `adapters.client` calls with it. What
listens beyond this machine must know its callers: that rule stands here, for every port.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import grpc

from adapters.sdk.listening import StartRefused
from adapters.wire.status import Failure, abort

# The common name of the certificate with which a scheduler calls adapters.
SCHEDULER = "xisuan-scheduler"
_HEALTH = "/grpc.health.v1.Health/"
# Generic in the stubs of its types, and not at run time.
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"


@dataclass(frozen=True, slots=True)
class ServerTls:
    """PEM files. `client_ca`: nobody connects without a certificate that it has signed; None: callers show none."""

    certificate: Path
    key: Path
    client_ca: Path | None = None

    def credentials(self) -> grpc.ServerCredentials:
        """Raises StartRefused for a file that cannot be read."""
        pair = (_content(self.key), _content(self.certificate))
        trusted = None if self.client_ca is None else _content(self.client_ca)
        return grpc.ssl_server_credentials([pair], trusted, require_client_auth=trusted is not None)


def require_known_callers(host: str, *, are_known: bool) -> None:
    """Raises StartRefused where strangers of other machines could call."""
    if not are_known and not is_loopback(host):
        raise StartRefused(
            f"{host}: 没有身份认证的端口只能监听回环地址；请启用 TLS 与客户端认证，或改用 127.0.0.1 / a port without "
            "authentication listens on loopback only: give it TLS and authentication, or listen on 127.0.0.1"
        )


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


class PeerInterceptor(grpc.aio.ServerInterceptor):
    """Lets only clients call whose verified certificate bears this common name. Health stays open to whoever could
    connect at all."""

    def __init__(self, name: str) -> None:
        self._name = name

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        handler = await continuation(handler_call_details)
        if handler is None or handler_call_details.method.startswith(_HEALTH):
            return handler
        return self._guarded(handler)

    def _guarded(self, handler: Handler) -> Handler:
        inner: Any = handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream
        make: Any = {
            (False, False): grpc.unary_unary_rpc_method_handler,
            (False, True): grpc.unary_stream_rpc_method_handler,
            (True, False): grpc.stream_unary_rpc_method_handler,
            (True, True): grpc.stream_stream_rpc_method_handler,
        }[handler.request_streaming, handler.response_streaming]

        async def answer(request: Any, context: Any) -> Any:
            await self._require(context)
            return await inner(request, context)

        async def stream(request: Any, context: Any) -> Any:
            await self._require(context)
            async for message in inner(request, context):
                yield message

        behaviour = stream if handler.response_streaming else answer
        guarded: Handler = make(behaviour, handler.request_deserializer, handler.response_serializer)
        return guarded

    async def _require(self, context: Any) -> None:
        if self._name.encode() not in context.auth_context().get("x509_common_name", ()):
            await abort(
                context,
                Failure(
                    grpc.StatusCode.PERMISSION_DENIED,
                    f"只有 {self._name} 可以调用此适配器 / only {self._name} may call this adapter",
                    "NOT_THE_SCHEDULER",
                ),
            )


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise StartRefused(
            f"{path}: 证书文件无法读取（{error.strerror}）/ this certificate or key cannot be read; check path and permissions"
        ) from error

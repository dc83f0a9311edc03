"""Binding a gRPC server to its port, and refusing a start in one clear line. Adapters and gateways use it."""

from __future__ import annotations

import socket

import grpc


class StartRefused(Exception):
    """The server cannot start as it was asked to: one line with the value, the rule, the remedy."""


def bind(server: grpc.aio.Server, host: str, port: int, secure: grpc.ServerCredentials | None = None) -> int:
    """Binds the server; refuses a port in use by name, where gRPC alone would write a page of internals."""
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(where)
        return server.add_insecure_port(address) if secure is None else server.add_secure_port(address, secure)
    except (OSError, OverflowError, RuntimeError) as error:
        raise StartRefused(
            f"{address}: 无法监听（{error}）；请换一个端口，或用 --port 0 自动选择 / "
            f"cannot listen: choose another port, or --port 0 for a free one"
        ) from error

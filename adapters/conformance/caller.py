"""As whom the suite calls, and over what: in the clear, or over TLS with a certificate, a token, or both.

The session opens all its channels with it. They lead to the suite's own proxy on loopback, which passes TLS through as
it comes: the certificate that is checked is the adapter's, for the name by which the endpoint calls it.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from pathlib import Path

import grpc

SECURE = "grpcs://"
"""Begins the endpoint of an adapter that serves over TLS."""


class CallerUnusable(ValueError):
    """The caller cannot be what it was said to be: one line with what to do."""


@dataclass(frozen=True, slots=True)
class Caller:
    """`ca` (PEM): the authority of the adapter's certificate; None: those that this machine trusts. `certificate` and
    `key` (PEM): by which the adapter knows the caller. `token` goes with every call, as "authorization: Bearer"."""

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    token: str = field(default="", repr=False)

    def line(self, endpoint: str) -> Line:
        """How to call this endpoint. Raises CallerUnusable."""
        target = endpoint.removeprefix(SECURE)
        secure = target != endpoint
        if (self.certificate is None) != (self.key is None):
            raise CallerUnusable("--certificate 与 --key 须一起给出 / --certificate and --key are given together")
        if not secure and (self.ca or self.certificate):
            raise CallerUnusable(
                f"{endpoint}: 证书只用于 TLS；请写 {SECURE}{endpoint} / certificates are for TLS: write {SECURE}{endpoint}"
            )
        if not secure and self.token and not _is_this_machine(target):
            raise CallerUnusable(
                f"{endpoint}: 不是本机地址，令牌只能经 TLS 发送；请写 {SECURE}{endpoint} / not this machine: a token "
                f"travels over TLS only: write {SECURE}{endpoint}"
            )
        return Line(target, self._credentials() if secure else None, self._token(endpoint))

    def _credentials(self) -> grpc.ChannelCredentials:
        pair = (None, None) if self.key is None else (_content(self.key), _content(self.certificate))
        return grpc.ssl_channel_credentials(_content(self.ca), *pair)

    def _token(self, endpoint: str) -> tuple[tuple[str, str], ...]:
        if not self.token.isascii() or any(sign.isspace() for sign in self.token):
            raise CallerUnusable(f"{endpoint}: 令牌须为一行 ASCII / the token must be one line of ASCII")
        return (("authorization", f"Bearer {self.token}"),) if self.token else ()


@dataclass(frozen=True, slots=True)
class Line:
    """The way to one adapter: its HOST:PORT, what secures a channel to it, and what every call carries."""

    target: str
    credentials: grpc.ChannelCredentials | None = None
    metadata: tuple[tuple[str, str], ...] = ()

    def channel(self, endpoint: str, options: tuple[tuple[str, object], ...]) -> grpc.aio.Channel:
        """A channel through `endpoint`, the proxy before the adapter."""
        if self.credentials is None:
            return grpc.aio.insecure_channel(endpoint, options=options)
        host = self.target.rpartition(":")[0].strip("[]")
        named = (("grpc.ssl_target_name_override", host), ("grpc.default_authority", self.target))
        return grpc.aio.secure_channel(endpoint, self.credentials, options=(*options, *named))


def _content(file: Path | None) -> bytes | None:
    if file is None:
        return None
    try:
        return file.read_bytes()
    except OSError as error:
        raise CallerUnusable(
            f"{file}: 无法读取（{error.strerror}） / cannot be read: name another file"
        ) from error


def _is_this_machine(target: str) -> bool:
    host = target.rpartition(":")[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

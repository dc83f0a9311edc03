"""Kubernetes objects as JSON over the official client: one connection pool, one error for each kind of trouble.

`engine.py`, `mirror.py` and `namespaces.py` call it. Objects stay dictionaries as the server writes them: the
client's typed models cost more time for one object than the API server takes to store it. The client reads the
credentials, keeps them fresh and holds the connections; requests go to its session directly, because what it does
around each of them costs as much as the request.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import getproxies

import aiohttp
from kubernetes.aio import client, config

from adapters.sdk.engine import EngineUnavailable

Json = dict[str, Any]
_CONNECTIONS = 96  # 64 for launches and stops, four for the watches, the rest for output and commands
_TIMEOUT_S = 30.0
_CONNECT_S = 10.0
_JSON = "application/json"
_CREDENTIALS_S = 10.0  # for so long what the client said of credentials holds; it renews them ahead of time
_ACCEPT = {"POST": f"{_JSON};as=PartialObjectMetadata;g=meta.k8s.io;v=v1,{_JSON}"}
_ENCODE = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_BUSY = (
    408,
    409,
    429,
)  # 409 here is not "exists" but "try again": those that exist are told apart by their reason


class ApiRefused(Exception):
    """The server understood and said no. `reason` is its machine-readable word (AlreadyExists, NotFound, Invalid)."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason


class Api:
    """One API server, as one user. Every call raises ApiRefused or EngineUnavailable."""

    def __init__(self, kubeconfig: Path | None, context: str | None) -> None:
        """`kubeconfig` None: the service account of the pod in which this adapter runs."""
        self._kubeconfig = kubeconfig
        self._context = context

    async def open(self) -> None:
        settings = client.Configuration()
        try:
            if self._kubeconfig is None:
                config.load_incluster_config(client_configuration=settings)
            else:
                await config.load_kube_config(str(self._kubeconfig), self._context, client_configuration=settings)
        except (config.ConfigException, OSError, TypeError, ValueError) as error:
            raise EngineUnavailable(
                f"--kubeconfig {self._kubeconfig or '(in cluster)'}: 无法读取集群凭据（{error}） / "
                f"the cluster's credentials cannot be read: name another file or --context"
            ) from error
        settings.connection_pool_maxsize = _CONNECTIONS
        # Looked for once: otherwise the environment is searched for a proxy before every call.
        # API servers set no cookies.
        settings.client_session_kwargs = {
            "trust_env": bool(getproxies()),
            "cookie_jar": aiohttp.DummyCookieJar(),
        }
        self.endpoint = settings.host
        self._client = client.ApiClient(settings)
        self._headers: dict[str, str] = {}
        self._headers_until = 0.0
        self._line: Json = {
            name: value
            for name, value in (
                ("proxy", settings.proxy),
                ("proxy_headers", settings.proxy_headers),
                ("server_hostname", settings.tls_server_name),
            )
            if value
        }

    async def close(self) -> None:
        if hasattr(self, "_client"):
            await self._client.close()

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> Json:
        return await self._call("GET", path, query)

    async def create(self, path: str, body: Json) -> None:
        """The answer is not asked for: half of the time of a creation goes into writing and reading it back."""
        response = await self._request("POST", path, None, body, _TIMEOUT_S)
        await self._read(response.read())

    async def ensure(self, path: str, body: Json) -> bool:
        """Creates an object; False where one of that name is there already, which stays as it is."""
        try:
            await self.create(path, body)
        except ApiRefused as refused:
            if refused.reason != "AlreadyExists":
                raise
            return False
        return True

    async def replace(self, path: str, body: Json) -> Json:
        return await self._call("PUT", path, body=body)

    async def patch(self, path: str, steps: list[Json]) -> Json:
        """A JSON Patch (RFC 6902): all steps, or none."""
        return await self._call("PATCH", path, body=steps)

    async def delete(self, path: str, query: Mapping[str, str] | None = None, body: Json | None = None) -> None:
        """Also of a whole collection, by a label selector in `query`; what is gone already is no error."""
        try:
            await self._call("DELETE", path, query, body)
        except ApiRefused as refused:
            if refused.status != 404:
                raise

    async def exists(self, path: str) -> bool:
        try:
            await self._call("GET", path)
        except ApiRefused as refused:
            if refused.status == 404:
                return False
            raise
        return True

    async def lines(self, path: str, query: Mapping[str, str], timeout_s: float) -> AsyncIterator[bytes]:
        """A response line by line, until the server ends it; silence of `timeout_s` is EngineUnavailable."""
        response = await self._request("GET", path, query, None, timeout_s)
        try:
            # Split here: the client's own reader of lines costs more than a line does.
            rest = b""
            while piece := await self._read(response.content.readany()):
                *whole, rest = (rest + piece).split(b"\n")
                for line in whole:
                    yield line
            if rest:
                yield rest
        finally:
            response.close()

    async def pieces(self, path: str, query: Mapping[str, str], timeout_s: float) -> AsyncIterator[bytes]:
        """A response as it comes, until the server ends it."""
        response = await self._request("GET", path, query, None, timeout_s)
        try:
            while piece := await self._read(response.content.readany()):
                yield piece
        finally:
            response.close()

    async def socket(
        self, path: str, query: Sequence[tuple[str, str]], protocols: Sequence[str]
    ) -> aiohttp.ClientWebSocketResponse:
        """A WebSocket of a subresource, in the first of these protocols that the server speaks."""
        try:
            socket: aiohttp.ClientWebSocketResponse = await self._session.ws_connect(
                f"{self.endpoint}{path}?{urlencode(query)}",
                headers=await self._credentials(),
                protocols=protocols,
                max_msg_size=0,
                **self._line,
            )
        except aiohttp.WSServerHandshakeError as error:
            if error.status >= 500 or error.status in (401, *_BUSY):
                raise self._unavailable(f"{error.status} {error.message}") from error
            raise ApiRefused(error.status, "", error.message) from error
        except (OSError, aiohttp.ClientError, TimeoutError) as error:
            raise self._unavailable(str(error) or type(error).__name__) from error
        return socket

    @property
    def _session(self) -> aiohttp.ClientSession:
        """The client's connections, which it opens with its own first request."""
        rest = self._client.rest_client
        if rest.pool_manager is None:
            rest.pool_manager = rest._create_pool_manager()
        session: aiohttp.ClientSession = rest.pool_manager
        return session

    async def _credentials(self) -> dict[str, str]:
        """The headers by which the server knows us."""
        if time.monotonic() >= self._headers_until:
            _, _, headers, _, _ = await self._client.param_serialize("GET", "/", auth_settings=["BearerToken"])
            self._headers = dict(headers)
            self._headers_until = time.monotonic() + _CREDENTIALS_S
        return self._headers

    async def _call(
        self, method: str, path: str, query: Mapping[str, str] | None = None, body: Json | list[Json] | None = None
    ) -> Json:
        response = await self._request(method, path, query, body, _TIMEOUT_S)
        content = await self._read(response.read())
        result: Json = json.loads(content)
        return result

    async def _request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        body: Json | list[Json] | None,
        timeout_s: float,
    ) -> aiohttp.ClientResponse:
        full = f"{path}?{urlencode(query)}" if query else path
        kind = "application/json-patch+json" if method == "PATCH" else _JSON
        try:
            headers = {**await self._credentials(), "Accept": _ACCEPT.get(method, _JSON), "Content-Type": kind}
            response: aiohttp.ClientResponse = await self._session.request(
                method,
                self.endpoint + full,
                data=None if body is None else _ENCODE(body).encode(),
                headers=headers,
                timeout=_silent_for(timeout_s),
                **self._line,
            )
        except (OSError, aiohttp.ClientError, TimeoutError) as error:
            raise self._unavailable(str(error) or type(error).__name__) from error
        if response.status >= 400:
            raise await self._refusal(response)
        return response

    async def _refusal(self, response: aiohttp.ClientResponse) -> Exception:
        text = (await self._read(response.read())).decode("utf-8", "replace")
        try:
            status = json.loads(text)
            reason, message = str(status.get("reason", "")), str(status.get("message", ""))
        except (ValueError, AttributeError):
            reason, message = "", text[:200]
        exists = reason == "AlreadyExists"
        if response.status >= 500 or (response.status in _BUSY and not exists):
            return self._unavailable(f"{response.status} {message}")
        if response.status == 401:
            self._headers_until = 0.0
            return self._unavailable(f"401 {message or 'Unauthorized'}")
        return ApiRefused(response.status, reason, message)

    async def _read(self, reading: Awaitable[bytes]) -> bytes:
        try:
            return await reading
        except (OSError, aiohttp.ClientError, TimeoutError) as error:
            raise self._unavailable(str(error) or "no answer") from error

    def _unavailable(self, why: str) -> EngineUnavailable:
        return EngineUnavailable(
            f"{self.endpoint}: 集群接口暂不可用（{why}），请稍后重试 / the API server cannot be asked: try again"
        )


def _silent_for(limit_s: float) -> aiohttp.ClientTimeout:
    """Limits the silence of the server, before its answer and within it, and not how long the answer takes."""
    return aiohttp.ClientTimeout(total=None, sock_connect=min(limit_s, _CONNECT_S), sock_read=limit_s)

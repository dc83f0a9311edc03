"""OpenStack's HTTP APIs through openstacksdk: who we are, where the services are, and what they answered.

`engine.py` and its neighbours ask it. openstacksdk knows every kind of credential that clouds.yaml and the environment
may hold, renews tokens, and finds endpoints; it blocks, so each question runs on a thread. Requests are told in the
terms of the APIs themselves ("Compute API", microversion 2.79 of the release Train, and later).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import openstack
from keystoneauth1.exceptions import ClientException
from openstack.exceptions import HttpException, SDKException

from adapters.sdk.engine import EngineUnavailable
from adapters.sdk.listening import StartRefused

Json = dict[str, Any]
Query = Mapping[str, str]
_Answer = TypeVar("_Answer")
_VERSIONS = {"compute": "2.79", "placement": "1.28"}
_TIMEOUT_S = 60
_AT_ONCE = 8
_PAGE = 1000
_TROUBLE = (401, 407, 408, 413, 429)  # of the credentials and of the moment, not of the question


class CloudRefused(Exception):
    """The cloud understood and said no: an HTTP status from 400 to 499, and its own message on one line."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Cloud:
    """One project of one cloud, by the name of its entry in clouds.yaml ("": the environment's OS_ settings)."""

    def __init__(self, name: str) -> None:
        """Reads the configuration; asks nothing yet. Raises StartRefused where there is none that can be used."""
        try:
            self._connection = openstack.connect(cloud=name or None, app_name="xisuan", api_timeout=_TIMEOUT_S)
        except (SDKException, ClientException) as error:
            raise StartRefused(
                f"--cloud {name!r}: 无法读取云配置，请检查 clouds.yaml 或 OS_ 环境变量 / no usable configuration: check "
                f"clouds.yaml or the OS_ variables ({_one_line(str(error))})"
            ) from error
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="openstack")

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def project_id(self) -> str:
        """The project that the credentials are of. Raises EngineUnavailable."""
        return await self._run(lambda: str(self._connection.current_project_id))

    async def get(self, service: str, path: str, query: Query | None = None) -> Json:
        """The answer of "compute", "placement" or "image". Raises CloudRefused and EngineUnavailable."""
        return await self._ask(service, "GET", path, query, None)

    async def post(self, service: str, path: str, body: Json) -> Json:
        """The answer, {} where there is none. Raises CloudRefused and EngineUnavailable: it may have been done."""
        return await self._ask(service, "POST", path, None, body)

    async def delete(self, service: str, path: str) -> None:
        """Raises CloudRefused and EngineUnavailable; what is not there is deleted already."""
        try:
            await self._ask(service, "DELETE", path, None, None)
        except CloudRefused as refused:
            if refused.status != 404:
                raise

    async def pages(self, path: str, key: str, query: Query) -> list[Json]:
        """All items of a listing of "compute", page by page."""
        found: list[Json] = []
        marker: dict[str, str] = {}
        while True:
            answer = await self.get("compute", path, {**query, **marker, "limit": str(_PAGE)})
            page: list[Json] = answer[key]
            found += page
            if not page or f"{key}_links" not in answer:
                return found
            marker = {"marker": str(page[-1]["id"])}

    async def _ask(self, service: str, method: str, path: str, query: Query | None, body: Json | None) -> Json:
        def ask() -> Json:
            answer = getattr(self._connection, service).request(
                path, method, params=dict(query or {}), json=body, microversion=_VERSIONS.get(service)
            )
            openstack.exceptions.raise_from_response(answer)
            return dict(answer.json()) if answer.content else {}

        try:
            return await self._run(ask)
        except HttpException as error:
            status = error.status_code or 500
            said = _one_line(str(error.details or error))
            if 400 <= status < 500 and status not in _TROUBLE:
                raise CloudRefused(status, said) from error
            raise _unavailable(f"{service}: HTTP {status} {said}") from error

    async def _run(self, ask: Callable[[], _Answer]) -> _Answer:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, ask)
        except HttpException:
            raise
        except (SDKException, ClientException, OSError, ValueError) as error:
            raise _unavailable(_one_line(str(error)) or type(error).__name__) from error


def _unavailable(why: str) -> EngineUnavailable:
    return EngineUnavailable(
        f"OpenStack 暂不可用（{why}），请检查地址与凭据 / the cloud cannot be asked: check endpoint and credentials"
    )


def _one_line(text: str) -> str:
    return " ".join(text.split())[:300]

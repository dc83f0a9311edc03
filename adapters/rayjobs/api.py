"""Ray's HTTP APIs, as its dashboard serves them: jobs (submit, list, stop, delete), nodes, and the files of logs.

`engine.py` alone calls it. Plain HTTP: the adapter needs no Ray of its own, and no version of it that fits the
cluster's. Paths and fields are those of Ray 2.60 ("Ray Jobs REST API", "State API").
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import aiohttp

from adapters.sdk.engine import EngineUnavailable

Json = dict[str, Any]
_TIMEOUT = aiohttp.ClientTimeout(total=60, sock_connect=10)
_FOLLOWING = aiohttp.ClientTimeout(total=None, sock_connect=10)
_EVERYTHING = 10_000  # the most that the State API gives at once
_REFUSED, _NOT_FOUND, _FAILED = 400, 404, 500
_ALREADY_THERE = "already exists"
_REFUSED_BEHIND = "status code 400"
_LOG_FILE = "job-driver-{}.log"
_NO_LOG_YET = "did not match any file"


class RayRefused(Exception):
    """Ray understood and said no; the message is its own last line."""


class RayApi:
    """One cluster, by the address of its dashboard (http://HOST:8265). `token` where it asks for one."""

    def __init__(self, address: str, token: str = "") -> None:
        self._address = address.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    async def open(self) -> None:
        self._session = aiohttp.ClientSession(headers=self._headers, timeout=_TIMEOUT)

    async def close(self) -> None:
        await self._session.close()

    async def submit(self, job: Json) -> None:
        """Raises RayRefused; a job of that submission id that is there already is taken as this one."""
        status, text = await self._ask("POST", "/api/jobs/", json=job)
        if status < _REFUSED or _ALREADY_THERE in text:
            return
        # What the node that took the job refused comes back as 500, with that node's answer in its text.
        if status < _FAILED or _REFUSED_BEHIND in text:
            raise RayRefused(_last_line(text))
        raise self._unavailable(_last_line(text))

    async def jobs(self) -> list[Json]:
        """Every job that Ray remembers, drivers and submissions."""
        found: list[Json] = await self._json("/api/jobs/")
        return found

    async def stop(self, submission_id: str) -> None:
        """Asks for the end; what is not there, or has ended, is let be."""
        status, text = await self._ask("POST", f"/api/jobs/{submission_id}/stop")
        if status >= _FAILED:
            raise self._unavailable(_last_line(text))

    async def delete(self, submission_id: str) -> None:
        """Forgets a job that has ended."""
        await self._ask("DELETE", f"/api/jobs/{submission_id}")

    async def nodes(self) -> list[Json]:
        """All nodes, dead ones too."""
        answer = await self._json("/api/v0/nodes", {"limit": str(_EVERYTHING)})
        found: list[Json] = answer["data"]["result"]["result"]
        return found

    async def log(self, submission_id: str, node_id: str, *, follow: bool) -> AsyncIterator[bytes]:
        """The file of a job's output on the node where it ran, from its first byte; with `follow` without an end."""
        kind = "stream" if follow else "file"
        query = {
            "node_id": node_id,
            "filename": _LOG_FILE.format(submission_id),
            "lines": "-1",
            **({"interval": "0.5"} if follow else {}),
        }
        limit = _FOLLOWING if follow else _TIMEOUT
        url = f"{self._address}/api/v0/logs/{kind}"
        try:
            async with self._session.get(url, params=query, timeout=limit) as answer:
                if answer.status >= _REFUSED:
                    text = await answer.text()
                    if _NO_LOG_YET in text or answer.status == _NOT_FOUND:
                        return
                    raise self._unavailable(_last_line(text))
                async for piece in answer.content.iter_any():
                    yield piece
        except (aiohttp.ClientError, TimeoutError) as error:
            raise self._unavailable(str(error) or type(error).__name__) from error

    async def _json(self, path: str, query: Mapping[str, str] | None = None) -> Any:
        status, text = await self._ask("GET", path, params=query)
        if status >= _REFUSED:
            raise self._unavailable(f"{path}: {_last_line(text)}")
        try:
            return json.loads(text)
        except ValueError as error:
            raise self._unavailable(f"{path}: {error}") from error

    async def _ask(self, method: str, path: str, **words: Any) -> tuple[int, str]:
        try:
            async with self._session.request(method, self._address + path, **words) as answer:
                return answer.status, await answer.text()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise self._unavailable(str(error) or type(error).__name__) from error

    def _unavailable(self, why: str) -> EngineUnavailable:
        return EngineUnavailable(
            f"{self._address}: Ray 暂不可用（{why}），请检查地址与集群 / Ray cannot be asked: check address and cluster"
        )


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip(" .")]
    return lines[-1][:300] if lines else ""

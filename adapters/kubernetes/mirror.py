"""One kind of Kubernetes objects kept in memory by list and watch, as the API's conventions ask for it.

`engine.py` keeps mirrors of Jobs, Deployments, Pods and Nodes. A watch that has expired or broken lists anew and
tells every difference, so that whoever follows a mirror misses nothing ("Efficient detection of changes",
Kubernetes API concepts).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from adapters.kubernetes.api import Api, ApiRefused, Json
from adapters.sdk.engine import EngineUnavailable

_PAGE = "500"
_SILENCE_S = 330.0  # a watch is asked to end after 300 s; one that is silent for longer is dead
_BACKOFF_S = (0.2, 0.5, 1.0, 2.0, 5.0)
_GONE = 410
_MANAGED = b',"managedFields":['
_BEHIND_METADATA = b']},"spec":'


@dataclass(frozen=True, slots=True)
class Change:
    """One object before and after; `after` None when it was deleted, `before` None when it is new."""

    before: Json | None
    after: Json | None

    @property
    def latest(self) -> Json:
        found = self.after or self.before
        assert found is not None, "a change has a before or an after"
        return found


class _Expired(Exception):
    """The server no longer knows the version to watch from."""


class Mirror:
    """The objects at `path` with `query` (selectors), by uid. `changed` is called with each change, in order."""

    def __init__(self, api: Api, path: str, query: Mapping[str, str], changed: Callable[[Change], None]) -> None:
        self.objects: dict[str, Json] = {}
        self._api = api
        self._path = path
        self._query = dict(query)
        self._changed = changed
        self._version = ""

    async def list(self) -> None:
        """Lists everything and tells the differences. Raises EngineUnavailable or ApiRefused."""
        found: dict[str, Json] = {}
        query = {**self._query, "limit": _PAGE}
        while True:
            page = await self._api.get(self._path, query)
            found.update((item["metadata"]["uid"], _slim(item)) for item in page["items"])
            key = page["metadata"].get("continue", "")
            if not key:
                break
            query["continue"] = key
        self._version = page["metadata"]["resourceVersion"]
        gone = [uid for uid in self.objects if uid not in found]
        for uid in gone:
            self._changed(Change(self.objects.pop(uid), None))
        for uid, item in found.items():
            self._put(uid, item)

    async def follow(self) -> None:
        """Watches for ever, after `list`; ends only by cancellation. Troubles are waited out with a growing pause."""
        failures = 0
        while True:
            try:
                await self._watch()
                failures = 0
            except (EngineUnavailable, ApiRefused, _Expired):
                failures = await self._list_again(failures)

    async def _list_again(self, failures: int) -> int:
        """Waits and lists anew; returns how often in a row that was in vain."""
        await asyncio.sleep(_BACKOFF_S[min(failures, len(_BACKOFF_S) - 1)])
        try:
            await self.list()
        except (EngineUnavailable, ApiRefused):
            return failures + 1
        return 0

    async def _watch(self) -> None:
        """One watch, until the server ends it as it always does."""
        query = {
            **self._query,
            "watch": "true",
            "resourceVersion": self._version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": "300",
        }
        async for line in self._api.lines(self._path, query, _SILENCE_S):
            event = json.loads(without_managed_fields(line))
            item = event["object"]
            if event["type"] == "ERROR":
                if item.get("code") == _GONE:
                    raise _Expired
                raise ApiRefused(item.get("code", 0), item.get("reason", ""), item.get("message", ""))
            self._version = item["metadata"]["resourceVersion"]
            if event["type"] == "BOOKMARK":
                continue
            uid = item["metadata"]["uid"]
            if event["type"] == "DELETED":
                self.objects.pop(uid, None)
                self._changed(Change(_slim(item), None))
            else:
                self._put(uid, _slim(item))

    def _put(self, uid: str, item: Json) -> None:
        before = self.objects.get(uid)
        if before is not None and before["metadata"]["resourceVersion"] == item["metadata"]["resourceVersion"]:
            return
        self.objects[uid] = item
        self._changed(Change(before, item))


def without_managed_fields(line: bytes) -> bytes:
    """A watch event without `metadata.managedFields`, the larger half of most, so that it need not be read.

    The server writes them last in the metadata, before the spec. In a text both marks would have their quotes escaped,
    so what is between them is no part of anything else; where they do not stand so, the line stays as it is.
    """
    begin = line.find(_MANAGED)
    end = line.find(_BEHIND_METADATA, begin)
    if begin < 0 or end < 0:
        return line
    return line[:begin] + line[end + 1 :]


def _slim(item: Json) -> Json:
    """The object without the bookkeeping of field managers, which is often the larger half of it."""
    item["metadata"].pop("managedFields", None)
    return item

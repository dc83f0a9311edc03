"""Which image of Glance a program means: by its id, or by its name where that is one image's alone."""

from __future__ import annotations

import time
import uuid

from adapters.openstack.cloud import Cloud, CloudRefused

_REMEMBERED_S = 60.0


class NoImage(Exception):
    """Glance has no such image, or several; the message is for the submitter."""


class Images:
    """Names and ids that were found lately."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._found: dict[str, tuple[float, str]] = {}

    async def find(self, word: str) -> str:
        """The image's id. Raises NoImage, CloudRefused, EngineUnavailable."""
        when, image_id = self._found.get(word, (0.0, ""))
        if not image_id or time.monotonic() - when > _REMEMBERED_S:
            image_id = await self._ask(word)
            self._found[word] = (time.monotonic(), image_id)
        return image_id

    async def _ask(self, word: str) -> str:
        if _is_id(word):
            try:
                return str((await self._cloud.get("image", f"/images/{word}"))["id"])
            except CloudRefused as refused:
                if refused.status == 404:
                    raise NoImage(f"{word}: 没有此镜像 / Glance has no image of this id") from refused
                raise
        answer = await self._cloud.get("image", "/images", {"name": word, "status": "active"})
        found = [str(one["id"]) for one in answer["images"]]
        if not found:
            raise NoImage(f"{word}: 没有此名称的可用镜像 / Glance has no active image of this name: upload it")
        if len(found) > 1:
            raise NoImage(
                f"{word}: 有 {len(found)} 个同名镜像，请给出编号 / {len(found)} images: name it by its id"
            )
        return found[0]


def _is_id(word: str) -> bool:
    try:
        uuid.UUID(word)
    except ValueError:
        return False
    return True

"""A namespace for each department, with the quota that the operator gave it.

`engine.py` asks before it creates a run. Namespaces are made when the first run of a department comes, and are never
deleted: what else lies in them is not ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from adapters.kubernetes import naming
from adapters.kubernetes.api import Api, Json

_QUOTA = "xisuan"


class Quota(BaseModel):
    """What all runs of a department may request at once, in Kubernetes' quantities; None: no limit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cpu: Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)?m?$")] | None = None
    memory: Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)?([KMGTP]i?)?$")] | None = None
    cards: Annotated[int, Field(ge=0)] | None = None

    def hard(self, card_resource: str | None) -> dict[str, str]:
        """The `hard` map of a ResourceQuota."""
        result = {}
        if self.cpu is not None:
            result["requests.cpu"] = self.cpu
        if self.memory is not None:
            result["requests.memory"] = self.memory
        if self.cards is not None and card_resource:
            result[f"requests.{card_resource}"] = str(self.cards)
        return result


Quotas = Mapping[str, Quota]
_READER: TypeAdapter[dict[str, Quota]] = TypeAdapter(dict[str, Quota])


def read_quotas(path: Path) -> Quotas:
    """Quotas by department from a YAML file. Raises ValueError with one line, OSError where it cannot be read."""
    try:
        return _READER.validate_python(yaml.safe_load(path.read_text(encoding="utf-8")) or {})
    except yaml.YAMLError as error:
        raise ValueError(f"{path}: 不是有效的 YAML / not valid YAML: {str(error).splitlines()[0]}") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ValueError(f"{path}: {place} = {first['input']!r}: {first['msg']} / 请改正 / correct it") from error


class Namespaces:
    """The namespaces of one pool. `prefix` begins all their names."""

    def __init__(self, api: Api, prefix: str, quotas: Quotas, card_resource: str | None) -> None:
        self._api = api
        self._prefix = prefix
        self._quotas = quotas
        self._card_resource = card_resource
        self._ready: set[str] = set()

    async def of(self, queue: str) -> str:
        """The namespace for runs of `queue`, made if need be. Raises EngineUnavailable or ApiRefused."""
        department = naming.department_of(queue)
        name = naming.namespace_name(self._prefix, department)
        if name not in self._ready:
            await self._create(name, department)
            self._ready.add(name)
        return name

    def forget(self, name: str) -> None:
        """It was deleted by somebody: it is made again for the next run."""
        self._ready.discard(name)

    async def _create(self, name: str, department: str) -> None:
        body: Json = {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {
                "name": name,
                "labels": {naming.MANAGED[0]: naming.MANAGED[1]},
                "annotations": {naming.QUEUE_NAME: department},
            },
        }
        await self._api.ensure("/api/v1/namespaces", body)
        quota = self._quotas.get(department)
        if quota is not None:
            await self._set_quota(name, quota)

    async def _set_quota(self, namespace: str, quota: Quota) -> None:
        path = f"/api/v1/namespaces/{namespace}/resourcequotas"
        body: Json = {
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": {"name": _QUOTA, "labels": {naming.MANAGED[0]: naming.MANAGED[1]}},
            "spec": {"hard": quota.hard(self._card_resource)},
        }
        if not await self._api.ensure(path, body):
            await self._api.replace(f"{path}/{_QUOTA}", body)

"""The JSON text of a workload's body, made once for all workloads that differ in their key and name alone.

`scheduler.store.projection` writes the event of each submission with it: systems submit by the thousand what is alike, and
a batch that shares its requirements and program as objects (`inventory.model.submission_batch`) need not have them
written ten thousand times. `scheduler.store.documents` says what is in a body; this is only faster.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any, Final, NamedTuple

import orjson

from inventory.model.workload import Workload
from inventory.store.chain import JsonText, canonical_json
from scheduler.store.documents import submission_document
from scheduler.store.retry_documents import element_document

_MOST_KEPT: Final = 1024


class _Around(NamedTuple):
    """The text before, between and behind client key and name; `alive` keeps the objects by whose identity it is found."""

    before: str
    between: str
    behind: str
    alive: tuple[object, ...]


class BodyTexts:
    """Texts of bodies, by the identity of what workloads share. Not thread-safe: one writer calls it."""

    def __init__(self) -> None:
        self._kept: dict[Hashable, _Around] = {}

    def of(self, workload: Workload) -> JsonText:
        """`canonical_json` of the workload's body."""
        if workload.array_id:
            return JsonText(canonical_json(_body(workload)))  # each element has a program of its own
        around = self._around(workload)
        key, name = _text(workload.client_key), _text(workload.name)
        return JsonText(f"{around.before}{key}{around.between}{name}{around.behind}")

    def _around(self, one: Workload) -> _Around:
        shared = (one.requirements, one.program, one.labels, one.inputs, one.partition, one.retry, one.after)
        limits = (one.max_attempts, one.estimated_ms, one.max_runtime_ms, one.finish_by_ms)
        key = (*map(id, shared), one.queue, one.priority, one.array, limits)
        around = self._kept.get(key)
        if around is None:
            if len(self._kept) >= _MOST_KEPT:
                self._kept.clear()
            around = self._kept[key] = _split(_body(one), shared)
        return around


def _body(workload: Workload) -> dict[str, Any]:
    return submission_document(workload) | element_document(workload)


def _text(value: str) -> str:
    """`canonical_json` of a text, by the faster library, which writes it the same way."""
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError:
        return canonical_json(value)  # it is not Unicode: this one says where


def _split(body: Mapping[str, object], alive: tuple[object, ...]) -> _Around:
    names = sorted(body)
    written = [f"{canonical_json(name)}:{canonical_json(body[name])}" for name in names]
    key, name = names.index("client_key"), names.index("name")
    return _Around(
        "{" + ",".join([*written[:key], '"client_key":']),
        ",".join(["", *written[key + 1 : name], '"name":']),
        ",".join(["", *written[name + 1 :]]) + "}",
        alive,
    )

"""The JSON form of a shape: what trace files carry for each job, and what a trace's hash covers.

Only what differs from "nothing asked" is written, with keys and sets in order, so that one shape has one text:
`{"per_task":{"cpu_milli":4000},"tasks":2}`. It follows the fields of `Requirements`, whatever they come to be.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Set
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Any, get_type_hints

from pydantic import TypeAdapter, ValidationError

from inventory.model.workload import Requirements
from scheduler.core.placement.protocol import CONTAINER, PROCESS, Shape

RUNTIME = "runtime"


def shape_to_json(shape: Shape) -> str:
    """Compact JSON of the requirements, with `"runtime"` where the program is not a plain process."""
    document = _plain(shape.requirements)
    if shape.runtime != PROCESS:
        document[RUNTIME] = shape.runtime
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def shape_from_json(text: str) -> Shape:
    """Raises ValueError, naming the field and the rule, for a text that is no shape."""
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"不是 JSON / is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise ValueError('须为 JSON 对象，如 {"per_task":{"cpu_milli":4000}} / must be a JSON object')
    runtime = document.pop(RUNTIME, PROCESS)
    if runtime not in (PROCESS, CONTAINER):
        raise ValueError(f"runtime {runtime!r}: 须为 / must be {PROCESS} or {CONTAINER}")
    _refuse_unknown(document, Requirements, "")
    try:
        requirements = _adapter().validate_python(document)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ValueError(f"{place}: {first['msg']}") from error
    _refuse_negative(requirements)
    return Shape(requirements, runtime)


@cache
def _adapter() -> TypeAdapter[Requirements]:
    return TypeAdapter(Requirements)


def _plain(value: object) -> Any:
    """JSON values of a dataclass, its default fields left out."""
    if is_dataclass(value) and not isinstance(value, type):
        return {
            one.name: _plain(getattr(value, one.name))
            for one in fields(value)
            if one.init and getattr(value, one.name) != _default(one)
        }
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(_plain(key)): _plain(each) for key, each in value.items()}
    if isinstance(value, Set):
        return sorted((_plain(each) for each in value), key=lambda each: json.dumps(each, sort_keys=True))
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    return value


def _default(one: Field[Any]) -> object:
    if one.default is not MISSING:
        return one.default
    return one.default_factory() if one.default_factory is not MISSING else MISSING


def _refuse_unknown(document: Mapping[str, object], kind: type, place: str) -> None:
    """pydantic passes over keys that a plain dataclass does not have; a misspelt need must not be lost so."""
    hints = get_type_hints(kind)
    known = [one.name for one in fields(kind) if one.init]
    for key, value in document.items():
        if key not in known:
            raise ValueError(f"未知字段 / unknown field {place}{key}; 可用 / known: {', '.join(known)}")
        if is_dataclass(hints[key]) and isinstance(hints[key], type) and isinstance(value, dict):
            _refuse_unknown(value, hints[key], f"{place}{key}.")


def _refuse_negative(requirements: Requirements) -> None:
    if requirements.per_task.is_negative:
        raise ValueError("per_task: 不能为负 / must not be negative")
    if requirements.tasks < 1:
        raise ValueError(f"tasks {requirements.tasks}: 至少为 1 / at least 1")

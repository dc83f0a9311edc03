"""Why a runbook or an order is refused: every fault named, before anything starts."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from pydantic import ValidationError


class RunbookRefused(Exception):
    """A template, an order, or both together cannot be run. `faults` are lines "中文 / English", each with the
    name, the rule and the remedy."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = tuple(faults)


class StepImpossible(Exception):
    """A step cannot be carried out as it is written (a secret is not set, no pool service answers to it)."""


class RefusalKind(StrEnum):
    """What a caller must do about a refusal: correct the request, name a run that exists, or change things first."""

    INVALID = "invalid"
    UNKNOWN = "unknown"
    PRECONDITION = "precondition"


class RequestRefused(Exception):
    """A person's request that cannot be done: one clear line, and a stable word for programs."""

    def __init__(self, kind: RefusalKind, message: str, reason: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.reason = reason


_KINDS = {
    "extra_forbidden": "没有这个字段；请删去或更正 / no such field; remove or correct it",
    "missing": "缺少此字段 / this field is required",
    "union_tag_invalid": "未知的步骤类型 / unknown kind of step",
    "union_tag_not_found": "缺少 kind / the kind is required",
    "enum": "未知的值 / unknown value",
    "literal_error": "未知的值 / unknown value",
}


def lines_of(name: str, error: ValidationError) -> list[str]:
    """pydantic's faults as lines for people. Values are not shown where a secret may stand."""
    lines = []
    for one in error.errors(include_url=False, include_context=True):
        place = ".".join(str(part) for part in one["loc"])
        said = _KINDS.get(one["type"], "值不合规则 / the value breaks a rule")
        shown = one["ctx"].get("tag", "") if one["type"] == "union_tag_invalid" else ""
        if one["type"] in ("enum", "literal_error"):
            shown = repr(one["input"])[:60]
        detail = one["msg"].removeprefix("Value error, ")
        if one["type"] == "value_error":
            lines.append(f"{name}: {place}: {detail}")
        else:
            lines.append(f"{name}: {place} {shown}: {said} ({detail})".replace(" : ", ": "))
    return lines

"""What is wrong with a received message, collected field by field: every converter from protobuf uses this.

A sender gets all violations of his message at once, each with the value, the rule and the remedy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from xisuan.common.v1 import common_pb2

_SHOWN = 80


@dataclass(frozen=True, slots=True)
class Violation:
    """One field that breaks a rule: its path in the request, and one line "value: 规则 / rule and remedy"."""

    field: str
    description: str


class InvalidMessage(ValueError):
    """A message that cannot be converted, with every violation found (at least one)."""

    def __init__(self, violations: Sequence[Violation]) -> None:
        self.violations = tuple(violations)
        more = f" (+{len(self.violations) - 1})" if len(self.violations) > 1 else ""
        super().__init__(f"{self.violations[0].field} = {self.violations[0].description}{more}")


class Inspection:
    """Collects the violations of one message while it is converted.

    A converter goes on with a harmless value after a violation, so that the next fields are looked at as well;
    the result counts only after `close`.
    """

    def __init__(self) -> None:
        self.violations: list[Violation] = []

    def refuse(self, path: str, value: object, zh: str, en: str) -> None:
        """Notes that `value` at `path` breaks a rule; `zh` and `en` give the rule and the remedy."""
        shown = repr(value)
        if len(shown) > _SHOWN:
            shown = shown[: _SHOWN - 1] + "…"
        self.violations.append(Violation(path, f"{shown}: {zh} / {en}"))

    def whole_number(self, path: str, value: int, low: int, high: int) -> int:
        """`value` when low <= value <= high; otherwise a violation, and `low`."""
        if low <= value <= high:
            return value
        self.refuse(path, value, f"须在 {low} 与 {high} 之间", f"must be {low} to {high}")
        return low

    def close(self) -> None:
        """Raises InvalidMessage when anything was refused."""
        if self.violations:
            raise InvalidMessage(self.violations)


def violations_to_wire(violations: Sequence[Violation]) -> list[common_pb2.FieldViolation]:
    return [common_pb2.FieldViolation(field=v.field, description=v.description) for v in violations]

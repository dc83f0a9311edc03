"""Three-valued truth: a fact that nobody stated is unknown, and unknown is neither yes nor no.

Who uses this: conditions. Source: Kleene's strong three-valued logic; the ledger's rule "unknown is not No".
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum


class Truth(StrEnum):
    TRUE = "true"
    FALSE = "false"
    UNKNOWN = "unknown"

    @property
    def negated(self) -> Truth:
        return _NEGATED[self]


_NEGATED = {Truth.TRUE: Truth.FALSE, Truth.FALSE: Truth.TRUE, Truth.UNKNOWN: Truth.UNKNOWN}


def truth_of(value: bool) -> Truth:
    return Truth.TRUE if value else Truth.FALSE


def all_of(parts: Iterable[Truth]) -> Truth:
    """FALSE when one is, else UNKNOWN when one is, else TRUE."""
    found = set(parts)
    if Truth.FALSE in found:
        return Truth.FALSE
    return Truth.UNKNOWN if Truth.UNKNOWN in found else Truth.TRUE


def any_of(parts: Iterable[Truth]) -> Truth:
    """TRUE when one is, else UNKNOWN when one is, else FALSE."""
    return all_of(part.negated for part in parts).negated

"""Measured traffic against declared dependencies: what is confirmed, what nobody declared, what nobody saw.

Who calls this: `inventory.assessment`, with the flows of a traffic file. A dependency whose systems were not
observed is not refuted: absence of measurement is not absence of traffic.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from inventory.graph.cycles import Edge


class Observation(StrEnum):
    CONFIRMED = "confirmed"  # declared, and traffic was seen
    UNDECLARED = "undeclared"  # traffic was seen, and nobody declared it
    UNSEEN = "unseen"  # declared, both systems were observed, and no traffic was seen
    UNOBSERVED = "unobserved"  # declared, and one of the systems was not observed at all


@dataclass(frozen=True, slots=True)
class Flow:
    """Traffic from one system to another over the whole file."""

    user: str
    used: str
    requests: int
    bytes: int


@dataclass(frozen=True, slots=True)
class DependencyEvidence:
    """One dependency with what was measured of it."""

    user: str
    used: str
    observation: Observation
    requests: int = 0
    bytes: int = 0


def compare_traffic(
    declared: Mapping[str, Iterable[str]], flows: Sequence[Flow], observed: Iterable[str]
) -> tuple[DependencyEvidence, ...]:
    """Every pair that is declared or measured, sorted. `declared[user]` are the keys that it uses; `observed` are
    the systems that the measurement could see. Flows of one pair are added up; a flow without requests and bytes
    is none; a system's traffic with itself is left out."""
    seen: dict[Edge, tuple[int, int]] = {}
    for flow in flows:
        if flow.user != flow.used and (flow.requests or flow.bytes):
            requests, size = seen.get((flow.user, flow.used), (0, 0))
            seen[flow.user, flow.used] = requests + flow.requests, size + flow.bytes
    watched = set(observed)
    pairs = {(user, used) for user, listed in declared.items() for used in listed if user != used}
    found = []
    for user, used in sorted(pairs | seen.keys()):
        requests, size = seen.get((user, used), (0, 0))
        if (user, used) in seen:
            kind = Observation.CONFIRMED if (user, used) in pairs else Observation.UNDECLARED
        else:
            kind = Observation.UNSEEN if {user, used} <= watched else Observation.UNOBSERVED
        found.append(DependencyEvidence(user, used, kind, requests, size))
    return tuple(found)

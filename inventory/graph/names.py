"""Names of systems, as people write them in dependencies and merge targets, made into system keys."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from inventory.model.system import System, system_key


@dataclass(frozen=True, slots=True)
class UnresolvedName:
    """A name in `deps` or `merged_into` of system `user` that is no one system: no candidate (the ledger has none
    of this name) or several (systems of other departments share it)."""

    user: str
    name: str
    candidates: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Resolution:
    """Names made into keys: `uses[key]` are the keys that a system uses, `merges[key]` the one it is merged
    into."""

    uses: Mapping[str, tuple[str, ...]]
    merges: Mapping[str, str]
    unresolved: tuple[UnresolvedName, ...]


def resolve_names(systems: Sequence[System]) -> Resolution:
    """Makes keys of the names in `deps` and `merged_into`: in the system's own department first, then anywhere.

    Names are compared in NFKC without white space, as in `system_key`. Of two rows with one key the first counts.
    """
    keys_of: dict[str, dict[str, None]] = defaultdict(dict)
    for system in systems:
        keys_of[plain_name(system.name)][system_key(system.name, system.department)] = None
    uses: dict[str, tuple[str, ...]] = {}
    merges: dict[str, str] = {}
    unresolved: list[UnresolvedName] = []

    def find(system: System, name: str) -> str | None:
        candidates = tuple(keys_of.get(plain_name(name), ()))
        own = system_key(name, system.department)
        if own in candidates:
            return own
        if len(candidates) == 1:
            return candidates[0]
        unresolved.append(UnresolvedName(system_key(system.name, system.department), name, candidates))
        return None

    for system in systems:
        key = system_key(system.name, system.department)
        if key in uses:
            continue
        found = (find(system, name) for name in system.deps)
        uses[key] = tuple(sorted({used for used in found if used is not None and used != key}))
        if system.merged_into:
            target = find(system, system.merged_into)
            if target is not None and target != key:
                merges[key] = target
    return Resolution(uses, merges, tuple(unresolved))


def plain_name(name: str) -> str:
    """NFKC without white space, as in `system_key`."""
    return "".join(unicodedata.normalize("NFKC", name).split())

"""Cells that choose one of a few values: yes or no, zone, protection level, architecture, disposition, ownership.

The spellings are data (vocabulary.yaml); here is only how a cell is compared with them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from importlib import resources

import yaml

from inventory.ledger.cells.text import Unreadable, packed, says_nothing
from inventory.ledger.grid import CalendarDay, Percent, Value
from inventory.model.system import Architecture, Disposition, Ownership, Zone

_BRACKETS = re.compile(r"[(\[（【][^)\]）】]*[)\]）】]")
_GRADED = re.compile(r"S([1-5])A([1-5])(?:G([1-5]))?", re.IGNORECASE)
_LEVEL = re.compile(
    r"(?:第|等保|等级保护|级别|^|^L(?:EVEL|V)?[.-]?)?([一二三四五1-5]|I{1,3}V?|IV)(?:\.0)?(?:级|$)"
)
_LEVEL_DIGITS = {"一": "1", "二": "2", "三": "3", "四": "4", "五": "5", "I": "1", "II": "2", "III": "3", "IV": "4"}


class _Vocabulary:
    """One kind of choice: exact spellings first, then ordered patterns."""

    def __init__(
        self, spellings: Mapping[str, list[str]], patterns: list[dict[str, str]], brackets_qualify: bool
    ) -> None:
        self._exact = {
            packed(spelling).lower(): meaning for meaning, group in spellings.items() for spelling in group
        }
        self._patterns = [(re.compile(entry["if"], re.IGNORECASE), entry["then"]) for entry in patterns]
        self._brackets_qualify = brackets_qualify
        self._cache: dict[str, str | None] = {}

    def meaning(self, text: str) -> str | None:
        """The value that a packed text chooses; None when it chooses none."""
        if text not in self._cache:
            if len(self._cache) > 10_000:
                self._cache.clear()
            self._cache[text] = self._look_up(text.lower())
        return self._cache[text]

    def _look_up(self, text: str) -> str | None:
        if text in self._exact:
            return self._exact[text]
        bare = self._exact.get(_BRACKETS.sub("", text))
        if bare is not None and not self._brackets_qualify:
            return bare
        return next((then for pattern, then in self._patterns if pattern.search(text)), bare)


@lru_cache(maxsize=1)
def _vocabularies() -> dict[str, _Vocabulary]:
    text = resources.files("inventory.ledger").joinpath("vocabulary.yaml").read_text(encoding="utf-8")
    return {
        name: _Vocabulary(
            entry.get("spellings", {}), entry.get("patterns", []), bool(entry.get("brackets_qualify", False))
        )
        for name, entry in yaml.safe_load(text).items()
    }


def _chosen(kind: str, value: Value) -> str | None:
    if isinstance(value, CalendarDay | Percent):
        raise Unreadable
    text = packed(value)
    meaning = _vocabularies()[kind].meaning(text)
    if meaning == "unknown":
        return None
    if meaning is not None:
        return meaning
    if says_nothing(value):
        return None
    raise Unreadable


def yes_or_no(value: Value, kind: str = "done") -> bool | None:
    """True, False, or None for unknown and for 不涉及. `kind` is "done" (已上云, 编制中 is no) or "should" (拟上云 is yes)."""
    chosen = _chosen(kind, value)
    return None if chosen is None else chosen == "yes"


def classified(value: Value) -> bool | None:
    """True for 涉密 and, as it is handled alike, 参照涉密; False for 非涉密 and 否."""
    chosen = _chosen("classified", value)
    return None if chosen is None else chosen == "yes"


def zone(value: Value) -> Zone | None:
    """The one network that the cell names; a cell that names two is unreadable, as a system has one zone."""
    chosen = _chosen("zone", value)
    return None if chosen is None else Zone(chosen)


def architecture(value: Value) -> Architecture | None:
    chosen = _chosen("arch", value)
    if chosen == "mixed":
        raise Unreadable
    return None if chosen is None else Architecture(chosen)


def disposition(value: Value) -> Disposition | None:
    chosen = _chosen("disposition", value)
    return None if chosen is None else Disposition(chosen)


def ownership(value: Value) -> Ownership | None:
    chosen = _chosen("ownership", value)
    return None if chosen is None else Ownership(chosen)


def ownership_in(text: str) -> Ownership | None:
    """The ownership that a sheet name, a title or a section heading speaks of; None when it speaks of none."""
    meaning = _vocabularies()["ownership_in_title"].meaning(packed(text))
    return None if meaning is None else Ownership(meaning)


def protection_level(value: Value) -> str | None:
    """等保 as "none" or "1".."4": 三级, 等保3级, 第三级, S3A3G3 (the highest of the three counts), 未定级.

    Source of S/A/G: GB/T 22240-2020; the level of a system is the higher of S and A.
    """
    if isinstance(value, CalendarDay | Percent | bool):
        raise Unreadable
    text = packed(value)
    meaning = _vocabularies()["mlps"].meaning(text)
    if meaning is not None:
        return None if meaning == "unknown" else meaning
    if says_nothing(value):
        return None
    bare = _BRACKETS.sub("", text) or text.strip("()（）")
    graded = _GRADED.search(text)
    levels = (
        {max(filter(None, graded.groups()))}
        if graded
        else {_LEVEL_DIGITS.get(match[1], match[1]) for match in _LEVEL.finditer(bare.upper())}
    )
    if len(levels) != 1 or not levels <= set("1234"):
        raise Unreadable
    return levels.pop()

"""Resolves the names in 对接系统 and 整合目标系统 to systems of the same workbook.

`read.read_ledger` calls this after duplicates are settled. A name is compared by its identity (NFKC, no spaces), never
by likeness: a near miss is a finding with a suggestion, not a dependency. A system that names itself has no dependency
by that; a name of a held duplicate means the system that it may be a duplicate of.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from inventory.ledger import findings
from inventory.ledger.cells.text import identity, says_none, written
from inventory.ledger.duplicates import HeldDuplicate
from inventory.ledger.findings import Finding
from inventory.ledger.systems import Draft
from inventory.model.system import System

_STRONG = re.compile(r"[;；\n\r\v|｜]+")
_WEAK = re.compile(r"([、，,/／])")
_CONJUNCTION = re.compile(r"(?:以及|及|和|与)")
_NO_NAME = frozenset(("否", "是", "有", "未对接", "无对接", "不对接", "无对接系统", "暂未对接", "暂无对接"))
_NUMBERING = re.compile(r"^\s*[(（]?\d{1,2}[.、．)）]\s*")
_KIND_NOTE = re.compile(
    r"[(（](?:接口|数据接口|库表|库|文件|单点登录|sso|api|专线|服务|数据|共享|双向|单向|推送|调用)[)）]$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class NameIndex:
    """Identity of each name -> the name as written in its row."""

    names: dict[str, str]

    @classmethod
    def of(cls, drafts: Iterable[Draft], held: Iterable[HeldDuplicate]) -> NameIndex:
        names: dict[str, str] = {}
        aliases: dict[str, str] = {}
        for draft in drafts:
            names.setdefault(identity(draft.system.name), draft.system.name)
            if draft.alias:
                aliases.setdefault(identity(draft.alias), draft.system.name)
        for duplicate in held:
            aliases.setdefault(identity(duplicate.system.name), duplicate.of)
        return cls(aliases | names)

    def resolve(self, text: str) -> str | None:
        """The written name of the system that the text names; None when no row bears it."""
        for form in (text, _NUMBERING.sub("", text), _KIND_NOTE.sub("", text)):
            found = self.names.get(identity(form))
            if found is not None:
                return found
        return None


def split_names(text: str, index: NameIndex) -> list[str]:
    """The single names of a cell. Signs that may belong to a name split it only where no name is broken by that."""
    names: list[str] = []
    for piece in _STRONG.split(text):
        names.extend(_split_piece(piece, index))
    return [
        name
        for name in (written(_NUMBERING.sub("", name)) for name in names)
        if not says_none(name) and name not in _NO_NAME
    ]


def _split_piece(piece: str, index: NameIndex) -> list[str]:
    if index.resolve(piece) is not None:
        return [piece]
    tokens = _WEAK.split(piece)
    parts, names = tokens[::2], []
    start = 0
    while start < len(parts):
        end = _longest_known(tokens, start, index)
        text = "".join(tokens[2 * start : 2 * end - 1])
        names.extend(_split_conjunction(text, index) if end == start + 1 else [text])
        start = end
    return names


def _longest_known(tokens: Sequence[str], start: int, index: NameIndex) -> int:
    """Index after the longest run of parts from `start` that is one known name; one part where none is."""
    count = (len(tokens) + 1) // 2
    for end in range(min(count, start + 5), start + 1, -1):
        if index.resolve("".join(tokens[2 * start : 2 * end - 1])) is not None:
            return end
    return start + 1


def _split_conjunction(text: str, index: NameIndex) -> list[str]:
    if index.resolve(text) is not None:
        return [text]
    for match in _CONJUNCTION.finditer(text):
        left, right = text[: match.start()], text[match.end() :]
        if index.resolve(left) is not None and index.resolve(right) is not None:
            return [left, right]
    return [text]


def resolve(draft: Draft, index: NameIndex) -> tuple[System, list[Finding]]:
    """The draft's system with its dependencies and merge target as written names, and the names nobody bears."""
    if not draft.deps and not draft.merged_into:
        return draft.system, []
    found: list[Finding] = []
    deps: list[str] = []
    for text, cell in draft.deps:
        for name in split_names(text, index):
            target = index.resolve(name)
            if target is None:
                found.append(_unknown(draft, cell, "deps", name))
            elif target not in deps and identity(target) != identity(draft.system.name):
                deps.append(target)
    merged = None
    if draft.merged_into:
        merged = index.resolve(draft.merged_into)
        if merged is None:
            found.append(_unknown(draft, draft.cell("merged_into"), "merged_into", draft.merged_into))
    return replace(draft.system, deps=tuple(deps), merged_into=merged), found


def _unknown(draft: Draft, cell: str, field: str, name: str) -> Finding:
    return findings.unknown_dependency(draft.system.sheet, draft.system.row, cell, field, name[:200])

"""Which rows of one workbook are about the same system: duplicates to confirm, conflicts to settle, tables to join.

`read.read_ledger` calls `settle` once all sheets are read. The rule against false alarms: a name alone never makes a
duplicate. Two rows are proposed as one system only when their names differ by a phase, a version or the spelling of
the department, their departments can be the same, and their data is the same.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from inventory.ledger import findings
from inventory.ledger.cells.text import identity
from inventory.ledger.findings import Finding
from inventory.ledger.systems import Draft
from inventory.model.system import System

_SUFFIX = re.compile(
    r"[(（\[【\-—_·]*(?:第?[一二三四五六七八九十\d]{1,2}期(?:工程|项目|系统|建设|扩建)?|v\d+(?:\.\d+)*版?|\d+(?:\.\d+)+版?|[新旧老]版|升级版|新|旧|升级|扩容|扩建|续建|改版|试用版?|副本|重复|copy)[)）\]】]*$"
)
_PHASE = re.compile(r"[一二三四五六七八九十\d]+期|v?\d+(?:\.\d+)+|v\d+")
# Fields that two different systems seldom share, and those they often share. Dependencies, dispositions and reasons
# are left out: they are what a sender changes when he enters one system twice.
_TELLING = ("golive", "users", "vcpu", "mem_gb", "disk_gb", "cpu_avg_pct", "opex_wan", "servers")
_COMMON = (
    "zone",
    "classified",
    "mlps",
    "arch",
    "os",
    "database",
    "environment",
    "crypto_plan",
    "data_catalog",
    "function",
)
_COMPARED = (
    "zone", "classified", "mlps", "servers", "vcpu", "mem_gb", "disk_gb", "golive", "arch", "users", "zombie",
    "cpu_avg_pct", "opex_wan", "crypto_plan", "data_catalog", "disposition", "should_migrate", "migrated", "gpu",
)  # fmt: skip
_TEXTS = ("function", "environment", "os", "database", "database_instance", "remark", "defer_reason")
_COLUMN_OF = {"mem_gb": "mem", "disk_gb": "disk"}
_SAME_ENOUGH = 0.9
_VIEW_ROWS = 5
_VIEW_SHARE = 0.8
_GROUP_LIMIT = 40
_LEVELS = "区县市省"
_NUMBER = re.compile(r"[\d一二三四五六七八九十]+")
_DISTRICT_PREFIX = re.compile(r"^[\u4e00-\u9fff]{2,4}(区|县|市)(?=[\u4e00-\u9fff]{2})")


@dataclass(frozen=True, slots=True)
class HeldDuplicate:
    """A row that may be another entry of the system named `of`; it counts in nothing until a person confirms."""

    system: System
    of: str


@dataclass(frozen=True, slots=True)
class Settlement:
    """The drafts that are systems, in order; the held rows; the findings of both kinds."""

    systems: list[Draft]
    held: list[HeldDuplicate]
    findings: list[Finding]


def settle(drafts: Iterable[Draft]) -> Settlement:
    """Joins, holds and reports rows about the same system. The first row of a system stands."""
    kept, held, found = _same_names(drafts)
    variants = _variants(kept)
    for draft, of in variants:
        held.append(HeldDuplicate(draft.system, of))
        found.append(findings.possible_duplicate(draft.system.sheet, draft.system.row, draft.cell("name"), of))
    gone = {id(draft) for draft, _ in variants}
    return Settlement([draft for draft in kept if id(draft) not in gone], held, found)


def _same_names(drafts: Iterable[Draft]) -> tuple[list[Draft], list[HeldDuplicate], list[Finding]]:
    """Rows with the same name in the same department: a join, a duplicate, or a conflict."""
    first: dict[tuple[str, str], Draft] = {}
    kept: list[Draft] = []
    repeats: list[tuple[Draft, Draft]] = []
    rows_of_table: Counter[int] = Counter()
    for draft in drafts:
        rows_of_table[draft.table] += 1
        key = (identity(draft.system.name), identity(draft.system.department or ""))
        stands = first.setdefault(key, draft)
        if stands is draft:
            kept.append(draft)
        else:
            repeats.append((stands, draft))
    views = _views(repeats, rows_of_table)
    held: list[HeldDuplicate] = []
    found: list[Finding] = []
    for stands, draft in repeats:
        differing = _differing(stands.system, draft.system)
        if differing:
            found.extend(_conflicts(stands.system, draft, differing))
        elif not (draft.table in views or stands.table in views) and not _only_supplements(stands, draft):
            held.append(HeldDuplicate(draft.system, stands.system.name))
            cell, of = draft.cell("name"), stands.system.name
            found.append(findings.possible_duplicate(draft.system.sheet, draft.system.row, cell, of))
            continue
        _complete(stands, draft)
    return kept, held, found


def _views(repeats: list[tuple[Draft, Draft]], rows_of_table: Counter[int]) -> set[int]:
    """Tables that list again what other tables of the workbook list: a 汇总 sheet beside the sheets it sums up.

    Either the later table repeats nearly all of its rows, or nearly all rows of an earlier one are repeated later.
    """
    again = Counter(draft.table for stands, draft in repeats if draft.table != stands.table)
    before = Counter(stands.table for stands, draft in repeats if draft.table != stands.table)
    return {
        table
        for counts in (again, before)
        for table, count in counts.items()
        if count >= _VIEW_ROWS and count >= _VIEW_SHARE * rows_of_table[table]
    }


def _differing(stands: System, other: System) -> list[str]:
    return [
        name
        for name in _COMPARED
        if getattr(stands, name) is not None
        and getattr(other, name) is not None
        and getattr(stands, name) != getattr(other, name)
    ]


def _only_supplements(stands: Draft, other: Draft) -> bool:
    """True when a row of another table tells other fields of the system than the first: resources on a sheet of their own."""
    if stands.table == other.table:
        return False
    shared = [
        name
        for name in _COMPARED
        if getattr(stands.system, name) is not None and getattr(other.system, name) is not None
    ]
    told = [name for name in _COMPARED if getattr(other.system, name) is not None]
    return len(shared) < 3 or 2 * len(shared) < len(told)


def _complete(stands: Draft, other: Draft) -> None:
    """Fills what the first row leaves unknown from the second."""
    changes: dict[str, Any] = {
        name: getattr(other.system, name)
        for name in (*_COMPARED, *_TEXTS, "ownership", "golive_precision")
        if getattr(stands.system, name) is None and getattr(other.system, name) is not None
    }
    if changes:
        stands.system = replace(stands.system, **changes)
    if not stands.deps:
        stands.deps = other.deps
    stands.merged_into = stands.merged_into or other.merged_into


def _conflicts(stands: System, draft: Draft, differing: list[str]) -> Iterable[Finding]:
    for name in differing:
        cell = draft.cell(_column_of(draft, name))
        claim = (stands.name, _shown(getattr(draft.system, name)), _shown(getattr(stands, name)))
        yield findings.conflict(draft.system.sheet, draft.system.row, cell, name, claim)


def _column_of(draft: Draft, name: str) -> str:
    columns = draft.reader.table.columns
    target = _COLUMN_OF.get(name, name)
    return target if target in columns else "spec"


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "是" if value else "否"
    model = getattr(value, "model", None)
    return f"{model}*{getattr(value, 'count', '')}" if model else str(value)


def _variants(drafts: list[Draft]) -> list[tuple[Draft, str]]:
    """Rows whose name is another row's name with a phase, a version, or the department spelled otherwise."""
    by_base: dict[str, list[Draft]] = defaultdict(list)
    by_core: dict[tuple[object, ...], list[Draft]] = defaultdict(list)
    for draft in drafts:
        system = draft.system
        by_base[base_name(system.name)].append(draft)
        telling = tuple(getattr(system, name) for name in _TELLING)
        if sum(value is not None for value in telling) >= 3:
            by_core[(_core_name(system), *telling)].append(draft)
    held: dict[int, tuple[Draft, str]] = {}
    for group in by_base.values():
        if len(group) > 1:
            _hold_within(group, held)
    for core, group in by_core.items():
        if len(group) > 1 and len(str(core[0])) >= 3:
            _hold_within(group, held)
    return sorted(held.values(), key=lambda pair: drafts.index(pair[0]) if len(drafts) < 5_000 else 0)


def _hold_within(group: list[Draft], held: dict[int, tuple[Draft, str]]) -> None:
    """Holds each row of the group that repeats an earlier one; the name without a suffix is the one that stands."""
    ordered = sorted(group, key=lambda draft: base_name(draft.system.name) != identity(draft.system.name))
    standing: list[Draft] = []
    for draft in ordered:
        if id(draft) in held:
            continue
        twin = next((other for other in standing[:_GROUP_LIMIT] if _same_system(other.system, draft.system)), None)
        if twin is None:
            standing.append(draft)
        else:
            held[id(draft)] = (draft, twin.system.name)


def _same_system(one: System, other: System) -> bool:
    if one.ownership != other.ownership or not same_department(one.department, other.department):
        return False
    telling = [_agrees(one, other, name) for name in _TELLING]
    common = [_agrees(one, other, name) for name in _COMMON]
    known = [agrees for agrees in telling if agrees is not None] * 2 + [
        agrees for agrees in common if agrees is not None
    ]
    share = sum(known) / len(known) if known else 0.0
    # Two phases that both carry their number were listed apart on purpose.
    apart = bool(_phase(one.name)) and bool(_phase(other.name)) and _phase(one.name) != _phase(other.name)
    if apart:
        return share == 1.0 and one.golive is not None and one.golive == other.golive and telling.count(True) >= 4
    if telling.count(True) >= 2:
        return share >= _SAME_ENOUGH
    return share == 1.0 and len(known) >= 4


def _agrees(one: System, other: System, name: str) -> bool | None:
    mine, theirs = getattr(one, name), getattr(other, name)
    return None if mine is None or theirs is None else bool(mine == theirs)


def base_name(name: str) -> str:
    """The name's identity without phase and version: 系统（二期）, 系统V2.0 and 系统 have one base."""
    base = identity(name)
    while (shorter := _SUFFIX.sub("", base)) != base and len(shorter) >= 4:
        base = shorter
    return base


def _phase(name: str) -> str:
    key = identity(name)
    tail = key[len(base_name(name)) :]
    match = _PHASE.search(tail)
    return match[0] if match else ""


def _core_name(system: System) -> str:
    """The base name without the department that it begins with: 教委档案管理系统 of 区教委 -> 档案管理系统."""
    base = base_name(system.name)
    department = iter(identity(system.department or ""))
    length = 0
    for sign in base:
        if not "\u4e00" <= sign <= "\u9fff" or sign not in department:
            break
        length += 1
    return base[length:] if length >= 2 else base


def same_department(one: str | None, other: str | None) -> bool:
    """True when two spellings can be one department: equal, or one abbreviates the other (区教委, 示例区教育委员会)."""
    if one is None or other is None:
        return True
    first, second = (_DISTRICT_PREFIX.sub(r"\1", identity(name)) for name in (one, other))
    if first == second:
        return True
    levels = {name[0] for name in (first, second) if name[:1] in _LEVELS}
    if len(levels) == 2:
        return False
    shorter, longer = sorted((first, second), key=len)
    if len(shorter) < 3 or _NUMBER.findall(first) != _NUMBER.findall(second):
        return False
    signs = iter(longer)
    return all(sign in signs for sign in shorter) or _abbreviates(shorter.lstrip(_LEVELS), longer)


def _abbreviates(shorter: str, longer: str) -> bool:
    signs = iter(longer)
    return len(shorter) >= 2 and all(sign in signs for sign in shorter)

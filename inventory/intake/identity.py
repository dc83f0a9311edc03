"""Which row is which: the key of a row in its sender's file, and which names can be shared by different systems.

A system is known by its department and its name (`inventory.model.system.system_key`). A file that holds two rows
of one key gives the second one "#2": it is a row of its own until a person says what it is. Departments are named
without their district (区交通局), so rows of senders from different districts are never taken for one system.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

from inventory.intake.generic_names import GENERIC_NAMES
from inventory.ledger import LedgerReading
from inventory.model.system import System, system_key
from inventory.store.ledger.rows import Fields, fields_of


@dataclass(frozen=True, slots=True)
class KeyedRow:
    """A row of a reading with its key. `suspected_of` names the system that the parser takes it to repeat."""

    row_key: str
    system: System
    suspected_of: str | None


@dataclass(frozen=True, slots=True)
class SubmittedRow:
    """A row as a sender submits it, in its stored form."""

    row_key: str
    sheet: str
    row: int
    fields: Fields


def keyed_rows(reading: LedgerReading) -> Iterator[KeyedRow]:
    """The rows of a reading, systems first and then those that it holds as possible duplicates."""
    seen: Counter[str] = Counter()
    held = ((one.system, one.of) for one in reading.held)
    for system, suspected_of in chain(((system, None) for system in reading.systems), held):
        key = system_key(system.name, system.department)
        seen[key] += 1
        yield KeyedRow(key if seen[key] == 1 else f"{key}#{seen[key]}", system, suspected_of)


def submitted_rows(reading: LedgerReading) -> Iterator[SubmittedRow]:
    """The rows in their stored form, made one by one as they are asked for."""
    for row in keyed_rows(reading):
        fields = fields_of(row.system, row.suspected_of)
        yield SubmittedRow(row.row_key, row.system.sheet, row.system.row, fields)


def name_key(name: str) -> str:
    """The name for comparison across departments: NFKC, without white space."""
    return "".join(unicodedata.normalize("NFKC", name).split())


def is_generic(name: str) -> bool:
    """True for names that any department may give to a system of its own (门户网站): they identify nothing."""
    return name_key(name).casefold() in GENERIC_NAMES


# 示例区大数据局 -> 示例区, 重庆市渝北区教委 -> 渝北区; not 区教委, 工业园区管委会 or a city's bureau.
_DISTRICT = re.compile(
    r"(?:[\u4e00-\u9fff]{2,6}?(?:省|自治区|市))?"
    r"([\u4e00-\u9fff]{1,4}?(?:新区|(?<![园社校院厂片景林库矿山地战])区|县))(?=[\u4e00-\u9fff])"
)


def district_of(sender: str) -> str | None:
    """The district or county that a sender's name begins with; None where it names none."""
    match = _DISTRICT.match(name_key(sender))
    return None if match is None else match[1]


def is_foreign(one: str, other: str) -> bool:
    """True when two senders are of different districts by their names: they cannot mean the same system."""
    districts = {district_of(one), district_of(other)}
    return len(districts) == 2 and None not in districts

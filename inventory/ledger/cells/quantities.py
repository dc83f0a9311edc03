"""How many people, how much money, what percentage: readings of one number with a unit from cell or heading."""

from __future__ import annotations

import re
from decimal import Decimal

from inventory.ledger.cells.numerals import amount, without_thousands_marks
from inventory.ledger.cells.text import Unreadable, packed, says_none
from inventory.ledger.grid import CalendarDay, Percent, Value

# What may follow a number of users, units of people and how they are counted.
_PEOPLE = re.compile(
    r"(?:[人名户位家个次]|人次|用户|账户|账号|帐号|人员|企业|单位|员工|干部|学生|群众|市民|居民|注册|活跃|在册|实名|左右|以上|以内|以下|上下|"
    r"数|/?日|/?天|/?月|/?年|[()。.,，;；+])*"
)
_PEOPLE_LABEL = re.compile(r"^(?:注册|总|系统|实际|平台|内部|使用|用户|人员|规模|数量?|人数)+[:：]?(?=\D{0,3}\d)")
MONEY_UNITS: dict[str, Decimal] = {
    "亿元": Decimal(10_000),
    "亿": Decimal(10_000),
    "千万元": Decimal(1000),
    "百万元": Decimal(100),
    "十万元": Decimal(10),
    "万元": Decimal(1),
    "万": Decimal(1),
    "千元": Decimal("0.1"),
    "百元": Decimal("0.01"),
    "元": Decimal("0.0001"),
}
_MONEY_TAIL = re.compile(
    r"(亿元?|千万元?|百万元?|十万元?|万元?|千元|百元|元)?(?:人民币|rmb)?(?:整|/?每?年|/?一年|左右|以内|[()。])*",
    re.IGNORECASE,
)
_PERCENT = re.compile(
    r"(?:平均|约为|大约|约|近|不足|低于|小于|高于|超过|~|≈|<=?|>=?|≤|≥)*[:：]?(-?\d+(?:\.\d+)?)(%|％|百分点)?(?:左右|以下|以上|以内)?"
)


def people(value: Value, unit: int = 1) -> int | None:
    """A number of users. `unit` is what the heading counts in: 10000 under 用户数（万人）."""
    if says_none(value):
        return None
    if isinstance(value, bool | CalendarDay | Percent):
        raise Unreadable
    if isinstance(value, int | float):
        return _whole(Decimal(str(value)) * unit)
    text = _PEOPLE_LABEL.sub("", packed(value))
    found = amount(text)
    if found is None or not _PEOPLE.fullmatch(found[1]):
        raise Unreadable
    bare = found[1] == "" and re.fullmatch(r"[\d.,，]+", text)
    return _whole(Decimal(str(found[0])) * (unit if bare else 1))


def _whole(number: Decimal) -> int:
    if number < 0 or number != number.to_integral_value() or number > 10**11:
        raise Unreadable
    return int(number)


def money_wan(value: Value, unit: str) -> float | None:
    """An amount in 万元. `unit` (a key of MONEY_UNITS) holds where the cell names none."""
    if says_none(value):
        return None
    if isinstance(value, bool | CalendarDay | Percent):
        raise Unreadable
    if isinstance(value, int | float):
        return _money(Decimal(str(value)), unit)
    text = without_thousands_marks(packed(value)).lstrip("¥￥$").removeprefix("人民币")
    match = re.fullmatch(r"(?:约|大约|近|共|合计|每年|年|~|≈)*[:：]?(\d+(?:\.\d+)?)(.*)", text)
    tail = _MONEY_TAIL.fullmatch(match[2]) if match else None
    if match is None or tail is None:
        raise Unreadable
    return _money(Decimal(match[1]), tail[1] or unit)


def _money(number: Decimal, unit: str) -> float:
    if number < 0:
        raise Unreadable
    factor = MONEY_UNITS.get(unit) or MONEY_UNITS[unit + "元"]
    return float(round(number * factor, 6))


def percentage(value: Value, plain_is_fraction: bool) -> float | None:
    """A utilisation in percent. `plain_is_fraction` judges a number that carries no percent sign of its own."""
    if says_none(value):
        return None
    if isinstance(value, bool | CalendarDay):
        raise Unreadable
    if isinstance(value, Percent):
        return _percent(Decimal(repr(float(value))) * 100)
    if isinstance(value, int | float):
        return _percent(Decimal(repr(value)) * (100 if plain_is_fraction else 1))
    match = _PERCENT.fullmatch(packed(value))
    if match is None:
        raise Unreadable
    return _percent(Decimal(match[1]) * (100 if plain_is_fraction and not match[2] else 1))


def _percent(number: Decimal) -> float:
    if not 0 <= number <= 100:
        raise Unreadable
    return float(round(number, 4))


def bare_number(value: Value) -> float | None:
    """The number of a cell that is a number and nothing else; what columns are judged by."""
    if isinstance(value, bool | CalendarDay | Percent) or value is None:
        return None
    if isinstance(value, int | float):
        return float(value)
    text = without_thousands_marks(packed(value))
    return float(text) if re.fullmatch(r"\d+(?:\.\d+)?", text) else None

"""Partial dates: the reading keeps as much precision as the sender gave, and adds none."""

from __future__ import annotations

import calendar
import re
from datetime import date

from inventory.ledger.cells.numerals import chinese_number
from inventory.ledger.cells.text import Unreadable, narrow, packed, says_none
from inventory.ledger.grid import CalendarDay, Percent, Value
from inventory.ledger.number_formats import serial_day

PartialDate = tuple[str, str]
"""ISO text cut to its precision, and the precision: ("2021-07", "month")."""

_UNKNOWN = frozenset(
    (
        "长期",
        "永久",
        "常年",
        "在建",
        "未上线",
        "尚未上线",
        "建设中",
        "未建成",
        "试运行",
        "未使用",
        "未投用",
        "已下线",
        "已停用",
    )
)
_CHINESE_DATE = re.compile(
    r"([零〇○一二三四五六七八九]{2,4})年(?:([一二三四五六七八九十]{1,2})月)?(?:([一二三四五六七八九十]{1,3})[日号])?"
)
_MONTHS = {
    name: number
    for number, name in enumerate(
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"], 1
    )
}
_SURROUNDING = re.compile(
    r"^(?:约|大约|于|自|预计)|(?:正式)?(?:上线|建成|投入使用|投用|启用|运行|左右|前后|起|至今|份|初|底|末|中旬|上旬|下旬)+$"
)
_SEPARATED = re.compile(r"(\d{4}|\d{2})[-./年、_](\d{1,2})(?:[-./月、_](\d{1,2}))?[日号月]?")
_YEAR_LAST = re.compile(r"(\d{1,2})[-./](\d{1,2})[-./](\d{4})")
_YEAR = re.compile(r"((?:19|20)\d{2})年?(?:度|(?:上|下)半年|第?[1-4一二三四]季度)?")
_NAMED_MONTH = re.compile(r"(?:(\d{1,2})[-\s]*)?([a-z]{3})[a-z]*[-.,\s]*(\d{4}|\d{2})", re.IGNORECASE)
_TIME_OF_DAY = re.compile(r"[T\s]*\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?$")


def partial_date(value: Value) -> PartialDate | None:
    """("2016-10", "month"), ("2013-12-17", "day"), ("2016", "year"); None where nothing is known."""
    if says_none(value) or packed(value) in _UNKNOWN:
        return None
    if isinstance(value, CalendarDay):
        return _made(value.day.year, value.day.month, value.day.day, value.precision)
    if isinstance(value, bool | Percent):
        raise Unreadable
    if isinstance(value, int | float) and 18_264 <= value <= 73_415:
        serial = serial_day(value)
        if serial is not None:
            return _made(serial.day.year, serial.day.month, serial.day.day, "day")
    return _from_text(_TIME_OF_DAY.sub("", narrow(value)))


def _from_text(spaced: str) -> PartialDate:
    text = spaced.replace(" ", "").replace("—", "-").replace("–", "-").replace("\\", "/").replace("。", ".")
    while (shorter := _SURROUNDING.sub("", text)) != text:
        text = shorter
    if re.fullmatch(r"\d{8}", text):
        return _made(int(text[:4]), int(text[4:6]), int(text[6:]), "day")
    if re.fullmatch(r"(19|20)\d{4}", text):
        return _made(int(text[:4]), int(text[4:]), 1, "month")
    match = _SEPARATED.fullmatch(text.rstrip("-./"))
    if match:
        year, month, day = match.groups()
        return _made(_full_year(year), int(month), int(day or 1), "day" if day else "month")
    match = _YEAR.fullmatch(text)
    if match:
        return _made(int(match[1]), 1, 1, "year")
    return _from_rare_text(text, spaced)


def _from_rare_text(text: str, spaced: str) -> PartialDate:
    match = _YEAR_LAST.fullmatch(text)
    if match:
        return _made(int(match[3]), *_month_and_day(int(match[1]), int(match[2])), "day")
    match = _NAMED_MONTH.fullmatch(spaced)
    if match and match[2].lower() in _MONTHS:
        return _made(
            _full_year(match[3]), _MONTHS[match[2].lower()], int(match[1] or 1), "day" if match[1] else "month"
        )
    match = _CHINESE_DATE.fullmatch(text)
    if match:
        year, month, day = (chinese_number(part) if part else None for part in match.groups())
        full = _full_year(f"{year or 0:02d}")
        return _made(full, month or 1, day or 1, "day" if day else "month" if month else "year")
    raise Unreadable


def _month_and_day(first: int, second: int) -> tuple[int, int]:
    """12/17/2013 and 17/12/2013 read one way only; 5/6/2013 reads two ways and so not at all."""
    if first > 12 >= second or first == second:
        return second, first
    if second > 12 >= first:
        return first, second
    raise Unreadable


def _full_year(digits: str) -> int:
    return int(digits) if len(digits) == 4 else 2000 + int(digits) if int(digits) < 80 else 1900 + int(digits)


def _made(year: int, month: int, day: int, precision: str) -> PartialDate:
    try:
        exact = date(year, month, day)
    except ValueError as error:
        raise Unreadable from error
    if not 1980 <= year <= 2100:
        raise Unreadable
    return exact.isoformat()[: {"year": 4, "month": 7, "day": 10}[precision]], precision


def last_day_of(when: PartialDate) -> date:
    """The last day that a partial date covers: an as-of of 2021年6月 means the 30th."""
    text, precision = when
    if precision == "day":
        return date.fromisoformat(text)
    year, month = int(text[:4]), int(text[5:7]) if precision == "month" else 12
    return date(year, month, calendar.monthrange(year, month)[1])

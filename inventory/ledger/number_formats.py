"""What an Excel number format says about a number: a percentage, a date (to the day, month or year), or neither.

The readers ask, because 0.27 and 27%, or 41625 and 2013-12-17, are the same number in the file.
Source: ECMA-376 part 1, 18.8.30 (built-in ids, and the East Asian ids 27-36 and 50-58).
"""

from __future__ import annotations

import re
from datetime import date, timedelta

from inventory.ledger.grid import CalendarDay, Percent, Value

PLAIN = "plain"
PERCENT = "percent"
_DATE_PRECISIONS = ("day", "month", "year")

_BUILT_IN = (
    dict.fromkeys((9, 10), PERCENT)
    | dict.fromkeys((14, 15, 16, 22, 28, 29, 30, 31, 36, 50, 51, 53, 54, 58), "day")
    | dict.fromkeys((17, 27, 52, 57), "month")
)
_NOT_CODE = re.compile(r'"[^"]*"|\\.|_.|\*.|\[[^\]]*\]')
# Excel's serial 60 is 29 February 1900, a day that never was; ledgers hold no date before it.
_EPOCH_1900 = date(1899, 12, 30)
_EPOCH_1904 = date(1904, 1, 1)


def kind_of_format(number: int, code: str | None) -> str:
    """ "percent", "day", "month", "year" or "plain" for a format id and its custom code, if it has one."""
    if code is None:
        return _BUILT_IN.get(number, PLAIN)
    bare = _NOT_CODE.sub("", code).split(";")[0].lower()
    if "%" in bare:
        return PERCENT
    if "y" in bare or "e年" in code:
        return "day" if "d" in bare else "month" if "m" in bare else "year"
    return PLAIN


def as_shown(number: int | float, kind: str, epoch_1904: bool) -> Value:
    """The number as the sender sees it: a Percent, a CalendarDay, or itself."""
    if kind == PERCENT:
        return Percent(number)
    if kind in _DATE_PRECISIONS:
        return serial_day(number, kind, epoch_1904) or number
    return number


def serial_day(serial: float, precision: str = "day", epoch_1904: bool = False) -> CalendarDay | None:
    """The day of an Excel serial number; None outside 1950..2100, where it is no date of a ledger."""
    if not 18_264 <= serial <= 73_415:
        return None
    return CalendarDay((_EPOCH_1904 if epoch_1904 else _EPOCH_1900) + timedelta(days=int(serial)), precision)

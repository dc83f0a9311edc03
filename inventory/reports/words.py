"""Words of Chinese reports: days, months, numerals of parts. Used by every part of the monthly report."""

from __future__ import annotations

from datetime import date

_DIGITS = "零一二三四五六七八九"
_WEEKDAYS = "一二三四五六日"


def chinese_day(day: date) -> str:
    """2026年11月30日."""
    return f"{day.year}年{day.month}月{day.day}日"


def chinese_weekday(day: date) -> str:
    return f"周{_WEEKDAYS[day.weekday()]}"


def month_words(month: str) -> str:
    """2026-11 -> 11月."""
    return f"{int(month[5:])}月"


def numeral(number: int) -> str:
    """The Chinese numeral of 1..99, as parts of a document are numbered."""
    tens, ones = divmod(number, 10)
    head = "" if tens == 0 else ("十" if tens == 1 else f"{_DIGITS[tens]}十")
    return head + (_DIGITS[ones] if ones else "")


_FIELDS = {
    "ownership": "归属",
    "department": "单位",
    "zone": "网络区域",
    "sheet": "工作表",
    "sender": "填报单位",
    "disposition": "处置方式",
}
_OWNERS = {"all": "全部", "district": "区级", "vertical": "上级垂管", "soe": "国有公司"}


def scope_words(text: str) -> str:
    """`ownership=district,zone=互联网` as 归属：区级，网络区域：互联网."""
    parts = []
    for term in text.split(","):
        name, _, values = term.partition("=")
        shown = "、".join(_OWNERS.get(value, value) for value in values.split("|"))
        parts.append(f"{_FIELDS.get(name, name)}：{shown}")
    return "，".join(parts)

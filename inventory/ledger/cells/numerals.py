"""Numbers that people write: 1,200, 六万, 1.2万, 约300, 300余人. Used by the quantity and capacity readings."""

from __future__ import annotations

import re

_DIGITS = {
    "零": 0,
    "〇": 0,
    "○": 0,
    "一": 1,
    "二": 2,
    "两": 2,
    "三": 3,
    "四": 4,
    "五": 5,
    "六": 6,
    "七": 7,
    "八": 8,
    "九": 9,
}
_TENS = {"十": 10, "百": 100, "千": 1000}
_MYRIADS = {"万": 10**4, "亿": 10**8}
CHINESE_NUMERAL = "[零〇一二两三四五六七八九十百千]"
_WITH_MARKS = re.compile(r"(?<=\d)[,，](?=\d{3}(?!\d))")
_PLAIN = re.compile(r"\d+(?:\.\d+)?")
MULTIPLES = {
    "": 1,
    "百": 100,
    "千": 1000,
    "k": 1000,
    "万": 10**4,
    "w": 10**4,
    "十万": 10**5,
    "百万": 10**6,
    "千万": 10**7,
    "亿": 10**8,
}
_AMOUNT = re.compile(
    r"(?:约为|大约|大概|约|近|共计|共有|共|合计|总计|超过|超|逾|不足|不到|小于|大于|达到?|~|≈|>=?|<=?|≥|≤)*[:：]?"
    r"(?P<number>\d+(?:\.\d+)?)(?P<vague>[余多])?(?P<multiple>十万|百万|千万|[百千万亿kw])?"
    r"(?P<rest>.*)",
    re.IGNORECASE,
)


def without_thousands_marks(text: str) -> str:
    """1,200 -> 1200; a comma that separates nothing by thousands stays."""
    return _WITH_MARKS.sub("", text)


def chinese_number(text: str) -> int | None:
    """十六 -> 16, 三千二百 -> 3200, 二〇二一 -> 2021; None when it is no Chinese numeral."""
    if not text or any(sign not in _DIGITS and sign not in _TENS and sign not in _MYRIADS for sign in text):
        return None
    if all(sign in _DIGITS for sign in text):
        return int("".join(str(_DIGITS[sign]) for sign in text))
    whole = section = digit = 0
    for sign in text:
        if sign in _DIGITS:
            digit = _DIGITS[sign]
        elif sign in _TENS:
            section += (digit or 1) * _TENS[sign]
            digit = 0
        else:
            whole += (section + digit or 1) * _MYRIADS[sign]
            section = digit = 0
    return whole + section + digit


def arabic(text: str) -> str:
    """The text with every Chinese numeral of it in digits: 十六核 -> 16核. 万 and 亿 stay, as units."""
    return re.sub(rf"(?<![\d.]){CHINESE_NUMERAL}+", lambda match: str(chinese_number(match[0])), text)


def amount(text: str) -> tuple[float, str] | None:
    """The one amount that a packed text states, and what follows it: 约6万人 -> (60000, "人").

    None when there is no number in front, or more than one number (a range, two measures).
    """
    match = _AMOUNT.fullmatch(without_thousands_marks(arabic(text)))
    if match is None or _PLAIN.search(match["rest"]):
        return None
    times = MULTIPLES[(match["multiple"] or "").lower()]
    rest = match["rest"].lstrip("余多")
    return float(match["number"]) * times, rest

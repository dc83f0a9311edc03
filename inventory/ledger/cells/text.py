"""Cells as text, cleaned of what keyboards and spreadsheets leave behind. Every other reading starts here."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from inventory.ledger.grid import CalendarDay, Percent, Value


class Unreadable(ValueError):
    """The cell is not empty, and what it says cannot be read without guessing."""


_INVISIBLE = re.compile("[\u200b-\u200f\u2028-\u202e\u2060\ufeff\u00ad]")
_SPACES = re.compile(r"[\s\u00a0\u3000]+")
_LINE_ENDS = re.compile(r"[ \t\u00a0\u3000]*[\r\n\v\f]+[ \t\u00a0\u3000]*")
_WIDE_ALPHANUMERIC = re.compile("[\uff10-\uff19\uff21-\uff3a\uff41-\uff5a]")
_PLACEHOLDERS = frozenset(
    [
        "-",
        "--",
        "---",
        "—",
        "——",
        "–",
        "―",
        "/",
        "//",
        "\\",
        ".",
        "…",
        "……",
        "?",
        "??",
        "*",
        "○",
        "不详",
        "不明",
        "未知",
        "不清楚",
        "不清",
        "不知道",
        "待定",
        "待核实",
        "待核",
        "待补充",
        "待补",
        "待填",
        "待确认",
        "暂无",
        "暂缺",
        "缺",
        "空",
        "空白",
        "n/a",
        "na",
        "none",
        "null",
        "nil",
        "nan",
        "unknown",
        "tbd",
        "不适用",
        "不涉及",
        "无法统计",
        "无法提供",
        "未统计",
        "未填",
        "略",
        "未提供",
    ]
)
_NOTHING = frozenset(["无", "没有", "无。", "(无)", "暂无", "未使用", "未配置", "无需", "不需要"])
DITTO = frozenset(
    ("同上", "同上行", "同上格", "〃", "″", '"', "''", "”", "“", "同前", "々", "ditto", "同上单位", "同上部门")
)


def plain(value: Value) -> str:
    """The value as its sender would read it aloud; "" for an empty cell."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "是" if value else "否"
    if isinstance(value, Percent):
        return f"{round(value * 100, 6):g}%"
    if isinstance(value, CalendarDay):
        return value.day.isoformat()
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    return str(value)


@lru_cache(maxsize=65_536)
def _narrow(text: str) -> str:
    return _SPACES.sub(" ", _INVISIBLE.sub("", unicodedata.normalize("NFKC", text))).strip()


def narrow(value: Value) -> str:
    """NFKC, invisible signs removed, runs of space made one: the form in which values are parsed."""
    return _narrow(plain(value))


@lru_cache(maxsize=65_536)
def _packed(text: str) -> str:
    return _narrow(text).replace(" ", "")


def packed(value: Value) -> str:
    """`narrow` without any space: Chinese does not need them."""
    return _packed(value if value.__class__ is str else plain(value))


@lru_cache(maxsize=262_144)
def _written(text: str) -> str:
    if _WIDE_ALPHANUMERIC.search(text):
        text = unicodedata.normalize("NFKC", text)
    text = _LINE_ENDS.sub("", _INVISIBLE.sub("", text).strip())
    return _SPACES.sub(" ", text).strip()


def written(value: Value) -> str:
    """A name as written: trimmed, line breaks inside joined, NFKC where the cell is full-width.

    Chinese brackets stay as they are: 系统（一期） is how the name is spelled, not a slip of the keyboard.
    """
    return _written(plain(value))


@lru_cache(maxsize=262_144)
def identity(name: str) -> str:
    """What two spellings of one name have in common: NFKC, no spaces, no letter case, no book-title marks."""
    return _packed(name).lower().strip("《》<>「」“”\"'")


def says_nothing(value: Value) -> bool:
    """True for an empty cell and for what people put where they know nothing: unknown, never "no"."""
    if value is None:
        return True
    text = packed(value)
    return not text or text.lower() in _PLACEHOLDERS


def says_none(value: Value) -> bool:
    """True where the cell says that there is nothing (无), or says nothing."""
    return says_nothing(value) or packed(value) in _NOTHING


def is_ditto(value: Value) -> bool:
    """True for 同上 and its signs."""
    return packed(value).lower() in DITTO

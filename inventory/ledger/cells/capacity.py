"""Servers, memory, disks and accelerator cards as departments write them: 16核32G*2台, 500G+1T, 昇腾910B*2."""

from __future__ import annotations

import re
from dataclasses import dataclass

from inventory.ledger.cells.numerals import CHINESE_NUMERAL, chinese_number, without_thousands_marks
from inventory.ledger.cells.text import Unreadable, narrow, packed, says_none
from inventory.ledger.grid import CalendarDay, Percent, Value
from inventory.model.system import AcceleratorDemand

SIZE_UNITS = {"P": 1024.0**2, "T": 1024.0, "G": 1.0, "M": 1 / 1024, "K": 1 / 1024**2}
_SIZE = r"(?P<size>\d+(?:\.\d+)?)(?P<unit>[PTGM])I?B?(?![A-Z])"
# "2 T" is one amount; "6248 16核", "64G CPU16核" and "鲲鹏920 CPU" are two words each.
_SPACE_BEFORE_UNIT = re.compile(r"(?<=\d) (?=[^\d ])(?!CPU)|(?<=[^A-Z\d]) | (?=[^A-Z\d])")
_COUNTED = f"{CHINESE_NUMERAL}+(?=[台核颗路套块张片卡个]|[GT]B?)"
_TOKENS = re.compile(
    r"(?P<whole>共计?|合计|总计|总共)"
    r"|(?P<sockets>\d+)(?:路|颗)"
    r"|(?P<cores>\d+(?:\.\d+)?)(?:VCPUS?|CPUS?|CORES?|核心?|C(?![A-Z])|U(?![A-Z])|V(?![A-Z]))"
    r"|(?:CPU|VCPU|处理器)(?:核数)?[:=为]? ?(?P<labelled>\d+)(?![.\dA-Z])"
    r"|(?:台数|数量)[:=为]?(?P<labelled_count>\d+)"
    r"|(?P<count>\d+)(?:台|个节点|节点|套|个实例|个)"
    r"|[*×X✕╳] ?(?P<times>\d+)(?:台|个节点|节点|套|个)?(?![.\d核CGTM])"
    r"|(?P<prefix>\d+)[*×X✕╳](?=[(\[]?(?:CPU)?\d+(?:核|C|VCPU))"
    r"|(?P<disk>硬盘|磁盘|存储|系统盘|数据盘|SSD|HDD|SAS|云盘)"
    rf"|{_SIZE}"
    r"|(?<=[/\-])(?P<bare>\d+)(?![\dA-Z.*×])"
)
_DISK_TERM = re.compile(
    r"(?:(?P<before>\d+)(?:块|个|片|张)?[*×X]|(?P<pieces>\d+)(?:块|个|片|张))?"
    rf"{_SIZE}(?:[*×X](?P<after>\d+)(?:块|个|片|张)?|(?P<tail>\d+)(?:块|个|片|张))?"
)
_CARDS = (
    re.compile(r"(?P<model>.+?)[*×Xx](?P<count>\d+)(?:张|块|卡|片|个|颗)?", re.IGNORECASE),
    re.compile(r"(?P<count>\d+)(?:张|块|卡|片|个|颗)[*×X]?(?P<model>.+)", re.IGNORECASE),
    re.compile(r"(?P<count>\d+)[*×X](?P<model>.+)", re.IGNORECASE),
    re.compile(r"(?P<model>.+?)[,;:(/](?:共)?(?P<count>\d+)(?:张|块|卡|片|个|颗)\)?"),
    re.compile(r"(?P<model>.*[^\d])(?P<count>\d+) ?(?:张|块|卡|片|个|颗)"),
)


@dataclass(frozen=True, slots=True)
class Machines:
    """What a 服务器配置 cell states. `vcpu`, `mem_gb` and `disk_gb` are totals over `servers`.

    `counted` is False when the cell names no number of servers and describes one.
    """

    servers: int
    vcpu: int | None
    mem_gb: float | None
    disk_gb: float | None
    counted: bool

    def times(self, servers: int) -> Machines:
        """The same machine, `servers` of them; sizes are multiplied."""
        return Machines(
            servers,
            None if self.vcpu is None else self.vcpu * servers,
            None if self.mem_gb is None else self.mem_gb * servers,
            None if self.disk_gb is None else self.disk_gb * servers,
            True,
        )


@dataclass(slots=True)
class _Group:
    """One kind of machine while its tokens are read."""

    count: int | None = None
    cores: float | None = None
    sockets: int = 1
    mem: float | None = None
    disk: float | None = None
    whole: bool = False


def _amount_text(value: Value) -> str:
    if isinstance(value, bool | CalendarDay | Percent):
        raise Unreadable
    text = without_thousands_marks(_SPACE_BEFORE_UNIT.sub("", narrow(value).upper()))
    return re.sub(_COUNTED, lambda match: str(chinese_number(match[0])), text)


def machines(value: Value) -> Machines | None:
    """Servers of one cell: 8C/16G, ４台（３２Ｃ／６４ＧＢ）, CPU32核，内存64G, 16核32G*2台+8核16G."""
    if says_none(value):
        return None
    groups = _groups(_amount_text(value))
    if not any(group.cores is not None or group.mem is not None for group in groups):
        raise Unreadable
    cores = [
        _total(group, group.cores if group.cores is None else group.cores * group.sockets) for group in groups
    ]
    if any(amount is not None and not float(amount).is_integer() for amount in cores):
        raise Unreadable
    return Machines(
        sum(1 if group.count is None else group.count for group in groups),
        None if None in cores else int(sum(amount for amount in cores if amount is not None)),
        _sum([_total(group, group.mem) for group in groups]),
        _sum([_total(group, group.disk) for group in groups]),
        any(group.count is not None for group in groups),
    )


def _total(group: _Group, amount: float | None) -> float | None:
    return amount if amount is None or group.whole or group.count is None else amount * group.count


def _sum(amounts: list[float | None]) -> float | None:
    known = [amount for amount in amounts if amount is not None]
    return sum(known) if len(known) == len(amounts) else None


def _groups(text: str) -> list[_Group]:
    """Splits the tokens into kinds of machine: a new one starts where cores come a second time.

    A count belongs to the machine before it (16核32G*2台) unless the text begins with one (2台16核32G).
    """
    tokens = [(match.lastgroup, match) for match in _TOKENS.finditer(text)]
    leading = next((kind for kind, _ in tokens if kind not in ("whole", "disk")), None) in ("count", "prefix")
    groups = [_Group()]
    for kind, match in tokens:
        group = groups[-1]
        starts_anew = group.cores is not None and (
            kind in ("cores", "labelled", "prefix") or (leading and kind == "count" and group.count is not None)
        )
        if starts_anew:
            group = _Group()
            groups.append(group)
        _take(group, kind or "", match)
    return groups


def _take(group: _Group, kind: str, match: re.Match[str]) -> None:
    # lastgroup names the last group that took part; a size is two groups, of which "unit" is the last.
    if kind == "whole":
        group.whole = group.cores is None
    elif kind == "sockets":
        group.sockets = int(match[kind])
    elif kind in ("cores", "labelled"):
        group.cores = float(match[kind])
    elif kind in ("count", "labelled_count", "times", "prefix"):
        group.count = int(match[kind])
    elif kind == "disk":
        group.disk = group.disk or 0.0
    elif kind == "unit":
        size = float(match["size"]) * SIZE_UNITS[match["unit"]]
        if group.disk is not None or group.mem is not None:
            group.disk = (group.disk or 0.0) + size
        else:
            group.mem = size
    elif kind == "bare" and group.mem is None:
        group.mem = float(match[kind])


def count(value: Value) -> int | None:
    """A number of servers or cores: 2, "2台", "十六核", "16核×2"."""
    if says_none(value):
        return None
    text = _amount_text(value)
    text = re.sub(
        r"(?:VCPUS?|CPUS?|CORES?|核心?数?|C|台|个|节点|套|颗|路|块|张|卡|片|约|共|总计?|合计|[:()])", "", text
    )
    factors = re.split(r"[*×X]", text)
    try:
        numbers = [float(factor) for factor in factors]
    except ValueError as error:
        raise Unreadable from error
    product = 1.0
    for number in numbers:
        product *= number
    if product < 0 or not product.is_integer():
        raise Unreadable
    return int(product)


def size_gb(value: Value, unit: str = "G") -> float | None:
    """An amount of memory or disk in GB: 2T, 500G+1T, 1TB×2, 系统盘100G+数据盘2T. T = 1024 G.

    `unit` (a key of SIZE_UNITS) holds for a number that names none.
    """
    if says_none(value):
        return None
    text = _amount_text(value)
    bare = re.fullmatch(r"(?:约|共|总计?|合计)?(\d+(?:\.\d+)?)", text)
    if bare:
        return float(bare[1]) * SIZE_UNITS[unit]
    whole = 0.0
    found = False
    rest = text
    for match in _DISK_TERM.finditer(text):
        times = int(match["before"] or match["pieces"] or 1) * int(match["after"] or match["tail"] or 1)
        whole += float(match["size"]) * SIZE_UNITS[match["unit"]] * times
        rest = rest.replace(match[0], "", 1)
        found = True
    if not found or re.search(
        r"\d|已用|剩余|使用|~|-|至|%", re.sub(r"RAID\d+|DDR\d|[12]?(?:系统|数据)盘\d?:", "", rest)
    ):
        raise Unreadable
    return whole


def tidy(amount: float | None) -> int | float | None:
    """Whole amounts as integers: 1524.0 -> 1524, 0.5 stays."""
    if amount is None:
        return None
    return int(amount) if float(amount).is_integer() else round(float(amount), 4)


def cards(value: Value, separate_count: int | None = None) -> AcceleratorDemand | None:
    """Accelerator cards: 昇腾910B*2, 2张A800, 寒武纪MLU370×8卡; the number may stand in a column of its own."""
    if says_none(value) or packed(value) in ("0", "否"):
        return None
    if isinstance(value, bool | CalendarDay | Percent):
        raise Unreadable
    text = re.sub(
        f"{CHINESE_NUMERAL}+(?=[张块卡片个颗])", lambda match: str(chinese_number(match[0])), narrow(value)
    )
    text = re.sub(r" ?([*×,;:()/]) ?| ([Xx]) (?=\d)", lambda match: match[1] or match[2], text)
    if separate_count is not None:
        return AcceleratorDemand(text, separate_count) if separate_count else None
    for pattern in _CARDS:
        match = pattern.fullmatch(text)
        if match:
            model = match["model"].strip("()，,;；:：*×/ ")
            if not model or not re.search(r"[A-Za-z\u4e00-\u9fff]", model):
                continue
            number = int(match["count"])
            return AcceleratorDemand(model, number) if number else None
    raise Unreadable

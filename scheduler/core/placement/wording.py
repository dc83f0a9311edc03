"""How amounts and levels are written in reasons, in Chinese and in English. Filters and the pool state use it.

Shortages are rounded up: whoever takes off what the text says has taken off enough.
"""

from __future__ import annotations

from inventory.model.system import Zone
from inventory.model.units import GIB, Resources, format_resources

ZONES_EN = {
    Zone.INTERNET: "internet",
    Zone.EXTRANET: "extranet",
    Zone.INTRANET: "intranet",
    Zone.DEDICATED: "dedicated",
}
LEVELS = ("未定级", "一级", "二级", "三级", "四级")


def zone_en(zone: Zone) -> str:
    """政务外网 (extranet): as pools are told of, and for those who do not read it."""
    return f"{zone} ({ZONES_EN[zone]})"


def level(protection_level: int) -> str:
    """等保 level 0..4 as people write it; any other number as it is."""
    return LEVELS[protection_level] if 0 <= protection_level < len(LEVELS) else str(protection_level)


def fewer_zh(shortage: Resources) -> str:
    """少 2 卡、少 4 核: what would have to be asked less for the rest to fit."""
    return "、".join(f"少 {part}" for part in _parts_zh(shortage))


def less_or_later(asked: Resources, shortage: Resources) -> tuple[str, str]:
    """What helps where a pool has room for less now, in Chinese and English. Who would have to ask for nothing waits."""
    wait_zh, wait_en = "等待释放", "wait until it is free"
    lacks = (
        (asked.cpu_milli, shortage.cpu_milli),
        (asked.memory_bytes, shortage.memory_bytes),
        (asked.disk_bytes, shortage.disk_bytes),
        (asked.accelerator_milli, shortage.accelerator_milli),
    )
    if any(0 < need <= lack for need, lack in lacks):
        return wait_zh, wait_en
    return f"{fewer_zh(shortage)}，或{wait_zh}", f"{fewer_en(shortage)}, or {wait_en}"


def amount_zh(amount: Resources) -> str:
    """2 卡、4 核."""
    return "、".join(_parts_zh(amount))


def fewer_en(shortage: Resources) -> str:
    """2 cards fewer, 4 GiB less memory: the English twin of `fewer_zh`."""
    counted = [f"{part} fewer" for part in _counted_en(shortage)]
    return ", ".join(counted + [f"{size} less {noun}" for size, noun in _sizes_en(shortage)])


def amount_en(amount: Resources) -> str:
    """2 cards, 4 GiB memory: the English twin of `amount_zh`."""
    return ", ".join(_counted_en(amount) + [f"{size} {noun}" for size, noun in _sizes_en(amount)])


def where_short(amount: Resources, shortage: Resources) -> str:
    """`amount` for people, only in the dimensions that are short: the others are beside the point."""
    return format_resources(
        Resources(
            amount.cpu_milli if shortage.cpu_milli else 0,
            amount.memory_bytes if shortage.memory_bytes else 0,
            amount.disk_bytes if shortage.disk_bytes else 0,
            amount.accelerator_milli if shortage.accelerator_milli else 0,
        )
    )


def _parts_zh(amount: Resources) -> list[str]:
    parts = []
    if amount.accelerator_milli:
        parts.append(f"{_thousandths(amount.accelerator_milli)} 卡")
    if amount.cpu_milli:
        parts.append(f"{_thousandths(amount.cpu_milli)} 核")
    if amount.memory_bytes:
        parts.append(f"{_gib(amount.memory_bytes)} GiB 内存")
    if amount.disk_bytes:
        parts.append(f"{_gib(amount.disk_bytes)} GiB 存储")
    return parts


def _counted_en(amount: Resources) -> list[str]:
    counts = ((amount.accelerator_milli, "card"), (amount.cpu_milli, "CPU"))
    return [f"{_thousandths(milli)} {noun}" + ("" if milli == 1000 else "s") for milli, noun in counts if milli]


def _sizes_en(amount: Resources) -> list[tuple[str, str]]:
    sizes = ((amount.memory_bytes, "memory"), (amount.disk_bytes, "disk"))
    return [(f"{_gib(size)} GiB", noun) for size, noun in sizes if size]


def _thousandths(milli: int) -> str:
    return f"{milli // 1000}" if milli % 1000 == 0 else f"{milli / 1000:.3f}".rstrip("0")


def _gib(amount: int) -> str:
    hundredths = -(-amount * 100 // GIB)
    return f"{hundredths / 100:.2f}".rstrip("0").rstrip(".")

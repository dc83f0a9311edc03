"""Resources as integers, and the readings of human quantities into them.

Everything that counts capacity (ledger, planner, scheduler, adapters, simulator) uses this one vector, because
floating-point capacity drifts and drift costs whole points of allocation (docs/architecture.md, decision 9).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, fields

GIB = 1024**3
TIB = 1024**4

_BYTE_UNITS = {
    "": 1, "B": 1,
    "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15,
    "KI": 2**10, "MI": 2**20, "GI": 2**30, "TI": 2**40, "PI": 2**50,
}  # fmt: skip
_QUANTITY = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGTP]?I?)B?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Resources:
    """A non-negative amount of compute: milli-CPU, bytes of memory, bytes of disk, milli-accelerators.

    One whole accelerator card is 1000 milli. Differences may be negative (a shortage); capacities may not.
    """

    cpu_milli: int = 0
    memory_bytes: int = 0
    disk_bytes: int = 0
    accelerator_milli: int = 0

    def __add__(self, other: Resources) -> Resources:
        return Resources(
            self.cpu_milli + other.cpu_milli,
            self.memory_bytes + other.memory_bytes,
            self.disk_bytes + other.disk_bytes,
            self.accelerator_milli + other.accelerator_milli,
        )

    def __sub__(self, other: Resources) -> Resources:
        return self + other * -1

    def __mul__(self, times: int) -> Resources:
        return Resources(
            self.cpu_milli * times,
            self.memory_bytes * times,
            self.disk_bytes * times,
            self.accelerator_milli * times,
        )

    def fits_in(self, capacity: Resources) -> bool:
        """True when no dimension of this amount exceeds the same dimension of `capacity`."""
        return (
            self.cpu_milli <= capacity.cpu_milli
            and self.memory_bytes <= capacity.memory_bytes
            and self.disk_bytes <= capacity.disk_bytes
            and self.accelerator_milli <= capacity.accelerator_milli
        )

    def shortage(self, capacity: Resources) -> Resources:
        """How much is missing in each dimension for this amount to fit in `capacity`; zero where it fits."""
        return Resources(
            max(0, self.cpu_milli - capacity.cpu_milli),
            max(0, self.memory_bytes - capacity.memory_bytes),
            max(0, self.disk_bytes - capacity.disk_bytes),
            max(0, self.accelerator_milli - capacity.accelerator_milli),
        )

    @property
    def is_negative(self) -> bool:
        return any(getattr(self, f.name) < 0 for f in fields(self))

    def dominant_share(self, capacity: Resources) -> float:
        """The largest fraction of `capacity` that this amount takes in any dimension.

        Source: Ghodsi et al., Dominant Resource Fairness, NSDI 2011. Dimensions with no capacity count 0.
        """
        return max(
            (mine / whole)
            for mine, whole in (
                (self.cpu_milli, capacity.cpu_milli),
                (self.memory_bytes, capacity.memory_bytes),
                (self.disk_bytes, capacity.disk_bytes),
                (self.accelerator_milli, capacity.accelerator_milli),
                (0, 1),
            )
            if whole > 0
        )


def total(amounts: Iterable[Resources]) -> Resources:
    result = Resources()
    for amount in amounts:
        result = result + amount
    return result


def parse_bytes(text: str | int) -> int:
    """Bytes of a Kubernetes-style quantity: 512Mi, 64Gi, 1.5T, 1024. Raises ValueError with the rule."""
    match = _QUANTITY.fullmatch(str(text).strip())
    if not match:
        raise ValueError(f"{text!r} is not an amount of bytes; write for example 512Mi, 64Gi or 2Ti")
    number, unit = match.groups()
    return int(float(number) * _BYTE_UNITS[unit.upper()])


def parse_cpu(text: str | float) -> int:
    """Milli-CPU of 4, 0.5 or 500m. Raises ValueError with the rule."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(m?)", str(text).strip())
    if not match:
        raise ValueError(f"{text!r} is not an amount of CPU; write cores (4, 0.5) or milli-cores (500m)")
    number, milli = match.groups()
    return int(float(number)) if milli else int(float(number) * 1000 + 0.5)


def format_resources(amount: Resources) -> str:
    """Short text for people, in the order CPU, memory, disk, cards; zero dimensions are left out."""
    parts = []
    if amount.cpu_milli:
        parts.append(f"{amount.cpu_milli / 1000:g} CPU")
    if amount.memory_bytes:
        parts.append(f"{amount.memory_bytes / GIB:g} GiB")
    if amount.disk_bytes:
        parts.append(f"{amount.disk_bytes / GIB:g} GiB 存储/disk")
    if amount.accelerator_milli:
        parts.append(f"{amount.accelerator_milli / 1000:g} 卡/cards")
    return " · ".join(parts) or "0"


def percent_half_up(numerator: int, denominator: int, places: int = 1) -> float | None:
    """numerator/denominator in percent, rounded half up to `places` decimals; None for a denominator of 0.

    Half up, as Chinese reports round (97.25 -> 97.3); Python's round() would go to the even neighbour.
    """
    if denominator == 0:
        return None
    scale = int(10**places)
    rounded = (2 * 100 * scale * numerator + denominator) // (2 * denominator)
    return rounded / scale

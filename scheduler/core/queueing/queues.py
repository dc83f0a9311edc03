"""Queues (队列) as a tree: city, district, department, system; each with its share, its quota and its budget.

A queue is named by its path, `市/区/单位/系统`. A path that nobody defined becomes a leaf below its longest defined
prefix (or at the top), with weight 1 and no quota of its own, so that a new system can submit before anybody has
thought of it, and still counts against its department. Workloads wait in leaves: what is submitted to a defined
queue itself waits in a leaf of its own, beside that queue's children.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from inventory.model.units import Resources

# In any dimension: no maximum is set.
UNLIMITED: Final = 1 << 62
NO_LIMIT: Final = Resources(UNLIMITED, UNLIMITED, UNLIMITED, UNLIMITED)
ROOT: Final = -1


@dataclass(frozen=True, slots=True)
class Budget:
    """Normalised card-hours a queue and those below it may use in one period; periods follow one another.

    `card_milli_ms` counts thousandths of a normal card times milliseconds. Periods are `period_ms` long and begin
    at `starts_ms` (UTC milliseconds since 1970) and every period after.
    """

    card_milli_ms: int
    period_ms: int
    starts_ms: int = 0

    def period_start(self, now_ms: int) -> int:
        return self.starts_ms + (now_ms - self.starts_ms) // self.period_ms * self.period_ms


@dataclass(frozen=True, slots=True)
class QueueSpec:
    """One queue as defined.

    `weight` divides what siblings compete for. `guaranteed` is what the queue gets whenever it asks, if need be by
    preemption of those who borrow. `lendable` is how much of it others may borrow while it lies idle (None: all).
    `maximum` is never exceeded; the difference to `guaranteed` is what the queue may borrow. A queue that is not
    `preemptible` lends nothing back: its runs are never victims.
    """

    path: str
    weight: int = 1
    guaranteed: Resources = field(default_factory=Resources)
    lendable: Resources | None = None
    maximum: Resources = NO_LIMIT
    budget: Budget | None = None
    preemptible: bool = True

    @property
    def withheld(self) -> Resources:
        """What of the guarantee is not lent even when it lies idle."""
        return Resources() if self.lendable is None else self.guaranteed.shortage(self.lendable)


class QueueTree:
    """Queues by number. Numbers are given once: the tree only grows, parents before their children."""

    def __init__(self, specs: Iterable[QueueSpec] = (), half_life_ms: int = 0) -> None:
        """`half_life_ms`: how long ago use counts half as much in the fair shares; 0: only present use counts.

        Raises ValueError for a path that is defined twice and where children are guaranteed more than their parent
        may ever have.
        """
        self.half_life_ms = half_life_ms
        self.specs: list[QueueSpec] = []
        self.parents: list[int] = []
        self._paths: list[tuple[int, ...]] = []
        self._defined: dict[str, int] = {}
        self._leaves: dict[str, int] = {}
        defined: dict[str, QueueSpec] = {}
        for spec in specs:
            if spec.path in defined:
                raise ValueError(f"队列 {spec.path} 定义了两次 / queue {spec.path} is defined twice; keep one")
            defined[spec.path] = spec
        inner = {prefix for path in defined for prefix in _prefixes(path)}
        for path in sorted(inner | defined.keys(), key=lambda p: (p.count("/"), p)):
            spec = defined.get(path) or QueueSpec(path)
            _require_valid(spec)
            prefixes = _prefixes(path)
            self._add(spec, self._defined[prefixes[-1]] if prefixes else ROOT)
            self._defined[path] = len(self.specs) - 1
        self._require_guarantees_fit()

    def __len__(self) -> int:
        return len(self.specs)

    def name(self, number: int) -> str:
        return self.specs[number].path

    def leaf(self, path: str) -> int:
        """The number of the queue in which workloads submitted to this path wait; made when it is new."""
        known = self._leaves.get(path)
        if known is None:
            above = (*_prefixes(path), path)
            parent = next((self._defined[p] for p in reversed(above) if p in self._defined), ROOT)
            known = self._leaves[path] = self._add(QueueSpec(path), parent)
        return known

    def number(self, path: str) -> int | None:
        """The number of a queue that is defined, or else of the leaf in which such workloads wait."""
        return self._defined.get(path, self._leaves.get(path))

    def is_defined(self, path: str) -> bool:
        """The path was defined, or stands above one that was."""
        return path in self._defined

    def path_of(self, number: int) -> tuple[int, ...]:
        """The queue and its ancestors, the queue first."""
        return () if number == ROOT else self._paths[number]

    def is_within(self, number: int, ancestor: int) -> bool:
        return ancestor in self.path_of(number)

    def _add(self, spec: QueueSpec, parent: int) -> int:
        self.specs.append(spec)
        self.parents.append(parent)
        self._paths.append((len(self._paths), *self.path_of(parent)))
        return len(self.specs) - 1

    def _require_guarantees_fit(self) -> None:
        below: dict[int, Resources] = {}
        for number, spec in enumerate(self.specs):
            parent = self.parents[number]
            below[parent] = below.get(parent, Resources()) + spec.guaranteed
        for parent, promised in below.items():
            if parent != ROOT and not promised.fits_in(self.specs[parent].maximum):
                path = self.specs[parent].path
                raise ValueError(
                    f"队列 {path} 的下级保障配额之和大于其最大配额 / the queues below {path} are guaranteed more than "
                    "its maximum; lower their guaranteed or raise the maximum"
                )


def _require_valid(spec: QueueSpec) -> None:
    if not spec.path or any(not part.strip() for part in spec.path.split("/")):
        raise ValueError(
            f"队列路径 {spec.path!r} 无效，应形如 市/区/单位/系统 / queue path {spec.path!r} is not of the form "
            "city/district/department/system"
        )
    if spec.weight < 1:
        raise ValueError(
            f"队列 {spec.path} 的权重 {spec.weight} 无效，应为不小于 1 的整数 / "
            f"queue {spec.path} has weight {spec.weight}; give 1 or more"
        )
    if not spec.guaranteed.fits_in(spec.maximum):
        raise ValueError(
            f"队列 {spec.path} 的保障配额大于最大配额 / queue {spec.path} guarantees more than its maximum; "
            "lower guaranteed or raise maximum"
        )


def _prefixes(path: str) -> list[str]:
    """市/区 and 市 of 市/区/单位, the shortest first."""
    parts = path.split("/")
    return ["/".join(parts[:length]) for length in range(1, len(parts))]

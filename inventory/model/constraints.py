"""What a workload may ask of nodes beyond amounts, and what a node says of itself: the words of both sides.

`Requirements` and `Node` are made of these; the pool state judges them (`scheduler.core.placement.node_table` and
`topology`). A *topology key* names how nodes fall into domains: "node" (each its own), "rack", "pool" (one domain),
or any node label (each value one domain; a node without the label is in none).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

Labels = frozenset[tuple[str, str]]  # name and value

NODE, RACK, POOL = "node", "rack", "pool"
ANY = "*"  # a toleration of every taint


def labels(of: Mapping[str, str] | Iterable[tuple[str, str]] = ()) -> Labels:
    return frozenset(of.items() if isinstance(of, Mapping) else of)


class AcceleratorKind(StrEnum):
    """Families of accelerator cards whose programs are built with one toolkit."""

    ASCEND = "昇腾"
    CAMBRICON = "寒武纪"
    HYGON = "海光"
    KUNLUN = "昆仑芯"
    MOORE_THREADS = "摩尔线程"
    METAX = "沐曦"
    ILUVATAR = "天数智芯"
    BIREN = "壁仞"
    ENFLAME = "燧原"
    NVIDIA = "NVIDIA"

    @classmethod
    def of_model(cls, model: str) -> AcceleratorKind | None:
        """The family of a card model by how its makers begin their names; None for a name that none of them uses."""
        name = model.upper().replace("-", "").replace(" ", "")
        for kind, beginnings in _BEGINNINGS.items():
            if name.startswith(beginnings):
                return kind
        return None


_BEGINNINGS: Mapping[AcceleratorKind, tuple[str, ...]] = {
    AcceleratorKind.ASCEND: ("ASCEND", "ATLAS", "昇腾"),
    AcceleratorKind.CAMBRICON: ("MLU", "CAMBRICON", "寒武纪"),
    AcceleratorKind.HYGON: ("DCU", "K100", "Z100", "BW1000", "HYGON", "海光"),
    AcceleratorKind.KUNLUN: ("KUNLUN", "P800", "R200", "R300", "昆仑"),
    AcceleratorKind.MOORE_THREADS: ("MTT", "摩尔"),
    AcceleratorKind.METAX: ("METAX", "C500", "C550", "沐曦"),
    AcceleratorKind.ILUVATAR: ("ILUVATAR", "BI150", "BIV100", "MRV", "天数"),
    AcceleratorKind.BIREN: ("BIREN", "BR100", "BR104", "BR106", "壁仞"),
    AcceleratorKind.ENFLAME: ("ENFLAME", "S60", "T20", "I20", "燧原"),
    AcceleratorKind.NVIDIA: (
        *("NVIDIA", "TESLA", "RTX", "GEFORCE", "A10", "A30", "A40", "A100", "A800", "H20", "H100", "H200", "H800"),
        *("B100", "B200", "B300", "GB200", "L4", "L20", "L40", "P4", "P40", "P100", "T4", "V100"),
    ),
}


class SelectorOperator(StrEnum):
    """How a selector reads the node label that it names."""

    IN = "in"
    NOT_IN = "not_in"  # a node without the label is taken too
    EXISTS = "exists"
    DOES_NOT_EXIST = "does_not_exist"


@dataclass(frozen=True, slots=True)
class NodeSelector:
    """A rule about one node label. `values` is empty for the two operators of existence."""

    key: str
    operator: SelectorOperator
    values: frozenset[str] = frozenset()

    def accepts(self, of_node: Mapping[str, str]) -> bool:
        value = of_node.get(self.key)
        match self.operator:
            case SelectorOperator.IN:
                return value in self.values
            case SelectorOperator.NOT_IN:
                return value not in self.values
            case SelectorOperator.EXISTS:
                return value is not None
            case SelectorOperator.DOES_NOT_EXIST:
                return value is None

    def __str__(self) -> str:
        values = "|".join(sorted(self.values))
        match self.operator:
            case SelectorOperator.IN:
                return f"{self.key}={values}"
            case SelectorOperator.NOT_IN:
                return f"{self.key}≠{values}"
            case SelectorOperator.EXISTS:
                return self.key
            case SelectorOperator.DOES_NOT_EXIST:
                return f"!{self.key}"


@dataclass(frozen=True, slots=True)
class Taint:
    """A node with a taint takes only tasks that tolerate it. Tasks that are there already stay."""

    key: str
    value: str = ""

    def __str__(self) -> str:
        return f"{self.key}={self.value}" if self.value else self.key


@dataclass(frozen=True, slots=True)
class Toleration:
    """Tolerates taints of this key ("*": of every key) and, where `value` is not empty, only of this value."""

    key: str
    value: str = ""

    def covers(self, taint: Taint) -> bool:
        return self.key in (ANY, taint.key) and self.value in ("", taint.value)


@dataclass(frozen=True, slots=True)
class Affinity:
    """Each task goes to a domain where tasks that carry all of `labels` run; with `anti` to one where none does.

    Anti-affinity works in both directions: a task that carries the labels is also kept away from a domain where a
    task with the rule runs. Affinity to labels that the workload itself carries is fulfilled by its first task.
    """

    labels: Labels
    topology: str = NODE
    anti: bool = False


@dataclass(frozen=True, slots=True)
class Spread:
    """Between two domains of `topology` the numbers of tasks differ by at most `max_skew`.

    Domains are those of the nodes that suit the workload. Its own tasks count, and running ones that carry all of its
    placement labels (where it has any).
    """

    topology: str
    max_skew: int = 1


@dataclass(frozen=True, slots=True)
class InputPlace:
    """Data that a workload reads: where it lies (the id of a pool, its region or its hub), and how much it is."""

    place: str
    size_bytes: int

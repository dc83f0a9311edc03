"""The nodes of one pool as arrays: what they are, what they offer when empty, and which of them suit a run.

`PoolState` builds one whenever the nodes change; positions are those of the arrays. Nodes that are equal in everything
that filters look at have one *trait*, so that a filter is asked once a trait and not once a node.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from inventory.model.constraints import NODE, POOL, RACK, AcceleratorKind, Labels, NodeSelector, Taint, Toleration
from inventory.model.placement import ReasonCode
from inventory.model.pool import Node
from inventory.model.system import Architecture
from inventory.model.units import Resources
from inventory.model.workload import Requirements
from scheduler.core.placement.kernels.arrays import FreeColumns, empty_free
from scheduler.core.placement.policies.encode import MAX_CARDS, Int32s, Int64s, NodeColumns
from scheduler.core.placement.policies.shape import WHOLE_CARD, Scale

Flags = npt.NDArray[np.bool_]
Marks = npt.NDArray[np.uint8]
DIMENSIONS = 3  # milli-CPU, bytes of memory, milli-accelerators; disk is shared by the pool


@dataclass(frozen=True, slots=True)
class Trait:
    """What filters look at in a node. A node that is not `listed` by its adapter any more suits nobody."""

    arch: Architecture
    accelerator: str | None
    labels: Labels
    taints: frozenset[Taint]
    is_listed: bool
    is_cordoned: bool


@dataclass(frozen=True, slots=True)
class Wish:
    """What of a run's requirements filters compare with traits."""

    architectures: frozenset[Architecture]
    accelerator: str | None
    accelerator_kind: AcceleratorKind | None
    selectors: frozenset[NodeSelector]
    tolerations: frozenset[Toleration]

    @classmethod
    def of(cls, asked: Requirements) -> Wish:
        return cls(
            asked.architectures, asked.accelerator, asked.accelerator_kind, asked.node_selectors, asked.tolerations
        )

    def refused_by(self, trait: Trait) -> ReasonCode | None:
        """The first filter that refuses nodes of this trait, in the order in which people read reasons."""
        if not trait.is_listed:
            return ReasonCode.UNREACHABLE
        if self.architectures and not any(build.runs_on(trait.arch) for build in self.architectures):
            return ReasonCode.ARCHITECTURE
        if self.accelerator is not None and trait.accelerator != self.accelerator:
            return ReasonCode.ACCELERATOR
        if self.accelerator_kind is not None and not _is_of_kind(trait.accelerator, self.accelerator_kind):
            return ReasonCode.ACCELERATOR
        if self.selectors:
            values = dict(trait.labels)
            if not all(selector.accepts(values) for selector in self.selectors):
                return ReasonCode.NODE_SELECTOR
        if any(not any(covering.covers(taint) for covering in self.tolerations) for taint in trait.taints):
            return ReasonCode.TAINTED
        return ReasonCode.CORDONED if trait.is_cordoned else None


def _is_of_kind(model: str | None, kind: AcceleratorKind) -> bool:
    return model is not None and AcceleratorKind.of_model(model) is kind


class NodeTable:
    """Nodes in the order of their ids. `gone` names nodes that no adapter lists and runs still hold: they offer
    nothing and suit nobody. No node has more than MAX_CARDS cards (`refuse_too_many_cards`)."""

    def __init__(self, nodes: Mapping[str, Node], gone: Iterable[str]) -> None:
        self.ids = sorted({*nodes, *gone})
        self.position = {node_id: i for i, node_id in enumerate(self.ids)}
        listed = [nodes.get(node_id) for node_id in self.ids]
        offers = [node.allocatable if node else Resources() for node in listed]
        self.allocatable: Int64s = np.array(
            [
                [r.cpu_milli for r in offers],
                [r.memory_bytes for r in offers],
                [r.accelerator_milli for r in offers],
            ],
            dtype=np.int64,
        ).reshape(DIMENSIONS, len(offers))
        traits: dict[Trait, int] = {}
        self._racks = [node.rack if node else "" for node in listed]
        trait = [traits.setdefault(_trait(node), len(traits)) for node in listed]
        self.traits = tuple(traits)
        self.models = {model: i for i, model in enumerate(sorted({t.accelerator or "" for t in self.traits}))}
        self.columns = self._columns(trait)
        self.is_open: Flags = self._by_trait(lambda t: t.is_listed and not t.is_cordoned)
        # What open nodes offer in all, and the element-wise maximum over all nodes: (3) each.
        self.sums = self.allocatable[:, self.is_open].sum(axis=1), self.allocatable.max(axis=1, initial=0)
        self._refused_by: dict[Wish, tuple[ReasonCode | None, ...]] = {}
        self._domains: dict[str, Int32s] = {}

    def _columns(self, trait: list[int]) -> NodeColumns:
        cpu, memory, milli = self.allocatable
        cards = -(-milli // WHOLE_CARD)
        traits = np.array(trait, dtype=np.int64)
        model_of = np.array([self.models[t.accelerator or ""] for t in self.traits], dtype=np.int64)
        model = model_of[traits] if len(traits) else traits
        table = np.stack([cpu, memory, milli, traits], axis=1)
        kind = np.unique(table, axis=0, return_inverse=True)[1].astype(np.int64).reshape(-1)
        return NodeColumns(cpu.copy(), memory.copy(), cards, model, traits, kind)

    def empty(self) -> FreeColumns:
        """Everything free. The last card of a node may be a part of one."""
        free = empty_free(self.columns)
        milli = self.allocatable[2]
        for n in np.flatnonzero(milli % WHOLE_CARD).tolist():
            free.cards[n, self.columns.cards[n] - 1] = milli[n] % WHOLE_CARD
            free.idle[n] = milli[n]
            free.whole[n] -= 1
        return free

    @property
    def scale(self) -> Scale:
        """As `encode.scale_of`; the card scale counts whole cards."""
        milli: dict[str, int] = dict.fromkeys(self.models, 0)
        names = list(self.models)
        for model, cards in zip(self.columns.model.tolist(), self.columns.cards.tolist(), strict=True):
            milli[names[model]] += cards * WHOLE_CARD
        largest = self.allocatable.max(axis=1, initial=1)
        return Scale(
            cpu_milli=int(largest[0]),
            card_milli=int(max(1, self.columns.cards.max(initial=0) * WHOLE_CARD)),
            model_milli=tuple(sorted(milli.items())),
            memory=int(largest[1]),
        )

    def refused_by(self, asked: Requirements) -> tuple[ReasonCode | None, ...]:
        """By trait, the filter that refuses it; kept, because runs of few kinds ask again and again."""
        wish = Wish.of(asked)
        found = self._refused_by.get(wish)
        if found is None:
            found = self._refused_by[wish] = tuple(wish.refused_by(trait) for trait in self.traits)
        return found

    def suits(self, asked: Requirements) -> Marks:
        """(traits) 1 where no filter refuses."""
        return np.array([code is None for code in self.refused_by(asked)], dtype=np.uint8)

    def refused_nodes(self, asked: Requirements) -> dict[ReasonCode | None, Flags]:
        """The nodes that each filter is the first to refuse; under None those that suit."""
        by_trait = self.refused_by(asked)
        codes = dict.fromkeys([*by_trait, None])
        return {
            code: np.array([one is code for one in by_trait], dtype=np.bool_)[self.columns.trait]
            if self.traits
            else np.zeros(0, dtype=np.bool_)
            for code in codes
        }

    def domains(self, topology: str) -> Int32s:
        """(n) the number of each node's domain, by the order of the domains' names; -1 for a node in none."""
        found = self._domains.get(topology)
        if found is None:
            if topology == NODE:
                found = np.arange(len(self.ids), dtype=np.int32)
            elif topology == POOL:
                found = np.zeros(len(self.ids), dtype=np.int32)
            else:
                found = self._named_domains(topology)
            self._domains[topology] = found
        return found

    def _named_domains(self, topology: str) -> Int32s:
        if topology == RACK:
            names = self._racks
        else:
            values = [dict(trait.labels).get(topology, "") for trait in self.traits]
            names = [values[t] for t in self.columns.trait.tolist()]
        number = {name: i for i, name in enumerate(sorted(set(names) - {""}))}
        return np.array([number.get(name, -1) for name in names], dtype=np.int32)

    def _by_trait(self, rule: Callable[[Trait], bool]) -> Flags:
        holds = np.array([rule(trait) for trait in self.traits], dtype=np.bool_)
        return holds[self.columns.trait] if len(holds) else np.zeros(0, dtype=np.bool_)


def _trait(node: Node | None) -> Trait:
    if node is None:
        return Trait(Architecture.X86_64, None, frozenset(), frozenset(), False, False)
    return Trait(node.arch, node.accelerator, node.labels, node.taints, True, node.cordoned)


def refuse_too_many_cards(nodes: Iterable[Node]) -> None:
    """Raises ValueError for a node with more cards than placement can tell apart."""
    for node in nodes:
        if node.allocatable.accelerator_milli > MAX_CARDS * WHOLE_CARD:
            cards = -(-node.allocatable.accelerator_milli // WHOLE_CARD)
            raise ValueError(
                f"节点 {node.node_id} 有 {cards} 张卡，最多 {MAX_CARDS} 张，请拆分节点 / node {node.node_id} has "
                f"{cards} cards; at most {MAX_CARDS} can be placed on: divide the node"
            )

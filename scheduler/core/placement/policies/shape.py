"""What one task asks of a node and what a node has free, with the rule of fitting. The words of all policies.

Policies read these values, the plain run (`plain_run.py`) changes them, `encode.py` turns them into the arrays of
the kernels. Pure integers: milli-CPU, a memory unit that the caller chooses (MiB in the openb trace), milli-cards.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

WHOLE_CARD = 1000  # milli


@dataclass(frozen=True, slots=True)
class TaskShape:
    """What a task asks: CPU and memory, and either a share of one card or whole cards of one node.

    `cards` 0: no card. `cards` 1 with `card_milli` below 1000: that share of one card. Otherwise `cards` wholly
    free cards of one node, `card_milli` 1000. `models` None: any card model; an empty set: none will do.
    """

    cpu_milli: int
    memory: int
    cards: int = 0
    card_milli: int = 0
    models: frozenset[str] | None = None

    @property
    def shares_card(self) -> bool:
        return self.cards == 1 and self.card_milli < WHOLE_CARD

    @property
    def total_card_milli(self) -> int:
        return self.cards * self.card_milli

    def suits(self, model: str) -> bool:
        """Whether a node with this card model may take the task; a task without cards runs on any node."""
        return self.cards == 0 or self.models is None or model in self.models


@dataclass(frozen=True, slots=True)
class NodeFree:
    """One node at one moment: what it could ever give, and what is free.

    `free_cards`: free milli of each card, in the order of the cards. `held`: how many tasks of each card class
    (see `card_class`) the node holds now, in the order of `CARD_CLASSES`.
    """

    cpu_capacity: int
    memory_capacity: int
    model: str
    free_cpu: int
    free_memory: int
    free_cards: tuple[int, ...]
    held: tuple[int, ...] = (0, 0, 0, 0, 0)

    @classmethod
    def empty(cls, cpu: int, memory: int, cards: int, model: str) -> NodeFree:
        return cls(cpu, memory, model, cpu, memory, (WHOLE_CARD,) * cards)

    @property
    def idle_milli(self) -> int:
        return sum(self.free_cards)

    @property
    def whole_free_cards(self) -> int:
        return sum(free == WHOLE_CARD for free in self.free_cards)

    @property
    def is_untouched(self) -> bool:
        """No card is in use; CPU may be."""
        return self.whole_free_cards == len(self.free_cards)


@dataclass(frozen=True, slots=True)
class Scale:
    """A pool as policies need to know it. `cpu_milli`, `card_milli`, `memory`: its largest node; scores divide by it,
    so that all weigh alike. `model_milli`: the milli-cards of the whole pool by card model."""

    cpu_milli: int
    card_milli: int
    model_milli: tuple[tuple[str, int], ...] = ()
    memory: int = 1


CARD_CLASSES = ("shared", "1", "2", "4", "other")  # what the clustering policy keeps apart


def card_class(task: TaskShape) -> int:
    """Position in `CARD_CLASSES` of a task that asks for cards."""
    if task.shares_card:
        return 0
    return {1: 1, 2: 2, 4: 3}.get(task.cards, 4)


def fits(task: TaskShape, node: NodeFree) -> bool:
    """Whether the task can start on the node now."""
    if task.cpu_milli > node.free_cpu or task.memory > node.free_memory or not task.suits(node.model):
        return False
    return sum(free >= task.card_milli for free in node.free_cards) >= task.cards


def tightest_card(task: TaskShape, node: NodeFree) -> int:
    """The card with the least free milli that still holds the share; of equals the lowest. -1: no card fits."""
    fitting = [(free, i) for i, free in enumerate(node.free_cards) if free >= task.card_milli]
    return min(fitting)[1] if fitting else -1


def put(task: TaskShape, node: NodeFree, card: int) -> tuple[NodeFree, int]:
    """The node with the task on it, and the cards that it took as a bit mask.

    A share goes to `card`; whole cards are the lowest wholly free ones, whatever `card` says.
    """
    taken: list[int] = []
    if task.shares_card:
        taken = [card]
    elif task.cards:
        taken = [i for i, free in enumerate(node.free_cards) if free == WHOLE_CARD][: task.cards]
    cards = tuple(free - task.card_milli if i in taken else free for i, free in enumerate(node.free_cards))
    held = node.held
    if task.cards:
        mine = card_class(task)
        held = tuple(n + (i == mine) for i, n in enumerate(held))
    after = replace(
        node,
        free_cpu=node.free_cpu - task.cpu_milli,
        free_memory=node.free_memory - task.memory,
        free_cards=cards,
        held=held,
    )
    return after, sum(1 << i for i in taken)


def release(task: TaskShape, node: NodeFree, mask: int) -> NodeFree:
    """The node without a task that holds the cards of `mask` there: `put` undone."""
    held = node.held
    if task.cards:
        mine = card_class(task)
        held = tuple(n - (i == mine) for i, n in enumerate(held))
    return replace(
        node,
        free_cpu=node.free_cpu + task.cpu_milli,
        free_memory=node.free_memory + task.memory,
        free_cards=tuple(free + task.card_milli * (mask >> i & 1) for i, free in enumerate(node.free_cards)),
        held=held,
    )

"""What a placement policy answers. A new policy is one file with such a class, and one line in `registry.py`."""

from __future__ import annotations

from typing import Protocol

from scheduler.core.placement.policies.shape import NodeFree, TaskShape, tightest_card

MAX_SCORE = 100


class Policy(Protocol):
    """Ranks the nodes that fit. Pure: the same task and node give the same answer."""

    def score(self, task: TaskShape, node: NodeFree) -> int:
        """0 (worst) or more; asked only for nodes on which the task fits.

        The task goes to the node with the highest score, and of equals to the first in the run's node order.
        Integers on purpose: near-equal nodes must tie, or floating noise decides (it costs points of allocation).
        """

    def card(self, task: TaskShape, node: NodeFree) -> int:
        """The card for a task that shares one."""


class TightestCard:
    """The choice of card that most policies share: the tightest fit, of equals the lowest."""

    def card(self, task: TaskShape, node: NodeFree) -> int:
        return tightest_card(task, node)

"""The order in which the drafts of one transaction are recorded: as few runs of one kind as causality allows.

The store applies consecutive events of one kind together, as one statement with many rows. Calls that are decided
one after the other give kinds in turns (a run ended, its workload succeeded, a run ended, ...), and each turn
would cost a statement of its own: ten times the time of the whole commit. The writer therefore lets drafts that
have nothing to do with each other pass each other.

What never changes places: drafts of one subject, drafts of one decision, and a submission with what was recorded
of the workloads that it waits for. So the result is the same, and watchers never see an effect before its cause.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable

from inventory.store.chain import Draft


class RecordingOrder:
    """Takes the drafts of decisions, in the order in which these were made."""

    def __init__(self) -> None:
        self._turns: list[list[Draft]] = []
        self._turns_of_kind: dict[str, list[int]] = {}
        self._last_turn_of: dict[str, int] = {}

    def add(self, drafts: Iterable[Draft], causes: Iterable[str] = ()) -> None:
        """The drafts of one decision, in order. `causes` are subjects whose earlier drafts they must follow."""
        last_turn_of = self._last_turn_of
        earliest = 0
        for subject in causes:
            earliest = max(earliest, last_turn_of.get(subject, 0))
        for draft in drafts:
            subject = draft.subject
            earliest = self._turn(draft.kind, max(earliest, last_turn_of.get(subject, 0)))
            self._turns[earliest].append(draft)
            last_turn_of[subject] = earliest

    def drafts(self) -> list[Draft]:
        return [draft for turn in self._turns for draft in turn]

    def _turn(self, kind: str, earliest: int) -> int:
        """The first turn of this kind that is not before `earliest`; a new one at the end, where there is none."""
        turns = self._turns_of_kind.setdefault(kind, [])
        if turns and turns[0] >= earliest:
            return turns[0]
        position = bisect_left(turns, earliest)
        if position == len(turns):
            turns.append(len(self._turns))
            self._turns.append([])
        return turns[position]

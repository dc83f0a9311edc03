"""Submissions of one call as a table: systems send by the thousand what differs in its key and name alone.

Gateways make one of what they received (`adapters.wire.submissions`), it goes to the control plane as it is, and
`scheduler.core.admission` reads it. What is alike is inspected, sent, written and held in memory once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import overload

from inventory.model.workload import Submission


@dataclass(frozen=True, slots=True, eq=False)
class SubmissionBatch(Sequence[Submission]):
    """Submission i is `templates[template[i]]` with the key `client_keys[i]` and the name `names[i]`: three sequences of
    one length. The templates' own keys and names mean nothing."""

    templates: tuple[Submission, ...]
    template: Sequence[int]
    client_keys: Sequence[str]
    names: Sequence[str]

    @classmethod
    def of(cls, submissions: Sequence[Submission]) -> SubmissionBatch:
        """A batch of any submissions: a template for each, where they are not a batch already."""
        if isinstance(submissions, SubmissionBatch):
            return submissions
        return cls(
            tuple(submissions),
            range(len(submissions)),
            [one.client_key for one in submissions],
            [one.name for one in submissions],
        )

    def __len__(self) -> int:
        return len(self.client_keys)

    @overload
    def __getitem__(self, position: int) -> Submission: ...
    @overload
    def __getitem__(self, position: slice) -> SubmissionBatch: ...
    def __getitem__(self, position: int | slice) -> Submission | SubmissionBatch:
        if isinstance(position, slice):
            return self.take(range(*position.indices(len(self))))
        like = self.templates[self.template[position]]
        return replace(like, client_key=self.client_keys[position], name=self.names[position])

    def like(self, position: int) -> Submission:
        """The template of submission i: all of it but its key and its name."""
        return self.templates[self.template[position]]

    def take(self, positions: Iterable[int]) -> SubmissionBatch:
        """Those at these positions, in this order."""
        chosen = list(positions)
        return SubmissionBatch(
            self.templates,
            [self.template[position] for position in chosen],
            [self.client_keys[position] for position in chosen],
            [self.names[position] for position in chosen],
        )

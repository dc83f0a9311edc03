"""Views of pools from a host to the control plane: what has not changed since the last answer does not travel again.

Every cycle asks every host how its pools are; of a hundred pools two or three have changed. The host keeps `ViewLedger`,
the control plane a `ViewCopy` of each host.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

from scheduler.ports import PoolView


@dataclass(frozen=True, slots=True)
class ViewMark:
    """How far a copy has come. `edition` is another one after every restart of the host and every pool that left it:
    a copy of another edition is worth nothing."""

    edition: str
    number: int


@dataclass(frozen=True, slots=True)
class ChangedViews:
    """Views by pool id: all of them where `is_whole`, else those that changed since the mark that was given."""

    mark: ViewMark
    views: Mapping[str, PoolView]
    is_whole: bool


class ViewLedger:
    """The views of one host's pools as they were last looked at, with the number of the look that found them new."""

    def __init__(self) -> None:
        self._edition = secrets.token_hex(8)
        self._number = 0
        self._views: dict[str, tuple[int, PoolView]] = {}

    def since(self, mark: ViewMark | None, now: Mapping[str, PoolView]) -> ChangedViews:
        """What a copy at `mark` (None: an empty one) lacks of the views as they are `now`."""
        if self._views.keys() - now.keys():
            self._edition, self._number, self._views = secrets.token_hex(8), 0, {}
        self._number += 1
        for pool_id, view in now.items():
            known = self._views.get(pool_id)
            if known is None or (known[1] is not view and known[1] != view):
                self._views[pool_id] = (self._number, view)
        last = mark.number if mark is not None and mark.edition == self._edition else -1
        changed = {pool_id: view for pool_id, (number, view) in self._views.items() if number > last}
        return ChangedViews(ViewMark(self._edition, self._number), changed, is_whole=last < 0)


@dataclass(slots=True)
class ViewCopy:
    """What the control plane knows of one host's pools. A view that did not change stays the same object."""

    mark: ViewMark | None = None
    views: Mapping[str, PoolView] = field(default_factory=dict)

    def take(self, answer: ChangedViews) -> None:
        """Answers may come in another order than they were made: an older one than this copy says nothing new, and one
        that completes another edition is of no use."""
        is_same = self.mark is not None and self.mark.edition == answer.mark.edition
        if is_same and self.mark is not None and self.mark.number > answer.mark.number:
            return
        if answer.is_whole:
            self.views = answer.views
        elif not is_same:
            return
        elif answer.views:
            self.views = {**self.views, **answer.views}
        self.mark = answer.mark

"""When a pool link last touched its pool: whether leases are due for renewal, and for how long it was unheard of.

A *contact* is a call with the leader's epoch; the pool's leases run from the moment in which it receives one. What was
sent and not answered may have been received, so a contact counts until its call has ended, and nothing is sent
on a line that does not answer: then the pool's leases expire before the scheduler gives its runs up.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

# Of the shortest lease: two renewals may be lost, and the third still comes in time.
RENEWALS_A_LEASE = 4
# Clocks of both sides run at slightly different speeds (at most 2 %, far beyond what quartz does).
DRIFT_PERCENT = 2


class PoolContact:
    """All times are seconds of one monotonic clock, given by the caller."""

    def __init__(self, now_s: float) -> None:
        self._heard_s = now_s
        self._contact_s = now_s
        self._under_way = 0
        self._lengths: dict[str, int] = {}
        self._runs_of_length: Counter[int] = Counter()

    def heard(self, now_s: float) -> None:
        self._heard_s = now_s

    @contextmanager
    def calling(self, clock: Callable[[], float]) -> Iterator[None]:
        """A contact; `clock` tells when it has ended."""
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1
            self._contact_s = clock()

    def unheard_ms(self, now_s: float) -> int:
        """For how long, at least, the pool has had no contact and we have had no word; 0 while a call is under way."""
        if self._under_way:
            return 0
        last_s = max(self._heard_s, self._contact_s)
        return max(0, int((now_s - last_s) * 1000) * (100 - DRIFT_PERCENT) // 100)

    def lease(self, run_id: str, lost_after_ms: int) -> None:
        if lost_after_ms and run_id not in self._lengths:
            self._lengths[run_id] = lost_after_ms
            self._runs_of_length[lost_after_ms] += 1

    def end(self, run_ids: Iterable[str]) -> None:
        for run_id in run_ids:
            length = self._lengths.pop(run_id, 0)
            if length:
                self._runs_of_length[length] -= 1
                if not self._runs_of_length[length]:
                    del self._runs_of_length[length]

    def forget(self) -> None:
        """The pool keeps no leases."""
        self._lengths.clear()
        self._runs_of_length.clear()

    def is_due(self, now_s: float) -> bool:
        """Whether leases should be renewed now. Any other contact renews them too."""
        if not self._runs_of_length or self._under_way:
            return False
        return (now_s - self._contact_s) * 1000 >= min(self._runs_of_length) / RENEWALS_A_LEASE

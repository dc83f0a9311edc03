"""Chooses the leader: one lease in the store, claimed when it is free, renewed while its holder lives.

The actor of the control plane (`control_plane_actor`) holds one `Election`: it asks `try_to_lead` before it starts to
lead, calls `keep` while it does, and `give_back` when it ends in order. Whoever must wait stands by and looks again.

A lease is free when nobody had it, when it was given back, when its holder is this installation itself (its process died
and was started again), or when it was not renewed for its whole length by OUR clock: clocks of two machines need
not agree. Who leads is safe without it: the store refuses an older epoch's writes, pools its calls.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

from inventory.store.errors import StoreError
from scheduler.store.leader_lease import Lease, LeaseRow

# A holder renews so often in the length of its lease that two renewals may fail; who waits looks as often.
RENEWALS_IN_A_LEASE = 3
log = logging.getLogger("xisuan.election")


@dataclass(frozen=True, slots=True)
class ElectionClock:
    """`now_ms` is what people read; `monotonic` (seconds) is what waiting is measured by."""

    now_ms: Callable[[], int]
    monotonic: Callable[[], float]


class Election:
    """`try_to_lead` and `give_back` belong to one event loop; a thread renews, so that loading a large store, which holds
    the loop up, costs no lease. `on_lost` is called there, once, when the lease has become another's."""

    def __init__(
        self, row: LeaseRow, holder: str, length_ms: int, clock: ElectionClock, on_lost: Callable[[], None]
    ) -> None:
        self._row = row
        self._holder = holder
        self._length_ms = length_ms
        self._clock = clock
        self._on_lost = on_lost
        self._term = 0  # of our own lease; 0: we hold none
        self._seen: tuple[int, int] = (0, 0)
        self._seen_since = 0.0
        self._looked = float("-inf")
        self._over = threading.Event()
        # Who leads while we stand by; empty while we hold the lease, and before the first look.
        self.leader = ""
        # Stands in the lease for people, as soon as it is known.
        self.epoch = 0

    @property
    def look_every_s(self) -> float:
        return self._length_ms / 1000 / RENEWALS_IN_A_LEASE

    async def try_to_lead(self) -> bool:
        """Whether the lease is ours now. One look at the store, and a claim where it is free; asked too often, it answers
        as before. Raises StoreError."""
        now = self._clock.monotonic()
        if self._term:
            return True
        if self.leader and now - self._looked < self.look_every_s / 2:
            return False
        self._looked = now
        seen = await asyncio.to_thread(self._row.read)
        if seen is not None and not self._is_free(seen, now):
            if not self.leader:
                log.warning("standing by: %s leads; its lease is watched", seen.holder)
            self.leader = seen.holder
            return False
        if seen is not None and seen.holder != self._holder and not seen.is_given_back:
            log.warning("the lease of %s ended without renewal: taking over", seen.holder)
            # Nothing was heard of it for a lease; what it began since its last renewal has stood still for half of one.
            await asyncio.to_thread(self._row.end_frozen, seen.length_ms // 2)
        claim = (self._holder, seen, self._length_ms, self._clock.now_ms())
        mine = await asyncio.to_thread(self._row.claim, *claim)
        if mine is None:
            self.leader = self.leader or "another one"
            return False
        self._term, self.leader = mine.term, ""
        threading.Thread(target=self._keep, name="lease", daemon=True).start()
        return True

    def _is_free(self, lease: Lease, now: float) -> bool:
        if (lease.term, lease.renewals) != self._seen:
            self._seen, self._seen_since = (lease.term, lease.renewals), now
        unrenewed_ms = (now - self._seen_since) * 1000
        return lease.is_given_back or lease.holder == self._holder or unrenewed_ms >= lease.length_ms

    def renew(self) -> bool:
        """One renewal; False when the lease is another's. A store that does not answer may do so next time."""
        try:
            expires_ms = self._clock.now_ms() + self._length_ms
            return self._row.renew(self._term, self.epoch, expires_ms)
        except StoreError as error:
            log.warning("the lease could not be renewed, and is again: %s", error)
            return True

    def _keep(self) -> None:
        while not self._over.wait(self.look_every_s):
            if not self.renew():
                log.error("the lease of epoch %d is another's now", self.epoch)
                self._on_lost()
                return

    async def give_back(self) -> None:
        """Leads no longer: the next one need not wait."""
        self._over.set()
        if not self._term:
            return
        try:
            await asyncio.to_thread(self._row.give_back, self._term)
        except StoreError as error:
            log.warning("the lease could not be given back, and ends by itself: %s", error)
        self._term = 0

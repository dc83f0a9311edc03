"""The lease of the leader: one row of the store, which says who leads, since which claim, and until when.

`scheduler.runtime.election` claims and renews it. What keeps a leader of before from writing is the fencing epoch
(`SchedulerStore`), never this row: a lease only decides who tries to lead, so that two do not depose each other in turn.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Engine, insert, select, text, update
from sqlalchemy.exc import IntegrityError

from inventory.store.engine import reading, writing
from scheduler.store.schema import leader_lease

_ROW = 1
# Sessions of our own role whose transaction has held what every leader needs for longer than the bound.
_END_FROZEN = text("""
    SELECT count(pg_terminate_backend(a.pid)) FROM pg_stat_activity a
    WHERE a.datname = current_database() AND a.usename = current_user AND a.pid <> pg_backend_pid()
    AND a.xact_start < clock_timestamp() - make_interval(secs => :still_s)
    AND EXISTS (
        SELECT 1 FROM pg_locks l WHERE l.pid = a.pid AND l.granted AND l.mode IN ('RowShareLock', 'RowExclusiveLock')
        AND l.relation IN ('chain_head'::regclass, 'leader_lease'::regclass))
""")


@dataclass(frozen=True, slots=True)
class Lease:
    """As it stands in the store. `holder` is a name for people, one for each installation (machine and home); `term`
    counts claims, `renewals` those of this term; `epoch` is 0 between the claim and the start of the leadership.

    `expires_ms` is by the holder's clock, for people: whoever waits goes by what he sees change. 0: given back.
    """

    holder: str
    term: int
    renewals: int
    epoch: int
    length_ms: int
    expires_ms: int

    @property
    def is_given_back(self) -> bool:
        return self.expires_ms == 0


class LeaseRow:
    """Reads and changes the row, each call a transaction of its own. All methods raise StoreError."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def read(self) -> Lease | None:
        """None while nobody has ever led on this store."""
        with reading(self._engine) as connection:
            row = connection.execute(select(leader_lease)).mappings().one_or_none()
        return None if row is None else Lease(**{key: row[key] for key in Lease.__slots__})

    def claim(self, holder: str, seen: Lease | None, length_ms: int, now_ms: int) -> Lease | None:
        """Takes the lease from whoever had it when it was `seen`; None when it has changed since: somebody lives."""
        term = 1 if seen is None else seen.term + 1
        mine = Lease(holder, term, 0, 0, length_ms, now_ms + length_ms)
        values = {key: getattr(mine, key) for key in Lease.__slots__}
        try:
            with writing(self._engine) as connection:
                if seen is None:
                    connection.execute(insert(leader_lease).values(id=_ROW, **values))
                    return mine
                unchanged = (leader_lease.c.term == seen.term) & (leader_lease.c.renewals == seen.renewals)
                taken = connection.execute(update(leader_lease).where(unchanged).values(**values))
                return mine if taken.rowcount else None
        except IntegrityError:  # another one has made the row meanwhile
            return None

    def end_frozen(self, still_ms: int) -> int:
        """Ends the sessions of writers that have been within a transaction for so long; returns how many.

        For whoever takes over from one that is not heard of: frozen between two messages of a batch it is not idle in
        PostgreSQL's sense, and no timeout of the server ends it (before `transaction_timeout` of PostgreSQL 17). SQLite
        knows no such thing: its lock ends with the process (`scheduler.runtime.heartbeat`).
        """
        if self._engine.dialect.name != "postgresql":
            return 0
        with writing(self._engine) as connection:
            return int(connection.execute(_END_FROZEN, {"still_s": still_ms / 1000}).scalar_one())

    def renew(self, term: int, epoch: int, expires_ms: int) -> bool:
        """False when the lease is another's by now."""
        renewed = (
            update(leader_lease)
            .where(leader_lease.c.term == term)
            .values(renewals=leader_lease.c.renewals + 1, epoch=epoch, expires_ms=expires_ms)
        )
        with writing(self._engine) as connection:
            return bool(connection.execute(renewed).rowcount)

    def give_back(self, term: int) -> None:
        """The next one need not wait. Nothing happens when the lease is another's by now."""
        with writing(self._engine) as connection:
            given = update(leader_lease).where(leader_lease.c.term == term)
            connection.execute(given.values(renewals=leader_lease.c.renewals + 1, expires_ms=0))

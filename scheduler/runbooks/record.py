"""Runs on the event chain: every change of a run is one event, recorded with actor and time, checked as it is stored.

Who calls this: the desk for what people do, the driver for what steps do. A change is made inside a write
transaction, on the run as it stands in that transaction, so two processes can never record contradictory changes.
A run's id is "R" and a number; its events are those with that subject.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from inventory.store.chain import Draft, Event, civil_day
from inventory.store.event_store import PAGE, Store, Transaction, read_events
from inventory.store.ledger import kinds as ledger
from scheduler.core.migration.phases import Outcome
from scheduler.core.migration.run import Change, ChangeKind, MigrationRun, apply, fold
from scheduler.core.migration.transitions import IllegalChange

DRIVER = "runbook-host"
"""Who records what the driver does; no person bears this name."""
KINDS = tuple(kind.value for kind in ChangeKind)
_MOST_FOLDED = 1000
Make = Callable[[MigrationRun], Change | None]


@dataclass(frozen=True, slots=True)
class Entry:
    """One change as it stands in the chain."""

    seq: int
    change: Change
    hash: str


class RunRecord:
    """All runs of one store. Thread-safe, as the store is."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._folded: dict[str, tuple[int, MigrationRun]] = {}

    def load(self, run_id: str) -> MigrationRun | None:
        with self._store.connect() as connection:
            return self._now(connection, run_id)

    def _now(self, connection: Any, run_id: str) -> MigrationRun | None:
        """The run as it stands: what was folded before of the chain, which only grows, and the events since.

        Asked only before a transaction appends, so that nothing is kept that may yet be undone.
        """
        seq, before = self._folded.get(run_id, (0, None))
        events = _events(connection, run_id, seq)
        run = fold(run_id, (_entry(event).change for event in events), before)
        if run is not None and events:
            if len(self._folded) >= _MOST_FOLDED:
                self._folded.clear()
            self._folded[run_id] = (events[-1].seq, run)
        return run

    def entries(self, run_id: str) -> tuple[Entry, ...]:
        """The history of a run, oldest first; empty for an unknown one."""
        with self._store.connect() as connection:
            return tuple(_entry(event) for event in _events(connection, run_id))

    def opening(self, run_id: str) -> Mapping[str, Any]:
        """What the run was opened with. Raises LookupError."""
        entries = self._store.read(limit=1, kinds=(ChangeKind.OPENED.value,), subject=run_id)
        if not entries:
            raise LookupError(run_id)
        return entries[0].payload

    def run_ids(self) -> tuple[str, ...]:
        """Every run, oldest first."""
        with self._store.connect() as connection:
            return tuple(f"R{number}" for number in range(1, _count(connection) + 1))

    def touched_after(self, seq: int, but_by: str = "") -> tuple[int, tuple[str, ...]]:
        """The end of the chain now, and the runs that others than `but_by` have changed after `seq`."""
        head = self._store.head().seq
        if head == seq:
            return head, ()
        changed: list[str] = []
        while events := self._store.read(seq, PAGE, kinds=KINDS):
            changed += (event.subject for event in events if event.actor != but_by)
            seq = events[-1].seq
        return max(head, seq), tuple(dict.fromkeys(changed))

    def open(self, payload: Mapping[str, Any], *, actor: str, now_ms: int) -> str:
        """Records a new run and returns its id. The same plan opened again by a repeated call is a new run."""
        return self.open_all([payload], actor=actor, now_ms=now_ms)[0]

    def open_all(self, payloads: Sequence[Mapping[str, Any]], *, actor: str, now_ms: int) -> tuple[str, ...]:
        """Records new runs, all of them or none, and returns their ids."""
        with self._store.transaction() as tx:
            first = _count(tx.connection) + 1
            for number, payload in enumerate(payloads, start=first):
                change = Change(ChangeKind.OPENED, payload, actor, now_ms)
                fold(f"R{number}", [change])  # what cannot be read back must not be stored
                _append(tx, f"R{number}", change)
        return tuple(f"R{number}" for number in range(first, first + len(payloads)))

    def change(self, run_id: str, make: Make) -> Change | None:
        """Records what `make` returns for the run as it is now; None changes nothing.

        A commit records the outcome of every system in the same transaction, each once. Raises LookupError for an
        unknown run, IllegalChange for what the tables forbid.
        """
        with self._store.transaction() as tx:
            run = self._now(tx.connection, run_id)
            if run is None:
                raise LookupError(run_id)
            change = make(run)
            if change is None:
                return None
            after = apply(run, change)
            _append(tx, run_id, change)
            if change.kind is ChangeKind.COMMITTED:
                drafts = _outcomes(tx, after, change)
                tx.append(drafts, actor=change.actor, recorded_ms=change.at_ms)
            return change


def _append(tx: Transaction, run_id: str, change: Change) -> None:
    tx.append([Draft(change.kind.value, run_id, change.payload)], actor=change.actor, recorded_ms=change.at_ms)


def _outcomes(tx: Transaction, run: MigrationRun, change: Change) -> Sequence[Draft]:
    """The facts of the ledger that the commit makes: one a system, none for a system that has it already."""
    day = civil_day(change.at_ms)
    paper = run.evidence.get("acceptance") or run.evidence.get("go_no_go") or {}
    words = [f"{run.run_id}", *(str(paper[name]) for name in ("number", "sha256") if paper.get(name))]
    source = " ".join(words)
    drafts = []
    for system in run.systems:
        match Outcome(system.outcome):
            case Outcome.MIGRATED:
                draft = ledger.migrated(system.system_key, effective_on=day, source=source)
            case Outcome.MERGED:
                draft = ledger.merged(system.system_key, into=system.into, effective_on=day, source=source)
            case Outcome.CLOSED:
                draft = ledger.closed(system.system_key, effective_on=day, source=source)
        if not read_events(tx.connection, 0, 1, kinds=(draft.kind,), subject=draft.subject):
            drafts.append(draft)
    return drafts


def _events(connection: Any, run_id: str, after: int = 0) -> Sequence[Event]:
    found: list[Event] = []
    while page := read_events(connection, found[-1].seq if found else after, PAGE, kinds=KINDS, subject=run_id):
        found += page
    return found


def _entry(event: Event) -> Entry:
    return Entry(
        event.seq, Change(ChangeKind(event.kind), event.payload, event.actor, event.recorded_ms), event.hash
    )


def _count(connection: Any) -> int:
    """How many runs there are. Their numbers have no gaps, so the last one is found by halving."""
    low, high = 0, 1
    while _exists(connection, high):
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _exists(connection, middle) else (low, middle)
    return low


def _exists(connection: Any, number: int) -> bool:
    return bool(read_events(connection, 0, 1, kinds=(ChangeKind.OPENED.value,), subject=f"R{number}"))


__all__ = ["DRIVER", "KINDS", "Entry", "IllegalChange", "RunRecord"]

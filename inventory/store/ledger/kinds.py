"""The kinds of ledger events, and what their payloads hold. The subject is named first.

    ledger.received            import id   sender, filename, sha256, status (applied | pending), stated_as_of,
                                           amends_baseline, illustrative, systems, held; number
    ledger.proposed            import id   changes: [{key, change, old, new, sheet, row}] of a pending import
    ledger.claimed             import id   sender, baseline, claims: [{key, to, name, standing, question, sheet,
                                           row, fields}], withdrawn: [key]
    ledger.applied             import id   sender: its pending import is now applied
    ledger.superseded          import id   by: a newer import of the same sender took its place
    ledger.found               import id   sender, state (open | pending), findings: [...]
    ledger.findings_gone       import id   findings: [id] that the newer file no longer has
    ledger.conflicted          import id   conflicts: [...]
    ledger.conflicts_gone      import id   conflicts: [id] that claims no longer differ about
    ledger.settled             finding or conflict id   decision, reason, table (findings | conflicts),
                                           moves: [{sender, key, to, standing}], ruling or correction or null
    ledger.mapping_remembered  sender      mapping: the header mapping, null to forget it
    system.migrated            system key  source: who or what says so (a workload id, a document number)
    system.closed              system key  source
    system.merged              system key  source, into: the system that it went into, or null

`Draft.effective_on` is the day from which the fact holds. Whoever runs migrations makes the last three with the
functions below, and appends them in his own transaction.
"""

from __future__ import annotations

from datetime import date

from inventory.store.chain import Draft

RECEIVED = "ledger.received"
PROPOSED = "ledger.proposed"
CLAIMED = "ledger.claimed"
APPLIED = "ledger.applied"
SUPERSEDED = "ledger.superseded"
FOUND = "ledger.found"
FINDINGS_GONE = "ledger.findings_gone"
CONFLICTED = "ledger.conflicted"
CONFLICTS_GONE = "ledger.conflicts_gone"
SETTLED = "ledger.settled"
MAPPING_REMEMBERED = "ledger.mapping_remembered"
SYSTEM_MIGRATED = "system.migrated"
SYSTEM_CLOSED = "system.closed"
SYSTEM_MERGED = "system.merged"


def migrated(system_key: str, *, effective_on: date, source: str) -> Draft:
    """迁移: the system runs in the cloud from `effective_on`. `source` is a workload id or a document number."""
    return Draft(SYSTEM_MIGRATED, system_key, {"source": source}, effective_on)


def closed(system_key: str, *, effective_on: date, source: str) -> Draft:
    """关停: the system is shut down from `effective_on`."""
    return Draft(SYSTEM_CLOSED, system_key, {"source": source}, effective_on)


def merged(system_key: str, *, into: str | None, effective_on: date, source: str) -> Draft:
    """整合: the system is merged into the system named `into` from `effective_on`."""
    return Draft(SYSTEM_MERGED, system_key, {"source": source, "into": into}, effective_on)

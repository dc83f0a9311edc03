"""Credentials that were issued and revoked, as events: who may do what is part of the record.

`console.access_record` records them; the secrets themselves are nowhere in them.
"""

from __future__ import annotations

from collections.abc import Sequence

from inventory.store.chain import Draft

ACCESS_ISSUED = "access.issued"
ACCESS_REVOKED = "access.revoked"


def access_issued(credential_id: str, kind: str, name: str, grants: Sequence[str], expires_ms: int) -> Draft:
    """`kind` is token or certificate."""
    payload: dict[str, object] = {"kind": kind, "name": name, "grants": list(grants), "expires_ms": expires_ms}
    return Draft(ACCESS_ISSUED, credential_id, payload)


def access_revoked(credential_id: str, kind: str, name: str, reason: str) -> Draft:
    return Draft(ACCESS_REVOKED, credential_id, {"kind": kind, "name": name, "reason": reason})

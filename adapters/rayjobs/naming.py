"""What runs are called in Ray: the run id itself, behind a word for its pool, as the job's submission id."""

from __future__ import annotations

import hashlib


def prefix(pool_id: str) -> str:
    """Begins the submission ids of one pool: several pools may share a cluster."""
    return f"xs-{hashlib.sha256(pool_id.encode('utf-8')).hexdigest()[:8]}-"


def submission_id(pool_id: str, run_id: str) -> str:
    """At most 140 characters: Ray makes a file name of it."""
    return prefix(pool_id) + run_id

"""What runs and reservations are called in Slurm: job names from our ids, and the run id itself as the comment."""

from __future__ import annotations

import hashlib


def digest(words: str) -> str:
    """16 hexadecimal digits of SHA-256: 64 bits."""
    return hashlib.sha256(words.encode("utf-8")).hexdigest()[:16]


def job_prefix(pool_id: str) -> str:
    """Begins the names of all jobs of one pool: several pools may share a cluster."""
    return f"xs-{digest(pool_id)[:8]}-"


def job_name(pool_id: str, run_id: str) -> str:
    return job_prefix(pool_id) + digest(run_id)


def reservation_name(reservation_id: str) -> str:
    return f"xs_{digest(reservation_id)}"

"""What machines and flavors are called in the cloud, and what their metadata says of the run.

Names are derived from ids, so that a run is found again by its name alone, also by an adapter that has lost its
memory; several pools may share a project. Nova limits a metadata value to 255 characters.
"""

from __future__ import annotations

import hashlib

RUN = "xisuan:run"
WORKLOAD = "xisuan:workload"
POOL = "xisuan:pool"
NODE = "xisuan:node"
LIMIT = "xisuan:max_runtime_ms"
RESERVED = "xisuan:"
VALUE_LIMIT = 255
FLAVOR_PREFIX = "xs-"


def digest(words: str) -> str:
    """16 hexadecimal digits of SHA-256: 64 bits."""
    return hashlib.sha256(words.encode("utf-8")).hexdigest()[:16]


def machine_prefix(pool_id: str) -> str:
    """Begins the names of all machines of one pool. Lower case, digits and dashes: it becomes a host name."""
    return f"xs-{digest(pool_id)[:8]}-"


def machine_name(pool_id: str, run_id: str) -> str:
    return machine_prefix(pool_id) + digest(run_id)

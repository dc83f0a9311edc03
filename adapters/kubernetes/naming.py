"""How runs, queues and pools are called in a cluster: names and labels derived from our ids, and only from them.

The same run id is always the same object name, which is what makes a launch idempotent: the API server stores a
name once. Our ids may be longer than a label or not of its letters, so labels hold digests and annotations the ids.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

PREFIX = "xisuan.dev"
MANAGED = ("app.kubernetes.io/managed-by", "xisuan")
POOL_LABEL = f"{PREFIX}/pool"
RUN_LABEL = f"{PREFIX}/run"
RUN_ID = f"{PREFIX}/run-id"
WORKLOAD_ID = f"{PREFIX}/workload-id"
WORKLOAD_NAME = f"{PREFIX}/name"
NODES = f"{PREFIX}/nodes"
GATE = f"{PREFIX}/node"
QUEUE_NAME = f"{PREFIX}/queue-name"


@lru_cache(maxsize=10_000)
def digest(words: str) -> str:
    """20 hexadecimal digits of SHA-256: 80 bits, a label value and a part of a DNS label."""
    return hashlib.sha256(words.encode("utf-8")).hexdigest()[:20]


def object_name(run_id: str) -> str:
    return f"xisuan-{digest(run_id)}"


def namespace_name(prefix: str, department: str) -> str:
    """A department's namespace; runs without a department share the one that is called like the prefix."""
    return f"{prefix}-{digest(department)}" if department else prefix


def department_of(queue: str) -> str:
    """Queues are paths (city/district/department/system): a department is everything but the system."""
    parts = [part for part in queue.split("/") if part]
    return "/".join(parts[:3])

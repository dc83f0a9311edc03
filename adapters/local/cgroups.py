"""Where this machine can limit runs by cgroup v2: a group for the pool, below which each run has its own.

The backend asks once, when it starts, and declares what holds: with a group CPU and memory bind a run as a whole;
without, memory binds each process alone. The supervisor makes and removes the groups of runs.
"""

from __future__ import annotations

import os
from pathlib import Path

MOUNT = Path("/sys/fs/cgroup")
_NEEDED = frozenset({"cpu", "memory"})


def pool_group(pool_id: str, parent: Path | None = None) -> Path | None:
    """The group of this pool, made and ready for runs; None where the machine does not let us.

    `parent` is a cgroup v2 directory that was delegated to us (systemd: `Delegate=yes`); without one, the root of
    the hierarchy is tried, which works for root and in containers of their own. The kernel allows no processes of
    its own in a group that hands out controllers, so a parent that holds any is no good.
    """
    above = parent or MOUNT
    try:
        if not set((above / "cgroup.controllers").read_text(encoding="ascii").split()) >= _NEEDED:
            return None
        _hand_out(above)
        group = above / f"xisuan-{pool_id}"
        group.mkdir(exist_ok=True)
        _hand_out(group)
    except OSError:
        return None
    return group


def _hand_out(group: Path) -> None:
    """Lets groups below this one limit CPU and memory. Raises OSError where the kernel refuses."""
    control = group / "cgroup.subtree_control"
    if not set(control.read_text(encoding="ascii").split()) >= _NEEDED:
        descriptor = os.open(control, os.O_WRONLY)
        try:
            os.write(descriptor, b"+cpu +memory")
        finally:
            os.close(descriptor)

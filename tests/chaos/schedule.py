"""What breaks when: a schedule of faults, drawn from a seed and from nothing else.

`tests.chaos.rounds` carries it out. The same seed gives the same schedule on every machine, so that a round that
failed can be looked at again; what the machine makes of it (which call was under way) is not repeatable.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

SQLITE, POSTGRES = "sqlite", "postgres"
NEAR = ("near-a", "near-b")  # adapters beside the service, which are killed
FAR = ("far-a", "far-b")  # adapters behind a line of their own, which is cut
LOAD_S = 5.0
LEASE_S = 3.0
# Every fifth round has its history in PostgreSQL.
_POSTGRES_EVERY = 5


class Fault(StrEnum):
    KILL_CONTROL_PLANE = "kill-control-plane"
    KILL_POOL_HOST = "kill-pool-host"
    KILL_GATEWAY = "kill-gateway"
    KILL_RECORDING = "kill-recording"
    KILL_TREE = "kill-tree"
    KILL_ADAPTER = "kill-adapter"
    KILL_POSTGRES = "kill-postgres"
    DISK_FULL = "disk-full"
    FREEZE_LEADER = "freeze-leader"
    HANG_LEADER = "hang-leader"
    LOSE_MACHINE = "lose-machine"
    PARTITION = "partition"


# At most one of these in a round: each takes the service away for seconds.
HEAVY = (
    Fault.KILL_TREE,
    Fault.FREEZE_LEADER,
    Fault.HANG_LEADER,
    Fault.LOSE_MACHINE,
    Fault.DISK_FULL,
    Fault.KILL_POSTGRES,
)
LIGHT = (
    Fault.KILL_CONTROL_PLANE,
    Fault.KILL_POOL_HOST,
    Fault.KILL_GATEWAY,
    Fault.KILL_ADAPTER,
    Fault.PARTITION,
)
# How long, in seconds, what was taken away stays away.
LENGTHS: Mapping[Fault, tuple[float, float]] = {
    Fault.KILL_ADAPTER: (0.0, 2.0),
    Fault.KILL_POSTGRES: (0.2, 2.0),
    Fault.KILL_TREE: (0.0, 0.5),
    Fault.DISK_FULL: (1.0, 3.0),
    Fault.FREEZE_LEADER: (2 * LEASE_S, 2 * LEASE_S),
    Fault.LOSE_MACHINE: (0.5, 2.0),
    Fault.PARTITION: (0.5, 4.0),
}


@dataclass(frozen=True, slots=True)
class Strike:
    """One fault: `at_s` after the load began, on `target` where there are several, for `length_s`."""

    at_s: float
    fault: Fault
    target: str = ""
    length_s: float = 0.0

    def __str__(self) -> str:
        words = [
            f"{self.at_s:5.2f} s",
            self.fault.value,
            self.target,
            f"{self.length_s:.2f} s" * bool(self.length_s),
        ]
        return "  ".join(filter(None, words))


@dataclass(frozen=True, slots=True)
class Schedule:
    seed: int
    store: str
    strikes: tuple[Strike, ...]

    def __str__(self) -> str:
        return "\n".join([f"seed {self.seed} on {self.store}", *(f"  {strike}" for strike in self.strikes)])


def draw(seed: int) -> Schedule:
    """Two or three faults, one of them heavy in most rounds; times in hundredths of a second."""
    chance = random.Random(f"chaos {seed}")
    store = POSTGRES if seed % _POSTGRES_EVERY == 0 else SQLITE
    heavy = [fault for fault in HEAVY if fault is not Fault.KILL_POSTGRES]
    if store == POSTGRES:
        heavy += [Fault.KILL_POSTGRES] * 4  # it has few rounds
    faults = [chance.choice(heavy)] if chance.random() < 0.8 else []
    # A leader that sleeps must not be killed in its sleep: it is to wake up, or to be found.
    asleep = {Fault.FREEZE_LEADER, Fault.HANG_LEADER} & set(faults)
    light = [fault for fault in LIGHT if fault is not Fault.KILL_CONTROL_PLANE or not asleep]
    faults += chance.sample(light, k=chance.randint(1, 2) if faults else chance.randint(2, 3))
    strikes = [_strike(fault, chance) for fault in faults]
    # Drawn apart: what a seed meant before there was such a process, it means still.
    apart = random.Random(f"chaos {seed} recording")
    if not asleep and apart.random() < 0.5:
        strikes.append(_strike(Fault.KILL_RECORDING, apart))
    strikes.sort(key=lambda strike: strike.at_s)
    return Schedule(seed, store, tuple(strikes))


def _strike(fault: Fault, chance: random.Random) -> Strike:
    targets = {Fault.KILL_ADAPTER: NEAR, Fault.PARTITION: FAR}.get(fault, ("",))
    at_s = round(chance.uniform(0.3, LOAD_S - 0.5), 2)
    length_s = round(chance.uniform(*LENGTHS[fault]), 2) if fault in LENGTHS else 0.0
    return Strike(at_s, fault, chance.choice(targets), length_s)

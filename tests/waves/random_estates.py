"""Estates by seed: ledgers, pools, settings and freezes as unlike as the planner may meet, most of them plannable.

Hypothesis draws the seed. It does not draw the fields: its love of extremes leaves hardly a system that can move.
"""

from __future__ import annotations

import random
from datetime import date, timedelta

from inventory.model.calendar import Freeze, OperationsCalendar
from inventory.model.migration import Declarations, WaveSettings
from inventory.model.pool import Pool
from inventory.model.system import Architecture, Disposition, Ownership, System, Zone
from inventory.model.units import TIB
from scheduler.core.waves.problem import WaveProblem
from tests.waves.estates import a_pool, a_problem, a_system, cards, days_only, key, nodes

STARTS = (date(2026, 2, 2), date(2026, 3, 16), date(2026, 12, 14), date(2035, 1, 1))
SECTOR_WORDS = {"单": ("1", "3", "5", "7", "9"), "零": ("0",)}
X86, C86, ARM = Architecture.X86_64, Architecture.C86, Architecture.ARM64


def random_problem(seed: int) -> WaveProblem:
    chance = random.Random(seed)
    settings = WaveSettings(
        starts_on=chance.choice(STARTS),
        horizon_weeks=chance.randint(1, 6),
        systems_per_window=chance.randint(1, 5),
        pilot_windows=chance.randint(0, 2),
        pilot_systems=chance.randint(1, 3),
    )
    ledger = _ledger(chance)
    calendar = OperationsCalendar(days_only(settings).days, _freezes(chance, settings), SECTOR_WORDS)
    together = chance.sample(ledger, k=min(len(ledger), chance.choice([0, 2, 3])))
    declared = Declarations(
        groups=(frozenset(key(each.name) for each in together),),
        contract_ends={key(each.name): chance.choice(STARTS) for each in ledger if chance.random() < 0.2},
    )
    return a_problem(ledger, _pools(chance), settings, calendar, declared)


def _ledger(chance: random.Random) -> list[System]:
    names = [f"系统{number:02}" for number in range(chance.randint(1, 16))]
    density = chance.choice([0.0, 0.1, 0.3])

    def mostly(usual: object, *others: object) -> object:
        return chance.choice(others) if chance.random() < 0.06 else usual

    return [
        a_system(
            name,
            *(other for other in (*names, "不存在") if chance.random() < density),
            zone=chance.choice([Zone.EXTRANET] * 6 + [Zone.INTERNET] * 2 + [Zone.INTRANET]),
            mlps=chance.choice(["none", "1", "2", "3"]),
            arch=chance.choice([X86, X86, C86, ARM]),
            vcpu=mostly(chance.choice([2, 8, 32]), 400, None),
            disk_gb=mostly(200, 90_000),
            servers=chance.choice([None, 1, 4]),
            users=chance.choice([None, 0, 30, 90_000]),
            gpu=mostly(None, cards("昇腾910B", 2)),
            ownership=chance.choice([*Ownership, None]),
            disposition=mostly(
                chance.choice([Disposition.REHOST, Disposition.REHOST, Disposition.CONSOLIDATE]),
                Disposition.RETAIN,
                Disposition.RETIRE,
                None,
            ),
            merged_into=mostly(None, *names),
            classified=mostly(False, True, None),
            should_migrate=mostly(True, False, None),
            migrated=mostly(False, True, None),
            database_instance=chance.choice([None, None, None, "库一", "库二"]) if len(names) > 6 else None,
        )
        for name in names
    ]


def _pools(chance: random.Random) -> list[Pool]:
    """A pool that takes most systems, and up to two odd ones."""
    kinds = [nodes("x", 2), nodes("c", 1, C86), nodes("a", 3, ARM), nodes("t", 1, ARM, "Ascend910B")]
    usual = a_pool(
        "usual", nodes("x", chance.randint(1, 6)), nodes("a", 3, ARM), egress_gbps=chance.choice([0.02, 100, 100])
    )
    odd = [
        a_pool(
            f"odd-{number}",
            *chance.sample(kinds, k=chance.randint(1, 4)),
            zones=frozenset(chance.sample(list(Zone), k=chance.randint(1, 4))),
            protection_level=chance.randint(0, 4),
            disk_bytes=chance.choice([TIB // 2, 50 * TIB]),
            egress_gbps=chance.choice([0.01, 1, 100]),
            vcpu_hour_cny=chance.choice([0, 0.05, 0.2]),
            adapter=chance.choice(["simulated", "simulated", "local"]),
        )
        for number in range(chance.randint(0, 2))
    ]
    return [usual, *odd]


def _freezes(chance: random.Random, settings: WaveSettings) -> tuple[Freeze, ...]:
    found = []
    for number in range(chance.randint(0, 3)):
        first = settings.starts_on + timedelta(days=chance.randint(0, 30))
        scoped = chance.random() < 0.7
        found.append(
            Freeze(
                f"封网{number}",
                first,
                first + timedelta(days=chance.randint(0, 9)),
                "通知",
                sectors=frozenset(chance.sample(sorted(SECTOR_WORDS), k=chance.randint(0, 1) if scoped else 0)),
                zones=frozenset(chance.sample(list(Zone), k=chance.randint(0, 2) if scoped else 0)),
                ownerships=frozenset(chance.sample(list(Ownership), k=chance.randint(0, 1) if scoped else 0)),
            )
        )
    return tuple(found)

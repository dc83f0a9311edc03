"""Estates made up at random (示例数据): realistic ones of any size, and ones whose best finish is known.

Who calls this: `xisuan sim estate`, tests and benchmarks of the wave planner. Everything is illustrative; the shares (zones,
levels, sizes, dependencies a system) are such as a district's ledger shows, and none of them is a statistic.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from scheduler.core.waves.estate_form import EstateForm

_DEPARTMENTS = (
    "教委",
    "卫健委",
    "公安分局",
    "财政局",
    "人社局",
    "应急局",
    "规资局",
    "住建委",
    "民政局",
    "大数据局",
)
_SECTORS = {"教委": "教育", "财政局": "财政", "应急局": "应急"}
_SKILLS = ("网络", "数据库", "应用", "安全")
_VENDORS = tuple(f"厂商{letter}" for letter in "甲乙丙丁戊己")


@dataclass(frozen=True, slots=True)
class EstateShape:
    """`dependencies` in sum; `cycle_share` of them answer another one, which
    makes a cycle of two; `group_share` of the systems share a
    database with another; `load` is how full the windows, teams and pools would be if the work were spread evenly
    over the weeks (0..1)."""

    systems: int = 127
    dependencies: int = 300
    pools: int = 3
    weeks: int = 52
    cycle_share: float = 0.005
    group_share: float = 0.1
    load: float = 0.6
    starts_on: date = date(2026, 3, 2)


def realistic_estate(shape: EstateShape, seed: int) -> EstateForm:
    """The same shape and seed give the same estate."""
    chance = random.Random(seed)
    systems = [_system(number, shape, chance) for number in range(shape.systems)]
    _add_dependencies(systems, shape, chance)
    _add_groups(systems, shape, chance)
    # About two windows a week, of which holidays and freezes take some.
    windows = max(1, round(shape.weeks * 1.8))
    cap = max(3, round(shape.systems / (windows * shape.load)))
    return EstateForm.model_validate(
        {
            "version": 1,
            "name": f"示例数据 estate {shape.systems} seed {seed}",
            "illustrative": True,
            "calendar": {
                "starts_on": shape.starts_on,
                "weeks": shape.weeks,
                "systems_per_window": cap,
                "pilot_windows": 2,
                "pilot_systems": max(3, cap // 3),
                "pilot_max_risk": 35,
                "holidays": _holidays(shape),
                "makeup_workdays": [_weekend_before(day) for day in _holidays(shape)[::7]],
                "month_end": {"days_before": 2, "days_after": 1, "tags": ["月结"]},
            },
            "freezes": _freezes(shape, chance),
            "pools": _pools(systems, shape, chance),
            "links": _links(systems, shape),
            "teams": _teams(systems, windows, shape, chance),
            "concurrency": [
                {"name": f"{vendor}同窗", "tag": vendor, "most": max(2, cap // 3)} for vendor in _VENDORS
            ],
            "systems": systems,
        }
    )


def planted_estate(windows: int, cap: int, seed: int) -> tuple[EstateForm, str]:
    """An estate whose best finish is known, and the id of that window: as many systems as the windows hold, and
    constraints that a hidden plan keeps. A shorter plan cannot exist, because it would have too few places."""
    chance = random.Random(seed)
    first = date(2026, 3, 6)
    nights = [first + timedelta(weeks=number) for number in range(windows + 4)]
    hidden = [(f"s{number:04}", number // cap) for number in range(windows * cap)]
    chance.shuffle(hidden)
    systems: list[dict[str, Any]] = []
    for name, window in hidden:
        earlier = [other for other, w in hidden if w < window]
        entry: dict[str, Any] = {
            "id": name,
            "owner": "示例局",
            "zone": "政务外网",
            "vcpu": 4,
            "memory_gb": 8,
            "uses": sorted(chance.sample(earlier, k=min(len(earlier), chance.randint(0, 2)))),
            "skill": "应用",
            "minutes": 60,
            "risk": chance.randint(5, 60),
        }
        if chance.random() < 0.2:
            entry["earliest"] = nights[chance.randint(0, window)]
        if chance.random() < 0.2:
            entry["deadline"] = nights[chance.randint(window, windows)] + timedelta(days=1)
        systems.append(entry)
    form = EstateForm.model_validate(
        {
            "version": 1,
            "name": f"示例数据 planted {windows}x{cap} seed {seed}",
            "illustrative": True,
            "calendar": {
                "starts_on": first,
                "weeks": windows + 4,
                "systems_per_window": cap,
                "windows": [
                    {"id": f"W{day}", "starts": f"{day}T22:00:00", "ends": f"{day + timedelta(days=1)}T06:00:00"}
                    for day in nights
                ],
            },
            "pools": [
                {
                    "id": "pool",
                    "zones": ["政务外网"],
                    "hosts": [
                        {"architecture": "x86_64", "vcpu": windows * cap * 4, "memory_gb": windows * cap * 8}
                    ],
                    "disk_gb": 0,
                }
            ],
            "teams": [{"id": "team", "skills": ["应用"], "people": max(1, -(-cap // 8))}],
            "systems": systems,
        }
    )
    return form, f"W{nights[windows - 1]}"


def _system(number: int, shape: EstateShape, chance: random.Random) -> dict[str, Any]:
    owner = chance.choice(_DEPARTMENTS)
    level = chance.choice([0, 1, 2, 2, 2, 3, 3])
    vcpu = chance.choice([2, 4, 8, 8, 16, 32])
    minutes = chance.choice([60, 90, 120, 180, 240])
    entry: dict[str, Any] = {
        "id": f"{owner}/系统{number:05}",
        "name": f"{owner}系统{number:05}",
        "owner": owner,
        "region": chance.choice(["渝北", "江北", "北碚"]),
        "zone": chance.choice(["政务外网", "政务外网", "政务外网", "互联网"]),
        "protection_level": level,
        "architecture": chance.choice(["x86_64", "x86_64", "arm64"]),
        "vcpu": vcpu,
        "memory_gb": vcpu * chance.choice([2, 4]),
        "disk_gb": chance.choice([100, 200, 500, 1000, 2000]),
        "servers": max(1, vcpu // 8),
        "risk": min(100, level * 12 + chance.randint(0, 30)),
        "tags": [chance.choice(_VENDORS), *(["月结"] if owner == "财政局" else [])],
        "sectors": [_SECTORS[owner]] if owner in _SECTORS else [],
        "skill": chance.choice(_SKILLS),
        "crew": chance.choice([1, 1, 2]),
        "minutes": minutes,
        "minutes_sd": minutes // 6,
        "data_gb": chance.choice([50, 100, 400, 1500]),
        "move_cost_cny": vcpu * 500,
        "daily_cost_cny": vcpu * 12,
        "uses": [],
    }
    days = shape.weeks * 7
    if chance.random() < 0.15:
        entry["contract_end"] = shape.starts_on + timedelta(days=chance.randint(days // 3, days))
    if chance.random() < 0.05:
        entry["deadline"] = shape.starts_on + timedelta(days=chance.randint(days * 2 // 3, days))
    if chance.random() < 0.1:
        entry["earliest"] = shape.starts_on + timedelta(days=chance.randint(0, days // 4))
    return entry


def _add_dependencies(systems: list[dict[str, Any]], shape: EstateShape, chance: random.Random) -> None:
    """Users in front, platforms behind: most dependencies lead to smaller numbers; some systems are used by many."""
    count = len(systems)
    if count < 2:
        return
    seen: set[tuple[int, int]] = set()
    added: list[tuple[int, int]] = []
    for _ in range(20 * shape.dependencies):
        if len(seen) >= shape.dependencies:
            break
        user = chance.randrange(1, count)
        used = int(user * chance.random() ** 2)
        if seen and chance.random() < shape.cycle_share:
            # A cycle of two: somebody's platform calls back. Few paths lead between neighbours, so it stays small.
            used, user = max(added[-200:], key=lambda edge: edge[1] / max(1, edge[0]))
        if user != used and (user, used) not in seen:
            seen.add((user, used))
            added.append((user, used))
            systems[user]["uses"].append(
                {"system": systems[used]["id"], "traffic_gb_day": chance.choice([1, 1, 2, 5, 20])}
            )


def _add_groups(systems: list[dict[str, Any]], shape: EstateShape, chance: random.Random) -> None:
    """Pairs that share a database; neighbours in number, so that a group seldom closes a cycle."""
    number = 0
    while number + 1 < len(systems):
        if chance.random() < shape.group_share / 2:
            one, other = systems[number], systems[number + 1]
            one["group"] = other["group"] = f"库{number:05}"
            other.pop("deadline", None)
            other.pop("earliest", None)
            number += 1
        number += 1


def _holidays(shape: EstateShape) -> list[date]:
    """A week in autumn, five days in spring, wherever they fall."""
    years = range(shape.starts_on.year, (shape.starts_on + timedelta(weeks=shape.weeks)).year + 1)
    spans = [(date(year, 10, 1), 7) for year in years] + [(date(year, 5, 1), 5) for year in years]
    return [first + timedelta(days=offset) for first, length in spans for offset in range(length)]


def _weekend_before(day: date) -> date:
    """The Sunday before the holiday, worked in exchange."""
    return day - timedelta(days=day.weekday() + 1 if day.weekday() != 6 else 7)


def _freezes(shape: EstateShape, chance: random.Random) -> list[dict[str, Any]]:
    year = shape.starts_on.year
    blackout = shape.starts_on + timedelta(days=chance.randint(30, max(31, shape.weeks * 5)))
    return [
        {"name": "国庆", "first": date(year, 9, 29), "last": date(year, 10, 9)},
        {"name": "高考", "first": date(year, 6, 5), "last": date(year, 6, 10), "sectors": ["教育"]},
        {"name": "汛期", "first": date(year, 6, 1), "last": date(year, 8, 31), "sectors": ["应急"]},
        {"name": "江北两会", "first": date(year, 7, 1), "last": date(year, 7, 10), "regions": ["江北"]},
        {
            "name": "公安分局停办日",
            "first": blackout,
            "last": blackout + timedelta(days=13),
            "departments": ["公安分局"],
        },
    ]


def _pools(systems: list[dict[str, Any]], shape: EstateShape, chance: random.Random) -> list[dict[str, Any]]:
    """Together about a third more than is needed; a part of it arrives in the first third of the time."""
    slack = 1.35
    totals = {
        arch: (
            sum(each["vcpu"] for each in systems if each["architecture"] == arch),
            sum(each["memory_gb"] for each in systems if each["architecture"] == arch),
        )
        for arch in ("x86_64", "arm64")
    }
    disk = sum(each["disk_gb"] for each in systems) * slack / shape.pools
    pools = []
    for number in range(shape.pools):
        late = number % 3 == 2
        arrival = shape.starts_on + timedelta(days=chance.randint(14, max(15, shape.weeks * 2)))
        hosts, arrivals = [], []
        for arch, (vcpu, memory) in totals.items():
            part = (round(vcpu * slack / shape.pools) + 32, round(memory * slack / shape.pools) + 128)
            now = (part[0] // 2, part[1] // 2) if late else part
            hosts.append(
                {"architecture": arch, "vcpu": now[0], "memory_gb": now[1], "node_vcpu": 64, "node_memory_gb": 256}
            )
            if late:
                arrivals.append(
                    {"day": arrival, "architecture": arch, "vcpu": part[0] - now[0], "memory_gb": part[1] - now[1]}
                )
        pools.append(
            {
                "id": f"pool-{number}",
                "name": f"示例池 {number}",
                "zones": ["政务外网", "互联网"],
                "protection_level": 3,
                "hosts": hosts,
                "disk_gb": round(disk) + 4000,
                "arrivals": arrivals,
                "vcpu_hour_cny": round(0.06 + chance.random() * 0.06, 3),
                "one_way_ms": round(0.5 + chance.random() * 4, 1),
                "classes": ["通算"],
            }
        )
    return pools


def _links(systems: list[dict[str, Any]], shape: EstateShape) -> list[dict[str, Any]]:
    """Two lines, each fast enough to carry all data of its pools in about half of the time."""
    data_gb = sum(each["data_gb"] for each in systems)
    seconds = shape.weeks * 7 * 86_400 * shape.load / 2
    gbps = max(0.05, round(data_gb * 8 / seconds, 3))
    names = [f"pool-{number}" for number in range(shape.pools)]
    halves = [names[0::2], names[1::2]]
    return [{"id": f"link-{place}", "gbps": gbps, "pools": half} for place, half in enumerate(halves) if half]


def _teams(
    systems: list[dict[str, Any]], windows: int, shape: EstateShape, chance: random.Random
) -> list[dict[str, Any]]:
    """For each skill two teams, one of which knows a second skill as well; each is on leave once."""
    teams = []
    for place, skill in enumerate(_SKILLS):
        minutes = sum(each["minutes"] * each["crew"] for each in systems if each["skill"] == skill)
        people = max(2, round(minutes / (windows * shape.load * 480) * 1.15) + 1)
        for second in (False, True):
            leave = shape.starts_on + timedelta(days=chance.randint(20, max(21, shape.weeks * 5)))
            teams.append(
                {
                    "id": f"{skill}{'二' if second else '一'}组",
                    "skills": [skill, _SKILLS[(place + 1) % len(_SKILLS)]] if second else [skill],
                    "people": max(2, people // 2 + 1),
                    "away": [{"first": leave, "last": leave + timedelta(days=6), "reason": "休假"}],
                }
            )
    return teams

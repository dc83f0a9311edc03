"""The best plan of a tiny estate by trying everything, from the JSON form alone: it imports nothing of ours.

Who calls this: `test_tiny_estates.py`, which holds planner and judge against it. The rules are those of docs/waves.md, read again
and written down a second time.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from itertools import product
from typing import Any

GIB = 1024**3
Estate = dict[str, Any]
Choice = tuple[str, str]  # window, pool
FIRST = date(2026, 3, 2)
UNEVEN = 5  # of so many seeds one has windows of different lengths


def best_finish(estate: Estate) -> tuple[int, int]:
    """(systems without a place, days from the first day to the last window) of the best plan."""
    groups: dict[str, list[str]] = {}
    for system in estate["systems"]:
        groups.setdefault(system.get("group") or system["id"], []).append(system["id"])
    windows = [None, *(window["id"] for window in estate["calendar"]["windows"])]
    best: tuple[int, int] | None = None
    for chosen in product(windows, repeat=len(groups)):
        at = {
            key: window
            for members, window in zip(groups.values(), chosen, strict=True)
            for key in members
            if window is not None
        }
        rank = (len(estate["systems"]) - len(at), _finish(estate, at))
        if (best is None or rank < best) and _nights_hold(estate, at) and _some_pools_hold(estate, at):
            best = rank
    assert best is not None  # the empty plan holds
    return best


def keeps_every_rule(
    estate: Estate, at: Mapping[str, str], pool_of: Mapping[str, str], team_of: Mapping[str, str | None]
) -> bool:
    """Whether a plan, however it came about, may be carried out; systems that are not in `at` have no place."""
    systems = {system["id"]: system for system in estate["systems"]}
    homes: dict[str, set[bool]] = {}
    for key, system in systems.items():
        homes.setdefault(system.get("group") or key, set()).add(key in at)
        mates = [other for other, o in systems.items() if o.get("group") and o.get("group") == system.get("group")]
        if len({at.get(mate) for mate in mates}) > 1:
            return False
    return (
        all(len(placed) == 1 for placed in homes.values())
        and _nights_hold(estate, at)
        and all(
            any(pool["id"] == pool_of[key] and _pool_takes(estate, pool, systems[key]) for pool in estate["pools"])
            for key in at
        )
        and _pools_hold(estate, at, pool_of)
        and _given_teams_hold(estate, systems, at, team_of)
    )


def _given_teams_hold(
    estate: Estate, systems: Mapping[str, Any], at: Mapping[str, str], team_of: Mapping[str, str | None]
) -> bool:
    for window in set(at.values()):
        wanting = [systems[key] for key, w in at.items() if w == window and {"skill", "team"} & set(systems[key])]
        chosen = [team_of[system["id"]] for system in wanting]
        for system, team in zip(wanting, chosen, strict=True):
            if team not in [able["id"] for able in _able_teams(estate, system, window)]:
                return False
        if not _minutes_hold(estate, wanting, [team or "" for team in chosen], window):
            return False
    return True


def _finish(estate: Estate, at: Mapping[str, str]) -> int:
    return max(((_day(estate, window) - FIRST).days for window in at.values()), default=0)


def _window(estate: Estate, name: str) -> dict[str, Any]:
    return next(window for window in estate["calendar"]["windows"] if window["id"] == name)


def _times(estate: Estate, name: str) -> tuple[datetime, datetime]:
    window = _window(estate, name)
    return datetime.fromisoformat(window["starts"]), datetime.fromisoformat(window["ends"])


def _day(estate: Estate, name: str) -> date:
    return _times(estate, name)[0].date()


def _of(value: Any) -> date:
    return value if isinstance(value, date) else date.fromisoformat(value)


def _nights_hold(estate: Estate, at: Mapping[str, str]) -> bool:
    """Every rule that asks nothing of the pools."""
    systems = {system["id"]: system for system in estate["systems"]}
    return (
        all(_may_move(estate, systems[key], window) for key, window in at.items())
        and _order_holds(estate, at)
        and _counts_hold(estate, systems, at)
        and _money_holds(estate, systems, at)
        and _teams_hold(estate, systems, at)
    )


def _may_move(estate: Estate, system: dict[str, Any], window: str) -> bool:
    starts, ends = _times(estate, window)
    first, last = starts.date(), (ends - timedelta(seconds=1)).date()
    if "earliest" in system and first < _of(system["earliest"]):
        return False
    if "deadline" in system and last > _of(system["deadline"]):
        return False
    if system.get("risk", 0) > _window(estate, window).get("max_risk", 100):
        return False
    if system.get("minutes", 0) * 60 > (ends - starts).total_seconds():
        return False
    for pin in estate.get("pins", ()):
        if pin["system"] == system["id"] and pin.get("window", window) != window:
            return False
    return not any(
        _of(freeze["first"]) <= last and first <= _of(freeze["last"]) and _is_held(freeze, system)
        for freeze in estate.get("freezes", ())
    )


def _is_held(freeze: dict[str, Any], system: dict[str, Any]) -> bool:
    """Whether every scope that the freeze names holds the system."""
    scopes = {
        "zones": [system["zone"]],
        "regions": [system.get("region")],
        "departments": [system["owner"]],
        "tags": system.get("tags", ()),
        "sectors": system.get("sectors", ()),
    }
    return all(set(freeze[name]) & set(mine) for name, mine in scopes.items() if freeze.get(name))


def _order_holds(estate: Estate, at: Mapping[str, str]) -> bool:
    """What is used moves no later, but for what lies in a cycle of groups."""
    home = {system["id"]: system.get("group") or system["id"] for system in estate["systems"]}
    leads = {(home[s["id"]], home[used]) for s in estate["systems"] for used in s.get("uses", ())}
    while more := {(a, d) for a, b in leads for c, d in leads if b == c} - leads:
        leads |= more
    pairs = [(system["id"], used) for system in estate["systems"] for used in system.get("uses", ())]
    return all(
        _day(estate, at[user]) >= _day(estate, at[used])
        for user, used in pairs
        if user in at and used in at and home[user] != home[used] and (home[used], home[user]) not in leads
    )


def _counts_hold(estate: Estate, systems: Mapping[str, Any], at: Mapping[str, str]) -> bool:
    most = estate["calendar"]["systems_per_window"]
    for window, count in Counter(at.values()).items():
        if count > _window(estate, window).get("cap", most):
            return False
    for cap in estate.get("concurrency", ()):
        tagged = Counter(window for key, window in at.items() if cap["tag"] in systems[key].get("tags", ()))
        if max(tagged.values(), default=0) > cap["most"]:
            return False
    return True


def _money_holds(estate: Estate, systems: Mapping[str, Any], at: Mapping[str, str]) -> bool:
    spent = sum(
        systems[key].get("move_cost_cny", 0)
        + systems[key].get("daily_cost_cny", 0) * (_day(estate, window) - FIRST).days
        for key, window in at.items()
    )
    return "budget_cny" not in estate or spent <= estate["budget_cny"]


def _teams_hold(estate: Estate, systems: Mapping[str, Any], at: Mapping[str, str]) -> bool:
    for window in set(at.values()):
        wanting = [systems[key] for key, w in at.items() if w == window and {"skill", "team"} & set(systems[key])]
        options = [[t["id"] for t in _able_teams(estate, system, window)] for system in wanting]
        if wanting and not any(_minutes_hold(estate, wanting, chosen, window) for chosen in product(*options)):
            return False
    return True


def _able_teams(estate: Estate, system: dict[str, Any], window: str) -> Iterator[dict[str, Any]]:
    starts, ends = _times(estate, window)
    first, last = starts.date(), (ends - timedelta(seconds=1)).date()
    for team in estate.get("teams", ()):
        away = any(_of(a["first"]) <= last and first <= _of(a["last"]) for a in team.get("away", ()))
        shift = not team.get("nights") or first.weekday() in team["nights"]
        skilled = system.get("skill") is None or system["skill"] in team["skills"]
        wanted = system.get("team") in (None, team["id"])
        if shift and skilled and wanted and not away and team["people"] >= system.get("crew", 1):
            yield team


def _minutes_hold(estate: Estate, wanting: Sequence[Any], chosen: Sequence[str], window: str) -> bool:
    starts, ends = _times(estate, window)
    length = int((ends - starts).total_seconds()) // 60
    people = {team["id"]: team["people"] for team in estate["teams"]}
    load: Counter[str] = Counter()
    for system, team in zip(wanting, chosen, strict=True):
        load[team] += system.get("crew", 1) * system.get("minutes", 0)
    return all(minutes <= people[team] * length for team, minutes in load.items())


def _some_pools_hold(estate: Estate, at: Mapping[str, str]) -> bool:
    options = []
    for key in at:
        system = next(s for s in estate["systems"] if s["id"] == key)
        options.append([pool["id"] for pool in estate["pools"] if _pool_takes(estate, pool, system)])
    return any(_pools_hold(estate, at, dict(zip(at, chosen, strict=True))) for chosen in product(*options))


def _pool_takes(estate: Estate, pool: dict[str, Any], system: dict[str, Any]) -> bool:
    pinned = [pin["pool"] for pin in estate.get("pins", ()) if pin["system"] == system["id"] and "pool" in pin]
    architectures = [hosts["architecture"] for hosts in pool["hosts"]]
    return (
        system["zone"] in pool["zones"]
        and system.get("protection_level", 0) <= pool.get("protection_level", 3)
        and system.get("architecture", "x86_64") in architectures
        and all(pool["id"] == each for each in pinned)
    )


def _pools_hold(estate: Estate, at: Mapping[str, str], pool_of: Mapping[str, str]) -> bool:
    """At every window in use: capacity that has arrived, and data that the lines have carried."""
    systems = {system["id"]: system for system in estate["systems"]}
    for window in set(at.values()):
        now = _times(estate, window)[0]
        moved = [systems[key] for key, other in at.items() if _times(estate, other)[0] <= now]
        for pool in estate["pools"]:
            mine = [system for system in moved if pool_of[system["id"]] == pool["id"]]
            if not _fits(pool, mine, now.date()):
                return False
            copied = sum(s.get("window_gb", 0) for s in mine if at[s["id"]] == window) * GIB
            seconds = (_times(estate, window)[1] - now).total_seconds()
            if copied > pool.get("window_copy_gbps", 1e9) * 1e9 / 8 * seconds:
                return False
        for link in estate.get("links", ()):
            data = sum(s.get("data_gb", 0) for s in moved if pool_of[s["id"]] in link["pools"]) * GIB
            elapsed = (now - datetime.combine(FIRST, datetime.min.time())).total_seconds()
            if data > link["gbps"] * 1e9 / 8 * elapsed:
                return False
    return True


def _fits(pool: dict[str, Any], mine: Sequence[dict[str, Any]], day: date) -> bool:
    arrived = [each for each in pool.get("arrivals", ()) if _of(each["day"]) <= day]
    if sum(s.get("disk_gb", 0) for s in mine) > pool["disk_gb"] + sum(a.get("disk_gb", 0) for a in arrived):
        return False
    for hosts in pool["hosts"]:
        architecture = hosts["architecture"]
        here = [s for s in mine if s.get("architecture", "x86_64") == architecture]
        more = [a for a in arrived if a["architecture"] == architecture]
        for name in ("vcpu", "memory_gb"):
            if sum(s.get(name, 0) for s in here) > hosts[name] + sum(a.get(name, 0) for a in more):
                return False
    return True


def tiny_estate(seed: int) -> Estate:
    """Up to five groups, three to five windows, one or two pools, and a few rules of every kind, most of them felt. Seeds that
    are 1 modulo `UNEVEN` have windows of different lengths."""
    chance = random.Random(seed)
    nights = [FIRST + timedelta(days=4 + 7 * n + chance.choice((0, 0, 1))) for n in range(chance.randint(3, 5))]
    count = chance.randint(2, 5)
    names = [f"系统{n}" for n in range(count)]
    systems = [_tiny_system(name, names, nights, chance) for name in names]
    if chance.random() < 0.35 and count > 2:
        for system in chance.sample(systems, 2):
            system["group"] = "同批"
    windows = []
    for day in nights:
        hours = chance.choice((8, 8, 6))
        ends = datetime(day.year, day.month, day.day, 22) + timedelta(hours=hours)
        window: dict[str, Any] = {"id": f"W{day}", "starts": f"{day}T22:00:00", "ends": ends.isoformat()}
        if chance.random() < 0.25:
            window["max_risk"] = 30
        if chance.random() < 0.25:
            window["cap"] = chance.randint(0, 2)
        windows.append(window)
    estate: Estate = {
        "version": 1,
        "calendar": {
            "starts_on": FIRST.isoformat(),
            "weeks": 6,
            "systems_per_window": chance.randint(1, 3),
            "windows": windows,
        },
        "pools": [_tiny_pool(n, nights, chance) for n in range(chance.choice((1, 2, 2)))],
        "systems": systems,
    }
    _add_rules(estate, nights, chance)
    if seed % UNEVEN == 1:
        _shorten_nights(estate, random.Random(seed))
    return estate


def _shorten_nights(estate: Estate, chance: random.Random) -> None:
    """Windows of two to eight hours, and cutovers that some of them are too short for."""
    for window in estate["calendar"]["windows"]:
        starts = datetime.fromisoformat(window["starts"])
        window["ends"] = (starts + timedelta(hours=chance.choice((2, 4, 6, 8)))).isoformat()
    for system in estate["systems"]:
        if chance.random() < 0.6:
            system["minutes"] = chance.choice((60, 121, 240, 300, 480))


def _tiny_system(name: str, names: Sequence[str], nights: Sequence[date], chance: random.Random) -> dict[str, Any]:
    def sometimes(share: float, **fields: Any) -> dict[str, Any]:
        return fields if chance.random() < share else {}

    return {
        "id": name,
        "owner": chance.choice(("教委", "财政局")),
        "zone": chance.choice(("政务外网", "政务外网", "互联网")),
        "vcpu": chance.choice((2, 4, 8)),
        "memory_gb": 8,
        "disk_gb": chance.choice((0, 100, 200)),
        "uses": sorted(other for other in names if other != name and chance.random() < 0.15),
        "risk": chance.choice((10, 20, 50)),
        **sometimes(0.2, earliest=(chance.choice(nights) - timedelta(days=chance.choice((0, 1)))).isoformat()),
        **sometimes(0.2, deadline=(max(nights[1:]) + timedelta(days=chance.choice((0, 1)))).isoformat()),
        **sometimes(0.3, tags=["月结"]),
        **sometimes(0.3, region="渝北"),
        **sometimes(0.4, skill=chance.choice(("网络", "应用")), minutes=chance.choice((120, 240, 300))),
        **sometimes(0.2, crew=2),
        **sometimes(0.3, data_gb=chance.choice((100, 2000, 6000))),
        **sometimes(0.2, window_gb=chance.choice((100, 1500))),
        **sometimes(0.2, architecture="arm64"),
        **sometimes(0.2, protection_level=3),
        **sometimes(0.4, move_cost_cny=100, daily_cost_cny=10),
    }


def _tiny_pool(number: int, nights: Sequence[date], chance: random.Random) -> dict[str, Any]:
    hosts = [{"architecture": "x86_64", "vcpu": chance.choice((6, 12, 40)), "memory_gb": 100}]
    if chance.random() < 0.6:
        hosts.append({"architecture": "arm64", "vcpu": 8, "memory_gb": 100})
    pool: dict[str, Any] = {
        "id": f"池{number}",
        "zones": chance.choice((["政务外网", "互联网"], ["政务外网"])) if number else ["政务外网", "互联网"],
        "protection_level": chance.choice((2, 3, 3)),
        "hosts": hosts,
        "disk_gb": chance.choice((200, 1000)),
    }
    if chance.random() < 0.4:
        day = (chance.choice(nights) + timedelta(days=chance.choice((-1, 0, 1)))).isoformat()
        pool["arrivals"] = [{"day": day, "architecture": "x86_64", "vcpu": 8, "memory_gb": 20, "disk_gb": 200}]
    if chance.random() < 0.3:
        pool["window_copy_gbps"] = 0.5
    return pool


def _add_rules(estate: Estate, nights: Sequence[date], chance: random.Random) -> None:
    """Teams where somebody needs one; freezes, lines, caps, pins and a budget now and then."""
    estate["teams"] = [
        {
            "id": f"{skill}组{number}",
            "skills": [skill, *(["网络"] if chance.random() < 0.3 else [])],
            "people": chance.choice((1, 1, 2)),
            **({"nights": [4]} if chance.random() < 0.2 else {}),
            **({"away": [_span(nights, chance)]} if chance.random() < 0.3 else {}),
        }
        for number, skill in enumerate(("网络", "应用", "应用"))
    ]
    scope = chance.choice(
        ({}, {"tags": ["月结"]}, {"regions": ["渝北"]}, {"departments": ["教委"]}, {"zones": ["互联网"]})
    )
    if chance.random() < 0.5:
        estate["freezes"] = [{"name": "封网", **_span(nights, chance), **scope}]
    if chance.random() < 0.4:
        estate["links"] = [{"id": "线", "gbps": chance.choice((0.02, 0.1)), "pools": [estate["pools"][-1]["id"]]}]
    if chance.random() < 0.3:
        estate["concurrency"] = [{"tag": "月结", "most": 1}]
    if chance.random() < 0.25:
        system = chance.choice(estate["systems"])
        window = chance.choice(estate["calendar"]["windows"])["id"]
        estate["pins"] = [{"system": system["id"], "window": window}]
    if chance.random() < 0.2:
        estate["budget_cny"] = chance.choice((400, 700, 1200))


def _span(nights: Sequence[date], chance: random.Random) -> dict[str, str]:
    one, other = sorted((chance.choice(nights), chance.choice(nights)))
    return {"first": one.isoformat(), "last": (other + timedelta(days=chance.choice((0, 1)))).isoformat()}

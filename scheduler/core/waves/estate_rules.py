"""What an estate must not contradict: refused with the rule and the name before anything is solved.

Who calls this: `estate_file.py`. What is merely impossible to plan (too little of everything) is no contradiction: the
planner says so, with the conflict.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise

from inventory.graph import strong_components
from inventory.model.calendar import Window
from scheduler.core.waves.estate_form import EstateForm, PinEntry, SystemEntry, UseEntry
from scheduler.core.waves.problem import Item


class EstateError(ValueError):
    """An estate that is refused: a rule (one word), and one line for each fault, "中文 / English"."""

    def __init__(self, rule: str, *lines: str) -> None:
        super().__init__("\n".join(f"[{rule}] {line}" for line in lines))
        self.rule = rule


def refuse_contradictions(form: EstateForm, windows: Sequence[Window]) -> None:
    """Raises EstateError with every fault of the first rule that is broken."""
    for rule, lines in (
        ("duplicate_id", _duplicates(form)),
        ("no_owner", _without_owner(form.systems)),
        ("unknown_system", _unknown_systems(form)),
        ("unknown_team", _unknown_teams(form)),
        ("unknown_pool", _unknown_pools(form)),
        ("no_window", _no_window(windows)),
        ("unknown_window", _unknown_windows(form, windows)),
        ("calendar_ends_early", _ready_too_late(form.systems, windows)),
        ("reversed_dates", _reversed(form, windows)),
        ("order_cycle", _hard_cycles(form.systems)),
        ("contradictory_pins", _pins(form, windows)),
    ):
        found = list(lines)
        if found:
            raise EstateError(rule, *found)


def refuse_too_long(items: Iterable[Item], windows: Sequence[Window], pinned: Mapping[str, str]) -> None:
    """Raises EstateError for systems whose planned minutes no window has, or not the one that was agreed (`pinned`: window
    id by system): people may share their work, and a cutover still takes its time."""
    minutes = {window.window_id: window.seconds // 60 for window in windows}
    longest = max(minutes.values(), default=0)
    found = [
        f"系统 {item.name!r} 计划割接 {item.minutes} 分钟，最长的窗口只有 {longest} 分钟；请拆分、缩短，或加长窗口"
        f" / the cutover of system {item.name!r} is planned to take {item.minutes} minutes, and the longest window has"
        f" {longest}; split it, shorten it, or lengthen the window"
        for item in items
        if item.minutes > longest
    ]
    found += [
        f"{item.key!r} 约定在 {window}，那里只有 {minutes[window]} 分钟，计划割接 {item.minutes} 分钟；请解除约定或缩短"
        f" / {item.key!r} is pinned to {window}, which has {minutes[window]} minutes; its cutover is planned to take"
        f" {item.minutes}: lift the pin or shorten it"
        for item in items
        if (window := pinned.get(item.key)) in minutes and minutes[window] < item.minutes <= longest
    ]
    if found:
        raise EstateError("too_long", *found)


def _duplicates(form: EstateForm) -> Iterator[str]:
    for kind, ids in (
        ("系统 / system", [each.id for each in form.systems]),
        ("算力池 / pool", [each.id for each in form.pools]),
        ("队伍 / team", [each.id for each in form.teams]),
        ("专线 / link", [each.id for each in form.links]),
        ("窗口 / window", [each.id for each in form.calendar.windows or ()]),
        ("并发标签 / concurrency tag", [each.tag for each in form.concurrency]),
    ):
        for name, count in Counter(ids).items():
            if count > 1:
                yield f"{kind} {name!r} 出现 {count} 次，须唯一 / stands there {count} times; ids must be unique"


def _without_owner(systems: Iterable[SystemEntry]) -> Iterator[str]:
    for system in systems:
        if not system.owner.strip():
            yield (
                f"系统 {system.id!r} 没有责任单位，请填写 owner"
                f" / system {system.id!r} has no owner; name the department that answers for it"
            )


def _uses(system: SystemEntry) -> list[UseEntry]:
    return [UseEntry(system=use) if isinstance(use, str) else use for use in system.uses]


def _unknown_systems(form: EstateForm) -> Iterator[str]:
    known = {system.id for system in form.systems}
    named = [(system.id, use.system) for system in form.systems for use in _uses(system)]
    named += [("pins", pin.system) for pin in form.pins]
    for where, name in named:
        if name not in known:
            yield f"{where} 引用的系统 {name!r} 不存在 / {where} names the system {name!r}, which does not exist; add it"
        elif name == where:
            yield f"系统 {name!r} 依赖自己，请删除 / system {name!r} uses itself; take that out"


def _unknown_teams(form: EstateForm) -> Iterator[str]:
    teams = {team.id: team for team in form.teams}
    skills = {skill for team in form.teams for skill in team.skills}
    for system in form.systems:
        if system.team is not None and system.team not in teams:
            yield (
                f"系统 {system.id!r} 的队伍 {system.team!r} 不存在，可选：{'、'.join(sorted(teams)) or '无'}"
                f" / team {system.team!r} of system {system.id!r} does not exist; name one of those listed"
            )
        if system.skill is not None and system.skill not in skills:
            yield (
                f"系统 {system.id!r} 需要的技能 {system.skill!r} 没有队伍具备"
                f" / no team has the skill {system.skill!r} that system {system.id!r} needs; add one"
            )
        elif system.skill is not None and system.team in teams and system.skill not in teams[system.team].skills:
            yield (
                f"系统 {system.id!r} 指定的队伍 {system.team!r} 不具备所需技能 {system.skill!r}；请改正其一"
                f" / team {system.team!r}, named for system {system.id!r}, lacks the skill {system.skill!r} that it needs;"
                " correct one"
            )


def _unknown_pools(form: EstateForm) -> Iterator[str]:
    known = {pool.id for pool in form.pools}
    named = [(f"link {link.id}", pool) for link in form.links for pool in sorted(link.pools)]
    named += [(f"pin {pin.system}", pin.pool) for pin in form.pins if pin.pool is not None]
    for where, name in named:
        if name not in known:
            yield f"{where} 引用的算力池 {name!r} 不存在 / {where} names the pool {name!r}, which does not exist"


def _no_window(windows: Sequence[Window]) -> Iterator[str]:
    if not windows:
        yield "日历里没有割接窗口，请延长 / the calendar has no window at all; extend it"


def _unknown_windows(form: EstateForm, windows: Sequence[Window]) -> Iterator[str]:
    known = {window.window_id for window in windows}
    for pin in form.pins:
        if pin.window is not None and pin.window not in known:
            last = windows[-1].window_id
            yield (
                f"{pin.system!r} 约定的窗口 {pin.window!r} 不在日历中（末窗 {last}）；请改正，或延长日历"
                f" / the window {pin.window!r} agreed for {pin.system!r} is not in the calendar, whose last is {last};"
                " correct it, or extend the calendar"
            )


def _ready_too_late(systems: Iterable[SystemEntry], windows: Sequence[Window]) -> Iterator[str]:
    last = windows[-1]
    for system in systems:
        if system.earliest is not None and system.earliest > last.first_day:
            yield (
                f"系统 {system.id!r} 最早 {system.earliest} 就绪，日历的末窗 {last.window_id} 在此之前；请延长日历"
                f" / system {system.id!r} is ready on {system.earliest} at the earliest, after the calendar's last window"
                f" {last.window_id}; extend the calendar"
            )


def _reversed(form: EstateForm, windows: Sequence[Window]) -> Iterator[str]:
    for freeze in form.freezes:
        if freeze.last < freeze.first:
            yield f"封网期 {freeze.name!r} 的 last 早于 first / freeze {freeze.name!r} ends before it begins; swap them"
    for team in form.teams:
        for away in team.away:
            if away.last < away.first:
                yield f"队伍 {team.id!r} 的缺席 last 早于 first / an absence of team {team.id!r} ends before it begins"
    for window in windows:
        if window.ends <= window.starts:
            yield f"窗口 {window.window_id!r} 时长为负或零 / window {window.window_id!r} has no positive duration"
    for before, after in pairwise(windows):
        if after.starts < before.ends:
            yield f"窗口 {before.window_id!r} 与 {after.window_id!r} 重叠 / these windows overlap; separate them"
    if windows and windows[0].first_day < form.calendar.starts_on:
        yield f"窗口 {windows[0].window_id!r} 早于 starts_on / this window lies before starts_on; move one of them"
    for system in form.systems:
        if system.earliest is not None and system.deadline is not None and system.deadline < system.earliest:
            yield (
                f"系统 {system.id!r} 的 deadline {system.deadline} 早于 earliest {system.earliest}"
                f" / the deadline of system {system.id!r} lies before its earliest day; correct one"
            )


def _hard_cycles(systems: Iterable[SystemEntry]) -> Iterator[str]:
    """A cycle of dependencies may be split, unless one of them is hard."""
    system_of = {system.id: system for system in systems}
    adjacency = {key: [use.system for use in _uses(system)] for key, system in system_of.items()}
    for part in strong_components(adjacency):
        inside = set(part)
        for key in part if len(part) > 1 else ():
            for use in _uses(system_of[key]):
                if use.hard and use.system in inside:
                    yield (
                        f"硬性先后 {key!r} → {use.system!r} 处于循环依赖 {'、'.join(part)} 中；请断开"
                        f" / the hard order {key!r} -> {use.system!r} is part of the cycle"
                        f" {', '.join(part)}; break it"
                    )


def _pins(form: EstateForm, windows: Sequence[Window]) -> Iterator[str]:
    place = {window.window_id: window for window in windows}
    system_of = {system.id: system for system in form.systems}
    yield from _contradicting(form.pins, lambda pin: pin.system, "系统 / system")
    for pin in form.pins:
        if pin.window is None and pin.pool is None:
            yield (
                f"{pin.system!r} 的约定既无窗口也无算力池；请补上或删除"
                f" / the pin of {pin.system!r} names neither a window nor a pool; name one, or remove it"
            )
    part_of = _cycle_parts(form.systems)
    pinned = {pin.system: place[pin.window] for pin in form.pins if pin.window is not None}
    grouped = [pin for pin in form.pins if system_of[pin.system].group is not None]
    yield from _contradicting(
        grouped, lambda pin: system_of[pin.system].group or "", "同批组 / group", pools=False
    )
    for name, window in pinned.items():
        system = system_of[name]
        if (system.earliest is not None and window.first_day < system.earliest) or (
            system.deadline is not None and window.last_day > system.deadline
        ):
            yield (
                f"{name!r} 约定在 {window.window_id}，超出其 {system.earliest}..{system.deadline}"
                f" / {name!r} is pinned to {window.window_id}, outside its own dates; lift the pin or change them"
            )
        for use in _uses(system):
            theirs = pinned.get(use.system)
            bound = use.hard or part_of[name] != part_of[use.system]
            if theirs is not None and theirs.starts > window.starts and bound:
                yield (
                    f"{name!r} 约定早于其依赖的 {use.system!r} / {name!r} is pinned before {use.system!r}, which it"
                    " must follow; lift one pin"
                )


def _cycle_parts(systems: Iterable[SystemEntry]) -> dict[str, int]:
    """By system: the number of the cycle of move groups that it is in; who is in none has a number of its own. Within a cycle
    an order may be split."""
    home = {system.id: system.group or system.id for system in systems}
    adjacency: dict[str, set[str]] = {group: set() for group in home.values()}
    for system in systems:
        adjacency[home[system.id]].update(home[use.system] for use in _uses(system))
    part_of = {group: number for number, part in enumerate(strong_components(adjacency)) for group in part}
    return {name: part_of[group] for name, group in home.items()}


def _contradicting(
    pins: Iterable[PinEntry], key: Callable[[PinEntry], str], kind: str, pools: bool = True
) -> Iterator[str]:
    windows: dict[str, set[str]] = defaultdict(set)
    targets: dict[str, set[str]] = defaultdict(set)
    for pin in pins:
        if pin.window is not None:
            windows[key(pin)].add(pin.window)
        if pin.pool is not None and pools:
            targets[key(pin)].add(pin.pool)
    for found in (windows, targets):
        for name, places in found.items():
            if len(places) > 1:
                yield (
                    f"{kind} {name!r} 的约定互相矛盾：{'、'.join(sorted(places))}；请只留一个"
                    f" / is pinned to {', '.join(sorted(places))} at once; keep one"
                )

"""What the options of a plan must not contradict, held against the problem that they are for: rule and name of the fault.

Who calls this: `plan_options.py`, before anything is solved. The counterpart for estates is `estate_rules.py`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from inventory.model.calendar import Window
from scheduler.core.waves.estate_rules import EstateError
from scheduler.core.waves.problem import Item, WaveProblem

if TYPE_CHECKING:  # the form is read there, and judged here
    from scheduler.core.waves.plan_options import PlanOptions


def refuse_option_faults(problem: WaveProblem, options: PlanOptions) -> None:
    """Raises EstateError with every fault of the first rule that is broken."""
    for rule, lines in (
        ("duplicate_id", _duplicates(options)),
        ("unknown_system", _unknown_systems(problem, options)),
        ("unknown_team", _unknown_teams(options)),
        ("unknown_pool", _unknown_pools(problem, options)),
        ("unknown_window", _unknown_windows(problem, options)),
        ("reversed_dates", _reversed(options)),
        ("contradictory_pins", _pins(problem, options)),
    ):
        found = list(lines)
        if found:
            raise EstateError(rule, *found)


def _duplicates(options: PlanOptions) -> Iterator[str]:
    for kind, ids in (
        ("队伍 / team", [each.id for each in options.teams]),
        ("专线 / link", [each.id for each in options.links]),
        ("并发标签 / concurrency tag", [each.tag for each in options.concurrency]),
    ):
        for name, count in Counter(ids).items():
            if count > 1:
                yield f"{kind} {name!r} 出现 {count} 次，须唯一 / stands there {count} times; ids must be unique"


def _unknown_systems(problem: WaveProblem, options: PlanOptions) -> Iterator[str]:
    keys = {item.key for item in problem.items} | {each.system_key for each in problem.left_out}
    for name in dict.fromkeys([*options.systems, *(pin.system for pin in options.pins)]):
        if name not in keys:
            yield (
                f"选项中的系统 {name!r} 不在台账中，请写“单位/名称”"
                f" / the system {name!r} of the options is not in the ledger; write department/name"
            )


def _unknown_teams(options: PlanOptions) -> Iterator[str]:
    teams = {team.id for team in options.teams}
    skills = {skill for team in options.teams for skill in team.skills}
    for name, work in options.systems.items():
        wanted = work.team if work.team is not None and work.team not in teams else None
        wanted = work.skill if wanted is None and work.skill is not None and work.skill not in skills else wanted
        if wanted is not None:
            yield (
                f"系统 {name!r} 需要的队伍或技能 {wanted!r} 不存在"
                f" / system {name!r} needs {wanted!r}, and no such team or skill is declared; declare it"
            )


def _unknown_pools(problem: WaveProblem, options: PlanOptions) -> Iterator[str]:
    pools = {pool.pool_id for pool in problem.pools}
    named = [*(p for link in options.links for p in link.pools), *(pin.pool for pin in options.pins if pin.pool)]
    for pool in sorted(set(named) - pools):
        yield f"算力池 {pool!r} 不存在 / the pool {pool!r} does not exist; name a known one"


def _unknown_windows(problem: WaveProblem, options: PlanOptions) -> Iterator[str]:
    windows = {slot.window.window_id for slot in problem.windows}
    for pin in options.pins:
        if pin.window is not None and pin.window not in windows:
            last = problem.windows[-1].window.window_id if problem.windows else "–"
            yield (
                f"{pin.system!r} 约定的窗口 {pin.window!r} 不在计划期内（末窗 {last}）；请改正，或加长计划期"
                f" / the window {pin.window!r} agreed for {pin.system!r} is not in the plan's time, whose last is {last};"
                " correct it, or plan more weeks"
            )


def _reversed(options: PlanOptions) -> Iterator[str]:
    for freeze in options.freezes:
        if freeze.last < freeze.first:
            yield f"封网期 {freeze.name!r} 的 last 早于 first / freeze {freeze.name!r} ends before it begins; swap them"
    for team in options.teams:
        for away in team.away:
            if away.last < away.first:
                yield f"队伍 {team.id!r} 的缺席 last 早于 first / an absence of team {team.id!r} ends before it begins"
    for name, work in options.systems.items():
        if work.earliest is not None and work.deadline is not None and work.deadline < work.earliest:
            yield (
                f"系统 {name!r} 的 deadline {work.deadline} 早于 earliest {work.earliest}"
                f" / the deadline of system {name!r} lies before its earliest day; correct one"
            )


def _pins(problem: WaveProblem, options: PlanOptions) -> Iterator[str]:
    """One window and one pool for a system, one window for a move group, and within the system's own dates."""
    items = {item.key: item for item in problem.items}
    windows = {slot.window.window_id: slot.window for slot in problem.windows}
    places: dict[tuple[str, str], set[str]] = defaultdict(set)
    for pin in options.pins:
        if pin.window is not None:
            group = items[pin.system].group if pin.system in items else pin.system
            places["同批组或系统的窗口 / windows of the group or system", group].add(pin.window)
            yield from _outside(pin.system, windows[pin.window], options, items)
        if pin.pool is not None:
            places["系统的算力池 / pools of the system", pin.system].add(pin.pool)
    for (kind, name), found in places.items():
        if len(found) > 1:
            yield (
                f"{kind} {name!r} 的约定互相矛盾：{'、'.join(sorted(found))}；请只留一个"
                f" / is pinned to {', '.join(sorted(found))} at once; keep one"
            )


def _outside(name: str, window: Window, options: PlanOptions, items: Mapping[str, Item]) -> Iterator[str]:
    work = options.systems.get(name)
    if work is None or name not in items:
        return
    early = work.earliest is not None and window.first_day < work.earliest
    late = work.deadline is not None and window.last_day > work.deadline
    if early or late:
        yield (
            f"{name!r} 约定在 {window.window_id}，超出其 {work.earliest}..{work.deadline}"
            f" / {name!r} is pinned to {window.window_id}, outside its own dates; lift the pin or change them"
        )

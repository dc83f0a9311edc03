"""The judge's rules on dates, lengths, pins, teams, shared links, concurrency and budget (rules 8 to 12 of `problem.py`).

Who calls this: `check.py`, for every plan. Like it, this file shares the problem's data with the planners and not a
line of code.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, time

from inventory.model.calendar import Window
from inventory.model.migration import Assignment, WavePlan
from scheduler.core.waves.plan_rules import PlanRule, Violation
from scheduler.core.waves.problem import Item, Team, WaveProblem


@dataclass(frozen=True, slots=True)
class _Move:
    """An assignment whose system and window exist."""

    item: Item
    window: Window
    assignment: Assignment


def broken_limits(problem: WaveProblem, plan: WavePlan) -> Iterator[Violation]:
    """Assignments that name an unknown system or window are passed over: `check.py` has named them."""
    items = {item.key: item for item in problem.items}
    windows = {slot.window.window_id: slot.window for slot in problem.windows}
    moves = [
        _Move(items[each.system_key], windows[each.window_id], each)
        for each in plan.assignments
        if each.system_key in items and each.window_id in windows
    ]
    for move in moves:
        yield from _dates(move)
    yield from _pins(problem, plan)
    yield from _teams(problem, moves)
    yield from _links(problem, moves)
    yield from _concurrency(problem, moves)
    yield from _budget(problem, moves)


def _dates(move: _Move) -> Iterator[Violation]:
    item, window = move.item, move.window
    if item.earliest is not None and window.first_day < item.earliest:
        message = (
            f"“{item.name}”最早 {item.earliest} 就绪，却排在 {window.window_id}；请推后",
            f"{item.name} is ready on {item.earliest} and stands in {window.window_id}; move it later",
        )
        yield Violation(PlanRule.TOO_EARLY, item.key, message)
    if item.deadline is not None and window.last_day > item.deadline:
        message = (
            f"“{item.name}”须在 {item.deadline} 前完成，{window.window_id} 结束于 {window.last_day}；请提前",
            f"{item.name} must be done by {item.deadline}; {window.window_id} ends on {window.last_day}: move it"
            " earlier",
        )
        yield Violation(PlanRule.DEADLINE, item.key, message)
    offered = window.seconds // 60
    if item.minutes > offered:
        message = (
            f"“{item.name}”计划割接 {item.minutes} 分钟，{window.window_id} 只有 {offered} 分钟；请换更长的窗口",
            f"the cutover of {item.name} is planned to take {item.minutes} minutes, {window.window_id} has {offered};"
            " choose a longer window",
        )
        yield Violation(PlanRule.WINDOW_LENGTH, item.key, message)


def _pins(problem: WaveProblem, plan: WavePlan) -> Iterator[Violation]:
    placed = {each.system_key: each for each in plan.assignments}
    nowhere = {each.system_key for each in plan.unplaced}
    for pin in problem.pins:
        each = placed.get(pin.system_key)
        if each is None and pin.system_key in nowhere:
            continue  # the plan says that it has no place, and why
        got_window, got_pool = (each.window_id, each.pool_id) if each is not None else ("—", "—")
        for wanted, got, what in (
            (pin.window_id, got_window, ("窗口", "window")),
            (pin.pool_id, got_pool, ("算力池", "pool")),
        ):
            if wanted is not None and wanted != got:
                message = (
                    f"{pin.system_key} 的{what[0]}已定为 {wanted}，计划却是 {got}；请恢复，或先解除约定",
                    f"the {what[1]} of {pin.system_key} was agreed as {wanted}, the plan has {got}; put it back,"
                    " or lift the pin first",
                )
                yield Violation(PlanRule.PIN, pin.system_key, message)


def _teams(problem: WaveProblem, moves: list[_Move]) -> Iterator[Violation]:
    known = {team.team_id: team for team in problem.teams}
    minutes: dict[tuple[str, str], int] = defaultdict(int)
    windows: dict[str, Window] = {}
    for move in moves:
        item, team_id = move.item, move.assignment.team_id
        if item.skill is None and item.team is None:
            continue
        if team_id is None:
            message = (
                f"“{item.name}”没有安排队伍（需要 {item.team or item.skill}）；请指派",
                f"{item.name} has no team and needs {item.team or item.skill}; name one",
            )
            yield Violation(PlanRule.TEAM_MISSING, item.key, message)
            continue
        team = known.get(team_id)
        if team is None:
            message = (
                f"“{item.name}”的队伍 {team_id!r} 不存在，请改为已登记的队伍",
                f"team {team_id!r} of {item.name} does not exist; name a known one",
            )
            yield Violation(PlanRule.TEAM_UNKNOWN, item.key, message)
            continue
        yield from _one_team(move, team)
        minutes[team_id, move.window.window_id] += item.crew * item.minutes
        windows[move.window.window_id] = move.window
    for (team_id, window_id), used in sorted(minutes.items()):
        offered = known[team_id].people * (windows[window_id].seconds // 60)
        if used > offered:
            message = (
                f"队伍 {team_id} 在 {window_id} 需 {used} 人分钟，只有 {offered}；请移走部分系统",
                f"team {team_id} needs {used} person-minutes in {window_id} and has {offered}; move systems away",
            )
            yield Violation(PlanRule.TEAM_TIME, None, message)


def _one_team(move: _Move, team: Team) -> Iterator[Violation]:
    item, window = move.item, move.window
    if (item.skill is not None and item.skill not in team.skills) or (
        item.team is not None and item.team != team.team_id
    ):
        message = (
            f"“{item.name}”需要 {item.team or item.skill}，队伍 {team.team_id} 不符；请换队伍",
            f"{item.name} needs {item.team or item.skill}, team {team.team_id} is not that; choose another",
        )
        yield Violation(PlanRule.TEAM_SKILL, item.key, message)
    if item.crew > team.people:
        message = (
            f"“{item.name}”需要 {item.crew} 人，队伍 {team.team_id} 只有 {team.people} 人",
            f"{item.name} needs {item.crew} people, team {team.team_id} has {team.people}",
        )
        yield Violation(PlanRule.TEAM_TIME, item.key, message)
    absent = [why for first, last, why in team.away if first <= window.last_day and last >= window.first_day]
    if team.nights and window.first_day.weekday() not in team.nights:
        absent.append("不在班次 / not on shift")
    for why in absent:
        message = (
            f"队伍 {team.team_id} 在 {window.window_id} 缺席（{why}），“{item.name}”请换窗口或队伍",
            f"team {team.team_id} is absent in {window.window_id} ({why}); move {item.name} or choose another team",
        )
        yield Violation(PlanRule.TEAM_ABSENT, item.key, message)


def _links(problem: WaveProblem, moves: list[_Move]) -> Iterator[Violation]:
    midnight = datetime.combine(problem.settings.starts_on, time())
    for link in problem.links:
        carried = sorted(
            (move.window.starts, move.window.window_id, move.item.data_bytes)
            for move in moves
            if move.assignment.pool_id in link.pools
        )
        so_far = 0
        for place, (starts, window_id, amount) in enumerate(carried):
            so_far += amount
            if place + 1 < len(carried) and carried[place + 1][0] == starts:
                continue
            able = link.bytes_per_second * int((starts - midnight).total_seconds())
            if so_far > able:
                message = (
                    f"专线 {link.link_id} 到 {window_id} 前须传 {so_far} B，只能传 {able} B；请推后部分系统",
                    f"link {link.link_id} must carry {so_far} B before {window_id} and can carry {able} B; move"
                    " systems later",
                )
                yield Violation(PlanRule.LINK_VOLUME, None, message)


def _concurrency(problem: WaveProblem, moves: list[_Move]) -> Iterator[Violation]:
    for cap in problem.concurrency:
        counts: dict[str, int] = defaultdict(int)
        for move in moves:
            counts[move.window.window_id] += cap.tag in move.item.tags
        for window_id, count in sorted(counts.items()):
            if count > cap.most:
                message = (
                    f"窗口 {window_id} 有 {count} 个“{cap.tag}”系统，{cap.name} 上限 {cap.most}",
                    f"window {window_id} has {count} systems of {cap.tag}; {cap.name} allows {cap.most}",
                )
                yield Violation(PlanRule.CONCURRENCY, None, message)


def _budget(problem: WaveProblem, moves: list[_Move]) -> Iterator[Violation]:
    if problem.budget is None:
        return
    start = problem.settings.starts_on
    spent = sum(
        move.item.move_cost + move.item.daily_cost * (move.window.first_day - start).days for move in moves
    )
    if spent > problem.budget:
        message = (
            f"迁移与双轨运行共 {spent} 元，预算 {problem.budget} 元；请提前搬迁费用高的系统或增加预算",
            f"moving and double running cost {spent} yuan, the budget is {problem.budget}; move costly systems"
            " earlier, or raise it",
        )
        yield Violation(PlanRule.BUDGET, None, message)

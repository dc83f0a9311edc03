"""The independent judge of wave plans: names each rule that a plan breaks, with the values.

Who calls this: the migration service and `xisuan migration check`, for every plan of any source: a planner's, or
one edited by hand. It shares the problem's data with the planners and not a line of code: a mistake of theirs is
not repeated here. The rules are listed in `problem.py`. It judges what a plan says, not whether a better one
exists.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from inventory.model.calendar import Window
from inventory.model.migration import Assignment, Pair, UnplacedRule, WavePlan
from inventory.model.units import format_resources, total
from scheduler.core.waves.check_limits import broken_limits
from scheduler.core.waves.plan_rules import PlanRule as PlanRule
from scheduler.core.waves.plan_rules import Violation as Violation
from scheduler.core.waves.problem import Item, PoolSlot, WaveProblem, WindowSlot


@dataclass(frozen=True, slots=True)
class _Entry:
    """An assignment whose system, pool and window exist."""

    item: Item
    pool: PoolSlot
    slot: WindowSlot


def check_plan(problem: WaveProblem, plan: WavePlan) -> tuple[Violation, ...]:
    """Every broken rule, in a fixed order; empty for a plan that keeps them all."""
    entries, unresolvable = _resolve(problem, plan)
    found = [
        *unresolvable,
        *_accounting(problem, plan),
        *_wave_numbers(plan),
    ]
    for entry in entries:
        found.extend(_fits_pool(entry))
        found.extend(_outside_freezes(problem, entry))
    found.extend(_capacity(problem, entries))
    found.extend(_windows(problem, entries))
    found.extend(_groups(problem, plan))
    found.extend(_order(problem, plan, entries))
    found.extend(broken_limits(problem, plan))
    rank = {rule: number for number, rule in enumerate(PlanRule)}
    return tuple(sorted(found, key=lambda each: (rank[each.rule], each.system_key or "", each.message)))


def _resolve(problem: WaveProblem, plan: WavePlan) -> tuple[list[_Entry], list[Violation]]:
    """Assignments as entries, and those whose system, pool or window does not exist."""
    items = {item.key: item for item in problem.items}
    pools = {pool.pool_id: pool for pool in problem.pools}
    slots = {slot.window.window_id: slot for slot in problem.windows}
    declared = {window.window_id: window for window in plan.windows}
    entries: list[_Entry] = []
    found: list[Violation] = []
    for each in plan.assignments:
        item, pool, slot = items.get(each.system_key), pools.get(each.pool_id), slots.get(each.window_id)
        if item is None:
            found.append(_no_such_item(problem, each))
        if pool is None:
            message = (
                f"“{each.system_name}”指派到不存在的算力池 {each.pool_id!r}，请改为已登记的池",
                f"{each.system_name} is assigned to pool {each.pool_id!r}, which does not exist; name a"
                " registered one",
            )
            found.append(Violation(PlanRule.UNKNOWN_POOL, each.system_key, message))
        window = declared.get(each.window_id)
        if slot is None or (window is not None and not _same_time(window, slot.window)):
            found.append(_no_such_window(each, window, slot))
        if item is not None and pool is not None and slot is not None:
            entries.append(_Entry(item, pool, slot))
    return entries, found


def _no_such_item(problem: WaveProblem, each: Assignment) -> Violation:
    kept_out = next((out for out in problem.left_out if out.system_key == each.system_key), None)
    if kept_out is None:
        message = (
            f"{each.system_key!r} 不是待迁移系统，请从计划中删除",
            f"{each.system_key!r} is no system to be moved; take it out of the plan",
        )
        return Violation(PlanRule.UNKNOWN_SYSTEM, each.system_key, message)
    rule = PlanRule.CLASSIFIED if kept_out.rule is UnplacedRule.CLASSIFIED else PlanRule.NOT_TO_MOVE
    message = (
        f"“{kept_out.system_name}”不得列入计划：{kept_out.reason[0]}",
        f"{kept_out.system_name} must not be in the plan: {kept_out.reason[1]}",
    )
    return Violation(rule, each.system_key, message)


def _same_time(one: Window, other: Window) -> bool:
    return (one.starts, one.ends) == (other.starts, other.ends)


def _no_such_window(each: Assignment, window: Window | None, slot: WindowSlot | None) -> Violation:
    if window is None:
        message = (
            f"“{each.system_name}”的窗口 {each.window_id!r} 不存在，请改为计划期内的窗口",
            f"window {each.window_id!r} of {each.system_name} does not exist; name one of the plan's time",
        )
        return Violation(PlanRule.UNKNOWN_WINDOW, each.system_key, message)
    real = f"{slot.window.starts}..{slot.window.ends}" if slot else "无/none"
    message = (
        f"“{each.system_name}”的窗口 {each.window_id} {window.starts}..{window.ends}"
        f" 不在割接日历内（日历：{real}）",
        f"window {each.window_id} of {each.system_name}, {window.starts}..{window.ends}, is none of the"
        f" calendar's (calendar: {real})",
    )
    return Violation(PlanRule.OUTSIDE_CALENDAR, each.system_key, message)


def _accounting(problem: WaveProblem, plan: WavePlan) -> Iterator[Violation]:
    """Every item once, assigned or unplaced."""
    assigned = Counter(each.system_key for each in plan.assignments)
    unplaced = Counter(each.system_key for each in plan.unplaced)
    for key in sorted(set(assigned) | set(unplaced)):
        if assigned[key] + unplaced[key] > 1:
            yield Violation(
                PlanRule.DUPLICATE_ASSIGNMENT,
                key,
                (
                    f"{key} 在计划中出现多次：指派 {assigned[key]} 次、未安置 {unplaced[key]} 次，应恰为一次",
                    f"{key} is assigned {assigned[key]} times and unplaced {unplaced[key]} times; it must be"
                    " once in all",
                ),
            )
    for item in problem.items:
        if not assigned[item.key] and not unplaced[item.key]:
            yield Violation(
                PlanRule.MISSING_SYSTEM,
                item.key,
                (
                    f"“{item.name}”应迁移，计划中却没有，请指派或写明未安置的原因",
                    f"{item.name} is to be moved and not in the plan; assign it, or say why it is unplaced",
                ),
            )


def _wave_numbers(plan: WavePlan) -> Iterator[Violation]:
    """Wave n is the n-th of the plan's windows, which stand in the order of time."""
    starts = [window.starts for window in plan.windows]
    if starts != sorted(set(starts)):
        zh, en = "计划的窗口须按时间排列且不重复", "the plan's windows must stand in the order of time, each once"
        yield Violation(PlanRule.WAVE_NUMBER, None, (zh, en))
    number_of = {window.window_id: number for number, window in enumerate(plan.windows, start=1)}
    for each in plan.assignments:
        number = number_of.get(each.window_id)
        if number != each.wave:
            expected = number if number is not None else "无/none"
            yield Violation(
                PlanRule.WAVE_NUMBER,
                each.system_key,
                (
                    f"“{each.system_name}”记为第 {each.wave} 批，其窗口 {each.window_id} 在计划中的序号是"
                    f" {expected}",
                    f"{each.system_name} is in wave {each.wave}; its window {each.window_id} is number"
                    f" {expected} of the plan's windows",
                ),
            )


def _fits_pool(entry: _Entry) -> Iterator[Violation]:
    """What one system asks of its pool, size in sum apart."""
    item, pool = entry.item, entry.pool

    def broken(rule: PlanRule, needs: Pair, offers: Pair) -> Violation:
        message = (
            f"“{item.name}”{needs[0]}，{pool.pool_id} {offers[0]}",
            f"{item.name} {needs[1]}; {pool.pool_id} {offers[1]}",
        )
        return Violation(rule, item.key, message)

    if pool.closed is not None:
        yield broken(PlanRule.POOL_CLOSED, ("不能迁入", "cannot move there"), pool.closed)
    if item.zone not in pool.zones:
        zones = "|".join(sorted(pool.zones))
        yield broken(
            PlanRule.ZONE,
            (f"在{item.zone}", f"is of zone {item.zone}"),
            (f"只接 {zones}", f"serves {zones}"),
        )
    if item.level > pool.level:
        yield broken(
            PlanRule.PROTECTION_LEVEL,
            (f"等保 {item.level} 级", f"has protection level {item.level}"),
            (f"最高 {pool.level} 级", f"takes {pool.level} at most"),
        )
    runs = [hosts for hosts in pool.hosts if item.architecture.runs_on(hosts.architecture)]
    if not runs:
        offered = "|".join(hosts.architecture for hosts in pool.hosts) or "无/none"
        yield broken(
            PlanRule.ARCHITECTURE,
            (f"需要 {item.architecture}", f"needs {item.architecture}"),
            (f"只有 {offered}", f"has {offered}"),
        )
    if item.need.accelerator_milli > 0 and (item.accelerator is None or item.accelerator not in pool.accelerators):
        cards = "|".join(sorted(pool.accelerators)) or "无/none"
        yield broken(
            PlanRule.ACCELERATOR,
            (f"需要 {item.accelerator}", f"needs {item.accelerator}"),
            (f"只有 {cards}", f"has {cards}"),
        )
    elif (
        item.need.accelerator_milli > 0
        and runs
        and not any(hosts.largest_node.accelerator_milli for hosts in runs)
    ):
        yield broken(
            PlanRule.ACCELERATOR,
            (f"需要 {item.accelerator}", f"needs {item.accelerator}"),
            (f"的 {item.architecture} 主机没有加速卡", f"has no cards on {item.architecture} hosts"),
        )
    server = item.per_server
    if server is not None and runs and not any(server.fits_in(hosts.largest_node) for hosts in runs):
        need, node = format_resources(server), format_resources(runs[0].largest_node)
        yield broken(
            PlanRule.NODE_SIZE,
            (f"单台平均 {need}", f"has servers of {need} on average"),
            (f"最大节点 {node}", f"has nodes of {node} at most"),
        )


def _outside_freezes(problem: WaveProblem, entry: _Entry) -> Iterator[Violation]:
    item, window = entry.item, entry.slot.window
    for held in problem.freezes:
        freeze = held.freeze
        if held.lifted or item.key in held.exempt:
            continue
        if window.last_day < freeze.first or window.first_day > freeze.last:
            continue
        in_scope = (
            not (freeze.sectors and not freeze.sectors.intersection(item.sectors))
            and not (freeze.zones and item.zone not in freeze.zones)
            and not (freeze.ownerships and item.ownership not in freeze.ownerships)
            and not (freeze.tags and not freeze.tags.intersection(item.tags))
            and not (freeze.regions and item.region not in freeze.regions)
            and not (freeze.departments and item.department not in freeze.departments)
        )
        if in_scope:
            message = (
                f"“{item.name}”的窗口 {window.window_id} 在封网期“{freeze.name}”{freeze.first}..{freeze.last} 内，"
                f"请换窗口或办理豁免（批准人：{freeze.overridable_by or '不可豁免'}）",
                f"window {window.window_id} of {item.name} falls in freeze {freeze.name},"
                f" {freeze.first}..{freeze.last};"
                f" choose another, or get leave from {freeze.overridable_by or 'nobody: it cannot be overridden'}",
            )
            yield Violation(PlanRule.FREEZE, item.key, message)


def _capacity(problem: WaveProblem, entries: list[_Entry]) -> Iterator[Violation]:
    """What all systems of a pool need together, on hosts of each architecture and on its disk: at the end, and
    before each arrival of more."""
    by_pool: dict[str, list[_Entry]] = defaultdict(list)
    for entry in entries:
        by_pool[entry.pool.pool_id].append(entry)

    def over(pool: PoolSlot, what: Pair, needed: str, free: str) -> Violation:
        message = (
            f"{pool.pool_id} 的{what[0]}不足：共需 {needed}，可用 {free}；请移走部分系统或扩容",
            f"{pool.pool_id} has too little {what[1]}: {needed} needed, {free} free; move systems away, or"
            " enlarge it",
        )
        return Violation(PlanRule.CAPACITY, None, message)

    until: list[tuple[PoolSlot, date]] = [
        (pool, day)
        for pool in problem.pools
        for day in [*sorted({arrival.day for arrival in pool.arrivals}), date.max]
    ]
    for pool, day in until:
        items = [entry.item for entry in by_pool[pool.pool_id] if entry.slot.window.first_day < day]
        here = [arrival for arrival in pool.arrivals if arrival.day < day]
        disk = sum(item.need.disk_bytes for item in items)
        free_disk = pool.free_disk_bytes + sum(arrival.amount.disk_bytes for arrival in here)
        if disk > free_disk:
            yield over(pool, ("存储", "disk"), f"{disk} B", f"{free_disk} B")
        for hosts in pool.hosts:
            need = total(item.need for item in items if item.architecture.runs_on(hosts.architecture))
            more = total(each.amount for each in here if each.architecture.runs_on(hosts.architecture))
            free = hosts.free + more
            dimensions = (
                (("CPU（毫核）", "CPU (milli)"), need.cpu_milli, free.cpu_milli),
                (("内存", "memory"), need.memory_bytes, free.memory_bytes),
                (("加速卡（毫卡）", "accelerators (milli)"), need.accelerator_milli, free.accelerator_milli),
            )
            for (zh, en), wanted, offered in dimensions:
                if wanted > offered:
                    what = (f" {hosts.architecture} {zh}", f"{hosts.architecture} {en}")
                    yield over(pool, what, str(wanted), str(offered))


def _windows(problem: WaveProblem, entries: list[_Entry]) -> Iterator[Violation]:
    """Caps, pilot risk and copy volume of each window."""
    by_window: dict[str, list[_Entry]] = defaultdict(list)
    for entry in entries:
        by_window[entry.slot.window.window_id].append(entry)
    for slot in problem.windows:
        window, inside = slot.window, by_window[slot.window.window_id]
        if len(inside) > slot.cap:
            message = (
                f"窗口 {window.window_id} 有 {len(inside)} 个系统，上限 {slot.cap}；请移走"
                f" {len(inside) - slot.cap} 个",
                f"window {window.window_id} holds {len(inside)} systems, its cap is {slot.cap};"
                f" move {len(inside) - slot.cap} away",
            )
            yield Violation(PlanRule.WINDOW_CAP, None, message)
        copied: Counter[str] = Counter()
        for entry in inside:
            copied[entry.pool.pool_id] += entry.item.copy_bytes
            if entry.item.risk > slot.max_risk:
                message = (
                    f"“{entry.item.name}”风险 {entry.item.risk}，试点窗口 {window.window_id} 只收"
                    f" {slot.max_risk} 以内",
                    f"{entry.item.name} has risk {entry.item.risk}; pilot window {window.window_id} takes"
                    f" {slot.max_risk} at most",
                )
                yield Violation(PlanRule.PILOT_RISK, entry.item.key, message)
        for pool in problem.pools:
            budget = pool.copy_bytes_per_second * int((window.ends - window.starts).total_seconds())
            if copied[pool.pool_id] > budget:
                message = (
                    f"窗口 {window.window_id} 内须向 {pool.pool_id} 拷 {copied[pool.pool_id]} B,链路只能拷"
                    f" {budget} B",
                    f"window {window.window_id} must copy {copied[pool.pool_id]} B to {pool.pool_id}, its link"
                    f" carries {budget} B",
                )
                yield Violation(PlanRule.COPY_VOLUME, None, message)


def _groups(problem: WaveProblem, plan: WavePlan) -> Iterator[Violation]:
    """All members of a move group in one window, or none of them."""
    window_of = {each.system_key: each.window_id for each in plan.assignments}
    members: dict[str, list[Item]] = defaultdict(list)
    for item in problem.items:
        members[item.group].append(item)
    for group, items in members.items():
        places = {window_of.get(item.key) for item in items}
        if len(places) > 1:
            listed = "、".join(f"{item.name}={window_of.get(item.key) or '—'}" for item in items)
            message = (
                f"同批组 {group} 被拆开：{listed}；须在同一窗口",
                f"move group {group} is split: {listed}; its members must share one window",
            )
            yield Violation(PlanRule.GROUP_SPLIT, group, message)


def _order(problem: WaveProblem, plan: WavePlan, entries: list[_Entry]) -> Iterator[Violation]:
    """What is used moves first or at once; only a declared split inside a cycle may say otherwise."""
    starts = {entry.item.key: entry.slot.window.starts for entry in entries}
    declared = {(split.user, split.used) for split in plan.splits}
    group_of = {item.key: item.group for item in problem.items}
    leads_to: dict[str, set[str]] = defaultdict(set)
    for item in problem.items:
        leads_to[item.group].update(group_of[used] for used in item.uses)
    for item in problem.items:
        for used in item.uses:
            mine, theirs = starts.get(item.key), starts.get(used)
            if mine is None or theirs is None or theirs <= mine:
                continue
            is_cycle = _reaches(leads_to, group_of[used], item.group)
            if is_cycle and (item.key, used) in declared:
                continue
            hint = (
                ("属循环依赖，计划须在 splits 中写明", "it is part of a cycle: the plan must declare it in splits")
                if is_cycle
                else ("请让被依赖者先行或同批", "move what is used first, or both at once")
            )
            message = (
                f"“{item.name}”（{mine}）早于其依赖的 {used}（{theirs}）；{hint[0]}",
                f"{item.name} ({mine}) moves before {used} ({theirs}), which it uses; {hint[1]}",
            )
            yield Violation(PlanRule.ORDER, item.key, message)


def _reaches(leads_to: dict[str, set[str]], start: str, goal: str) -> bool:
    seen, open_ends = {start}, [start]
    while open_ends:
        here = open_ends.pop()
        if here == goal:
            return True
        fresh = leads_to[here] - seen
        seen |= fresh
        open_ends.extend(fresh)
    return False

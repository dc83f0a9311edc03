"""Plans of estates as people see them: what needs neither ledger nor service.

Who calls this: `console.planning`, and `console.migration_views` for the words that both share. It loads no service: planning an
estate promises to end in time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from console import printing
from inventory.model.calendar import Window
from inventory.model.migration import Pair, Unplaced, WavePlan
from scheduler.core.waves.conflicts import Conflict
from scheduler.core.waves.replan import Repair

_SHOWN = 40


def show_estate_plan(plan: WavePlan) -> None:
    """A plan without a ledger: its measure, and the waves in short."""
    measure = plan.measure
    if measure is not None:
        proven = "，完成日已证明最优 / the finish is proven optimal" if measure.gap == 0 else ""
        printing.say(
            f"安排 / placed {len(plan.assignments)}，未安排 / no place {len(plan.unplaced)}{_at_least(plan)}；"
            f"完成 / finish {measure.finish_days} 天/days，下界 / bound {measure.bound_days}，"
            f"差距 / gap {measure.gap:.2%}{proven}；求解 / solver {plan.solver}",
            "bold",
        )
        printing.say("目标 / aims: " + "，".join(f"{name} {value}" for name, value in measure.scores.items()))
    rows = [(wave.number, window_text(wave.window), len(wave.system_keys)) for wave in plan.waves]
    printing.table("批次 / waves", ("批次/wave", "窗口/window", "系统数/systems"), rows)
    show_unplaced("没有位置的系统 / systems without a place", plan.unplaced)


def _at_least(plan: WavePlan) -> str:
    """What is proven about the systems without a place."""
    least = plan.measure.unplaced_at_least if plan.measure is not None else 0
    if not plan.unplaced:
        return ""
    if least == len(plan.unplaced):
        return "（已证明不能更少 / proven that no plan has fewer）"
    return f"（已证明至少 / proven: at least {least}）"


def show_conflict(conflict: Conflict) -> None:
    """What cannot stand together, and what would give way most cheaply."""
    if conflict.core:
        minimal = "最小冲突集 / minimal conflict" if conflict.is_minimal else "冲突集 / conflict (not minimised)"
        printing.table(
            minimal, ("约束/constraint", "说明/words"), [(c.name, both(c.words)) for c in conflict.core]
        )
        rows = [(c.name, both(c.remedy)) for c in conflict.relaxations]
        printing.table(
            "可放宽，代价低者在前 / would give way, the cheapest first", ("约束/constraint", "办法/how"), rows
        )


def show_repair(repair: Repair) -> None:
    printing.say(both(repair.sentence), "bold")
    printing.say(f"旧计划违反 / the old plan breaks {len(repair.broken)} 条/rules")
    rows = [(c.system_key, " ".join(c.before or ("—",)), " ".join(c.after or ("—",))) for c in repair.changes]
    if rows:
        printing.table("改动 / changes", ("系统/system", "原/before", "新/after"), rows)
    show_unplaced("没有位置的系统 / systems without a place", repair.plan.unplaced)


def show_worth(worth: Mapping[str, int], before: Mapping[str, int]) -> None:
    """What a plan is worth by aim, and how far that is from what its file says: an edit is scored by that."""
    shown = [
        f"{aim} {value}{f' ({value - before[aim]:+d})' if before.get(aim, value) != value else ''}"
        for aim, value in worth.items()
    ]
    printing.say("目标 / aims: " + "，".join(shown))


def show_unplaced(title: str, unplaced: Sequence[Unplaced]) -> None:
    if unplaced:
        rows = [(one.system_name, one.rule.value, both(one.reason)) for one in unplaced[:_SHOWN]]
        printing.table(f"{title}: {len(unplaced)}", ("系统/system", "规则/rule", "原因/reason"), rows)
        if len(unplaced) > _SHOWN:
            printing.say(
                f"… 另有 {len(unplaced) - _SHOWN} 个，见 --json / and {len(unplaced) - _SHOWN} more, see --json"
            )


def window_text(window: Window) -> str:
    mark = "（暂定/provisional）" if window.provisional else ""
    return f"{window.starts:%Y-%m-%d %H:%M}–{window.ends:%m-%d %H:%M}{mark}"


def both(pair: Pair) -> str:
    return f"{pair[0]} / {pair[1]}"

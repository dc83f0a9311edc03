"""Wave plans as people and programs see them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from console import printing
from console.estate_views import both, show_unplaced, window_text
from console.migration_access import BrokenRule, Planned, Repaired
from scheduler.core.waves.forecast import FinishForecast
from scheduler.services.desk_ports import MigrationProgress, PlanForecast, PlannedWaves


def show_plan(made: Planned) -> None:
    plan = made.plan
    kept = f"{made.plan_id}" if made.plan_id else "未采用（违反规则）/ not adopted: it breaks rules"
    printing.say(
        f"计划 / plan: {kept}    起始 / from {plan.starts_on}    种子 / seed {plan.seed}    "
        f"安排 / placed {len(plan.assignments)}，未安排 / no place {len(plan.unplaced)}，"
        f"不在迁移之列 / left out {len(plan.left_out)}",
        "bold",
    )
    windows = {window.window_id: window for window in plan.windows}
    rows = [
        (
            one.wave,
            window_text(windows[one.window_id]),
            one.system_name,
            one.pool_id,
            both(one.why_here),
            both(one.why_then),
            both(one.why_not_earlier),
        )
        for one in sorted(plan.assignments, key=lambda one: (one.wave, one.system_key))
    ]
    columns = (
        "批次/wave",
        "窗口/window",
        "系统/system",
        "算力池/pool",
        "为何在此/here",
        "为何此时/then",
        "为何不更早/not earlier",
    )
    printing.table("批次安排 / assignments", columns, rows)
    show_unplaced("没有位置的系统 / systems without a place", plan.unplaced)
    show_unplaced("不在迁移之列或缺少事实 / not to be moved, or facts are missing", plan.left_out)
    for split in plan.splits:
        printing.say(f"拆开的依赖 / broken dependency: {split.user} → {split.used}: {both(split.reason)}")
    for note in plan.notes:
        printing.say(f"说明 / note: {both(note)}")
    show_broken(made.broken)


def show_broken(broken: Sequence[BrokenRule]) -> None:
    if not broken:
        printing.say("检查通过：计划遵守全部规则 / the check passes: the plan keeps every rule", "bold green")
        return
    rows = [(one.rule, one.system_key, both(one.message)) for one in broken]
    printing.table(f"违反的规则 / broken rules: {len(broken)}", ("规则/rule", "系统/system", "说明/message"), rows)


def show_waves(planned: PlannedWaves) -> None:
    rows = [
        (wave.number, window_text(wave.window), len(wave.system_keys), "、".join(wave.system_keys))
        for wave in planned.waves
    ]
    columns = ("批次/wave", "窗口/window", "系统数/systems", "系统/system keys")
    printing.table(f"{planned.plan_id} 的批次 / waves: {len(rows)}", columns, rows)


def show_progress(progress: MigrationProgress) -> None:
    rows = [
        (wave.number, wave.systems, wave.started, wave.migrated, wave.failed, _words(wave.systems, wave.migrated))
        for wave in progress.waves
    ]
    columns = ("批次/wave", "系统/systems", "已开始/started", "已迁移/migrated", "失败/failed", "进度/progress")
    printing.table(f"{progress.plan_id} 的进度 / progress", columns, rows)
    systems = sum(wave.systems for wave in progress.waves)
    migrated = sum(wave.migrated for wave in progress.waves)
    printing.say(
        f"共 / in all: {migrated}/{systems} 已迁移 migrated；没有位置 / without a place: {progress.unplaced}",
        "bold",
    )


def _words(systems: int, migrated: int) -> str:
    return f"{migrated}/{systems}"


def broken_json(one: BrokenRule) -> dict[str, Any]:
    return {
        "rule": one.rule,
        "system_key": one.system_key or None,
        "message": {"zh": one.message[0], "en": one.message[1]},
    }


def waves_json(planned: PlannedWaves) -> dict[str, Any]:
    return {
        "plan_id": planned.plan_id,
        "waves": [
            {
                "number": wave.number,
                "window_id": wave.window.window_id,
                "starts": wave.window.starts.isoformat(),
                "ends": wave.window.ends.isoformat(),
                "provisional": wave.window.provisional,
                "system_keys": list(wave.system_keys),
            }
            for wave in planned.waves
        ],
    }


def progress_json(progress: MigrationProgress) -> dict[str, Any]:
    return {
        "plan_id": progress.plan_id,
        "unplaced": progress.unplaced,
        "waves": [
            {
                "number": wave.number,
                "systems": wave.systems,
                "started": wave.started,
                "migrated": wave.migrated,
                "failed": wave.failed,
            }
            for wave in progress.waves
        ],
    }


def show_ledger_repair(repaired: Repaired) -> None:
    """A repair of the plan in force: proposed, or kept as a new plan."""
    made = repaired.made
    kept = (
        f"已采用为 / adopted as {made.plan_id}" if made.plan_id else "仅为建议 / proposed only: --adopt keeps it"
    )
    printing.say(f"{repaired.base_plan_id}: {both(repaired.sentence)}；{kept}", "bold")
    printing.say(f"原计划现违反 / the plan in force breaks {len(repaired.was_broken)} 条/rules")
    show_price(repaired.price)
    rows = [
        (key, " ".join(before or ("—",)), " ".join(after or ("—",))) for key, before, after in repaired.changes
    ]
    if rows:
        printing.table("改动 / changes", ("系统/system", "原/before", "新/after"), rows)
    if made.plan.approved:
        printing.say(f"保留的批次 / approved waves kept: {'、'.join(made.plan.approved)}")
    show_unplaced("没有位置的系统 / systems without a place", made.plan.unplaced)
    show_broken(made.broken)


def repair_json(repaired: Repaired) -> dict[str, Any]:
    return {
        "plan_id": repaired.made.plan_id or None,
        "base_plan_id": repaired.base_plan_id,
        "broken": [broken_json(one) for one in repaired.was_broken],
        "changes": [
            {"system_key": key, "before": before, "after": after} for key, before, after in repaired.changes
        ],
        "price": dict(repaired.price),
        "violations": [broken_json(one) for one in repaired.made.broken],
        "unplaced": [one.system_key for one in repaired.made.plan.unplaced],
    }


def show_price(price: Mapping[str, int]) -> None:
    """What a plan adds to the one in force, by aim."""
    if price:
        printing.say("代价 / price: " + "，".join(f"{aim} {value:+d}" for aim, value in price.items()))


def show_learned(found: PlanForecast) -> None:
    if found.measured:
        printing.say(
            f"时长按 {found.measured} 次实际割接学习 / learned from {found.measured} cutovers: "
            f"实际为申报的 / actual to declared {found.factor:.2f} ± {found.deviation:.2f}"
        )
    else:
        printing.say(
            f"尚无实际割接，时长按申报值 ±{found.deviation:.0%}（假设）/ no cutover was measured yet: declared minutes, give or "
            "take that share (an assumption)"
        )


def show_forecast(forecast: FinishForecast) -> None:
    def day(value: object) -> str:
        return "计划期外/beyond" if value is None else str(value)

    printing.say(
        f"完成日 / finish: P50 {day(forecast.p50)}  P80 {day(forecast.p80)}  P95 {day(forecast.p95)}；"
        f"按计划完成的概率 / chance to end as planned {forecast.on_time:.1%}（{forecast.samples} 次模拟 / samples）",
        "bold",
    )
    rows = [(window, f"{chance:.1%}") for window, chance in forecast.overrun.items() if chance > 0]
    if rows:
        printing.table("超时概率 / chance to overrun", ("窗口/window", "概率/chance"), rows)


def forecast_json(forecast: FinishForecast, learned: PlanForecast | None = None) -> dict[str, Any]:
    """With what was learned of durations, where cutovers of a ledger stand behind it."""
    basis = {}
    if learned is not None:
        basis = {"factor": learned.factor, "deviation": learned.deviation, "measured": learned.measured}
    days = {"p50": forecast.p50, "p80": forecast.p80, "p95": forecast.p95}
    return {
        **{name: None if day is None else day.isoformat() for name, day in days.items()},
        "on_time": forecast.on_time,
        "overrun": dict(forecast.overrun),
        "samples": forecast.samples,
        **basis,
    }

"""From ledger and pools to a wave problem: the estate (全部系统与算力池) in the planner's integers.

Who calls this: the command line and the migration service (`build_problem`), then a planner or the judge.
Pure: the caller reads ledger, pools and calendar. Equal input gives an equal problem, whatever the order of rows.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from inventory.graph import GroupCause, MoveGroup, Resolution, build_graph, move_groups
from inventory.model.calendar import Freeze, OperationsCalendar, Window
from inventory.model.migration import Declarations, FreezeOverride, Pair, Unplaced, UnplacedRule, WaveSettings
from inventory.model.pool import Pool
from inventory.model.system import System, system_key
from scheduler.core.waves.eligibility import held_by_group, left_out_systems
from scheduler.core.waves.items import Surroundings, make_item
from scheduler.core.waves.problem import HeldFreeze, WaveProblem
from scheduler.core.waves.targets import PoolUse, make_target
from scheduler.core.waves.windows import nights, with_bounds

NOTHING_DECLARED = Declarations()
_CAUSES: dict[GroupCause, Pair] = {
    GroupCause.DATABASE: ("共用数据库", "shared database"),
    GroupCause.CONSOLIDATION: ("整合到", "consolidated into"),
    GroupCause.DECLARED: ("人工指定同批", "declared to move together"),
}
# A member that is in the cloud already, on its way there, or to be closed, binds nobody.
_BINDS_NOBODY = frozenset({UnplacedRule.ALREADY_MIGRATED, UnplacedRule.UNDER_WAY, UnplacedRule.RETIRE})


class ProblemError(ValueError):
    """Ledger, pools or declarations that no plan can be made of: one line with value, rule and remedy."""


def build_problem(
    systems: Sequence[System],
    pools: Sequence[Pool],
    calendar: OperationsCalendar,
    settings: WaveSettings,
    declarations: Declarations = NOTHING_DECLARED,
    used: Collection[PoolUse] = (),
) -> WaveProblem:
    """Raises ProblemError where no pool is given or a declaration names what does not exist, and LookupError where
    the calendar is too short. A system that is not to be moved, or of which too little is known, is in
    `left_out`; so is one that a run moves now, by what `used` says."""
    if not pools:
        raise ProblemError("没有登记算力池，请先登记 / no pool is registered; register one first")
    ledger, doubles = _by_key(systems)
    _reject_unknown(declarations, ledger, calendar)
    graph, resolution = build_graph(tuple(ledger.values()))
    under_way = {use.moving: use.run_id for use in used if use.moving}
    left_out = left_out_systems(ledger, resolution.merges, under_way)
    groups = _groups(ledger, left_out, resolution, declarations)
    left_out.update(held_by_group(groups, ledger, left_out))
    moving = {key: system for key, system in ledger.items() if key not in left_out}
    around = Surroundings(
        group_of={member: group.group_id for group in groups for member in group.members},
        uses={key: tuple(used for used in graph.uses(key) if used in moving) for key in moving},
        dependents=graph.blast_sizes(),
        contract_ends=declarations.contract_ends,
        sector_words=calendar.sector_words,
        copy_pct=settings.cutover_copy_pct,
    )
    items = tuple(make_item(key, system, around) for key, system in moving.items())
    windows, refused = nights(calendar, settings)
    freezes = tuple(_held(freeze, declarations.freeze_overrides) for freeze in calendar.freezes)
    return WaveProblem(
        settings=settings,
        declarations=declarations,
        items=items,
        pools=tuple(make_target(pool, used, settings) for pool in sorted(pools, key=lambda pool: pool.pool_id)),
        windows=with_bounds(
            windows,
            settings,
            piloting=any(item.risk <= settings.pilot_max_risk for item in items),
            usable=lambda window: (
                not any(not held.lifted and _stops_everyone(held.freeze, window) for held in freezes)
            ),
        ),
        freezes=freezes,
        left_out=tuple(sorted([*left_out.values(), *doubles], key=lambda unplaced: unplaced.system_key)),
        refused_nights=tuple(refused),
        group_causes=tuple(
            (group.group_id, _cause(group))
            for group in groups
            if group.causes and moving.keys() >= set(group.members)
        ),
        notes=tuple(_notes(ledger, resolution, calendar, declarations)),
    )


def _by_key(systems: Sequence[System]) -> tuple[dict[str, System], list[Unplaced]]:
    """Systems by key, in the order of keys. Of rows with one key the first counts; the others are named."""
    ledger: dict[str, System] = {}
    doubles: list[Unplaced] = []
    for system in sorted(systems, key=lambda system: (system.sheet, system.row)):
        key = system_key(system.name, system.department)
        first = ledger.setdefault(key, system)
        if first is not system:
            reason = (
                f"与 {first.sheet}!{first.row} 同名同单位，请在台账中消重",
                f"same name and department as {first.sheet}!{first.row}; settle the duplicate in the ledger",
            )
            double = f"{key}@{system.sheet}!{system.row}"
            doubles.append(Unplaced(double, system.name, UnplacedRule.DUPLICATE_KEY, reason))
    return dict(sorted(ledger.items())), doubles


def _reject_unknown(
    declarations: Declarations, ledger: Mapping[str, System], calendar: OperationsCalendar
) -> None:
    named = {key for group in declarations.groups for key in group} | set(declarations.contract_ends)
    named.update(key for override in declarations.freeze_overrides for key in override.system_keys)
    unknown = sorted(named - set(ledger))
    if unknown:
        raise ProblemError(
            f"声明中的系统 {unknown[0]!r} 不在台账中，请核对“单位/名称”"
            f" / declared system {unknown[0]!r} is not in the ledger; write department/name as the ledger has"
            " them"
        )
    freezes = {freeze.name: freeze for freeze in calendar.freezes}
    for override in declarations.freeze_overrides:
        freeze = freezes.get(override.freeze)
        if freeze is None:
            raise ProblemError(
                f"豁免的封网期 {override.freeze!r} 不在计划期内，可选：{'、'.join(sorted(freezes)) or '无'}"
                " / no freeze of that name falls in the plan's time; name one of those listed"
            )
        if freeze.overridable_by is None:
            raise ProblemError(
                f"封网期 {override.freeze!r} 不可豁免，请另选窗口"
                " / this freeze cannot be overridden; choose another window"
            )
        if not (override.approver.strip() and override.document.strip() and override.reason.strip()):
            raise ProblemError(
                f"豁免封网期 {override.freeze!r} 须写明批准人、文号和理由（批准人：{freeze.overridable_by}）"
                " / to override this freeze give approver, document number and reason"
            )


def _groups(
    ledger: Mapping[str, System],
    left_out: Mapping[str, Unplaced],
    resolution: Resolution,
    declarations: Declarations,
) -> tuple[MoveGroup, ...]:
    binding = {
        key: system
        for key, system in ledger.items()
        if key not in left_out or left_out[key].rule not in _BINDS_NOBODY
    }
    merges = {
        key: target for key, target in resolution.merges.items() if key not in left_out and target not in left_out
    }
    return move_groups(tuple(binding.values()), merges, declarations.groups)


def _held(freeze: Freeze, overrides: Sequence[FreezeOverride]) -> HeldFreeze:
    """The freeze with the systems that have leave. An override that names no system lifts it for everyone."""
    exempt: set[str] = set()
    for override in overrides:
        if override.freeze == freeze.name:
            if not override.system_keys:
                return HeldFreeze(freeze, lifted=True)
            exempt |= override.system_keys
    return HeldFreeze(freeze, frozenset(exempt))


def _stops_everyone(freeze: Freeze, window: Window) -> bool:
    scoped = freeze.sectors or freeze.zones or freeze.ownerships
    return not scoped and freeze.first <= window.last_day and freeze.last >= window.first_day


def _cause(group: MoveGroup) -> Pair:
    parts = [(_CAUSES[cause], what) for cause, what in group.causes]
    return (
        "、".join(f"{zh}“{what}”" if what else zh for (zh, _), what in parts),
        ", ".join(f"{en} {what}".strip() for (_, en), what in parts),
    )


def _notes(
    ledger: Mapping[str, System], resolution: Resolution, calendar: OperationsCalendar, declarations: Declarations
) -> Iterator[Pair]:
    for name in resolution.unresolved:
        user = ledger[name.user].name
        if name.candidates:
            yield (
                f"“{user}”引用的“{name.name}”在多个单位重名（{'、'.join(name.candidates)}），未计入依赖，请写明单位",
                f"{user} names {name.name}, which several departments have ({', '.join(name.candidates)}); not"
                " counted as a dependency, say which",
            )
        else:
            yield (
                f"“{user}”引用的“{name.name}”不在台账中，未计入依赖",
                f"{user} names {name.name}, which is not in the ledger; not counted as a dependency",
            )
    for freeze in calendar.freezes:
        if freeze.provisional:
            yield (
                f"封网期“{freeze.name}”{freeze.first}..{freeze.last} 为暂定，以放假通知为准",
                f"freeze {freeze.name}, {freeze.first}..{freeze.last}, is provisional until the notice is out",
            )
    for override in declarations.freeze_overrides:
        systems = "、".join(sorted(override.system_keys))
        yield (
            f"封网期“{override.freeze}”经 {override.approver}"
            f" 批准（{override.document}）豁免：{systems or '全部系统'}；理由：{override.reason}",
            f"freeze {override.freeze} is overridden by {override.approver} ({override.document}) for"
            f" {systems or 'every system'}: {override.reason}",
        )

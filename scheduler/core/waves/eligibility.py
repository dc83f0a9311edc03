"""Which systems of the ledger are to be moved, and why each of the others is not (or cannot yet be).

Who calls this: `estate.py`. Nothing is dropped: a system is either eligible or gets an `Unplaced` with the rule,
the reason and the remedy. Unknown is not no, and unknown is not zero: a missing fact keeps a system out and says
which.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from inventory.graph import MoveGroup
from inventory.model.migration import Pair, Unplaced, UnplacedRule
from inventory.model.system import Disposition, System

_MOVING = frozenset(
    {
        Disposition.REHOST,
        Disposition.REPLATFORM,
        Disposition.REFACTOR,
        Disposition.REPURCHASE,
        Disposition.CONSOLIDATE,
    }
)
_LEVELS = {"none": 0, "1": 1, "2": 2, "3": 3, "4": 4}
Refusal = tuple[UnplacedRule, Pair]
# What is consolidated into one of these can follow it.
_IN_PLACE = frozenset({UnplacedRule.ALREADY_MIGRATED, UnplacedRule.UNDER_WAY})


def protection_level(system: System) -> int | None:
    """等保 as a number 0..4; None where the ledger does not know it."""
    return _LEVELS.get(system.mlps or "")


def out_of_scope(system: System) -> Refusal | None:
    """Why the system is not to be moved by any plan; None where it is to be moved.

    Classified systems never move, whatever else is written. Consolidated systems move first and are merged in the
    cloud (先集中、后整合), so they count as moving.
    """
    rule = UnplacedRule
    if system.classified is True:
        return rule.CLASSIFIED, ("涉密系统不上云", "a classified system never moves to the cloud")
    if system.migrated is True:
        return rule.ALREADY_MIGRATED, ("已迁移上云", "it is migrated already")
    if system.disposition is Disposition.RETIRE:
        return rule.RETIRE, ("处置方式为关停，不迁移", "it is to be closed, not moved")
    if system.disposition is Disposition.RETAIN:
        return rule.RETAIN, ("例外保留，不迁移", "it is retained as an exception")
    if system.should_migrate is False:
        return rule.NOT_TO_MIGRATE, ("台账记为不应迁移", "the ledger says that it is not to be migrated")
    if system.should_migrate is None:
        return rule.MIGRATION_UNDECIDED, (
            "台账未写明是否应迁移，请补填“应迁移”",
            "the ledger does not say whether it is to be migrated; fill in 应迁移",
        )
    return None


def _moving_now(run_id: str | None) -> Refusal | None:
    if run_id is None:
        return None
    return UnplacedRule.UNDER_WAY, (f"{run_id} 正在割接", f"run {run_id} is moving it now")


def missing_fact(system: System) -> Refusal | None:
    """The first fact without which a system that is to be moved cannot be planned; None where all are known."""
    rule = UnplacedRule
    unknown: tuple[tuple[bool, UnplacedRule, str, str], ...] = (
        (system.disposition not in _MOVING, rule.DISPOSITION_UNKNOWN, "处置方式", "disposition"),
        (system.classified is None, rule.CLASSIFICATION_UNKNOWN, "涉密分类", "classification"),
        (system.zone is None, rule.ZONE_UNKNOWN, "网络区域", "network zone"),
        (protection_level(system) is None, rule.PROTECTION_LEVEL_UNKNOWN, "等保级别", "protection level"),
        (system.arch is None, rule.ARCHITECTURE_UNKNOWN, "CPU架构", "CPU architecture"),
        (system.vcpu is None, rule.SIZE_UNKNOWN, "vCPU 数", "size: vCPUs"),
        (system.mem_gb is None, rule.SIZE_UNKNOWN, "内存", "size: memory"),
        (system.disk_gb is None, rule.SIZE_UNKNOWN, "存储", "size: disk"),
    )
    for is_missing, which, zh, en in unknown:
        if is_missing:
            return which, (
                f"台账缺少{zh}，未知不等于零，请补填后重新编排",
                f"the ledger does not know its {en}; unknown is not zero: fill it in and plan again",
            )
    negative = [
        (zh, en, value)
        for zh, en, value in (
            ("vCPU 数", "vCPUs", system.vcpu),
            ("内存", "memory", system.mem_gb),
            ("存储", "disk", system.disk_gb),
        )
        if value is not None and value < 0
    ]
    if negative:
        zh, en, value = negative[0]
        return rule.SIZE_UNKNOWN, (f"{zh}为负数 {value}，请改正", f"its {en} is negative ({value}); correct it")
    return None


def left_out_systems(
    ledger: Mapping[str, System], merges: Mapping[str, str], under_way: Mapping[str, str]
) -> dict[str, Unplaced]:
    """Every system that cannot be an item, each judged for itself and by its consolidation target. `under_way`: the run
    that moves a system now."""
    left_out: dict[str, Unplaced] = {}
    for key, system in ledger.items():
        refusal = out_of_scope(system) or _moving_now(under_way.get(key)) or missing_fact(system)
        if refusal is not None:
            left_out[key] = Unplaced(key, system.name, *refusal)
    # A target may itself be kept back by its own target, so we go round until nothing changes.
    changed = True
    while changed:
        changed = False
        for key, target in merges.items():
            if key in left_out or ledger[key].disposition is not Disposition.CONSOLIDATE:
                continue
            stays = left_out.get(target)
            if stays is not None and stays.rule not in _IN_PLACE:
                left_out[key] = Unplaced(key, ledger[key].name, *_target_stays(stays))
                changed = True
    return left_out


def held_by_group(
    groups: Iterable[MoveGroup], ledger: Mapping[str, System], left_out: Mapping[str, Unplaced]
) -> dict[str, Unplaced]:
    """Members of a move group of which another member cannot move: the whole group waits."""
    held: dict[str, Unplaced] = {}
    for group in groups:
        culprit = next((left_out[member] for member in group.members if member in left_out), None)
        if culprit is None:
            continue
        reason = (
            f"同批组成员“{culprit.system_name}”不能迁移（{culprit.reason[0]}），请先处理该成员，"
            "或拆分共用数据库、取消同批",
            f"{culprit.system_name} of the same move group cannot move ({culprit.reason[1]}); settle it first, or"
            " split the shared database or the group",
        )
        for member in group.members:
            if member not in left_out:
                held[member] = Unplaced(member, ledger[member].name, UnplacedRule.GROUP_HELD, reason)
    return held


def _target_stays(target: Unplaced) -> Refusal:
    return UnplacedRule.CONSOLIDATION_TARGET, (
        f"整合目标“{target.system_name}”不迁移（{target.reason[0]}），请先确定整合目标的去向",
        f"its consolidation target {target.system_name} does not move ({target.reason[1]}); settle where that"
        " goes first",
    )

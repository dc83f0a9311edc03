"""Rows and facts in words, for tests of the monthly report."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from inventory.model.system import Ownership
from inventory.rates import CountedSystem, parse_scope
from inventory.reports.facts import MonthFacts, Snapshot
from inventory.reports.organisations import packaged_organisations

DAY = date(2026, 11, 30)


def counted(name: str, **changes: object) -> CountedSystem:
    """A district system of 渝北区 that should migrate and has not."""
    plain = CountedSystem(
        system_key=f"区示例局/{name}",
        name=name,
        department="区示例局",
        ownership=Ownership.DISTRICT,
        zone="政务外网",
        sheet="台账",
        row=3,
        sender="重庆市渝北区大数据局",
        import_id="L1",
        disposition="rehost",
        should_migrate=True,
        migrated=False,
        closed=False,
        merged=False,
        merged_into=None,
        present=True,
        in_baseline=True,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]  # the tests name real fields


def facts(*systems: CountedSystem, **changes: object) -> MonthFacts:
    plain = MonthFacts(
        month="2026-11",
        made_on=date(2026, 12, 1),
        now=Snapshot(DAY, systems),
        before=None,
        year_ago=None,
        scope=parse_scope(),
        district="",
        organisations=packaged_organisations(),
        illustrative=False,
        chain=(7, "ab" * 32),
    )
    return replace(plain, **changes)  # type: ignore[arg-type]  # the tests name real fields


def published() -> tuple[CountedSystem, ...]:
    """渝北大数据函〔2021〕51号: 67 in the baseline, 28 closed, 12 merged, 34 of 35 migrated."""
    rows = [counted(f"关停{n}", closed=True, should_migrate=False, disposition="retire") for n in range(28)]
    rows += [counted(f"整合{n}", merged=True, migrated=True, disposition="consolidate") for n in range(8)]
    rows += [counted(f"并入{n}", merged=True, should_migrate=False) for n in range(4)]
    rows += [counted(f"迁移{n}", migrated=True) for n in range(26)]
    rows.append(counted("待迁"))
    return tuple(rows)

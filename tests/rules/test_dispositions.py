"""What the rules propose, what blocks them, and what an exception waives: the shipped rule file, judged by tables."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inventory.model.system import Disposition, Ownership, System
from inventory.rules.evaluate import ExceptionGrant, Outcome, Setting, blocking, cap_excesses
from inventory.rules.facts import Evidence, Standing, system_facts
from inventory.rules.rulebook import Role
from inventory.utilisation.measurement import Measurement
from tests.rules.subjects import DAY, a_district_system, assessed, idle_for, spread, the_rules

QUIET = idle_for(120)
HALF_SEEN = idle_for(120, measured=70)


@pytest.mark.parametrize(
    ("case", "system", "measurement", "proposed", "rule"),
    [
        ("an ordinary system migrates", {}, None, "rehost", "migrate-by-default"),
        ("a classified one stays", {"classified": True}, QUIET, "retain", "retain-classified"),
        ("without the classification nothing is proposed", {"classified": None}, None, None, None),
        (
            "a superior's system goes with him",
            {"ownership": Ownership.VERTICAL},
            None,
            "retain",
            "retain-vertical",
        ),
        ("a named target consolidates", {"merged_into": "甲系统"}, QUIET, "consolidate", "consolidate-declared"),
        ("its owner calls it a zombie", {"zombie": True}, None, "retire", "retire-reported-zombie"),
        ("nobody for 120 days", {}, QUIET, "retire", "retire-unused"),
        ("nobody for 89 days is too short", {}, idle_for(89), "rehost", "migrate-by-default"),
        ("coverage C proves nothing", {}, HALF_SEEN, "rehost", "migrate-by-default"),
        ("some users, but idle", {}, idle_for(120, users=4), "retire", "retire-idle"),
        ("five users are enough to keep it", {}, idle_for(120, users=5), "rehost", "migrate-by-default"),
        ("busy processors keep it", {}, idle_for(120, users=4, cpu=10), "rehost", "migrate-by-default"),
        ("an emergency system may idle", {"name": "防汛监测系统"}, QUIET, "rehost", "migrate-by-default"),
        ("so may an exam system", {"function": "中考报名"}, QUIET, "rehost", "migrate-by-default"),
        ("and a standby one", {"remark": "备用节点"}, QUIET, "rehost", "migrate-by-default"),
        ("Oracle is ported", {"database": "oracle 11g"}, None, "replatform", "replatform-unported"),
        ("Windows is ported", {"os": "Windows Server 2012"}, None, "replatform", "replatform-unported"),
    ],
)
def test_the_proposal(
    case: str, system: dict[str, object], measurement: Measurement | None, proposed: str | None, rule: str | None
) -> None:
    found = assessed(a_district_system(**system), measurement)
    assert found.disposition == proposed, case
    assert (found.proposal.rule.rule_id if found.proposal else None) == rule, case


def test_retiring_what_others_use_is_blocked_and_the_next_rule_proposes() -> None:
    found = assessed(a_district_system(), QUIET, used_by=("甲系统", "乙系统", "丙系统"))
    assert found.disposition is Disposition.REHOST
    judged = found.review_rule
    assert judged is not None and judged.outcome is Outcome.BLOCKED
    assert judged.says == ("已 120 天无人使用（数据覆盖 100%）", "no users for 120 days (coverage 100%)")
    assert judged.blocked_by == (
        ("被 3 个系统使用（甲系统、乙系统、丙系统）", "used by 3 systems (甲系统, 乙系统, 丙系统)"),
    )
    assert judged.rule.source.says[0].endswith("“资源长期空闲”；本项目自定：90 天为本项目取值")


def test_a_person_may_declare_that_a_system_is_ordinary() -> None:
    named_after_floods = a_district_system(name="防汛物资采购系统")
    assert assessed(named_after_floods, QUIET).disposition is Disposition.REHOST
    assert assessed(named_after_floods, QUIET, role=Role.ORDINARY).disposition is Disposition.RETIRE


def test_a_year_of_seasons_blocks_and_says_so() -> None:
    busy, quiet = (
        ("2026-03",),
        (*(f"2026-{month:02}" for month in range(4, 12)), "2025-12", "2026-01", "2026-02"),
    )
    seasonal = replace(
        idle_for(365), users=900, last_used_on=DAY - timedelta(days=200), busy_months=busy, quiet_months=quiet
    )
    found = assessed(a_district_system(), seasonal)
    assert found.review_rule is not None and found.review_rule.outcome is Outcome.BLOCKED
    assert found.review_rule.blocked_by[0][1] == "its use comes in seasons; ask its department"


@settings(deadline=None)
@given(
    st.sampled_from(
        ["zombie", "users", "classified", "zone", "vcpu", "data_catalog", "crypto_plan", "mlps", "arch"]
    )
)
def test_forgetting_a_fact_never_proposes_to_retire(field: str) -> None:
    assert assessed(a_district_system(**{field: None})).disposition is not Disposition.RETIRE


@pytest.mark.parametrize(
    ("case", "system"),
    [
        ("a classified system stays where it is", {"classified": True}),
        ("a superior's system is not the district's to close", {"ownership": Ownership.VERTICAL}),
        ("what is to be merged is not closed", {"merged_into": "甲系统"}),
    ],
)
def test_what_an_earlier_rule_settles_comes_into_no_review_queue(case: str, system: dict[str, object]) -> None:
    assert assessed(a_district_system(**system), QUIET).review_rule is None, case


@pytest.mark.parametrize(
    ("case", "changes", "proposed"),
    [
        ("users counted on every day", {"users_days": 120, "use_days": 120}, Disposition.RETIRE),
        ("users counted on three days of 120", {"users_days": 3, "use_days": 3}, Disposition.REHOST),
        ("data that ended 100 days ago", {"last_day": DAY - timedelta(days=100)}, Disposition.REHOST),
    ],
)
def test_only_a_metric_that_was_measured_itself_and_lately_proves_that_nobody_uses_it(
    case: str, changes: dict[str, object], proposed: Disposition
) -> None:
    first = {"first_day": DAY - timedelta(days=219)} if "last_day" in changes else {}
    found = assessed(a_district_system(), replace(QUIET, **first, **changes))  # type: ignore[arg-type]  # real fields
    assert found.disposition is proposed, case


def test_without_telemetry_nothing_is_idle() -> None:
    nothing = Measurement(DAY - timedelta(days=119), DAY, 0)
    assert assessed(a_district_system(), nothing).review_rule is None


def finding_ids(system: System, **around: object) -> dict[str, Outcome]:
    return {one.rule.rule_id: one.outcome for one in assessed(system, **around).findings}  # type: ignore[arg-type]  # as in assessed


@pytest.mark.parametrize(
    ("case", "system", "rule"),
    [
        ("no catalogue", {"data_catalog": False}, "catalogue-missing"),
        ("no cryptography plan", {"crypto_plan": False}, "crypto-plan-missing"),
        ("classification unknown", {"classified": None}, "classification-unknown"),
        (
            "retained without a reason",
            {"disposition": Disposition.RETAIN, "defer_reason": None},
            "exception-without-reason",
        ),
        ("a merge is owed", {"merged_into": "甲系统"}, "unmerged-funding"),
        ("little used and small", {"users": 3, "cpu_avg_pct": 0.2}, "low-use-small"),
    ],
)
def test_a_finding(case: str, system: dict[str, object], rule: str) -> None:
    assert finding_ids(a_district_system(**system))[rule] is Outcome.HOLDS, case


def test_an_empty_cell_is_no_missing_catalogue() -> None:
    assert finding_ids(a_district_system(data_catalog=None, crypto_plan=None)) == {}


def leave(rule: str, subject: str, days: int) -> ExceptionGrant:
    return ExceptionGrant(
        "E1",
        rule,
        subject,
        "应急建设",
        "数函〔2026〕11号",
        "王局",
        DAY - timedelta(days=30),
        DAY + timedelta(days=days),
    )


@pytest.mark.parametrize(
    ("case", "subject", "days", "outcome"),
    [
        ("for the system", "区机关事务中心/公车调度系统", 10, Outcome.WAIVED),
        ("for its department", "区机关事务中心", 0, Outcome.WAIVED),
        ("but not after its end", "区机关事务中心", -1, Outcome.HOLDS),
        ("nor for another", "区教委", 10, Outcome.HOLDS),
    ],
)
def test_an_exception_waives_a_finding(case: str, subject: str, days: int, outcome: Outcome) -> None:
    found = assessed(
        a_district_system(data_catalog=False), exceptions=(leave("catalogue-missing", subject, days),)
    )
    assert found.findings[0].outcome is outcome, case
    assert bool(blocking(found)) == (outcome is Outcome.HOLDS)


def test_readiness_falls_by_what_is_missing_and_says_why() -> None:
    full = assessed(a_district_system(), replace(QUIET, users=50, last_used_on=DAY))
    assert full.readiness.points == 85 and [one.rule.rule_id for one in full.readiness.reasons] == [
        "ready-architecture"
    ]
    poor = assessed(a_district_system(vcpu=None, zone=None, mlps=None))
    assert poor.readiness.points == 15 and poor.readiness.level == "low"


def test_risk_adds_up_and_ends_at_100() -> None:
    risky = assessed(
        a_district_system(mlps="3", users=None, disk_gb=20000, golive="2010", golive_precision="year"),
        used_by=tuple("甲乙丙丁戊"),
    )
    assert risky.risk.points == 20 + 10 + 20 + 10 + 10
    assert risky.risk.level == "high"


def living(**systems: System) -> dict[str, dict[str, object]]:
    return {key: system_facts(one, Evidence(Standing(DAY)), the_rules()) for key, one in systems.items()}  # type: ignore[misc]  # values are facts


@pytest.mark.parametrize(
    ("case", "names", "caps"),
    [
        ("one website is allowed", ["门户网站"], []),
        ("two are not", ["门户网站", "招商网站"], ["one-website"]),
        ("two apps are not", ["掌上办", "办事小程序"], ["one-mobile-app"]),
        ("a website and an app are", ["门户网站", "掌上办"], []),
        ("two internal systems of one zone", ["审批系统", "档案系统"], ["one-internal-system"]),
    ],
)
def test_a_cap(case: str, names: list[str], caps: list[str]) -> None:
    facts = living(**{name: a_district_system(name=name) for name in names})
    found = cap_excesses(the_rules(), facts, Setting(DAY))  # type: ignore[arg-type]  # as above
    assert [one.cap.rule_id for one in found] == caps, case


def test_right_after_the_limit_stands_the_number() -> None:
    assert spread(7).p95 == 7

"""What people and time do to a run: approvals, segregation of duties, pause, retry, skip, windows, rollback."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from inventory.store.verify import verify
from scheduler.core.migration.run import ChangeKind
from scheduler.core.migration.transitions import MigrationState, StepState
from scheduler.runbooks.desk import Paper
from scheduler.runbooks.faults import RequestRefused
from tests.runbooks.runbooks import (
    CLOSES_MS,
    MINUTE,
    OPENS_MS,
    PAPER,
    SYSTEM,
    Site,
    a_site,
    a_template,
    an_order,
    approval,
    noting,
    step,
)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with a_site(tmp_path / "home") as made:
        yield made


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


def done(log: Path, word: str = "do") -> list[str]:
    """The steps that left their line, in order."""
    if not log.exists():
        return []
    return [
        line.split()[1] for line in log.read_text(encoding="utf-8").splitlines() if line.startswith(f"{word} ")
    ]


def kinds(site: Site, run_id: str) -> list[ChangeKind]:
    return [entry.change.kind for entry in site.record.entries(run_id)]


def fails_in_the_window(log: Path, step_id: str) -> dict[str, Any]:
    """A command that passes in the rehearsal and fails when it counts, until a file lies beside the log."""
    line = (
        f'echo "do $XISUAN_STEP $XISUAN_ATTEMPT" >> {log}; '
        f"case $XISUAN_STEP in rehearsal*) exit 0;; *) [ -e {log}.repaired ];; esac"
    )
    command = {**noting(log, "do"), "argv": ["/bin/sh", "-c", line]}
    return step(step_id, command, compensation=noting(log, "undo"))


def a_verification(log: Path) -> dict[str, Any]:
    return {"steps": [{**fails_in_the_window(log, "verify"), "provides": "verified"}]}


HOLD = {"on_failure": "hold"}


def test_a_run_goes_from_approval_to_the_ledger(site: Site, log: Path) -> None:
    run_id = site.open(a_template(log))
    run = site.through_the_window(run_id)
    assert (run.waiting_for, run.is_committed) == ("accept", False)
    assert run_id in site.pools.held, "capacity is held from approval"
    assert not site.store.read(limit=9, kinds=("system.migrated",)), "nothing is migrated before acceptance"
    site.desk.approve(run_id, "", "李四", Paper("示例验〔2026〕9号", "a" * 64))
    site.until_state(run_id, MigrationState.COMPLETED)
    assert run_id not in site.pools.held, "capacity is released after acceptance"
    (fact,) = site.store.read(limit=9, kinds=("system.migrated",))
    assert fact.subject == SYSTEM
    assert fact.payload["source"] == f"{run_id} 示例验〔2026〕9号 {'a' * 64}"
    assert verify(site.store).holds


@pytest.mark.parametrize("keeps", ["nothing", "allocation"])
def test_what_runs_by_itself_after_acceptance_keeps_its_capacity_in_the_pool(
    site: Site, log: Path, keeps: str
) -> None:
    signed = approval("accept", "competent_authority", "acceptance")
    acceptance = {"steps": [signed, step("release", {"kind": "release", "keeps": keeps})]}
    run_id = site.open(a_template(log, acceptance=acceptance))
    site.through_the_window(run_id)
    site.desk.approve(run_id, "", "李四", Paper("示例验〔2026〕9号", "a" * 64))
    site.until_state(run_id, MigrationState.COMPLETED)
    assert run_id not in site.pools.held
    assert (run_id in site.pools.allocated) == (keeps == "allocation")


def test_a_system_that_is_recorded_as_migrated_is_not_recorded_again(site: Site, log: Path) -> None:
    for _ in range(2):
        run_id = site.open(a_template(log))
        site.through_the_window(run_id)
        site.desk.approve(run_id, "", "李四", PAPER)
        site.until_state(run_id, MigrationState.COMPLETED)
        site.clock.at_ms = OPENS_MS - MINUTE
    assert len(site.store.read(limit=9, kinds=("system.migrated",))) == 1


@pytest.mark.parametrize(
    ("outcome", "kind", "systems", "payload"),
    [
        ("merged", "system.merged", [{"key": "甲"}, {"key": "乙"}, {"key": "丙", "target": True}], {"into": "丙"}),
        ("closed", "system.closed", [{"key": "甲"}, {"key": "乙"}], {}),
    ],
)
def test_every_source_has_its_outcome(
    outcome: str, kind: str, systems: list[dict[str, Any]], payload: dict[str, str], site: Site, log: Path
) -> None:
    run_id = site.open(a_template(log, outcome=outcome), an_order(systems=systems))
    site.through_the_window(run_id)
    site.desk.approve(run_id, "", "李四", PAPER)
    site.until_state(run_id, MigrationState.COMPLETED)
    facts = site.store.read(limit=9, kinds=(kind,))
    assert [fact.subject for fact in facts] == ["甲", "乙"]
    assert all(payload.items() <= fact.payload.items() for fact in facts)


@pytest.mark.parametrize(
    ("actor", "said"),
    [("赵六", "张三"), ("", "经办人")],
)
def test_only_people_of_the_role_approve(actor: str, said: str, site: Site, log: Path) -> None:
    run_id = site.open(a_template(log))
    site.until_state(run_id, MigrationState.WAITING)
    with pytest.raises(RequestRefused, match=said):
        site.desk.approve(run_id, "", actor, PAPER)


def test_who_executes_cannot_accept(site: Site, log: Path) -> None:
    run_id = site.open(a_template(log), actor="李四")
    site.through_the_window(run_id)
    with pytest.raises(RequestRefused, match="职责分离"):
        site.desk.approve(run_id, "", "李四", PAPER)
    assert site.desk.show(run_id)["may_approve"] == ["张三"]
    site.desk.approve(run_id, "", "张三", PAPER)
    site.until_state(run_id, MigrationState.COMPLETED)


def test_an_approval_has_a_document_number(site: Site, log: Path) -> None:
    run_id = site.open(a_template(log))
    site.until_state(run_id, MigrationState.WAITING)
    with pytest.raises(RequestRefused, match="文号"):
        site.desk.approve(run_id, "", "张三", Paper(" ", ""))


def test_a_refusal_holds_the_run_until_it_is_asked_again(site: Site, log: Path) -> None:
    run_id = site.open(a_template(log))
    site.until_state(run_id, MigrationState.WAITING)
    site.desk.refuse(run_id, "", "张三", "材料不全")
    assert site.until_state(run_id, MigrationState.HELD).reason == "材料不全"
    assert done(log) == []
    with pytest.raises(RequestRefused, match="不可跳过"):
        site.desk.skip(run_id, "王五", "急")
    site.desk.retry(run_id, "王五")
    site.until_state(run_id, MigrationState.WAITING)
    site.desk.approve(run_id, "", "张三", PAPER)
    site.until(run_id, lambda run: run.waiting_for == "wait")


def test_a_pause_lets_no_further_step_begin(site: Site, log: Path) -> None:
    run_id = site.open(a_template(log))
    site.until_state(run_id, MigrationState.WAITING)
    site.desk.pause(run_id, "王五", "等通知")
    with pytest.raises(RequestRefused, match="不等待审批"):
        site.desk.approve(run_id, "", "张三", PAPER)
    site.until_state(run_id, MigrationState.PAUSED)
    site.desk.resume(run_id, "王五")
    site.until_state(run_id, MigrationState.WAITING)
    site.desk.approve(run_id, "", "张三", PAPER)
    site.until(run_id, lambda run: run.waiting_for == "wait")
    assert done(log)[:2] == ["build", "replicate"]


def test_retry_repeats_the_failed_step_and_nothing_else(site: Site, log: Path) -> None:
    run_id = site.open(a_template(log, verification=a_verification(log), policy=HOLD))
    run = site.through_the_window(run_id)
    assert run.state is MigrationState.HELD and "verify" in run.reason
    before = done(log)
    (log.parent / "log.repaired").touch()
    site.desk.retry(run_id, "王五")
    site.until(run_id, lambda run: run.waiting_for == "accept")
    assert done(log)[len(before) :] == ["verify"]


def test_a_skip_stands_with_its_reason_in_the_place_of_the_evidence(site: Site, log: Path) -> None:
    run_id = site.open(a_template(log, verification=a_verification(log), policy=HOLD))
    site.through_the_window(run_id)
    with pytest.raises(RequestRefused, match="reason"):
        site.desk.skip(run_id, "王五", " ")
    site.desk.skip(run_id, "王五", "人工逐行核对", "示例〔2026〕7号")
    run = site.until(run_id, lambda run: run.waiting_for == "accept")
    assert run.evidence["verified"] == {
        "skipped_by": "王五",
        "reason": "人工逐行核对",
        "number": "示例〔2026〕7号",
    }


def test_a_step_is_tried_as_often_as_the_runbook_says_and_then_a_person_is_asked(site: Site, log: Path) -> None:
    flaky = {**noting(log, "do", code=1)}
    replication = {
        "steps": [
            step("replicate", flaky, compensation=noting(log, "undo"), provides="replication_lag", attempts=3)
        ]
    }
    run_id = site.open(a_template(log, replication=replication))
    site.until_state(run_id, MigrationState.WAITING)
    site.desk.approve(run_id, "", "张三", PAPER)
    run = site.until_state(run_id, MigrationState.HELD)
    assert done(log).count("replicate") == 3
    assert "退出码 / exit code 1" in run.reason


def test_a_failure_in_the_window_rolls_the_whole_group_back(site: Site, log: Path) -> None:
    order = an_order(systems=[{"key": "甲"}, {"key": "乙"}])
    run_id = site.open(a_template(log, verification=a_verification(log)), order)
    run = site.through_the_window(run_id)
    assert run.state is MigrationState.ROLLED_BACK
    assert done(log, "undo")[-6:] == ["verify", "start", "stop@乙", "stop@甲", "replicate", "build"]
    assert run_id not in site.pools.held
    with pytest.raises(RequestRefused):
        site.desk.roll_back(run_id, "王五", "再来")


def test_a_compensation_that_fails_is_tried_again_when_a_person_says_so(site: Site, log: Path) -> None:
    line = f'echo "undo $XISUAN_STEP $XISUAN_ATTEMPT" >> {log}; [ -e {log}.repaired ]'
    stuck = {"kind": "command", "argv": ["/bin/sh", "-c", line], "idempotent": True}
    provisioning = {
        "steps": [
            step("hold", {"kind": "reserve", "pool": "gov-a", "cpu_milli": 1000, "memory_mib": 64}),
            step("build", noting(log, "do"), compensation=stuck),
        ]
    }
    run_id = site.open(a_template(log, provisioning=provisioning))
    site.until_state(run_id, MigrationState.WAITING)
    site.desk.approve(run_id, "", "张三", PAPER)
    site.until(run_id, lambda run: run.waiting_for == "wait")
    site.desk.roll_back(run_id, "王五", "改期")
    run = site.until_state(run_id, MigrationState.ROLLBACK_HELD)
    assert run.of(run.step("build")).state is StepState.COMPENSATION_FAILED
    assert done(log, "undo")[-2:] == ["replicate", "build"]
    (log.parent / "log.repaired").touch()
    site.desk.retry(run_id, "王五")
    site.until_state(run_id, MigrationState.ROLLED_BACK)
    assert run_id not in site.pools.held


def test_a_person_can_roll_back_while_a_step_runs(site: Site, log: Path) -> None:
    endless = {"kind": "command", "argv": ["/bin/sleep", "60"], "idempotent": True}
    replication = {
        "steps": [step("replicate", endless, compensation=noting(log, "undo"), provides="replication_lag")]
    }
    run_id = site.open(a_template(log, replication=replication))
    site.until_state(run_id, MigrationState.WAITING)
    site.desk.approve(run_id, "", "张三", PAPER)
    deadline = time.monotonic() + 20
    while site.run(run_id).of(site.run(run_id).step("replicate")).state is not StepState.RUNNING:
        assert time.monotonic() < deadline
        site.driver.tick()
        time.sleep(0.01)
    site.desk.roll_back(run_id, "王五", "改期")
    site.until_state(run_id, MigrationState.ROLLED_BACK)
    assert done(log, "undo") == ["replicate", "build"]


def test_after_the_commit_point_there_is_no_rollback(site: Site, log: Path) -> None:
    decommissioning = {"steps": [step("wipe", noting(log, "do", code=1), provides="decommissioned")]}
    run_id = site.open(a_template(log, decommissioning=decommissioning))
    site.through_the_window(run_id)
    site.desk.approve(run_id, "", "李四", PAPER)
    site.until_state(run_id, MigrationState.HELD)
    with pytest.raises(RequestRefused, match="提交点"):
        site.desk.roll_back(run_id, "王五", "后悔")


def test_a_window_that_is_about_to_be_overrun_warns_and_then_rolls_back(site: Site, log: Path) -> None:
    """Also while the run is held, or paused: the window's clock goes on."""
    policy = {**HOLD, "rollback_reserve_minutes": 30, "warn_before_minutes": 30}
    run_id = site.open(a_template(log, verification=a_verification(log), policy=policy))
    assert site.through_the_window(run_id).state is MigrationState.HELD
    site.clock.at_ms = CLOSES_MS - 60 * MINUTE
    site.until(run_id, lambda run: run.is_warned)
    assert site.run(run_id).state is MigrationState.HELD
    site.clock.at_ms = CLOSES_MS - 30 * MINUTE
    run = site.until_state(run_id, MigrationState.ROLLED_BACK)
    assert kinds(site, run_id).count(ChangeKind.WARNED) == 1
    assert "超时" in run.reason


def test_a_step_that_runs_on_is_given_up_at_the_windows_last_moment(site: Site, log: Path) -> None:
    line = f'echo "do $XISUAN_STEP $XISUAN_ATTEMPT" >> {log}; case $XISUAN_STEP in rehearsal*) exit 0;; *) exec sleep 60;; esac'
    slow = {**noting(log, "do"), "argv": ["/bin/sh", "-c", line]}
    verification = {"steps": [step("verify", slow, compensation=noting(log, "undo"), provides="verified")]}
    run_id = site.open(a_template(log, verification=verification, policy={**HOLD, "rollback_reserve_minutes": 30}))
    site.until_state(run_id, MigrationState.WAITING)
    site.desk.approve(run_id, "", "张三", PAPER)
    site.until(run_id, lambda run: run.waiting_for == "wait")
    site.clock.at_ms = OPENS_MS
    deadline = time.monotonic() + 20
    while "verify" not in done(log):
        assert time.monotonic() < deadline
        site.driver.tick()
        time.sleep(0.01)
    site.clock.at_ms = CLOSES_MS - 30 * MINUTE
    site.until_state(run_id, MigrationState.ROLLED_BACK)
    assert ChangeKind.WARNED in kinds(site, run_id), "the warning is not swallowed by the step that runs"
    assert done(log, "undo")[-5:-2] == ["verify", "start", f"stop@{SYSTEM}"]


def test_a_window_that_is_overrun_may_be_continued_by_policy(site: Site, log: Path) -> None:
    policy = {**HOLD, "on_overrun": "continue", "rollback_reserve_minutes": 30}
    run_id = site.open(a_template(log, verification=a_verification(log), policy=policy))
    site.through_the_window(run_id)
    site.clock.at_ms = CLOSES_MS + MINUTE
    site.until(run_id, lambda run: run.is_warned)
    (log.parent / "log.repaired").touch()
    site.desk.retry(run_id, "王五")
    site.until(run_id, lambda run: run.waiting_for == "accept")


@pytest.mark.parametrize(("differing", "state"), [(0, MigrationState.WAITING), (2, MigrationState.ROLLED_BACK)])
def test_rows_that_differ_are_no_verification(
    site: Site, log: Path, differing: int, state: MigrationState
) -> None:
    """In the rehearsal they do not: only what the cutover moved differs."""
    line = f"case $XISUAN_STEP in rehearsal*) echo 0;; *) echo {differing};; esac"
    looks = {**noting(log, "do"), "argv": ["/bin/sh", "-c", line], "value": True, "at_most": 0}
    compare = step("verify", looks, compensation={"none": "只比对 / it only compares"}, provides="verified")
    run_id = site.open(a_template(log, verification={"steps": [compare]}))
    site.through_the_window(run_id)
    run = site.until_state(run_id, state)
    if differing:
        assert "2" in run.of(run.step("verify")).message or "at most 0" in run.reason
        assert run.of(run.step("start")).state is StepState.COMPENSATED
    else:
        assert run.waiting_for == "accept" and run.evidence["verified"]["value"] == 0


def test_no_go_touches_nothing(site: Site, log: Path) -> None:
    replication = {
        "steps": [
            step(
                "replicate",
                {**noting(log, "do"), "argv": ["/bin/echo", "5000"], "value": True},
                compensation=noting(log, "undo"),
                provides="replication_lag",
            )
        ]
    }
    template = a_template(log, replication=replication)
    template["phases"]["cutover"]["steps"][1]["do"]["criteria"] = [
        {"evidence": "replication_lag", "at_most": 1000}
    ]
    run_id = site.open(template)
    run = site.through_the_window(run_id)
    assert run.state is MigrationState.HELD
    assert "no-go" in run.reason and "replication_lag ≤ 1000: 5000" in run.reason
    assert f"stop@{SYSTEM}" not in done(log)
    with pytest.raises(RequestRefused, match="不可跳过"):
        site.desk.skip(run_id, "王五", "急")


def test_it_is_no_go_when_the_window_cannot_hold_what_was_rehearsed(site: Site, log: Path) -> None:
    run_id = site.open(a_template(log, policy={"rollback_reserve_minutes": 30}))
    site.until_state(run_id, MigrationState.WAITING)
    site.desk.approve(run_id, "", "张三", PAPER)
    site.until(run_id, lambda run: run.waiting_for == "wait")
    site.clock.at_ms = CLOSES_MS - 29 * MINUTE
    run = site.until_state(run_id, MigrationState.HELD)
    assert "the window holds" in run.reason


def test_capacity_that_the_pool_does_not_have_holds_the_run(site: Site, log: Path) -> None:
    site.pools.free_milli = 500
    run_id = site.open(a_template(log))
    site.until_state(run_id, MigrationState.WAITING)
    site.desk.approve(run_id, "", "张三", PAPER)
    assert "500 milli-CPU free" in site.until_state(run_id, MigrationState.HELD).reason


def test_a_system_that_is_being_moved_is_in_no_second_run(site: Site, log: Path) -> None:
    run_id = site.open(a_template(log))
    with pytest.raises(RequestRefused, match=run_id):
        site.open(a_template(log))
    with pytest.raises(RequestRefused, match="台账中没有"):
        site.open(a_template(log), an_order(systems=[{"key": "不存在"}]))


def test_a_workload_of_the_pool_lasts_when_it_is_a_service_and_goes_when_it_is_undone(
    site: Site, log: Path
) -> None:
    site.pools.ends_as = "running"
    service = step(
        "serve",
        {
            "kind": "workload",
            "pool": "gov-a",
            "command": ["serve"],
            "cpu_milli": 100,
            "memory_mib": 64,
            "until": "running",
        },
        compensation={"kind": "cancel_workload"},
    )
    template = a_template(log)
    template["phases"]["provisioning"]["steps"].append(service)
    run_id = site.open(template)
    site.through_the_window(run_id)
    assert site.pools.states == {f"{run_id}/serve/1": "running"}
    site.desk.roll_back(run_id, "王五", "改期")
    site.until_state(run_id, MigrationState.ROLLED_BACK)
    assert site.pools.states == {f"{run_id}/serve/1": "cancelled"}


def test_a_secret_reaches_its_command_and_no_record(
    site: Site, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    password = "correct-horse-battery"
    monkeypatch.setenv("THE_PASSWORD", password)
    line = f'test "$PASSWORD" = {password} && echo "it is $PASSWORD" && echo $PASSWORD >&2'
    shown = {
        "kind": "command",
        "argv": ["/bin/sh", "-c", line.replace(password, "correct-horse-$REST")],
        "environment": {"REST": "battery"},
        "secrets": {"PASSWORD": "admin"},
        "idempotent": True,
    }
    replication = {
        "steps": [step("replicate", shown, compensation=noting(log, "undo"), provides="replication_lag")]
    }
    template = a_template(log, replication=replication, secrets=["admin"])
    run_id = site.open(template, an_order(secrets={"admin": {"env": "THE_PASSWORD"}}))
    site.until_state(run_id, MigrationState.WAITING)
    site.desk.approve(run_id, "", "张三", PAPER)
    site.until(run_id, lambda run: run.waiting_for == "wait")
    output = next((tmp_path / "home" / "runs" / run_id).glob("replicate*/try-1/output.log"))
    assert output.read_text(encoding="utf-8") == "it is ***\n***\n"
    found = contents(tmp_path)
    assert len(found) > 5
    assert [file for file, content in found.items() if password.encode() in content] == []


def contents(folder: Path) -> dict[Path, bytes]:
    """Every file below it. The host goes on meanwhile: journals of its database come and go."""
    found = {}
    for file in folder.rglob("*"):
        with suppress(FileNotFoundError):
            if file.is_file():
                found[file] = file.read_bytes()
    return found


def test_a_secret_that_is_not_set_is_named_and_the_run_held(site: Site, log: Path) -> None:
    uses = {**noting(log, "do"), "secrets": {"PASSWORD": "admin"}}
    replication = {
        "steps": [step("replicate", uses, compensation=noting(log, "undo"), provides="replication_lag")]
    }
    run_id = site.open(
        a_template(log, replication=replication, secrets=["admin"]),
        an_order(secrets={"admin": {"env": "NOBODY_SETS_THIS"}}),
    )
    site.until_state(run_id, MigrationState.WAITING)
    site.desk.approve(run_id, "", "张三", PAPER)
    assert "NOBODY_SETS_THIS" in site.until_state(run_id, MigrationState.HELD).reason
    assert done(log) == ["build"]


def test_two_gates_of_one_phase_are_two_approvals(site: Site, log: Path) -> None:
    both = {
        "steps": [
            approval("experts", "expert_panel", "opinion"),
            approval("approve", "competent_authority", "approval"),
        ]
    }
    people = {"competent_authority": ["张三"], "expert_panel": ["孙七"]}
    run_id = site.open(a_template(log, approval=both), an_order(people=people))
    site.until(run_id, lambda run: run.waiting_for == "experts")
    with pytest.raises(RequestRefused, match="expert_panel"):
        site.desk.approve(run_id, "", "张三", PAPER)
    site.desk.approve(run_id, "experts", "孙七", PAPER)
    site.until(run_id, lambda run: run.waiting_for == "approve")

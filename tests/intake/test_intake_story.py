"""One long story on each database: every kind of event, and the same ledger in the end."""

from __future__ import annotations

from dataclasses import replace

from inventory.intake import Intake
from inventory.ledger import HeaderMapping
from inventory.ledger import findings as found
from inventory.store.ledger import kinds
from inventory.store.verify import rebuild_projections, verify
from tests.intake.conftest import Send
from tests.intake.readings import NOW, SCHOOLS, TODAY, district_system, reading

A, B, C = (district_system(name) for name in ("审批系统", "一体化平台", "交换平台"))


def test_every_decision_is_carried_out_alike_on_both_databases(intake: Intake, send: Send) -> None:
    twin = replace(A, name="审批系统二期")
    contradiction = found.conflict("区级系统", 9, "H9", "users", ("审批系统", "500", "300"))
    unknown = found.unknown_dependency("区级系统", 6, "P6", "deps", "外部系统")
    send(reading(replace(A, users=300), B, C, held=[(twin, "审批系统")], findings=[contradiction, unknown]))
    intake.remember_mapping(SCHOOLS, HeaderMapping(headings={"承载网": "zone"}), actor="张三", now_ms=NOW)
    send(
        reading(
            replace(A, vcpu=16),
            replace(B, department="区教委", vcpu=64),
            replace(C, department="区教委"),
        ),
        sender=SCHOOLS,
    )
    assert [one.id for one in intake.findings()] == ["F1", "F2", "F3"]
    assert [(one.id, one.field) for one in intake.conflicts()] == [
        ("C1", "department"),
        ("C2", "department"),
        ("C3", "vcpu"),
    ]
    for question, decision in [("F1", "take"), ("F3", "distinct"), ("C1", "take"), ("C2", "both"), ("C3", "take")]:
        intake.resolve(question, decision, actor="王五", reason="电话核实", now_ms=NOW)
    (left,) = intake.conflicts()
    assert (left.field, left.standing_value, left.claiming_value) == ("vcpu", 8, 64)

    changed = send(reading(replace(A, users=300, vcpu=4), C, held=[(twin, "审批系统")]))
    send(reading(replace(A, users=300, vcpu=2), C, held=[(twin, "审批系统")]))
    assert [one.status for one in intake.imports()] == ["applied", "applied", "superseded", "pending"]
    assert changed.import_id == "I3"
    intake.apply("I4", actor="李四", now_ms=NOW)
    intake.record(
        [
            kinds.migrated("区交通局/审批系统", effective_on=TODAY, source="W1"),
            kinds.merged("区交通局/审批系统", into="一体化平台", effective_on=TODAY, source="渝府〔2025〕1号"),
            kinds.closed("区交通局/交换平台", effective_on=TODAY, source="渝府〔2025〕1号"),
        ],
        actor="李四",
        now_ms=NOW,
    )
    assert sorted(
        (str(one.system.department), one.system.name, one.system.vcpu, one.system.users)
        for one in intake.standing()
    ) == [
        ("区交通局", "交换平台", 8, None),
        ("区交通局", "审批系统", 16, 500),
        ("区交通局", "审批系统二期", 8, None),
        ("区教委", "一体化平台", 64, None),
        ("区教委", "交换平台", 8, None),
    ]
    assert sorted((one.id, one.decision) for one in intake.conflicts("settled", "gone")) == [
        ("C1", "take"),
        ("C2", "both"),
        ("C3", "take"),
        ("C4", None),
    ]
    rates = intake.rates(TODAY)
    assert (rates.cloud.numerator, rates.cloud.denominator) == (1, 5)
    assert (rates.consolidation.numerator, rates.consolidation.denominator) == (2, 5)

    before = intake.standing()
    assert rebuild_projections(intake.store) == intake.store.head().seq
    assert intake.standing() == before
    assert verify(intake.store).holds
    recorded = {event.kind for event in intake.store.read()}
    assert recorded == intake.store.projector.kinds

"""The repository's illustrative workbook: what `make demo` relies on, counted."""

from __future__ import annotations

import importlib.util
import io
import zipfile
from collections import Counter
from pathlib import Path
from types import ModuleType
from xml.etree.ElementTree import canonicalize

import pytest

from inventory.ledger import LedgerReading, read_ledger, reading_json
from inventory.model.system import System

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "ledger"
WORKBOOK = FOLDER / "示例区台账.xlsx"


@pytest.fixture(scope="module")
def example() -> LedgerReading:
    return read_ledger(WORKBOOK.read_bytes(), WORKBOOK.name)


def waiting(reading: LedgerReading) -> list[System]:
    """District systems that are to be migrated and are not."""
    return [system for system in reading.systems if system.should_migrate and system.migrated is False]


def test_its_totals_are_the_golden_ones(example: LedgerReading) -> None:
    content = reading_json(example)
    assert content["totals"] == {
        "district": 57, "vertical": 8, "soe": 4, "should_migrate": 51, "migrated": 6, "closed": 4, "merged": 4,
        "cloud_rate_pct": 11.8, "consolidation_rate_pct": 14.0,
    }  # fmt: skip
    assert (content["as_of"], content["sender"], content["illustrative"]) == (
        "2026-09-30",
        "示例区大数据中心",
        True,
    )


def test_it_has_one_finding_of_each_kind_that_the_demo_tells_about(example: LedgerReading) -> None:
    assert [(finding.kind.value, finding.sheet, finding.cell) for finding in example.findings] == [
        ("possible_duplicate", "区直部门", "A8"),
        ("unknown_dependency", "区直部门", "W17"),
        ("unreadable_cell", "区直部门", "E21"),
        ("credential_refused", "区直部门", "U32"),
    ]


def test_at_least_forty_systems_wait_for_migration_in_every_zone_and_architecture(example: LedgerReading) -> None:
    systems = waiting(example)
    assert len(systems) == 45
    assert Counter(str(system.disposition) for system in systems) == {
        "rehost": 33,
        "replatform": 8,
        "consolidate": 4,
    }
    assert {str(system.zone) for system in systems} == {"互联网", "政务外网", "政务内网", "业务专网"}
    assert {str(system.arch) for system in systems} == {"x86_64", "arm64", "c86"}
    assert {system.mlps for system in example.systems} == {"none", "1", "2", "3", "4"}
    assert sum(system.gpu is not None for system in systems) == 2
    sizes = {system.vcpu for system in systems}
    assert None not in sizes and {2, 64} <= sizes


def test_it_holds_a_dependency_cycle_and_systems_that_share_a_database(example: LedgerReading) -> None:
    deps = {system.name: set(system.deps) for system in example.systems}
    assert "示例区统一认证平台" in deps["示例区数据共享枢纽"]
    assert "示例区数据共享枢纽" in deps["示例区统一认证平台"]
    instances = Counter(system.database_instance for system in example.systems if system.database_instance)
    assert sum(count > 1 for count in instances.values()) == 6


def test_every_value_of_it_was_understood(example: LedgerReading) -> None:
    assert all(heading.target is not None for heading in example.headings)
    for system in example.systems:
        assert None not in (
            system.department,
            system.ownership,
            system.zone,
            system.classified,
            system.mlps,
            system.arch,
        )
        assert None not in (
            system.servers,
            system.vcpu,
            system.mem_gb,
            system.disk_gb,
            system.golive,
            system.opex_wan,
        )


def test_the_script_makes_the_workbook_that_is_committed() -> None:
    made = _script().make()
    assert _parts(made) == _parts(WORKBOOK.read_bytes())


def _parts(content: bytes) -> dict[str, str]:
    """Each part in the canonical form of XML: openpyxl writes empty elements otherwise where lxml is installed."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: canonicalize(archive.read(name).decode("utf-8")) for name in archive.namelist()}


def _script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_workbook", FOLDER / "make_workbook.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module

"""Right sizes, architecture compatibility, lookalikes and project gates."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inventory.model.system import AcceleratorDemand, Architecture
from inventory.rules.compatibility import PartKind, Verdict, compatibility, read_matrix
from inventory.rules.evaluate import Outcome, Setting, judge_gates
from inventory.rules.lookalikes import Description, LookalikeIndex
from inventory.rules.project import DepartmentStanding, Project, parse_project, project_facts
from inventory.rules.rightsizing import Confidence, right_size
from inventory.rules.rulebook import Channel
from inventory.rules.source import RuleFileError
from inventory.rules.vocabulary import PROJECT_FACTS
from tests.rules.subjects import DAY, a_district_system, idle_for, the_rules

TERMS = the_rules().sizing
MATRIX = read_matrix()


@pytest.mark.parametrize(
    ("case", "cpu", "servers", "proposed"),
    [
        ("4 % of 16 is one, on two servers one each", 4, 2, 2),
        ("50 % of 16 times 1.3 is 11, six each, the next size is 8", 50, 2, 16),
        ("95 % grows: 20 on two servers", 95, 2, 24),
        ("one server takes it all", 50, 1, 12),
    ],
)
def test_the_right_size(case: str, cpu: float, servers: int, proposed: int) -> None:
    size = right_size(a_district_system(servers=servers), idle_for(120, cpu=cpu), TERMS, DAY)
    assert (size.proposed_vcpu, size.confidence) == (proposed, Confidence.HIGH), case


@pytest.mark.parametrize(
    ("case", "measurement", "confidence"),
    [
        ("nothing measured", None, "none"),
        ("thin data", idle_for(120, measured=30), "none"),
        ("half of the days", idle_for(120, measured=70), "low"),
        ("a short window", idle_for(20), "low"),
        ("a few gaps", idle_for(120, measured=100), "medium"),
        ("averages only", replace(idle_for(120), cpu_is_peak=False), "medium"),
        ("everything", idle_for(120), "high"),
    ],
)
def test_the_confidence(case: str, measurement: object, confidence: str) -> None:
    size = right_size(a_district_system(), measurement, TERMS, DAY)  # type: ignore[arg-type]  # a measurement or None
    assert size.confidence == confidence, case
    assert (size.proposed_vcpu is None) == (confidence == "none")
    assert size.is_idle(TERMS) == (confidence in ("high", "medium"))


@settings(deadline=None)
@given(st.integers(1, 256), st.integers(1, 8), st.floats(0, 100))
def test_a_proposed_size_holds_the_measured_peak_with_comfort(vcpu: int, servers: int, cpu: float) -> None:
    size = right_size(a_district_system(vcpu=vcpu, servers=servers), idle_for(120, cpu=round(cpu, 2)), TERMS, DAY)
    assert size.proposed_vcpu is not None
    assert size.proposed_vcpu % servers == 0
    assert size.proposed_vcpu * 100 + 1e-6 >= vcpu * round(cpu, 2) * 1.3


@pytest.mark.parametrize(
    ("case", "system", "target", "verdict"),
    [
        ("x86 on Hygon, all known", {"arch": "x86_64", "os": "CentOS 7", "database": "MySQL 5.7"}, "c86", "runs"),
        ("x86 on Kunpeng is rebuilt", {"arch": "x86_64", "os": "CentOS 7", "database": "MySQL 5.7"}, "arm64", "port"),
        ("SQL Server is replaced", {"arch": "x86_64", "os": "麒麟V10", "database": "SQL Server 2012"}, "arm64", "replace"),
        ("and checked on Hygon", {"arch": "x86_64", "os": "麒麟V10", "database": "SQL Server 2012"}, "c86", "check"),
        ("Kunpeng to Kunpeng", {"arch": "arm64", "os": "openEuler 22.03", "database": "达梦DM8"}, "arm64", "runs"),
        ("what is not stated is unknown", {"arch": "arm64", "os": None, "database": "达梦DM8"}, "arm64", "unknown"),
        ("what the matrix lacks is unknown", {"arch": "arm64", "os": "TempleOS", "database": "达梦"}, "arm64", "unknown"),
        ("IIS goes with Windows", {"arch": "x86_64", "os": "麒麟", "database": "达梦", "remark": "IIS"}, "arm64", "replace"),
    ],
)  # fmt: skip
def test_compatibility(case: str, system: dict[str, object], target: str, verdict: str) -> None:
    found = compatibility(a_district_system(**system), Architecture(target), MATRIX)
    assert found.verdict == verdict, case
    assert all(part.source is not None for part in found.parts if part.verdict is not Verdict.UNKNOWN)


def test_cards_are_a_part_of_their_own() -> None:
    system = a_district_system(gpu=AcceleratorDemand("NVIDIA A800", 2))
    kinds = [part.kind for part in compatibility(system, Architecture.ARM64, MATRIX).parts]
    assert kinds == [PartKind.BINARIES, PartKind.OS, PartKind.DATABASE, PartKind.ACCELERATOR]


KNOWN = [
    Description("教委/招生", "中小学招生报名系统", "区教委", "小学初中入学报名"),
    Description("卫健/疫苗", "疫苗追溯系统", "区卫健委", "疫苗流向与接种预约"),
    Description("建委/审图", "智能审图平台", "区住建委", "施工图智能审查"),
    Description("城管/照明", "照明监控系统", "区城管局", None),
]


@pytest.mark.parametrize(
    ("words", "nearest"),
    [
        ("施工图审查", "建委/审图"),
        ("入学报名", "教委/招生"),
        ("预防接种预约", "卫健/疫苗"),
        ("路灯照明", "城管/照明"),
    ],
)
def test_the_nearest_in_other_words(words: str, nearest: str) -> None:
    assert LookalikeIndex(KNOWN).nearest(Description("", words, None, None))[0].key == nearest


def test_phase_department_and_system_make_no_likeness() -> None:
    index = LookalikeIndex(KNOWN)
    same = index.nearest(Description("", "区住建委智能审图系统（二期）V2.0", "区住建委", "施工图智能审查"))[0]
    assert (same.key, same.likeness_pct) == ("建委/审图", 100)
    assert index.nearest(Description("", "信息系统", None, None)) == ()


@settings(deadline=None)
@given(st.lists(st.text(max_size=8), max_size=5), st.text(max_size=8))
def test_any_names_can_be_searched(names: list[str], wanted: str) -> None:
    index = LookalikeIndex([Description(str(at), name, None, None) for at, name in enumerate(names)])
    assert all(1 <= match.likeness_pct <= 100 for match in index.nearest(Description("", wanted, None, None)))
    assert set(index.nearest_of_each()) == {str(at) for at in range(len(names))}


GOOD = Project(
    name="一网通办新平台",
    department="区教委",
    zone="政务外网",
    data_catalog=True,
    crypto_plan=True,
    builds_server_room=False,
    new_dedicated_network=False,
    on_government_cloud=True,
    classified=False,
    replaces=("审批系统", "旧审批系统"),
)
STANDING = DepartmentStanding(
    baseline=3,
    living=(
        ("审批系统", Channel.INTERNAL, "政务外网"),
        ("旧审批系统", Channel.INTERNAL, "政务外网"),
        ("门户网站", Channel.WEBSITE, "互联网"),
    ),
    unmerged=(),
    similar=(),
)


def refused(project: Project, standing: DepartmentStanding = STANDING) -> dict[str, Outcome]:
    facts = project_facts(project, standing, the_rules().channel_words)
    judged = judge_gates(the_rules(), facts, PROJECT_FACTS, Setting(DAY), [project.department])
    return {one.rule.rule_id: one.outcome for one in judged if one.outcome is not Outcome.FAILS}


def test_a_project_that_replaces_more_than_it_builds_passes_every_gate() -> None:
    assert refused(GOOD) == {}


@pytest.mark.parametrize(
    ("case", "change", "gate", "outcome"),
    [
        ("no catalogue", {"data_catalog": False}, "gate-catalogue", "holds"),
        ("catalogue not stated", {"data_catalog": None}, "gate-catalogue", "undecided"),
        ("no cryptography plan", {"crypto_plan": False}, "gate-crypto-plan", "holds"),
        ("it replaces nothing", {"replaces": ()}, "gate-only-fewer", "holds"),
        ("a second website", {"channel": Channel.WEBSITE}, "gate-one-website", "holds"),
        ("a second internal system", {"replaces": ("审批系统",)}, "gate-one-internal-system", "holds"),
        ("a server room", {"builds_server_room": True}, "gate-server-room", "holds"),
        ("a network without a plan", {"new_dedicated_network": True, "network_plan": False}, "gate-dedicated-network", "holds"),
        ("not on the cloud", {"on_government_cloud": False}, "gate-cloud", "holds"),
    ],
)  # fmt: skip
def test_a_gate_refuses(case: str, change: dict[str, object], gate: str, outcome: str) -> None:
    assert refused(GOOD.model_copy(update=change))[gate] == outcome, case


def test_a_department_that_owes_a_merge_gets_nothing_new() -> None:
    assert refused(GOOD, replace(STANDING, unmerged=("旧门户",)))["gate-unmerged"] is Outcome.HOLDS


def test_a_likeness_is_shown_unless_the_project_replaces_it() -> None:
    alike = replace(STANDING, similar=(("审批系统", 88),))
    assert "gate-duplicate" not in refused(GOOD, alike)
    assert refused(GOOD.model_copy(update={"replaces": ()}), alike)["gate-duplicate"] is Outcome.HOLDS


@pytest.mark.parametrize(
    ("case", "text", "fragment"),
    [
        ("a misspelt item", "name: 甲\ndepartment: 乙\ncrypto: true\n", "crypto"),
        ("no department", "name: 甲\n", "department"),
        ("a zone that is none", "name: 甲\ndepartment: 乙\nzone: 内网\n", "zone"),
        ("no object", "[]", "named fields"),
    ],
)
def test_a_faulty_project(case: str, text: str, fragment: str) -> None:
    with pytest.raises(RuleFileError) as fault:
        parse_project(text, "项目.yaml")
    assert fragment in fault.value.lines[0], case

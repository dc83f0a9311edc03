"""From the ledger to the problem: who moves, who does not and why, and in which integers."""

from __future__ import annotations

from datetime import date

import pytest

from inventory.model.calendar import Freeze
from inventory.model.migration import Declarations, FreezeOverride, UnplacedRule, WaveSettings
from inventory.model.system import Architecture, Disposition, System, Zone
from inventory.model.units import GIB, TIB, Resources
from scheduler.core.waves.accelerators import pool_model
from scheduler.core.waves.estate import ProblemError, build_problem
from scheduler.core.waves.targets import PoolUse
from tests.waves.estates import (
    A_MONDAY,
    DEPARTMENT,
    WITHOUT_PILOTS,
    a_pool,
    a_problem,
    a_system,
    cards,
    days_only,
    key,
    nodes,
)


@pytest.mark.parametrize(
    ("system", "rule"),
    [
        pytest.param(a_system("甲", classified=True), UnplacedRule.CLASSIFIED, id="classified"),
        pytest.param(
            a_system("甲", classified=True, migrated=True),
            UnplacedRule.CLASSIFIED,
            id="classified before anything",
        ),
        pytest.param(a_system("甲", migrated=True), UnplacedRule.ALREADY_MIGRATED, id="migrated already"),
        pytest.param(a_system("甲", disposition=Disposition.RETIRE), UnplacedRule.RETIRE, id="to be closed"),
        pytest.param(a_system("甲", disposition=Disposition.RETAIN), UnplacedRule.RETAIN, id="retained"),
        pytest.param(a_system("甲", should_migrate=False), UnplacedRule.NOT_TO_MIGRATE, id="not to migrate"),
        pytest.param(a_system("甲", should_migrate=None), UnplacedRule.MIGRATION_UNDECIDED, id="nobody said"),
        pytest.param(a_system("甲", disposition=None), UnplacedRule.DISPOSITION_UNKNOWN, id="no disposition"),
        pytest.param(
            a_system("甲", classified=None), UnplacedRule.CLASSIFICATION_UNKNOWN, id="unknown is not unclassified"
        ),
        pytest.param(a_system("甲", zone=None), UnplacedRule.ZONE_UNKNOWN, id="no zone"),
        pytest.param(a_system("甲", mlps=None), UnplacedRule.PROTECTION_LEVEL_UNKNOWN, id="no protection level"),
        pytest.param(a_system("甲", arch=None), UnplacedRule.ARCHITECTURE_UNKNOWN, id="no architecture"),
        pytest.param(a_system("甲", vcpu=None), UnplacedRule.SIZE_UNKNOWN, id="unknown CPU is not zero CPU"),
        pytest.param(a_system("甲", mem_gb=None), UnplacedRule.SIZE_UNKNOWN, id="unknown memory"),
        pytest.param(a_system("甲", disk_gb=None), UnplacedRule.SIZE_UNKNOWN, id="unknown disk"),
        pytest.param(a_system("甲", vcpu=-4), UnplacedRule.SIZE_UNKNOWN, id="a negative size"),
    ],
)
def test_a_system_that_cannot_be_planned_is_left_out_with_its_rule(system: System, rule: UnplacedRule) -> None:
    problem = a_problem([system, a_system("乙")])
    assert [(out.system_key, out.rule) for out in problem.left_out] == [(key("甲"), rule)]
    assert [item.key for item in problem.items] == [key("乙")]
    zh, en = problem.left_out[0].reason
    assert zh and en


@pytest.mark.parametrize("disposition", ["rehost", "replatform", "refactor", "repurchase", "consolidate"])
def test_every_disposition_that_moves_makes_an_item(disposition: str) -> None:
    problem = a_problem([a_system("甲", disposition=Disposition(disposition))])
    assert [item.name for item in problem.items] == ["甲"]


def test_migrated_unknown_is_not_migrated() -> None:
    assert len(a_problem([a_system("甲", migrated=None)]).items) == 1


class TestConsolidation:
    def merged(self, target: System) -> list[System]:
        return [a_system("旧", disposition=Disposition.CONSOLIDATE, merged_into=target.name), target]

    def test_it_moves_with_a_target_that_moves(self) -> None:
        items = a_problem(self.merged(a_system("新"))).items
        assert len({item.group for item in items}) == 1 and len(items) == 2

    def test_it_moves_for_itself_when_the_target_is_in_the_cloud(self) -> None:
        problem = a_problem(self.merged(a_system("新", migrated=True)))
        assert [item.name for item in problem.items] == ["旧"]

    @pytest.mark.parametrize(
        "target",
        [
            pytest.param(a_system("新", disposition=Disposition.RETAIN), id="retained"),
            pytest.param(a_system("新", disposition=Disposition.RETIRE), id="to be closed"),
            pytest.param(a_system("新", classified=True), id="classified"),
            pytest.param(a_system("新", vcpu=None), id="of unknown size"),
        ],
    )
    def test_it_stays_when_its_target_stays(self, target: System) -> None:
        rules = {out.system_name: out.rule for out in a_problem(self.merged(target)).left_out}
        assert rules["旧"] is UnplacedRule.CONSOLIDATION_TARGET

    def test_a_chain_of_mergers_stays_as_a_whole(self) -> None:
        systems = [
            a_system("甲", disposition=Disposition.CONSOLIDATE, merged_into="乙"),
            a_system("乙", disposition=Disposition.CONSOLIDATE, merged_into="丙"),
            a_system("丙", disposition=Disposition.RETAIN),
        ]
        assert a_problem(systems).items == ()

    def test_it_moves_for_itself_when_no_known_target_is_named(self) -> None:
        system = a_system("旧", disposition=Disposition.CONSOLIDATE, merged_into="不存在")
        problem = a_problem([system])
        assert [item.name for item in problem.items] == ["旧"]
        assert "不存在" in problem.notes[0][0]

    def test_a_system_that_is_merged_without_moving_does_not_hold_its_target(self) -> None:
        systems = [
            a_system("旧", disposition=Disposition.CONSOLIDATE, merged_into="新", should_migrate=False),
            a_system("新"),
        ]
        assert [item.name for item in a_problem(systems).items] == ["新"]


class TestGroupsWithThoseWhoStay:
    @pytest.mark.parametrize(
        ("other", "moves"),
        [
            pytest.param({"disposition": Disposition.RETAIN}, False, id="a retained system holds its database"),
            pytest.param({"should_migrate": None}, False, id="so does an undecided one"),
            pytest.param({"disk_gb": None}, False, id="so does one of unknown size"),
            pytest.param({"migrated": True}, True, id="one that is in the cloud does not"),
            pytest.param({"disposition": Disposition.RETIRE}, True, id="one that is closed does not"),
        ],
    )
    def test_sharing_a_database(self, other: dict[str, object], moves: bool) -> None:
        systems = [a_system("甲", database_instance="库"), a_system("乙", database_instance="库", **other)]
        problem = a_problem(systems)
        assert [item.name for item in problem.items] == (["甲"] if moves else [])
        if not moves:
            held = next(out for out in problem.left_out if out.system_name == "甲")
            assert held.rule is UnplacedRule.GROUP_HELD and "乙" in held.reason[0]

    def test_two_databases_of_a_migrated_system_do_not_bind_the_others(self) -> None:
        systems = [
            a_system("甲", database_instance="库一"),
            a_system("乙", migrated=True, database_instance="库一"),
            a_system("丙", database_instance="库二"),
        ]
        declared = Declarations(groups=(frozenset({key("乙"), key("丙")}),))
        problem = a_problem(systems, declarations=declared)
        assert len({item.group for item in problem.items}) == 2


class TestItems:
    def test_sizes_become_integers_and_cards_count_thousandths(self) -> None:
        system = a_system("甲", vcpu=32, mem_gb=64.5, disk_gb=1524, servers=2, gpu=cards("昇腾 910B", 4))
        (item,) = a_problem([system]).items
        assert item.need == Resources(32_000, int(64.5 * GIB), 1524 * GIB, 4000)
        assert item.per_server == Resources(16_000, int(32.25 * GIB), 0, 2000)
        assert item.accelerator == "Ascend910B"
        assert item.copy_bytes == 1524 * GIB // 10

    def test_the_average_server_is_rounded_up(self) -> None:
        (item,) = a_problem([a_system("甲", vcpu=10, servers=3)]).items
        assert item.per_server is not None and item.per_server.cpu_milli == 3334

    @pytest.mark.parametrize("servers", [None, 0])
    def test_an_unknown_number_of_servers_gives_no_server_size(self, servers: int | None) -> None:
        (item,) = a_problem([a_system("甲", servers=servers)]).items
        assert item.per_server is None

    @pytest.mark.parametrize(("mlps", "level"), [("none", 0), ("1", 1), ("4", 4)])
    def test_the_protection_level_is_a_number(self, mlps: str, level: int) -> None:
        assert a_problem([a_system("甲", mlps=mlps)]).items[0].level == level

    def test_dependencies_name_items_only_and_users_elsewhere_count_for_the_blast_radius(self) -> None:
        systems = [
            a_system("甲", "乙", "丙"),
            a_system("乙"),
            a_system("丙", migrated=True),
            a_system("丁", "甲", disposition=Disposition.RETAIN),
        ]
        items = {item.name: item for item in a_problem(systems).items}
        assert items["甲"].uses == (key("乙"),)
        assert items["乙"].dependents == 2

    def test_the_sector_is_read_from_department_and_name(self) -> None:
        calendar = days_only(WITHOUT_PILOTS, 教育=("教委",), 财政=("财政",))
        system = a_system("财政票据系统", department="区教委")
        (item,) = a_problem([system], calendar=calendar).items
        assert item.sectors == {"教育", "财政"}

    @pytest.mark.parametrize(
        ("written", "model"),
        [("昇腾910B", "Ascend910B"), ("Ascend-910B", "Ascend910B"), ("910b", "Ascend910B"), ("某新卡", "某新卡")],
    )
    def test_a_card_model_is_the_pool_files_or_the_senders(self, written: str, model: str) -> None:
        assert pool_model(written) == model

    def test_the_order_of_rows_changes_nothing(self) -> None:
        systems = [a_system(name) for name in "甲乙丙丁"]
        assert a_problem(systems) == a_problem(systems[::-1])

    def test_of_two_rows_with_one_key_the_first_counts_and_the_second_is_named(self) -> None:
        twice = [a_system("甲", row=3, vcpu=8), a_system("甲", row=9, vcpu=16)]
        problem = a_problem(twice)
        assert problem.items[0].need.cpu_milli == 8000
        (out,) = problem.left_out
        assert out.rule is UnplacedRule.DUPLICATE_KEY and "系统!3" in out.reason[0]


class TestPools:
    def test_hosts_are_counted_by_instruction_set_and_hygon_runs_x86(self) -> None:
        pool = a_pool(
            "p", nodes("a", 2), nodes("b", 3, Architecture.C86), nodes("c", 1, Architecture.ARM64), disk_bytes=TIB
        )
        (slot,) = a_problem([a_system("甲")], [pool]).pools
        assert {hosts.architecture: hosts.free.cpu_milli for hosts in slot.hosts} == {
            Architecture.ARM64: 64_000,
            Architecture.X86_64: 5 * 64_000,
        }
        assert slot.free_disk_bytes == TIB

    def test_what_is_taken_comes_off(self) -> None:
        settings = WITHOUT_PILOTS
        used = [
            PoolUse("p", Architecture.C86, Resources(4000, GIB, 2 * GIB)),
            PoolUse("other", Architecture.ARM64, Resources(9)),
        ]
        problem = build_problem([a_system("甲")], [a_pool("p")], days_only(settings), settings, used=used)
        (slot,) = problem.pools
        assert slot.hosts[0].free == Resources(20 * 64_000 - 4000, (20 * 256 - 1) * GIB)
        assert slot.free_disk_bytes == 100 * TIB - 2 * GIB

    def test_prices_latency_and_links_are_integers(self) -> None:
        (slot,) = a_problem([a_system("甲")], [a_pool("p", egress_gbps=8, one_way_ms=3.6)]).pools
        assert (slot.vcpu_price, slot.card_price, slot.latency_us) == (100_000, 7_000_000, 3600)
        assert slot.copy_bytes_per_second == 500_000_000

    def test_a_local_pool_takes_no_systems_and_says_so(self) -> None:
        (slot,) = a_problem([a_system("甲")], [a_pool("p", adapter="local")]).pools
        assert slot.closed is not None and "local" in slot.closed[0]


class TestWhatIsRefused:
    def test_no_pool_at_all(self) -> None:
        settings = WITHOUT_PILOTS
        with pytest.raises(ProblemError, match="no pool is registered"):
            build_problem([a_system("甲")], [], days_only(settings), settings)

    @pytest.mark.parametrize(
        "declarations",
        [
            Declarations(groups=(frozenset({f"{DEPARTMENT}/无此系统"}),)),
            Declarations(contract_ends={f"{DEPARTMENT}/无此系统": date(2026, 5, 1)}),
            Declarations(
                freeze_overrides=(FreezeOverride("甲", "某", "1号", "急", frozenset({f"{DEPARTMENT}/无此系统"})),)
            ),
        ],
        ids=["in a group", "with a contract", "with leave"],
    )
    def test_a_declared_system_that_the_ledger_does_not_have(self, declarations: Declarations) -> None:
        with pytest.raises(ProblemError, match="无此系统"):
            a_problem([a_system("甲")], declarations=declarations)

    @pytest.mark.parametrize(
        ("override", "says"),
        [
            (FreezeOverride("不存在", "张三", "1号", "急"), "不存在"),
            (FreezeOverride("硬", "张三", "1号", "急"), "cannot be overridden"),
            (FreezeOverride("软", "张三", " ", "急"), "document number"),
        ],
        ids=["no such freeze", "nobody may", "no document number"],
    )
    def test_leave_that_is_none(self, override: FreezeOverride, says: str) -> None:
        hard = Freeze("硬", A_MONDAY, A_MONDAY, "通知")
        soft = Freeze("软", A_MONDAY, A_MONDAY, "通知", overridable_by="指挥长")
        with pytest.raises(ProblemError, match=says):
            a_problem(
                [a_system("甲")],
                calendar=days_only(WITHOUT_PILOTS, [hard, soft]),
                declarations=Declarations(freeze_overrides=(override,)),
            )

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("horizon_weeks", 0),
            ("systems_per_window", 0),
            ("pilot_max_risk", 101),
            ("night_hours", 25),
            ("nights", ()),
            ("nights", (7,)),
        ],
    )
    def test_a_setting_out_of_bounds_names_itself_its_value_and_the_bounds(self, name: str, value: object) -> None:
        with pytest.raises(ValueError, match=name):
            WaveSettings(starts_on=A_MONDAY, **{name: value})  # type: ignore[arg-type]  # that is what is tested


def test_a_zone_that_the_pool_serves_is_matched_by_value() -> None:
    assert Zone("政务内网") is Zone.INTRANET

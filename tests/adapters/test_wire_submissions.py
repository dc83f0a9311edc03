"""What a submitting system may say: one rule a row, all violations at once, and never the value of a secret."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from google.protobuf.duration_pb2 import Duration

from adapters.wire.inspection import InvalidMessage
from adapters.wire.programs import looks_secret
from adapters.wire.workloads import submission_from_wire
from inventory.model.system import Architecture, Zone
from inventory.model.units import GIB, Resources
from xisuan.common.v1 import common_pb2
from xisuan.workload.v1.workload_pb2 import Program, Requirements, WorkloadSpec

Change = Callable[[WorkloadSpec], object]


def a_spec() -> WorkloadSpec:
    return WorkloadSpec(
        queue="yubei/health",
        client_key="2026-11-nightly",
        requirements=Requirements(per_task=common_pb2.Resources(cpu_milli=500, memory_bytes=GIB)),
        program=Program(command=["python3", "report.py"]),
    )


def violations(change: Change, path: str = "workload") -> dict[str, str]:
    spec = a_spec()
    change(spec)
    with pytest.raises(InvalidMessage) as refused:
        submission_from_wire(spec, path)
    return {violation.field: violation.description for violation in refused.value.violations}


def set_on(part: str, **values: object) -> Change:
    """Sets fields of the spec or, by dotted path, of a part of it; lists and maps are extended."""

    def change(spec: WorkloadSpec) -> None:
        message: object = spec
        for name in filter(None, part.split(".")):
            message = getattr(message, name)
        for name, value in values.items():
            if isinstance(value, list):
                del getattr(message, name)[:]
                getattr(message, name).extend(value)
            elif isinstance(value, dict):
                getattr(message, name).update(value)
            elif isinstance(value, Duration):
                getattr(message, name).CopyFrom(value)
            else:
                setattr(message, name, value)

    return change


def test_a_plain_submission_gets_the_defaults() -> None:
    submission = submission_from_wire(a_spec())
    assert submission.queue == "yubei/health"
    assert submission.name == submission.client_key == "2026-11-nightly"
    assert submission.requirements.per_task == Resources(500, GIB)
    assert submission.requirements.tasks == submission.max_attempts == 1
    assert submission.requirements.zone is None
    assert submission.program.command == ("python3", "report.py")
    assert submission.program.image is None
    assert submission.estimated_ms == submission.max_runtime_ms == 0


@pytest.mark.parametrize("queue", ["市/示例区/示例局", "city/east-2", "市/e/〇一"])
def test_queues_are_named_as_the_organisation_is(queue: str) -> None:
    spec = a_spec()
    spec.queue = queue
    assert submission_from_wire(spec).queue == queue


def test_a_full_submission_keeps_every_word() -> None:
    spec = a_spec()
    spec.name = "夜间报表"
    spec.requirements.zone = common_pb2.ZONE_EXTRANET
    spec.requirements.architectures.extend([common_pb2.ARCHITECTURE_ARM64, common_pb2.ARCHITECTURE_C86])
    spec.requirements.protection_level = 3
    spec.requirements.tasks = 4
    spec.estimated_runtime.FromMilliseconds(1500)
    spec.max_runtime.FromNanoseconds(1)
    spec.labels["项目"] = "上云"
    submission = submission_from_wire(spec)
    assert submission.name == "夜间报表"
    assert submission.requirements.zone is Zone.EXTRANET
    assert submission.requirements.architectures == {Architecture.ARM64, Architecture.C86}
    assert submission.requirements.total == Resources(2000, 4 * GIB)
    assert submission.estimated_ms == 1500
    assert submission.max_runtime_ms == 1, "a limit is rounded up: it must not become no limit"
    assert submission.labels == {"项目": "上云"}


NEED = "requirements.per_task"
REFUSED = [
    ("a queue with capitals", set_on("", queue="Yubei"), "queue"),
    ("a queue with a full-width slash", set_on("", queue="市／区"), "queue"),
    ("a queue with a space", set_on("", queue="市/示例 区"), "queue"),
    ("a queue that ends in a slash", set_on("", queue="yubei/"), "queue"),
    ("no queue", set_on("", queue=""), "queue"),
    ("a long queue", set_on("", queue="q" * 129), "queue"),
    ("no client key", set_on("", client_key=""), "client_key"),
    ("a long client key", set_on("", client_key="k" * 257), "client_key"),
    ("a client key with a line break", set_on("", client_key="a\nb"), "client_key"),
    ("a long name", set_on("", name="n" * 257), "name"),
    ("a negative priority", set_on("", priority=-1), "priority"),
    ("a priority above 1000", set_on("", priority=1001), "priority"),
    ("negative attempts", set_on("", max_attempts=-1), "max_attempts"),
    ("more than 100 attempts", set_on("", max_attempts=101), "max_attempts"),
    ("a negative estimate", set_on("", estimated_runtime=Duration(seconds=-1)), "estimated_runtime"),
    ("a limit of a century", set_on("", max_runtime=Duration(seconds=100 * 366 * 86400)), "max_runtime"),
    ("an empty predecessor", set_on("", after=["a", ""]), "after[1]"),
    ("1001 predecessors", set_on("", after=["a"] * 1001), "after.length"),
    ("65 labels", set_on("", labels={str(i): "" for i in range(65)}), "labels.length"),
    ("a long label", set_on("", labels={"k": "v" * 257}), "labels['k']"),
    ("negative CPU", set_on(NEED, cpu_milli=-1), f"{NEED}.cpu_milli"),
    ("a million cores and one", set_on(NEED, cpu_milli=10**9 + 1), f"{NEED}.cpu_milli"),
    ("more than 1 PiB", set_on(NEED, memory_bytes=2**50 + 1), f"{NEED}.memory_bytes"),
    ("negative disk", set_on(NEED, disk_bytes=-1), f"{NEED}.disk_bytes"),
    ("negative cards", set_on(NEED, accelerator_milli=-1), f"{NEED}.accelerator_milli"),
    ("neither CPU nor memory", set_on(NEED, cpu_milli=0, memory_bytes=0), NEED),
    ("negative tasks", set_on("requirements", tasks=-1), "requirements.tasks"),
    ("10,001 tasks", set_on("requirements", tasks=10_001), "requirements.tasks"),
    ("an unknown zone", set_on("requirements", zone=9), "requirements.zone"),
    ("protection level 5", set_on("requirements", protection_level=5), "requirements.protection_level"),
    ("an unknown architecture", set_on("requirements", architectures=[1, 7]), "requirements.architectures[1]"),
    ("an unspecified architecture", set_on("requirements", architectures=[0]), "requirements.architectures[0]"),
    ("a card with spaces", set_on("requirements", accelerator="Ascend 910B"), "requirements.accelerator"),
    ("a pool id with capitals", set_on("requirements", pools=["ok", "CQ-AI"]), "requirements.pools[1]"),
    ("nothing to run", set_on("program", command=[]), "program"),
    ("an empty program name", set_on("program", command=["", "x"]), "program.command[0]"),
    ("a NUL in the command", set_on("program", command=["echo", "a\0b"]), "program.command"),
    ("a command of 65 KiB", set_on("program", command=["echo", "x" * 65 * 1024]), "program.command"),
    ("an image with a space", set_on("program", image="my image"), "program.image"),
    ("settings of 65 KiB", set_on("program", environment={"A": "x" * 65 * 1024}), "program.environment"),
    ("a setting without a name", set_on("program", environment={"": "x"}), "program.environment"),
    ("a setting with = in its name", set_on("program", environment={"A=B": "x"}), "program.environment"),
    ("a password", set_on("program", environment={"DB_PASSWORD": "x"}), "program.environment['DB_PASSWORD']"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "field"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_what_breaks_a_rule_is_refused_by_name(change: Change, field: str) -> None:
    found = violations(change)
    assert list(found) == [f"workload.{field}"]
    assert " / " in found[f"workload.{field}"], "in Chinese and in English"
    assert "\n" not in found[f"workload.{field}"]


def test_all_violations_come_at_once_under_the_path_of_the_item() -> None:
    def change(spec: WorkloadSpec) -> None:
        spec.queue = "!"
        spec.requirements.tasks = -2
        spec.requirements.per_task.cpu_milli = -500
        spec.program.command[:] = []

    assert sorted(violations(change, "workloads[3]")) == [
        "workloads[3].program",
        "workloads[3].queue",
        "workloads[3].requirements.per_task.cpu_milli",
        "workloads[3].requirements.tasks",
    ]


def test_a_violation_names_the_value_the_rule_and_the_remedy() -> None:
    found = violations(set_on("requirements", zone=9))
    assert found["workload.requirements.zone"].startswith("9: ")
    assert "政务外网" in found["workload.requirements.zone"]


def test_the_value_of_a_secret_is_never_repeated() -> None:
    with pytest.raises(InvalidMessage) as refused:
        spec = a_spec()
        spec.program.environment["API_TOKEN"] = "s3cr3t-value"
        submission_from_wire(spec)
    assert "s3cr3t-value" not in str(refused.value)
    assert all("s3cr3t-value" not in violation.description for violation in refused.value.violations)


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("PASSWORD", True), ("db_passwd", True), ("DB_PWD", True), ("API_KEY", True), ("apikey", True),
        ("GITHUB_TOKEN", True), ("token", True), ("CLIENT_SECRET", True), ("AWS_ACCESS_KEY_ID", True),
        ("数据库密码", True), ("CREDENTIALS", True),
        ("TOKENIZERS_PARALLELISM", False), ("MAX_TOKENS", False), ("PWD", False), ("OLDPWD", False),
        ("DB_PASSWORD_FILE", False), ("TOKEN_PATH", False), ("PATH", False), ("KEYBOARD", False), ("LANG", False),
    ],
)  # fmt: skip
def test_a_secret_is_known_by_the_name_of_its_setting(name: str, secret: bool) -> None:
    assert looks_secret(name) is secret


def test_a_setting_that_points_to_a_secret_is_how_it_should_be() -> None:
    spec = a_spec()
    spec.program.environment["DB_PASSWORD_FILE"] = "/run/secrets/db"
    assert submission_from_wire(spec).program.environment == {"DB_PASSWORD_FILE": "/run/secrets/db"}

"""Job files: what they mean, and every way to write one wrongly, with the file, line, field, value and remedy."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.faults import Fault
from console.job_fields import duration_ms
from console.jobfile import JobForm, read_jobs
from inventory.model.system import Architecture, Zone
from inventory.model.units import GIB, Resources
from inventory.model.workload import Submission

EXAMPLES = Path(__file__).parents[2] / "examples" / "jobs"
SMALL = "name: a\nqueue: q\ncommand: x\ncpu: 1\n"


@pytest.mark.parametrize(
    "retry",
    [
        "retry: {backoff: 30s, on: [{failure: node, attempts: 5}]}",
        "retry:\n  backoff: 30s\n  on:\n    - {failure: node, attempts: 5}",
        "retry: {backoff: 30s, 'on': [{failure: node, attempts: 5}]}",
    ],
    ids=["in one line", "as a block", "in quotes"],
)
def test_failures_that_are_tried_again_are_written_as_the_docs_write_them(retry: str) -> None:
    policy = one(f"{SMALL}{retry}\n").retry
    assert (policy.backoff_ms, [rule.max_attempts for rule in policy.rules]) == (30_000, [5])


def test_every_job_of_the_docs_is_one() -> None:
    blocks = re.findall(
        r"```yaml\n(.*?)```", (EXAMPLES.parents[1] / "docs" / "workloads.md").read_text("utf-8"), re.S
    )
    assert blocks
    for block in blocks:
        lines = block if "name:" in block else SMALL + block
        assert read_jobs(lines, "workloads.md")


def one(text: str) -> Submission:
    (job,) = read_jobs(text, "job.yaml")
    return job


def test_a_job_with_every_field_means_what_it_says() -> None:
    job = one(
        """
name: 训练
key: train-1
queue: ai/vision
image: registry/train:1
command: python3 train.py --name "two words"
env: {TZ: Asia/Shanghai, WORKERS: 4}
cpu: 500m
memory: 8Gi
disk: 1Ti
cards: 0.5
accelerator: Ascend910B
tasks: 4
zone: intranet
level: 3
arch: [arm64, x86]
pools: cq-ai
priority: 10
attempts: 3
after: [load]
estimated: 1h30m
max_runtime: 2d
labels: {purpose: report}
"""
    )
    assert (job.name, job.client_key, job.queue) == ("训练", "train-1", "ai/vision")
    assert job.program.command == ("python3", "train.py", "--name", "two words")
    assert (job.program.image, dict(job.program.environment)) == (
        "registry/train:1",
        {"TZ": "Asia/Shanghai", "WORKERS": "4"},
    )
    wanted = job.requirements
    assert wanted.per_task == Resources(500, 8 * GIB, 1024 * GIB, 500)
    assert (wanted.tasks, wanted.zone, wanted.protection_level) == (4, Zone.INTRANET, 3)
    assert wanted.architectures == {Architecture.ARM64, Architecture.X86_64}
    assert (wanted.accelerator, wanted.pools) == ("Ascend910B", {"cq-ai"})
    assert (job.priority, job.max_attempts, job.after) == (10, 3, ("load",))
    assert (job.estimated_ms, job.max_runtime_ms) == (5_400_000, 172_800_000)
    assert dict(job.labels) == {"purpose": "report"}


@pytest.mark.parametrize("word", ["政务外网", "extranet", "Extranet"])
def test_a_zone_may_be_written_in_both_languages(word: str) -> None:
    assert one(f"{SMALL}zone: {word}\n").requirements.zone is Zone.EXTRANET


def test_documents_and_lists_may_be_mixed_in_one_file() -> None:
    text = (
        "- {name: a, queue: q, command: x, cpu: 1}\n- {name: b, queue: q, command: x, cpu: 1}\n---\n"
        + SMALL.replace("name: a", "name: c")
    )
    assert [job.name for job in read_jobs(text, "job.yaml")] == ["a", "b", "c"]


def test_after_may_name_a_job_of_the_file_whose_key_differs() -> None:
    text = "- {name: load, key: load-7, queue: q, command: x, cpu: 1}\n- {name: r, queue: q, command: x, cpu: 1, after: load}"
    assert read_jobs(text, "job.yaml")[1].after == ("load-7",)


def test_a_queue_may_come_from_the_command_line() -> None:
    (job,) = read_jobs("name: a\ncommand: x\ncpu: 1\n", "job.yaml", "from/option")
    assert job.queue == "from/option"


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*.yaml")), ids=lambda file: file.name)
def test_every_example_is_a_job_file(file: Path) -> None:
    assert read_jobs(file.read_text(encoding="utf-8"), file.name)


@pytest.mark.parametrize(
    ("text", "where", "fragments"),
    [
        pytest.param(f"{SMALL}memry: 8Gi\n", "job.yaml:5", ["memry", "memory"], id="a field that is misspelt"),
        pytest.param(
            f"{SMALL}colour: red\n", "job.yaml:5", ["colour", "cpu, memory"], id="a field that does not exist"
        ),
        pytest.param("queue: q\ncommand: x\ncpu: 1\n", "job.yaml:1", ["name"], id="no name"),
        pytest.param("name: a\ncommand: x\ncpu: 1\n", "job.yaml:1", ["queue", "--queue"], id="no queue"),
        pytest.param("name: a\nqueue: q\ncpu: 1\n", "job.yaml:1", ["command"], id="nothing to run"),
        pytest.param("name: a\nqueue: q\ncommand: x\n", "job.yaml:1", ["CPU"], id="no resources"),
        pytest.param(SMALL.replace("cpu: 1", "cpu: -4"), "job.yaml:4", ["cpu = -4", "500m"], id="negative CPU"),
        pytest.param(
            SMALL.replace("cpu: 1", "cpu: 99999999999"), "job.yaml:4", ["99999999999", "一百万核"], id="absurd CPU"
        ),
        pytest.param(SMALL.replace("cpu: 1", "cpu: lots"), "job.yaml:4", ["'lots'"], id="CPU in words"),
        pytest.param(SMALL.replace("cpu: 1", "cpu: .inf"), "job.yaml:4", ["inf"], id="endless CPU"),
        pytest.param(SMALL.replace("cpu: 1", "cpu: yes"), "job.yaml:4", ["True"], id="CPU that is yes"),
        pytest.param(f"{SMALL}memory: 8 bananas\n", "job.yaml:5", ["8 bananas", "8Gi"], id="memory in bananas"),
        pytest.param(f"{SMALL}memory: -1Gi\n", "job.yaml:5", ["-1Gi"], id="negative memory"),
        pytest.param(f"{SMALL}disk: 999999999999Ti\n", "job.yaml:5", ["1048576Ti"], id="absurd disk"),
        pytest.param(f"{SMALL}cards: many\n", "job.yaml:5", ["many"], id="cards in words"),
        pytest.param(f"{SMALL}tasks: 0\n", "job.yaml:5", ["tasks = 0", "1 与 10000"], id="no task"),
        pytest.param(f"{SMALL}tasks: 2.5\n", "job.yaml:5", ["2.5", "整数"], id="half a task"),
        pytest.param(f"{SMALL}zone: 月球\n", "job.yaml:5", ["月球", "政务外网"], id="an unknown zone"),
        pytest.param(f"{SMALL}level: 5\n", "job.yaml:5", ["level = 5", "0 与 4"], id="level 5"),
        pytest.param(f"{SMALL}arch: sparc\n", "job.yaml:5", ["sparc", "arm64"], id="an unknown architecture"),
        pytest.param(f"{SMALL}priority: 1001\n", "job.yaml:5", ["1001"], id="a priority over 1000"),
        pytest.param(f"{SMALL}attempts: 0\n", "job.yaml:5", ["attempts = 0"], id="no attempt"),
        pytest.param(
            f"{SMALL}max_runtime: 5\n", "job.yaml:5", ["max_runtime = 5", "5m"], id="a time without a unit"
        ),
        pytest.param(f"{SMALL}estimated: 99999d\n", "job.yaml:5", ["十年"], id="a time of centuries"),
        pytest.param(f"{SMALL}env: [A]\n", "job.yaml:5", ["env"], id="settings as a list"),
        pytest.param(f"{SMALL}env: {{A: yes}}\n", "job.yaml:5", ["引号"], id="a setting that YAML takes for yes"),
        pytest.param(
            f"{SMALL}env: {{DB_PASSWORD: x}}\n", "job.yaml:5", ["DB_PASSWORD", "_FILE"], id="a secret by value"
        ),
        pytest.param(
            SMALL.replace("command: x", "command: 'x"), "第 5 行", ["引号"], id="a quote in YAML that stays open"
        ),
        pytest.param(
            SMALL.replace("command: x", "command: x 'y"), "job.yaml:3", ["引号"], id="a quote in a command"
        ),
        pytest.param(
            SMALL.replace("command: x", "command: [x, [y]]"), "job.yaml:3", ["文本"], id="a command in a command"
        ),
        pytest.param(
            SMALL.replace("queue: q", "queue: 交通局（东）"),
            "job.yaml:2",
            ["交通局（东）"],
            id="a queue in brackets",
        ),
        pytest.param(f"{SMALL}---\n{SMALL}", "job.yaml:6", ["作业 1 重复"], id="one key twice"),
        pytest.param(
            "- {name: a, queue: q, command: x, cpu: 1, after: b}\n- {name: b, queue: q, command: x, cpu: 1, after: a}",
            "job.yaml:",
            ["→", "互相等待"],
            id="two jobs that wait for each other",
        ),
        pytest.param(f"{SMALL}after: a\n", "job.yaml:5", ["a → a"], id="a job that waits for itself"),
        pytest.param("a: &x [1]\nb: *x\n", "第 2 行", ["*x"], id="an alias"),
        pytest.param("name: a\nname: b\n", "第 2 行", ["name", "第 1 行"], id="a field twice"),
        pytest.param("name: [\n", "不是有效的 YAML", ["YAML"], id="no YAML"),
        pytest.param("", "没有作业", ["docs/workloads.md"], id="an empty file"),
        pytest.param("# nothing\n---\n", "没有作业", ["docs/workloads.md"], id="a file of remarks"),
        pytest.param("- 5\n", "job.yaml:1", ["5"], id="a job that is a number"),
        pytest.param("just words\n", "job.yaml:1", ["just words"], id="a file of words"),
    ],
)
def test_a_job_that_cannot_be_is_one_line_with_its_place(text: str, where: str, fragments: list[str]) -> None:
    with pytest.raises(Fault) as refused:
        read_jobs(text, "job.yaml")
    assert len(refused.value.lines) == 1, refused.value.lines
    (line,) = refused.value.lines
    for fragment in (where, *fragments):
        assert fragment in line, line
    assert " / " in line


def test_every_fault_of_a_file_is_reported_at_once() -> None:
    text = f"{SMALL}tasks: 0\nlevel: 9\n---\nname: b\nqueue: q\ncommand: x\ncpu: -1\n"
    with pytest.raises(Fault) as refused:
        read_jobs(text, "job.yaml")
    assert [line.split(" ")[0] for line in refused.value.lines] == ["job.yaml:5", "job.yaml:6", "job.yaml:11"]


def test_a_value_that_is_long_is_shortened() -> None:
    with pytest.raises(Fault) as refused:
        read_jobs(f"{SMALL}memory: {'x' * 500}\n", "job.yaml")
    assert len(refused.value.lines[0]) < 300


@given(st.text(max_size=200))
def test_whatever_is_in_the_file_it_is_read_or_refused(text: str) -> None:
    try:
        jobs = read_jobs(text, "job.yaml")
    except Fault as fault:
        assert fault.lines
    else:
        assert jobs


FIELDS = [
    "name",
    "key",
    "queue",
    "command",
    "cpu",
    "memory",
    "cards",
    "tasks",
    "zone",
    "level",
    "arch",
    "env",
    "after",
]
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.lists(st.integers() | st.text(max_size=5), max_size=3),
    st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), max_size=3),
)


@given(st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=8))
def test_whatever_a_field_holds_it_is_read_or_refused(fields: dict[str, object]) -> None:
    import yaml

    text = yaml.safe_dump(fields, allow_unicode=True)
    try:
        read_jobs(text, "job.yaml", "q")
    except Fault as fault:
        assert all(" / " in line and "\n" not in line for line in fault.lines)


@given(st.integers(0, 9), st.integers(0, 59), st.integers(0, 59))
def test_a_duration_is_the_sum_of_its_parts(hours: int, minutes: int, seconds: int) -> None:
    assert duration_ms(f"{hours}h{minutes}m{seconds}s") == ((hours * 60 + minutes) * 60 + seconds) * 1000


def test_the_documentation_has_every_field_and_no_other() -> None:
    page = (Path(__file__).parents[2] / "docs" / "workloads.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| `") and not line.startswith("| `xisuan")]
    assert [row.split("`")[1] for row in rows] == list(JobForm.model_fields)

"""Jobs as squeue lists them, read into reports: states, exit codes, nodes, times, and why they ended.

`engine.py` lists all jobs of the cluster with `FORMAT`. Pure; a state that is not known here counts as starting.
"""

from __future__ import annotations

from dataclasses import dataclass

from hostlist import expand_hostlist

from adapters.contract import Launch, RunReport
from adapters.slurm.script import TIMED_OUT
from inventory.model.retry import FailureCategory
from inventory.model.units import GIB, TIB, Resources
from inventory.model.workload import RunState

_FIELDS = (
    *("JobID", "Name", "State", "StartTime", "EndTime", "NodeList", "Reason", "exit_code", "tres-alloc"),
    *("tres-per-node", "tres-per-task", "NumTasks", "Comment"),
)
FORMAT = ",".join(f"{field}:|" for field in _FIELDS)
_PENDING = ("PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT", "RESV_DEL_HOLD")
_RUNNING = ("RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "SIGNALING", "STAGE_OUT", "RESIZING")
_FAILED = {
    "FAILED": "",
    "TIMEOUT": "超过最长运行时间 / it ran longer than its maximum running time",
    "OUT_OF_MEMORY": "内存超限 / out of memory",
    "DEADLINE": "超过截止时间 / its deadline passed",
    "BOOT_FAIL": "节点启动失败 / a node failed to boot",
}
_CATEGORIES = {
    "TIMEOUT": FailureCategory.TIMEOUT,
    "DEADLINE": FailureCategory.TIMEOUT,
    "OUT_OF_MEMORY": FailureCategory.OUT_OF_MEMORY,
    "BOOT_FAIL": FailureCategory.NODE,
}
_LOST = {"NODE_FAIL": "节点故障 / a node failed", "REVOKED": "被其他集群收回 / revoked by a sibling cluster"}
_MIB = GIB // 1024
_UNITS = {"K": 1024, "M": _MIB, "G": GIB, "T": TIB}


@dataclass(frozen=True, slots=True)
class Job:
    """One line of squeue. `exit_status` is a wait status: exit code times 256 plus signal."""

    job_id: str
    name: str
    state: str
    start_ms: int | None
    end_ms: int | None
    nodes: tuple[str, ...]
    reason: str
    exit_status: int
    allocated: Resources
    run_id: str
    tasks: int
    are_nodes_chosen: bool

    @property
    def task_nodes(self) -> tuple[str, ...]:
        """One node a task. Empty where the scheduler chose them: it knows them, in task order."""
        if self.are_nodes_chosen or not self.nodes:
            return ()
        each = -(-self.tasks // len(self.nodes))  # srun's default fills one node after the other, evenly
        return tuple(node for node in self.nodes for _ in range(each))[: self.tasks]

    @property
    def is_active(self) -> bool:
        return self.state in _RUNNING


def parse_jobs(text: str) -> list[Job]:
    """All jobs of `squeue --noheader --states=all --Format=FORMAT` with times in seconds since 1970."""
    return [_job(line) for line in text.splitlines() if line.count("|") >= len(_FIELDS)]


def comment_of(launch: Launch) -> str:
    """What a job says of its run: the id, the number of tasks, and whether the scheduler chose the nodes."""
    return f"{launch.run_id} {launch.requirements.tasks} {'chosen' if launch.nodes else 'free'}"


def report_of(job: Job) -> RunReport:
    """The run of a job. Its message says what it waits for, or why it did not succeed."""
    if job.state in _PENDING:
        return RunReport(job.run_id, RunState.STARTING, message=_waits(job), estimated_start_ms=job.start_ms)
    if job.is_active:
        return RunReport(
            job.run_id,
            RunState.RUNNING,
            job.task_nodes,
            started_ms=job.start_ms,
            suspended=job.state == "SUSPENDED",
        )
    if job.state == "COMPLETED":
        return RunReport(job.run_id, RunState.SUCCEEDED, job.task_nodes, 0, "", job.start_ms, job.end_ms)
    if job.state in ("CANCELLED", "PREEMPTED"):
        state = RunState.STOPPED if job.state == "CANCELLED" else RunState.PREEMPTED
        text = f"在集群中被终止（{job.reason}）/ ended in the cluster: {job.state}"
        return RunReport(job.run_id, state, job.task_nodes, None, text, job.start_ms, job.end_ms)
    if job.state in _LOST:
        return RunReport(
            job.run_id, RunState.LOST, job.task_nodes, None, _LOST[job.state], job.start_ms, job.end_ms
        )
    if job.state in _FAILED:
        return _failed(job)
    return RunReport(job.run_id, RunState.STARTING, message=job.state)


def _failed(job: Job) -> RunReport:
    code, signal = job.exit_status >> 8, job.exit_status & 0x7F
    exit_code = code if code else (128 + signal if signal else None)
    text = _FAILED[job.state]
    if not text and code == TIMED_OUT:
        text = f"{_FAILED['TIMEOUT']} (exit code {code})"
    elif not text and signal and not code:
        text = f"被信号 {signal} 终止 / ended by signal {signal}"
    elif not text:
        text = f"退出码 {code} / exit code {code} ({job.reason})"
    failure = FailureCategory.TIMEOUT if code == TIMED_OUT else _CATEGORIES.get(job.state)
    return RunReport(
        job.run_id, RunState.FAILED, job.task_nodes, exit_code, text, job.start_ms, job.end_ms, failure=failure
    )


def _job(line: str) -> Job:
    fields = line.split("|", len(_FIELDS) - 1)
    job_id, name, state, start, end, names, reason, status, tres, per_node, per_task, tasks, comment = fields
    nodes = tuple(expand_hostlist(names.strip())) if names.strip() else ()
    # Only a cluster that accounts for cards lists them as allocated; what was asked for is always there.
    cards = max(_cards(per_node) * len(nodes), _cards(per_task) * _number(tasks))
    return Job(
        job_id.strip(),
        name.strip(),
        state.strip(),
        _milliseconds(start),
        _milliseconds(end),
        nodes,
        reason.strip(),
        _number(status),
        _amount(tres, cards),
        *_read_comment(comment.strip().rstrip("|")),
    )


def _read_comment(comment: str) -> tuple[str, int, bool]:
    """Of jobs of others nothing is known: no run id, one task."""
    words = comment.split(" ")
    if len(words) == 3 and words[1].isdigit():
        return words[0], int(words[1]), words[2] == "chosen"
    return "", 1, False


def _waits(job: Job) -> str:
    return "" if job.reason in ("None", "") else job.reason


def _milliseconds(text: str) -> int | None:
    return int(text) * 1000 if text.strip().isdigit() and int(text) > 0 else None


def _number(text: str) -> int:
    return int(text) if text.strip().isdigit() else 0


def _cards(gres: str) -> int:
    """The count in `gres:gpu:2` or `gres:gpu:h100:2`; 0 for "N/A" and other resources."""
    words = gres.strip().split(":")
    return _number(words[-1]) if "gpu" in words else 0


def _amount(tres: str, cards: int) -> Resources:
    """`cpu=4,mem=8G,node=2,billing=4,gres/gpu=2` as amounts of all nodes together."""
    named = dict(part.split("=", 1) for part in tres.strip().split(",") if "=" in part)
    memory = named.get("mem", "0")
    factor = _UNITS.get(memory[-1:], _MIB)
    digits = memory.rstrip("KMGT")
    return Resources(
        int(float(named.get("cpu", "0")) * 1000),
        int(float(digits or "0") * factor),
        0,
        max(cards, _number(named.get("gres/gpu", "0"))) * 1000,
    )

"""A Slurm cluster as an engine: one job a run, found again by its name, listed every second.

`backend.py` gives it to the sdk. Slurm has no stream of events, so all jobs are listed with one squeue a second,
whatever their number; what a listing no longer shows is asked of sacct where accounting is kept.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from adapters.contract import AcceleratorSupport, Capabilities, Launch, Refusal, RefusalCode
from adapters.sdk.engine import Cancel, EngineUnavailable, Observer, Seen, Taken
from adapters.sdk.pacing import Pacing
from adapters.slurm import accounts, jobs, naming, nodes
from adapters.slurm.commands import Slurm, SlurmRefused
from adapters.slurm.reservations import is_gone
from adapters.slurm.script import batch_script
from inventory.model.pool import Node, Pool

_LOOK_EVERY_S = 1.0
_LOOK_AGAIN_S = 0.25  # for a while after something was asked of Slurm: it is about to change
_RESTLESS_S = 5.0
_LOG_PIECE = 64 * 1024
_MIB = 1024 * 1024
_CONTRACT_TO_SLURM = ("process", "batch-script")


@dataclass(frozen=True, slots=True)
class SlurmSettings:
    """What the operator of the adapter chooses; see `--help` of `python -m adapters.slurm`.

    `output_dir` must be one folder for this machine and all nodes (shared storage): the output of runs lies there.
    """

    output_dir: Path
    partition: str = ""
    account: str = ""
    work_dir: str = "/tmp"
    extra: tuple[str, ...] = field(default_factory=tuple)


class SlurmEngine:
    """An `Engine` over one cluster, or over one partition of it."""

    def __init__(self, pool: Pool, slurm: Slurm, settings: SlurmSettings) -> None:
        self._pool = pool
        self.slurm = slurm
        self._settings = settings
        self._prefix = naming.job_prefix(pool.pool_id)
        self._known: dict[str, Seen] = {}
        self._node_lines: list[nodes.NodeLine] = []
        self._nodes: list[Node] = []
        self._stopping: dict[str, asyncio.Task[None]] = {}
        self._lookout: asyncio.Task[None] | None = None
        self._suspended: set[str] = set()  # job ids, before a listing shows it
        self._pace = Pacing(every_s=_LOOK_EVERY_S, again_s=_LOOK_AGAIN_S, restless_s=_RESTLESS_S)
        self.shared_disk_bytes = pool.disk_bytes
        self.capabilities = Capabilities(
            pool_id=pool.pool_id,
            technology="slurm",
            runtimes=_CONTRACT_TO_SLURM,
            max_batch=200,
            accelerators=(AcceleratorSupport(pool.accelerator),) if pool.accelerator else (),
            chooses_nodes=True,
            start_estimates=True,
            reservations=True,
            suspend=True,
            exec=True,
            refuses_when_full=False,
            # Slurm counts whole seconds of its controller's clock.
            max_clock_skew_ms=1000,
        )

    # -- Engine -------------------------------------------------------------------------------------------------

    async def open(self, observer: Observer) -> None:
        await asyncio.to_thread(self._settings.output_dir.mkdir, parents=True, exist_ok=True)
        await self._look_at_nodes(await self._list())
        configuration = await self._ask("scontrol", "show", "config")
        self._keeps_accounts = "accounting_storage/slurmdbd" in configuration
        self._observer = observer
        self._lookout = asyncio.create_task(self._look_out())

    async def close(self) -> None:
        tasks = [*self._stopping.values(), *([self._lookout] if self._lookout else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def submit(self, launches: Sequence[Launch]) -> Sequence[Taken | Refusal]:
        """What squeue already lists is taken again: sbatch itself would start it a second time."""
        there = {job.name: job for job in await self._list() if job.name.startswith(self._prefix)}
        answers = await asyncio.gather(*(self._submit(launch, there) for launch in launches))
        self._pace.expect_changes()
        return answers

    async def cancel(self, cancels: Sequence[Cancel]) -> None:
        listed = {job.run_id: job for job in await self._ours()} if any(not c.handle for c in cancels) else {}
        for cancel in cancels:
            job_id = cancel.handle or (listed[cancel.run_id].job_id if cancel.run_id in listed else "")
            if not job_id:
                continue
            earlier = self._stopping.pop(cancel.run_id, None)
            if earlier is not None:
                earlier.cancel()
            self._pace.expect_changes()
            self._stopping[cancel.run_id] = asyncio.create_task(self._end(job_id, cancel.grace_ms))

    async def survey(self) -> Sequence[Seen]:
        return [Seen(jobs.report_of(job), job.job_id) for job in await self._ours()]

    async def recall(self, missing: Mapping[str, str]) -> Sequence[Seen]:
        """What sacct knows of jobs that slurmctld has forgotten (MinJobAge); nothing where no accounting is kept."""
        if not missing or not self._keeps_accounts:
            return ()
        words = ["--noheader", "--parsable2", "--allocations", f"--format={accounts.FORMAT}"]
        said = await self._ask("sacct", *words, f"--jobs={','.join(missing.values())}")
        found = accounts.parse_accounts(said, {handle: run_id for run_id, handle in missing.items()})
        # What slurmctld has forgotten runs no more, even where accounting never heard of its end.
        return [one for one in found if one.report.state.is_final]

    async def nodes(self) -> Sequence[Node]:
        return self._nodes

    async def logs(self, handle: str, offset: int, follow: bool) -> AsyncIterator[bytes]:
        path = self._settings.output_dir / f"{handle}.out"
        while True:
            # Asked before reading: what is written between the two is read in the next round.
            seen = self._known.get(handle)
            ended = seen is None or seen.report.state.is_final
            piece = await asyncio.to_thread(_read, path, offset)
            if piece:
                offset += len(piece)
                yield piece
            elif ended or not follow:
                return
            else:
                await asyncio.sleep(_LOOK_EVERY_S / 4)

    # -- for optional calls ---------------------------------------------------------------------------------------

    @property
    def partition(self) -> str:
        """The partition that is the pool; "" for the cluster's default."""
        return self._settings.partition

    @property
    def work_dir(self) -> str:
        """Where programs of runs begin."""
        return self._settings.work_dir

    @property
    def threads_per_core(self) -> dict[str, int]:
        return {line.name: line.threads_per_core for line in self._node_lines}

    def unknown_node(self, names: Sequence[str]) -> str | None:
        """The first of these that is no node of the cluster; None where all are."""
        known = {line.name for line in self._node_lines}
        return next((name for name in names if name not in known), None)

    async def set_suspended(self, job_id: str, *, suspended: bool) -> None:
        """Halts a running job or lets it go on. Raises SlurmRefused."""
        await self.slurm.run("scontrol", "suspend" if suspended else "resume", job_id)
        if suspended:
            self._suspended.add(job_id)
        else:
            self._suspended.discard(job_id)

    # -- one run ------------------------------------------------------------------------------------------------

    async def _submit(self, launch: Launch, there: dict[str, jobs.Job]) -> Taken | Refusal:
        name = naming.job_name(self._pool.pool_id, launch.run_id)
        if name in there:
            return Taken(launch.run_id, there[name].job_id)
        unknown = self.unknown_node(launch.nodes)
        if unknown is not None:
            return Refusal(launch.run_id, RefusalCode.NOT_FOUND, no_such_node(unknown))
        need = launch.requirements.per_task.accelerator_milli
        if need % 1000:
            text = f"{need} milli: 此池只分配整卡 / whole cards only here: ask for multiples of 1000"
            return Refusal(launch.run_id, RefusalCode.INVALID_ARGUMENT, text)
        try:
            said = await self.slurm.run("sbatch", *self.options(launch), standard_input=batch_script(launch))
        except EngineUnavailable as error:
            return Refusal(launch.run_id, RefusalCode.UNAVAILABLE, str(error))
        except SlurmRefused as refused:
            return _refusal(launch, str(refused))
        return Taken(launch.run_id, said.strip().split(";")[0])

    def options(self, launch: Launch) -> list[str]:
        """What sbatch is told. CPUs are whole; memory goes with them, so that any layout of tasks adds up."""
        need = launch.requirements.per_task
        tasks = launch.requirements.tasks
        cpus = max(1, -(-need.cpu_milli // 1000))
        memory = max(1, -(-need.memory_bytes // (cpus * _MIB)))
        result = [
            "--parsable",
            "--no-requeue",
            "--export=NONE",
            f"--job-name={naming.job_name(self._pool.pool_id, launch.run_id)}",
            f"--comment={jobs.comment_of(launch)}",
            f"--output={self._settings.output_dir}/%j.out",
            "--open-mode=append",
            f"--chdir={self._settings.work_dir}",
            f"--ntasks={tasks}",
            f"--cpus-per-task={cpus}",
            f"--mem-per-cpu={memory}M",
            *self._settings.extra,
        ]
        if self._settings.partition:
            result.append(f"--partition={self._settings.partition}")
        if self._settings.account:
            result.append(f"--account={self._settings.account}")
        if launch.max_runtime_ms:
            # Backfill plans with this limit. It is in minutes; the script keeps the exact one.
            result.append(f"--time={-(-launch.max_runtime_ms // 60_000) + 1}")
        if launch.reservation_id:
            result.append(f"--reservation={naming.reservation_name(launch.reservation_id)}")
        return result + self._layout(launch, need.accelerator_milli // 1000)

    def _layout(self, launch: Launch, cards: int) -> list[str]:
        if not launch.nodes:
            return [f"--gpus-per-task={cards}"] if cards else []
        each = Counter(launch.nodes)
        most = max(each.values())
        # One number for all nodes is what Slurm can be told: a gang with uneven numbers takes the larger on each.
        result = [
            f"--nodes={len(each)}",
            f"--nodelist={','.join(sorted(each))}",
            f"--ntasks={most * len(each)}",
            f"--ntasks-per-node={most}",
        ]
        return [*result, f"--gres=gpu:{cards * most}"] if cards else result

    async def _end(self, job_id: str, grace_ms: int) -> None:
        """Politely to the script and all it started, then by force. A job that has not started just goes."""
        try:
            await self.slurm.run("scancel", "--state=PENDING", job_id)
            if self._is_suspended(job_id):
                with contextlib.suppress(SlurmRefused):  # somebody else has resumed it
                    await self.set_suspended(job_id, suspended=False)
            if grace_ms:
                await self.slurm.run("scancel", "--full", "--signal=TERM", job_id)
                await asyncio.sleep(grace_ms / 1000)
            await self.slurm.run("scancel", "--full", "--signal=KILL", job_id)
            await self.slurm.run("scancel", job_id)
        except SlurmRefused:
            return  # it has ended meanwhile
        except EngineUnavailable:
            self._observer.gap()  # the survey asks again for every stop that is owed

    def _is_suspended(self, job_id: str) -> bool:
        seen = self._known.get(job_id)
        return job_id in self._suspended or (seen is not None and seen.report.suspended)

    # -- looking ------------------------------------------------------------------------------------------------

    async def _look_out(self) -> None:
        """One squeue a second for everything; troubles are waited out, and then everything is surveyed."""
        was_away = False
        while True:
            await self._pace.pause()
            try:
                listed = await self._list()
                await self._look_at_nodes(listed)
            except EngineUnavailable:
                was_away = True
                continue
            self._tell(listed)
            if was_away:
                was_away = False
                self._observer.gap()

    def _tell(self, listed: Sequence[jobs.Job]) -> None:
        """Tells what differs from the listing before; jobs that are listed no more are left to the survey."""
        ours = [job for job in listed if job.name.startswith(self._prefix)]
        now = {job.job_id: Seen(jobs.report_of(job), job.job_id) for job in ours}
        changed = [seen for job_id, seen in now.items() if self._known.get(job_id) != seen]
        for seen in changed:
            if seen.report.state.is_final and (stopping := self._stopping.pop(seen.report.run_id, None)):
                stopping.cancel()
        if any(job_id not in now and not seen.report.state.is_final for job_id, seen in self._known.items()):
            self._observer.gap()
        self._known = now
        self._suspended &= {job_id for job_id, seen in now.items() if not seen.report.state.is_final}
        if changed:
            self._observer.observed(changed)

    async def _look_at_nodes(self, listed: Sequence[jobs.Job]) -> None:
        words = ["sinfo", "--Node", "--noheader", f"--format={nodes.FORMAT}"]
        if self._settings.partition:
            words.append(f"--partition={self._settings.partition}")
        self._node_lines = nodes.parse_nodes(await self._ask(*words))
        found = nodes.nodes_of(self._pool, self._node_lines, nodes.held_by_others(listed, self._prefix))
        if found != self._nodes:
            self._nodes = found
            if hasattr(self, "_observer"):
                self._observer.nodes_changed()

    async def _ours(self) -> list[jobs.Job]:
        return [job for job in await self._list() if job.name.startswith(self._prefix) and job.run_id]

    async def _list(self) -> list[jobs.Job]:
        return jobs.parse_jobs(await self._ask("squeue", "--noheader", "--states=all", f"--Format={jobs.FORMAT}"))

    async def _ask(self, *words: str) -> str:
        """A question that Slurm always answers: a refusal is trouble with the cluster, not with the question."""
        try:
            return await self.slurm.run(*words)
        except SlurmRefused as refused:
            raise EngineUnavailable(f"{words[0]}: {refused}") from refused


def no_such_node(name: str) -> str:
    return f"{name}: 集群中没有此节点，请重新列出节点 / no such node: list the nodes and place it anew"


def _refusal(launch: Launch, said: str) -> Refusal:
    if launch.reservation_id and is_gone(said):
        text = f"{launch.reservation_id}: 没有此预留，或已结束 / no such reservation, or it is over: place it anew"
        return Refusal(launch.run_id, RefusalCode.NOT_FOUND, text)
    text = f"{launch.run_id}: Slurm 拒绝了此运行 / Slurm refused it: {said}"
    return Refusal(launch.run_id, RefusalCode.INVALID_ARGUMENT, text)


def _read(path: Path, offset: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(offset)
            return file.read(_LOG_PIECE)
    except FileNotFoundError:
        return b""  # it has not started

"""`xisuan demo`: the main job on illustrative data, from a department's workbook to migrated systems.

It calls the running service as a user would (gRPC, the client library) and checks what it tells: a step that does
not come out ends the demo with an error. The state lies below the home and is made anew by each demo; the start of
the plan is fixed, so the story is the same on every day.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from console.embedded import EmbeddedSettings, Running, running
from console.run_access import read_site_file
from console.story import Story
from inventory.ledger import mark_up, read_ledger
from inventory.model.pool import Pool
from inventory.pool_catalogue import read_pools
from inventory.store.verify import verify
from scheduler.store.opening import open_store
from xisuan.client import (
    ARCHITECTURE_ARM64,
    WORKLOAD_STATE_SUCCEEDED,
    ZONE_INTRANET,
    Client,
    Program,
    Requirements,
    Resources,
    WorkloadSpec,
)
from xisuan.operations import (
    ActOnRunRequest,
    ImportRequest,
    Operations,
    PlanRequest,
    PoolHealth,
    RunAct,
    StartWaveRequest,
    Wave,
)
from xisuan.operations import Pool as PoolMessage

ACTOR = "demo"
WORKBOOK = "示例区台账.xlsx"
STARTS_ON = "2026-10-01"
# An hour of cutover takes a second.
SPEED = 3600.0
GIB = 1024**3
HEALTH_WAIT_S = 30.0
RUNS_WAIT_S = 120.0
SITE = "examples/migration/rehearsal-site.yaml"


class DemoFailed(Exception):
    """A step did not come out as it must."""


@dataclass(frozen=True, slots=True)
class DemoPaths:
    """Where the examples are, and where the demo keeps its state (wiped at the start)."""

    examples: Path
    home: Path

    @property
    def workbook(self) -> Path:
        return self.examples / "ledger" / WORKBOOK

    @property
    def store_url(self) -> str:
        return f"sqlite:///{self.home / 'xisuan.db'}"


def run_demo(paths: DemoPaths, story: Story) -> None:
    """Tells the whole story. Raises DemoFailed, or what the service raises."""
    shutil.rmtree(paths.home, ignore_errors=True)
    paths.home.mkdir(parents=True)
    pools = read_pools(paths.examples / "pools" / "pools.csv", paths.examples / "pools" / "node-groups.csv")
    story.say("西算 Xisuan：一本台账，从工作簿到上云 / one ledger, from a workbook to the cloud", "bold")
    story.say(
        "示例数据，系统、单位与规模均为虚构 / illustrative data: systems, departments and sizes are invented"
    )
    story.step("启动服务：控制平面、池主机、网关（Ray），每个算力池一个适配器进程", "start the service")
    story.command("xisuan up --pools examples/pools/pools.csv --node-groups examples/pools/node-groups.csv")
    settings = EmbeddedSettings(home=paths.home, store_url=paths.store_url, speed=SPEED)
    with (
        running(settings, pools) as up,
        Operations(up.address, credentials=up.credentials) as operations,
        Client(up.address, credentials=up.credentials) as client,
    ):
        demo = _Demo(paths, story, up, operations, client)
        demo.show_pools(pools)
        demo.import_ledger()
        demo.show_rates("2026-09-30")
        waves = demo.plan_waves()
        demo.migrate(waves[:-1])
        demo.survive_an_outage(waves[-1])
        demo.run_a_command()
        demo.explain_a_wait()
        demo.show_rates("")
        demo.open_a_number()
    story.step("核对：重算哈希链并重建全部投影", "recompute the hash chain, rebuild every projection")
    story.command("xisuan verify")
    _verify(paths.store_url, story)
    story.step(f"完成，用时 {story.seconds:.0f} 秒；状态保存在 {paths.home}", "done; the state is kept there")


class _Demo:
    def __init__(
        self, paths: DemoPaths, story: Story, up: Running, operations: Operations, client: Client
    ) -> None:
        self._paths = paths
        self._story = story
        self._up = up
        self._operations = operations
        self._client = client

    def show_pools(self, pools: tuple[Pool, ...]) -> None:
        self._until_ready()
        self._story.say(f"网关 / gateway {self._up.address}")
        rows = [
            (
                pool.spec.pool_id,
                pool.spec.name,
                pool.spec.adapter,
                f"{pool.nodes} 节点/nodes",
                f"{pool.allocatable.cpu_milli // 1000} vCPU",
                f"{pool.allocatable.accelerator_milli // 1000} 卡/cards",
            )
            for pool in self._operations.pools()
        ]
        self._story.table(("pool", "名称 name", "adapter", "nodes", "vCPU", "cards"), rows)
        if len(rows) != len(pools):
            raise DemoFailed(f"{len(pools)} pools were to be registered, {len(rows)} are")

    def import_ledger(self) -> None:
        self._story.step("导入台账：系统、问题单元格", "import the ledger: systems and findings")
        self._story.command(f"xisuan ledger import examples/ledger/{WORKBOOK} --marked-up marked-up.xlsx")
        content = self._paths.workbook.read_bytes()
        answer = self._operations.import_workbook(ImportRequest(file_name=WORKBOOK, content=content, actor=ACTOR))
        reading = json.loads(answer.reading_json)
        kinds = Counter(finding["kind"] for finding in reading["findings"])
        self._story.say(
            f"{answer.import_id} {answer.status}：{len(reading['systems'])} 个系统 / systems，"
            f"发现 / findings {dict(kinds)}"
        )
        for finding in reading["findings"]:
            self._story.say(
                f"{finding['sheet']}!{finding['cell']} {finding['kind']}：{finding['remedy']}", "yellow"
            )
        marked_up = self._paths.home / "marked-up.xlsx"
        marked_up.write_bytes(mark_up(content, WORKBOOK, read_ledger(content, WORKBOOK)))
        self._story.say(f"批注件（凭据已清除）/ marked-up copy, credentials blanked: {marked_up}")
        again = self._operations.import_workbook(ImportRequest(file_name=WORKBOOK, content=content, actor=ACTOR))
        if again.status != "unchanged":
            raise DemoFailed(f"the same file again must change nothing; the import is {again.status}")
        self._story.say("再次导入同一文件：无变化 / the same file again changes nothing")

    def show_rates(self, as_of: str) -> None:
        day = f"，截至 {as_of}" if as_of else ""
        self._story.step(f"上云率与整合率{day}", "rates: numerator / denominator, scope, as of")
        self._story.command(f"xisuan rates --as-of {as_of}" if as_of else "xisuan rates")
        answer = self._operations.rates(as_of, "", rows=False)
        rows = [
            (
                f"{rate.name_zh} {rate.name_en}",
                f"{rate.numerator}/{rate.denominator}",
                f"{rate.percent:.1f}%" if rate.HasField("percent") else "—",
                rate.scope,
                rate.as_of,
            )
            for rate in answer.rates
        ]
        self._story.table(("率 rate", "n/d", "%", "范围 scope", "截至 as of"), rows)

    def plan_waves(self) -> Sequence[Wave]:
        self._story.step("编排批次：同批组、窗口、封网期、容量；独立校核", "plan waves, and have them judged")
        self._story.command(f"xisuan migration plan --start {STARTS_ON}")
        answer = self._operations.plan(PlanRequest(starts_on=STARTS_ON, seed=1, actor=ACTOR))
        if answer.violations:
            raise DemoFailed(f"the plan breaks a rule: {answer.violations[0].message_en}")
        waves = list(self._operations.waves().waves)
        plan = json.loads(answer.plan_json)
        self._story.say(
            f"{answer.plan_id}：{len(plan['assignments'])} 个系统、{len(waves)} 批，未违反任何规则；"
            f"{len(plan['unplaced'])} 个排不进 / systems, waves, no rule broken, left without a place"
        )
        rows = [
            (str(wave.number), wave.starts, str(len(wave.system_keys)), "、".join(wave.system_keys)[:60])
            for wave in waves
        ]
        self._story.table(("批次 wave", "窗口 window", "系统 systems", ""), rows)
        last = plan["assignments"][-1]
        for question in ("why_here", "why_then", "why_not_earlier"):
            self._story.say(f"{last['system_name']} {question}: {last[question]['zh']} / {last[question]['en']}")
        return waves

    def migrate(self, waves: Sequence[Wave]) -> None:
        self._story.step(
            "逐批割接：每个同批组一次割接任务（桌面演练方案），审批、演练、割接、核对、验收",
            "run the waves: a run for each move group, from approval to acceptance",
        )
        self._story.command(f"xisuan migration start 1 --site {SITE}")
        runs = [run_id for wave in waves for run_id in self._start(wave)]
        self._story.say(
            f"{len(runs)} 个割接任务；执行者不能验收（职责分离）/ runs; who executes them cannot accept them"
        )
        with self._story.progress("已完成 / completed", len(runs)) as advance:
            self._until_completed(runs, advance)
        pools = Counter(run.pool_id for workload in self._client.list() for run in workload.runs)
        systems = sum(wave.migrated for wave in self._operations.migration_status().waves)
        self._story.say(f"{systems} 个系统已割接，作业按池 / systems cut over, workloads by pool: {dict(pools)}")

    def _start(self, wave: Wave) -> Sequence[str]:
        """Opens the runs of the wave."""
        text, runbooks = read_site_file(self._paths.examples.parent / SITE)
        started = self._operations.start_wave(
            StartWaveRequest(number=wave.number, actor=ACTOR, site_yaml=text, runbooks=runbooks)
        )
        if started.waiting or not started.run_ids:
            raise DemoFailed(f"wave {wave.number} did not start as a whole: {started}")
        return tuple(started.run_ids)

    def _until_completed(self, runs: Sequence[str], advance: Callable[[int], None]) -> None:
        """Plays the people who approve, until every run is completed."""
        deadline = time.monotonic() + RUNS_WAIT_S
        while True:
            states = {
                run["run_id"]: run for run in map(json.loads, self._operations.runs()) if run["run_id"] in runs
            }
            advance(sum(run["state"] == "completed" for run in states.values()))
            for run_id, run in states.items():
                if run["state"] == "waiting":
                    self._approve(run_id)
                elif run["state"] not in ("running", "completed"):
                    raise DemoFailed(f"{run_id} is {run['state']}: {run['reason']}")
            if all(run["state"] == "completed" for run in states.values()):
                return
            if time.monotonic() > deadline:
                raise DemoFailed(f"not completed in {RUNS_WAIT_S:.0f} s: {states}")
            time.sleep(0.3)

    def _approve(self, run_id: str) -> None:
        """The step that waits, by the first person who may."""
        waiting = json.loads(self._operations.run(run_id)[0])
        if waiting["may_approve"]:
            self._operations.act_on_run(
                ActOnRunRequest(
                    run_id=run_id,
                    act=RunAct.RUN_ACT_APPROVE,
                    actor=waiting["may_approve"][0],
                    step_id=waiting["waiting_for"],
                    document_number=f"演练〔2026〕{run_id}",
                )
            )

    def survive_an_outage(self, wave: Wave) -> None:
        self._story.step(
            "最后一批进行时，一个算力池失联又恢复", "a pool goes away during the last wave, and returns"
        )
        runs = self._start(wave)
        victim = self._until_on_a_pool(runs[0])
        adapter = self._up.adapters[victim]
        adapter.kill()
        self._until_health(victim, PoolHealth.POOL_HEALTH_UNREACHABLE)
        self._story.say(
            f"{victim} 的适配器已被强杀并被发现失联 / its adapter was killed, and that was noticed", "yellow"
        )
        self._operations.register_pool(self._pool(victim).spec, adapter.restart())
        self._until_completed(runs, lambda done: None)
        count = len(wave.system_keys)
        self._story.say(
            f"适配器恢复后，该批 {count} 个系统全部完成，无一丢失或重复 / all {count} systems done, none lost, none twice"
        )
        for run_id in runs:
            for workload in self._client.list(queue=f"migration/{run_id.lower()}"):
                if len(workload.runs) != 1:
                    raise DemoFailed(f"{workload.workload_id} was tried {len(workload.runs)} times")

    def _until_on_a_pool(self, run_id: str) -> str:
        """Approves the run, and returns the pool in which its capacity is held."""
        deadline = time.monotonic() + RUNS_WAIT_S
        while time.monotonic() < deadline:
            run = json.loads(self._operations.run(run_id)[0])
            if "capacity" in run["evidence"]:
                return str(run["evidence"]["capacity"]["pool"])
            self._approve(run_id)
            time.sleep(0.1)
        raise DemoFailed(f"{run_id} holds no capacity after {RUNS_WAIT_S:.0f} s")

    def run_a_command(self) -> None:
        self._story.step("本机算力池真实运行一条命令，取回日志与退出码", "a real command: its log and exit code")
        self._story.command("xisuan workload submit JOB.yaml --wait")
        workload, _ = self._client.submit(
            WorkloadSpec(
                queue="demo/evidence",
                client_key="checksum",
                name="台账校验和 / checksum of the ledger",
                requirements=Requirements(
                    per_task=Resources(cpu_milli=500, memory_bytes=GIB // 4), pools=["demo-local"]
                ),
                program=Program(
                    command=[
                        sys.executable,
                        "-c",
                        "import hashlib, sys; print('sha256', hashlib.sha256(open(sys.argv[1], 'rb').read()).hexdigest())",
                        str(self._paths.workbook.resolve()),
                    ]
                ),
            )
        )
        self._must_succeed(workload.workload_id)
        run = self._client.get(workload.workload_id).runs[-1]
        log = b"".join(self._client.logs(workload.workload_id)).decode().strip()
        self._story.say(f"{run.run_id} @ {run.pool_id}：退出码 / exit code {run.exit_code}，日志 / log: {log}")

    def explain_a_wait(self) -> None:
        self._story.step(
            "放不下的作业：每个池为什么拒绝，怎样才行", "what cannot be placed says why, and what would help"
        )
        workload, _ = self._client.submit(
            WorkloadSpec(
                queue="demo/ai",
                client_key="too-many-cards",
                requirements=Requirements(
                    per_task=Resources(cpu_milli=8000, memory_bytes=64 * GIB, accelerator_milli=16_000),
                    zone=ZONE_INTRANET,
                    architectures=[ARCHITECTURE_ARM64],
                    accelerator="Ascend910B",
                ),
                program=Program(command=["train"]),
            )
        )
        self._story.command(f"xisuan workload explain {workload.workload_id}")
        answer = self._client.explain(workload.workload_id)
        self._story.say(answer.summary_zh)
        self._story.say(answer.summary_en)
        self._client.cancel(workload.workload_id, "demo")

    def open_a_number(self) -> None:
        self._story.step("每个数字都能展开到行", "every number opens its rows")
        self._story.command("xisuan rates --rows")
        rates = self._operations.rates("", "", rows=True).rates
        rate = next(rate for rate in rates if rate.name_zh == "上云率")
        if len(rate.denominator_rows) != rate.denominator:
            raise DemoFailed(f"{rate.name_en}: {rate.denominator} counted, {len(rate.denominator_rows)} rows")
        missing = sorted(set(rate.denominator_rows) - set(rate.numerator_rows))
        self._story.say(
            f"上云率 {rate.numerator}/{rate.denominator}；应迁未迁 / not yet migrated: {'、'.join(missing) or '无 / none'}"
        )

    def _must_succeed(self, workload_id: str) -> None:
        workload = self._client.wait(workload_id)
        if workload.state != WORKLOAD_STATE_SUCCEEDED:
            raise DemoFailed(f"{workload_id} ({workload.spec.name}) did not succeed: {workload.message}")

    def _until_ready(self) -> None:
        for pool in self._operations.pools():
            self._until_health(pool.spec.pool_id, PoolHealth.POOL_HEALTH_READY)

    def _until_health(self, pool_id: str, health: PoolHealth.ValueType) -> None:
        deadline = time.monotonic() + HEALTH_WAIT_S
        while self._pool(pool_id).health != health:
            if time.monotonic() > deadline:
                raise DemoFailed(
                    f"pool {pool_id} did not become {PoolHealth.Name(health)} in {HEALTH_WAIT_S:.0f} s"
                )
            time.sleep(0.1)

    def _pool(self, pool_id: str) -> PoolMessage:
        return next(pool for pool in self._operations.pools() if pool.spec.pool_id == pool_id)


def _verify(store_url: str, story: Story) -> None:
    store = open_store(store_url)
    try:
        result = verify(store)
    finally:
        store.close()
    if not result.holds:
        raise DemoFailed(f"verify: {result}")
    story.say(
        f"{result.head.seq} 个事件，链头 {result.head.hash[:16]}…，{result.rows_compared} 行投影一致 / "
        "events, head of the chain, projected rows, all as recomputed"
    )

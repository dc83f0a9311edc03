"""`xisuan migration example`: moves a real service to a pool, while its users go on writing.

Two PostgreSQL servers with passwords, a web application on the legacy side, a gateway, the local adapter as the pool,
and users who write without pause and remember what they were told is stored. First a run whose new application is
killed in the window: it is rolled back by policy, and nothing is lost. Then the same again to acceptance. What must
hold is checked, and anything else ends the example with an error. All is throw-away, on loopback.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from console.adapter_workloads import AdapterWorkloads
from console.embedded import AdapterProcess
from console.example_host import places_of_death
from console.faults import Fault
from console.home import Home
from console.story import Story
from inventory.pool_catalogue import read_pools
from inventory.store.event_store import Store
from inventory.store.verify import verify
from scheduler.runbooks.driver import Driver, DriverSettings
from scheduler.runbooks.record import RunRecord
from scheduler.runbooks.steps.context import StepPorts
from scheduler.runtime.clock import SystemClock
from scheduler.runtime.run_calls import RunCalls
from scheduler.services.desk_ports import Upload
from scheduler.services.ledger_desk import LedgerDesk
from scheduler.services.migration_desk import MigrationDesk
from scheduler.services.ports import RequestError
from scheduler.services.run_ports import Act, RunAction, RunDocument, RunOpening
from scheduler.store.opening import open_store
from scheduler.store.projection import pool_registered
from scheduler.store.scheduler_store import Batch, SchedulerStore

EXAMPLES = Path(__file__).parent.parent / "examples"
WORKBOOK = "示例区台账.xlsx"
OPERATOR, AUTHORITY, ACCEPTER = "王五", "张三", "李四"
_PATIENCE_S = 300.0
_WINDOW_AFTER_S = 6
_NOT_INSTALLED = 3
_LEAST_DEATHS = 15
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
Tell = Callable[[str], None]


class ExampleFailed(Exception):
    """Something that must hold does not."""


class PostgresMissing(Fault):
    """The example needs the programs of PostgreSQL."""


@dataclass
class Users:
    """People who write through the gateway without pause; `stored` is what they were told is stored."""

    gateway: str
    stored: list[str] = field(default_factory=list)
    refused: int = 0
    longest_pause_s: float = 0.0
    _stopping: threading.Event = field(default_factory=threading.Event)

    def write(self) -> None:
        number, last = 0, time.monotonic()
        while not self._stopping.is_set():
            key = f"notice-{number}"
            if _post(f"{self.gateway}/notices", {"key": key, "text": f"第 {number} 条通知"}) == 201:
                now = time.monotonic()
                self.longest_pause_s = max(self.longest_pause_s, now - last)
                self.stored.append(key)
                number, last = number + 1, now
            else:  # the same notice again: its key makes that safe
                self.refused += 1
            time.sleep(0.1)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        thread = threading.Thread(target=self.write, name="users", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stopping.set()
            thread.join()


def run_example(home: Home, *, keep: bool, crashes: bool = False, story: Story | None = None) -> None:
    """Tells the whole story. `crashes`: what carries the runs forward is killed after every step, before that is recorded.
    Raises ExampleFailed, PostgresMissing."""
    told = story or Story()
    home.create()
    folder = Path(tempfile.mkdtemp(prefix="migration-example-", dir=home.folder))
    try:
        with Example(folder, told, crashes=crashes) as example:
            example.tell()
    finally:
        if keep:
            told.say(f"文件保留在 / files are kept in {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


class Example:
    """The whole site of the example; everything ends with the block."""

    def __init__(self, folder: Path, story: Story, *, crashes: bool) -> None:
        self._folder = folder
        self._story = story
        self._crashes = crashes
        self._stack = ExitStack()
        self._password = secrets.token_urlsafe(24)
        self._ports = {
            name: _free_port() for name in ("legacy_db", "target_db", "legacy", "pool", "gateway", "rehearsal")
        }

    def __enter__(self) -> Example:
        try:
            self._start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *ended: object) -> None:
        self._stack.close()

    def tell(self) -> None:
        story = self._story
        users = Users(self._url("gateway"))
        with users.at_work():
            self._fail_and_roll_back(users)
            run_id = self._move_for_good(users)
            time.sleep(0.3)
        self._require_everything_stored("pool", users)
        story.step(
            "核对：账上只记一次，证据链完整，密钥未外泄", "recorded once, the chain holds, no secret leaked"
        )
        self._require_recorded_once(run_id)
        if self._crashes:
            self._require_every_step_once()
        story.step(
            f"完成，用时 {story.seconds:.0f} 秒：写入 {len(users.stored)} 条，一条不少；最长停写 "
            f"{users.longest_pause_s:.1f} 秒",
            f"done: {len(users.stored)} writes, none lost; longest pause in writing {users.longest_pause_s:.1f} s",
        )

    def _fail_and_roll_back(self, users: Users) -> None:
        story = self._story
        story.step(
            "第一次割接：窗口内新环境的应用被强杀", "first run: the new application is killed in the window"
        )
        run_id = self._open()
        killer = threading.Thread(target=self._kill_application_in_the_window, args=(run_id,), daemon=True)
        killer.start()
        self._approve(run_id, AUTHORITY, "示例批〔2026〕1号")
        run = self._until(run_id, lambda one: one["state"] in ("rolled_back", "held", "rollback_held"))
        if run["state"] != "rolled_back":
            raise ExampleFailed(f"{run_id} must be rolled back; it is {run['state']}: {run['reason']}")
        story.say(f"{run_id} 已按策略整组回退 / rolled back by policy: {run['reason']}", "yellow")
        self._tell_times(run)
        environment = _get(f"{self._url('gateway')}/health")["environment"]
        if environment != "legacy":
            raise ExampleFailed(f"after the rollback users see {environment}, not legacy")
        before = len(users.stored)
        self._wait_for(lambda: len(users.stored) > before + 5, "users can write again")
        self._require_everything_stored("legacy", users)

    def _move_for_good(self, users: Users) -> str:
        story = self._story
        story.step("第二次割接：到验收", "second run: to acceptance")
        run_id = self._open()
        self._approve(run_id, AUTHORITY, "示例批〔2026〕2号")
        self._until(run_id, lambda one: one["waiting_for"] == "accept" or one["state"] in ("held", "rolled_back"))
        self._tell_times(self._calls.run(run_id))
        try:
            self._approve(run_id, OPERATOR, "示例验〔2026〕1号")
        except RequestError as refused:
            story.say(f"执行者验收被拒 / the executor may not accept: {refused}", "yellow")
        else:
            raise ExampleFailed("the executor could accept")
        self._approve(run_id, ACCEPTER, "示例验〔2026〕1号")
        run = self._until(run_id, lambda one: one["state"] in ("completed", "held"))
        if run["state"] != "completed":
            raise ExampleFailed(f"{run_id} must be completed; it is {run['state']}: {run['reason']}")
        story.say(
            f"{run_id} 完成；其应用是池上的常驻作业 / completed; its application stays a workload of the pool"
        )
        return run_id

    def _kill_application_in_the_window(self, run_id: str) -> None:
        """As a crash would: the process, and nothing of ours. It comes before the switch: the first look of a user at
        the new environment, a moment after it, must find nothing there on a fast machine too."""
        self._until(run_id, lambda one: _state_of(one, "freeze") != "pending")
        self._workloads.cancel(self._application_of(run_id), "crash")

    def _application_of(self, run_id: str) -> str:
        for event in self._calls.history(run_id):
            if event["kind"] == "runbook.step_ended" and event["payload"]["step"] == "start-application":
                return str(event["payload"]["evidence"]["workload"])
        raise ExampleFailed(f"{run_id} started no application")

    def _open(self) -> str:
        template = (EXAMPLES / "runbooks" / "rehost-postgresql.yaml").read_text(encoding="utf-8")
        run_id = self._calls.open(RunOpening(template, self._order(), OPERATOR))
        self._story.command(f"xisuan migration open order.yaml    # {run_id}")
        self._until(run_id, lambda one: one["waiting_for"] == "approve")
        return run_id

    def _order(self) -> str:
        now = datetime.fromtimestamp(SystemClock().now_ms() / 1000, UTC)
        starts = now + timedelta(seconds=_WINDOW_AFTER_S)
        values = {
            "starts": starts.isoformat(),
            "ends": (starts + timedelta(minutes=30)).isoformat(),
            "gateway": self._url("gateway"),
            "rehearsal_gateway": self._url("rehearsal"),
            "legacy_app": self._url("legacy"),
            "pool_app": self._url("pool"),
            "pool_app_port": str(self._ports["pool"]),
            "python": sys.executable,
            "scripts": str(EXAMPLES / "migration"),
            "legacy_url_file": str(self._folder / "legacy_db.url"),
            "target_url_file": str(self._folder / "target_db.url"),
        }
        text = (EXAMPLES / "migration" / "order.yaml").read_text(encoding="utf-8")
        for name, value in values.items():
            text = text.replace(f'"{{{name}}}"', json.dumps(value))
        return text

    def _approve(self, run_id: str, actor: str, number: str) -> None:
        self._calls.act(RunAction(Act.APPROVE, run_id, actor, number=number, sha256="0" * 64))

    def _until(self, run_id: str, reached: Callable[[RunDocument], object]) -> RunDocument:
        self._wait_for(lambda: reached(self._calls.run(run_id)), f"{run_id}: {self._calls.run(run_id)['state']}")
        return self._calls.run(run_id)

    def _wait_for(self, reached: Callable[[], object], what: str) -> None:
        deadline = time.monotonic() + _PATIENCE_S
        while not reached():
            if time.monotonic() > deadline:
                raise ExampleFailed(f"not within {_PATIENCE_S:.0f} s: {what}")
            time.sleep(0.2)

    def _tell_times(self, run: RunDocument) -> None:
        evidence = run["evidence"]
        lag, there, back = (
            evidence.get(name, {}).get("value", "-")
            for name in ("replication_lag", "rehearsal_ms", "rehearsed_rollback_ms")
        )
        self._story.say(
            f"同步延迟 / lag {lag} ms；演练 / rehearsed {there} ms，演练回退 / its rollback {back} ms；割接各步 / cutover: "
            + "，".join(
                f"{step['id']} {step['milliseconds']} ms"
                for step in run["steps"]
                if step["phase"] in ("cutover", "verification")
            )
        )

    def _require_everything_stored(self, side: str, users: Users) -> None:
        """Every write that a user was told is stored is there, once."""
        told = list(users.stored)
        found = list(_get(f"{self._url(side)}/notices").get("keys", []))
        missing = set(told) - set(found)
        if missing or len(found) != len(set(found)):
            raise ExampleFailed(f"{len(missing)} acknowledged writes are missing, such as {sorted(missing)[:3]}")
        self._story.say(
            f"用户写入 {len(told)} 条，{side} 中一条不少（被拒 {users.refused} 次后重试）/ all {len(told)} acknowledged "
            f"writes are there ({users.refused} refusals were tried again)",
            "green",
        )

    def _require_recorded_once(self, run_id: str) -> None:
        facts = self._store.read(limit=1000, kinds=("system.migrated",))
        if len(facts) != 1 or not str(facts[0].payload["source"]).startswith(run_id):
            raise ExampleFailed(f"the ledger must say once that the system is migrated: {facts}")
        result = verify(self._store)
        if not result.holds:
            raise ExampleFailed(f"verify: {result}")
        self._story.say(f"system.migrated × 1: {facts[0].subject}, {facts[0].payload['source']}")
        self._story.say(f"{result.head.seq} 个事件，链头 / events, head {result.head.hash[:16]}…")
        for file in self._folder.rglob("*"):
            if file.is_file() and file.suffix != ".url" and self._password.encode() in file.read_bytes():
                raise ExampleFailed(f"a password stands in {file}")

    def _require_every_step_once(self) -> None:
        """However often the host died: no attempt began twice, no step needed a second one, none was left out."""
        begun = [
            (run["run_id"], event["kind"], event["payload"]["step"], event["payload"]["attempt"])
            for run in self._calls.runs()
            for event in self._calls.history(run["run_id"])
            if event["kind"] in ("runbook.step_started", "runbook.compensation_started")
        ]
        again = [one for one in begun if begun.count(one) > 1]
        if again:
            raise ExampleFailed(f"begun twice: {again}")
        died = places_of_death(self._folder)
        if len(died) < _LEAST_DEATHS:
            raise ExampleFailed(f"the host died only {len(died)} times: {died}")
        self._story.say(
            f"主机在 {len(died)} 处被强杀并重启，没有一步做两次或漏做"
            f" / the host was killed at {len(died)} places; nothing was done twice, nothing left out",
            "green",
        )

    def _start(self) -> None:
        story = self._story
        story.say("一个真实的小网站，从旧环境迁到算力池 / a real web application moves to a pool", "bold")
        story.step(
            "旧环境、目标数据库、网关、本机算力池", "the legacy environment, the target, a gateway, a local pool"
        )
        for side in ("legacy_db", "target_db"):
            (self._folder / f"{side}.url").write_text(self._database_url(side), encoding="utf-8")
            self._start_postgres(side)
        scripts = EXAMPLES / "migration"
        command = [sys.executable, str(scripts / "replication.py"), "prepare", "notices"]
        urls = {"LEGACY_URL": self._database_url("target_db"), "TARGET_URL": self._database_url("legacy_db")}
        subprocess.run(command, env=urls, check=True)  # the tables of the legacy side are made the same way
        self._spawn(
            *(scripts / "notices.py", "--port", self._ports["legacy"], "--environment", "legacy"),
            *("--database-file", self._folder / "legacy_db.url", "--database", "notices"),
        )
        for name in ("gateway", "rehearsal"):
            self._spawn(
                *(scripts / "gateway.py", "--port", self._ports[name], "--target", self._url("legacy")),
                *("--state", self._folder / f"{name}.target"),
            )
        self._store = self._open_store()
        self._workloads = self._start_pool()
        clock = SystemClock()
        self._calls = RunCalls(self._store, MigrationDesk(SchedulerStore(self._store), clock.now_ms), clock.now_ms)
        if self._crashes:
            self._start_mortal_host()
        else:
            self._start_driver(clock)
        self._wait_for(
            lambda: _get(f"{self._url('gateway')}/health").get("environment") == "legacy", "the gateway answers"
        )

    def _start_postgres(self, side: str) -> None:
        # A short path right under the temporary folder: the server runs as another user, who must get through to it.
        where = Path(tempfile.gettempdir()) / f"xisuan-example-{side}-{self._ports[side]}"
        paper = self._folder / f"{side}.url.password"
        paper.write_text(self._password, encoding="utf-8")
        script = str(EXAMPLES / "migration" / "postgres.sh")
        started = subprocess.run(
            [script, "start", str(where), str(self._ports[side]), str(os.getpid()), str(paper)],
            capture_output=True,
            text=True,
            check=False,
        )
        paper.unlink()
        self._stack.callback(subprocess.run, [script, "stop", str(where)], capture_output=True, check=False)
        if started.returncode == _NOT_INSTALLED:
            raise PostgresMissing(
                "本例需要 PostgreSQL；请 apt-get install postgresql / the example needs PostgreSQL: apt-get install postgresql"
            )
        if started.returncode != 0:
            raise ExampleFailed(f"PostgreSQL did not start: {started.stderr.strip()}")

    def _open_store(self) -> Store:
        store = open_store(f"sqlite:///{self._folder / 'xisuan.db'}")
        self._stack.callback(store.close)
        desk = LedgerDesk(store, SystemClock().now_ms)
        content = (EXAMPLES / "ledger" / WORKBOOK).read_bytes()
        desk.take_in(desk.read_workbook(Upload(WORKBOOK, content, actor=OPERATOR)))
        return store

    def _start_pool(self) -> AdapterWorkloads:
        pools = read_pools(EXAMPLES / "pools" / "pools.csv", EXAMPLES / "pools" / "node-groups.csv")
        local = next(pool for pool in pools if pool.adapter == "local")
        pool = replace(local, protection_level=3)  # here it stands for a pool of the government cloud
        adapter = AdapterProcess(pool, "local", self._folder / "pool", ())
        self._stack.callback(adapter.close)
        self._endpoint = adapter.endpoint()
        SchedulerStore(self._store).record(
            Batch([pool_registered(pool, self._endpoint)]), actor=OPERATOR, now_ms=SystemClock().now_ms()
        )
        workloads = AdapterWorkloads(self._endpoint)
        self._stack.callback(workloads.close)
        self._stack.callback(self._stop_applications, workloads)
        return workloads

    def _stop_applications(self, workloads: AdapterWorkloads) -> None:
        """Runs of a local pool outlive their adapter, as they should; this example is over."""
        for run in self._calls.runs() if hasattr(self, "_calls") else ():
            for event in self._calls.history(run["run_id"]):
                workload = event["payload"].get("evidence", {}).get("workload")
                if workload:
                    workloads.cancel(workload, "the example is over")
        time.sleep(0.3)

    def _start_driver(self, clock: SystemClock) -> None:
        ports = StepPorts(clock, self._workloads, self._workloads, self._folder / "steps")
        settings = DriverSettings(f"sqlite:///{self._folder / 'checkpoints.db'}")
        driver = Driver(RunRecord(self._store), ports, settings)
        driver.start()
        self._stack.callback(driver.close)
        over = threading.Event()

        def tick() -> None:
            while not over.wait(0.05):
                driver.tick()

        thread = threading.Thread(target=tick, name="runbook-host", daemon=True)
        thread.start()
        self._stack.callback(thread.join)
        self._stack.callback(over.set)

    def _start_mortal_host(self) -> None:
        """The driver as a process that kills itself; whenever it is gone, the next one is started."""
        command = [sys.executable, "-m", "console.example_host", str(self._folder), self._endpoint]
        over = threading.Event()
        alive: list[subprocess.Popen[bytes]] = []

        def keep_alive() -> None:
            while not over.is_set():
                alive[:] = [subprocess.Popen(command, stdin=subprocess.PIPE, cwd=EXAMPLES.parent)]
                alive[0].wait()

        def end() -> None:
            over.set()
            for process in alive:
                process.kill()
            thread.join()

        thread = threading.Thread(target=keep_alive, name="mortal-host", daemon=True)
        thread.start()
        self._stack.callback(end)

    def _spawn(self, *arguments: object) -> None:
        process = subprocess.Popen(
            [sys.executable, *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

        def end() -> None:
            process.kill()
            process.wait()

        self._stack.callback(end)

    def _url(self, name: str) -> str:
        return f"http://127.0.0.1:{self._ports[name]}"

    def _database_url(self, side: str) -> str:
        return f"postgresql://xisuan:{self._password}@127.0.0.1:{self._ports[side]}/postgres"


def _state_of(run: RunDocument, step_id: str) -> str:
    return next(str(step["state"]) for step in run["steps"] if step["id"] == step_id)


def _post(url: str, document: Mapping[str, str]) -> int:
    request = urllib.request.Request(url, data=json.dumps(document).encode(), method="POST")
    try:
        with _DIRECT.open(request, timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def _get(url: str) -> dict[str, Any]:
    try:
        with _DIRECT.open(url, timeout=5) as answer:
            document: dict[str, Any] = json.loads(answer.read())
            return document
    except OSError:
        return {}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

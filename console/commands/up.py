"""`xisuan up` runs the service on this machine; `xisuan demo` runs the whole main job on illustrative data."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from console.archiving import Archiving
from console.embedded import OWN_ADAPTERS, AdapterFailed, EmbeddedSettings, Running, running
from console.faults import Fault
from console.home import Endpoint, Home, find_home
from console.reloading import SettingsInForce
from console.service_settings import read_service_settings, settings_file
from inventory.model.pool import Pool
from inventory.pool_catalogue import read_pools
from scheduler.operation.exposition import MetricsServer, PortTaken
from scheduler.operation.logs import FOLDER_VARIABLE, configure
from scheduler.runtime.clock import SystemClock
from scheduler.store.opening import open_store
from scheduler.store.recording_process import large_groups
from scheduler.store.scheduler_store import SchedulerStore

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
_WATCH_S = 1.0
_RESTART_PAUSE_S = 2.0


def up(
    pools: Annotated[Path | None, typer.Option(help="算力池文件 / pools, CSV")] = None,
    node_groups: Annotated[Path | None, typer.Option(help="节点组文件 / their node groups, CSV")] = None,
    endpoint: Annotated[
        list[str] | None, typer.Option(help="外部适配器 POOL=HOST:PORT，可重复 / an adapter that runs elsewhere")
    ] = None,
    simulate: Annotated[
        bool,
        typer.Option(
            "--simulate", help="用模拟适配器代替本机没有的技术 / simulate what this machine cannot serve"
        ),
    ] = False,
    port: Annotated[int, typer.Option(help="网关端口，0 为自动 / gateway port, 0: a free one")] = 0,
    host: Annotated[
        str, typer.Option(help="监听地址，调用均须令牌 / where to listen; every call needs a token")
    ] = "127.0.0.1",
    speed: Annotated[float, typer.Option(help="模拟池每秒走过的秒数 / simulated seconds in a second")] = 1.0,
    seed: Annotated[int, typer.Option(help="模拟池的随机种子 / seed of simulated pools")] = 0,
    pool_hosts: Annotated[int, typer.Option(min=1, help="池主机数 / pool-host actors")] = 1,
    gateways: Annotated[int, typer.Option(min=1, help="网关数，端口依次递增 / gateways, on ports in a row")] = 1,
    metrics_port: Annotated[
        int | None,
        typer.Option(min=0, max=65_535, help="指标端口（仅回环），0 为自动 / metrics on loopback, 0: a free port"),
    ] = None,
    settings_path: Annotated[
        Path | None,
        typer.Option(
            "--settings",
            metavar="FILE.yaml",
            help="评分、回填、抢占的设置，缺省为数据目录中的 settings.yaml / how it decides (docs/queues.md)",
        ),
    ] = None,
) -> None:
    """启动服务，Ctrl-C 或 SIGTERM 停止 / Runs the service until Ctrl-C or SIGTERM."""
    home = find_home()
    chosen = settings_file(home, settings_path)
    stated = read_service_settings(chosen)
    wanted_port = stated.operation.metrics_port if metrics_port is None else metrics_port
    try:
        large_groups(os.environ)
    except ValueError as error:
        raise Fault(str(error)) from None
    # Two signals would otherwise cut the orderly end short: the first one is taken, the others change nothing.
    stopping = threading.Event()
    with home.writer_lock():
        configure("up", home.folder / "logs", on_terminal=True)
        os.environ[FOLDER_VARIABLE] = str(home.folder / "logs")
        declared = _declared(pools, node_groups)
        everything = _with_stored(home, declared)
        settings = EmbeddedSettings(
            home=home.folder,
            store_url=home.store_url,
            host=host,
            port=port,
            endpoints=_endpoints(endpoint or [], everything),
            simulate_all=simulate,
            speed=speed,
            seed=seed,
            pool_hosts=pool_hosts,
            gateways=gateways,
            lease_s=stated.operation.lease_s,
            cycle=stated.cycle,
            access=stated.access,
            notices=stated.notices.webhook,
        )
        up_here = running(settings, everything, _announce_standby)
        with _one_line(), up_here as service, _metrics(service, wanted_port) as metrics:
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: stopping.set())
            named = "" if settings_path is None else str(settings_path.absolute())
            home.write_endpoint(Endpoint(service.address, os.getpid(), SystemClock().now_ms(), metrics, named))
            try:
                _announce(home, service, settings, everything)
                if metrics:
                    typer.echo(f"指标 / metrics: http://{metrics}/metrics")
                if chosen is not None:
                    typer.echo(f"设置 / settings: {chosen}")
                in_force = SettingsInForce(lambda: settings_file(home, settings_path), stated, service.runtime)
                archiving = Archiving(home.store_url, home.archive_folder, SystemClock().now_ms)
                _watch(service, stopping, in_force, archiving)
            finally:
                home.remove_endpoint()
                typer.echo("正在停止 / stopping")


@contextmanager
def _one_line() -> Iterator[None]:
    try:
        yield
    except (AdapterFailed, PortTaken) as error:
        raise Fault(str(error)) from error


@contextmanager
def _metrics(service: Running, port: int | None) -> Iterator[str]:
    """Where the metrics of all processes are to be had; empty: they were not wanted."""
    if port is None:
        yield ""
    else:
        with MetricsServer("127.0.0.1", port, service.runtime.metrics) as server:
            yield server.address


def demo() -> None:
    """示例：从工作簿到上云，约一分钟 / The main job on illustrative data, in about a minute."""
    from console.demo import DemoPaths, run_demo
    from console.story import Story

    if not (EXAMPLES / "ledger").is_dir():
        raise Fault(
            f"找不到示例数据 {EXAMPLES}；请在源码目录中运行 make demo"
            f" / the examples are not at {EXAMPLES}; run make demo in a checkout"
        )
    home = find_home()
    home.create()
    with home.writer_lock():
        run_demo(DemoPaths(EXAMPLES, home.folder / "demo"), Story())


def _declared(pools: Path | None, node_groups: Path | None) -> tuple[Pool, ...]:
    if (pools is None) != (node_groups is None):
        raise Fault("--pools 与 --node-groups 须同时给出 / --pools and --node-groups go together: give both")
    return read_pools(pools, node_groups) if pools and node_groups else ()


def _with_stored(home: Home, declared: Sequence[Pool]) -> tuple[Pool, ...]:
    """Pools of the files, and those that were registered before; a file's word is the newer one."""
    store = open_store(home.store_url)
    try:
        stored = {entry.pool.pool_id: entry.pool for entry in SchedulerStore(store).pools()}
    finally:
        store.close()
    return tuple((stored | {pool.pool_id: pool for pool in declared}).values())


def _endpoints(given: Sequence[str], pools: Sequence[Pool]) -> Mapping[str, str]:
    known = {pool.pool_id for pool in pools}
    endpoints = {}
    for text in given:
        pool_id, _, address = text.partition("=")
        if pool_id not in known or ":" not in address:
            raise Fault(
                f"--endpoint {text}：须为 POOL=HOST:PORT，且 POOL 在池文件中"
                f" / must be POOL=HOST:PORT with a pool of the pool file: {', '.join(sorted(known)) or '-'}"
            )
        endpoints[pool_id] = address
    return endpoints


def _announce_standby(leader: str) -> None:
    typer.echo(
        f"待命：{leader} 正在领导；其租约到期后由本机接管 / standing by: {leader} leads; "
        "this one takes over when its lease ends"
    )


def _announce(home: Home, service: Running, settings: EmbeddedSettings, pools: Sequence[Pool]) -> None:
    typer.echo(f"西算已启动 / Xisuan is up: {service.address}")
    if len(service.addresses) > 1:
        typer.echo(f"其他网关 / further gateways: {', '.join(service.addresses[1:])}")
    typer.echo(f"数据目录 / home: {home.folder}")
    simulated = [pool.pool_id for pool in pools if settings.simulate_all and pool.adapter not in OWN_ADAPTERS]
    simulated = [pool_id for pool_id in simulated if pool_id in service.adapters]
    if simulated:
        typer.echo(f"以模拟适配器代替 / simulated stand-ins: {', '.join(simulated)}")
    if service.unserved:
        typer.echo(
            f"没有适配器的池，只登记于文件：{', '.join(service.unserved)}；用 --endpoint 或 --simulate"
            f" / pools without an adapter are not registered; give --endpoint or --simulate"
        )


def _watch(service: Running, stopping: threading.Event, in_force: SettingsInForce, archiving: Archiving) -> None:
    """Parts of ours that die are started again; the runs of adapters are on disk, and are found again."""
    log = logging.getLogger("xisuan.up")
    asked_to_reload = threading.Event()
    signal.signal(signal.SIGHUP, lambda *_: asked_to_reload.set())
    moved: dict[str, str] = {}  # new endpoints of adapters that the control plane has not been told yet
    while not stopping.wait(_WATCH_S):
        if asked_to_reload.is_set():
            asked_to_reload.clear()
            in_force.reload()
        service.runtime.keep_settings()
        archiving.look(in_force.stated.operation.archive_after_days)
        service.runtime.restore()
        if not service.runbook_host.is_alive():
            log.warning("the runbook host ended; it is started again")
            service.runbook_host.restart()
        for pool_id, adapter in service.adapters.items():
            if adapter.is_alive():
                continue
            log.warning("the adapter of pool %s ended; it is started again", pool_id)
            time.sleep(_RESTART_PAUSE_S)
            try:
                moved[pool_id] = adapter.restart()
            except AdapterFailed as error:
                log.warning("%s", error)
        for pool_id in tuple(moved):
            if service.runtime.try_call(
                "scheduling", "register_pool", service.adapters[pool_id].pool, moved[pool_id]
            ):
                del moved[pool_id]

"""`xisuan adapter`: `serve` runs one adapter process, `conformance` proves any adapter by its endpoint."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import shlex
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from adapters.conformance.caller import SECURE, Caller, CallerUnusable
from adapters.conformance.programs import MEBIBYTE, Asking
from adapters.conformance.report import Report, Verdict, chosen
from adapters.conformance.runner import NotAsked, RestartFailed, Suite, run_suite
from adapters.conformance.session import Options
from adapters.conformance.spec import Outcome
from adapters.conformance.specs import ALL, GROUPS
from console.commands.options import AsJson
from console.faults import AnswerIsNo, ExitCode, Fault
from console.files import read_input
from console.home import find_home
from scheduler.access.local import AccessFiles
from scheduler.access.transport import to_adapters

app = typer.Typer(no_args_is_help=True, help="算力池适配器 / pool adapters")

# The technologies that have an adapter, each with its module. `--help` after the name lists its arguments.
TECHNOLOGIES = {
    "kubernetes": "adapters.kubernetes",
    "local": "adapters.local",
    "openstack": "adapters.openstack",
    "simulated": "adapters.simulated",
    "rayjobs": "adapters.rayjobs",
    "slurm": "adapters.slurm",
}
_SIGNS = {Outcome.PASSED: "✓", Outcome.FAILED: "✗", Outcome.SKIPPED: "–"}
_RESTART_S = 120.0
_LARGEST_TOKEN = 64 * 1024


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []},
)
def serve(
    context: typer.Context,
    technology: Annotated[str, typer.Argument(metavar="TECHNOLOGY", help=", ".join(TECHNOLOGIES))],
) -> None:
    """运行一个适配器进程；其余参数见 xisuan adapter serve TECHNOLOGY --help / run one adapter process."""
    module = TECHNOLOGIES.get(technology)
    if module is None:
        known = ", ".join(TECHNOLOGIES)
        raise Fault(
            f"没有 {technology!r} 适配器；可用：{known} / there is no adapter {technology!r}; use one of {known}"
        )
    sys.stdout.flush()
    # The adapter takes the place of this process, so that signals and exit codes are its own.
    os.execv(sys.executable, [sys.executable, "-m", module, *context.args])


@app.command()
def conformance(
    endpoint: Annotated[
        str,
        typer.Argument(
            metavar="HOST:PORT",
            help="适配器地址 / its address (grpcs://… TLS)",
        ),
    ],
    report: Annotated[
        Path | None, typer.Option("--report", help="JSON 报告写到此处 / where to write the report")
    ] = None,
    restart_command: Annotated[
        str,
        typer.Option("--restart-command", help="重启适配器的命令（经 shell） / a shell command that restarts it"),
    ] = "",
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="NAME", help="只问名称以此开头的条款 / only these specs")
    ] = None,
    patience: Annotated[
        float, typer.Option("--patience", help="等待运行变化的秒数 / seconds to wait for runs")
    ] = 30.0,
    load_rate: Annotated[
        int, typer.Option("--load-rate", help="每秒启动数，0 跳过 / launches a second, 0: none")
    ] = 100,
    image: Annotated[str, typer.Option("--image", help="容器或虚拟机镜像，须有 sh / with sh")] = "busybox",
    cpu_milli: Annotated[int, typer.Option("--cpu-milli", help="每个运行的 CPU / CPU a run")] = 20,
    memory_mib: Annotated[int, typer.Option("--memory-mib", help="每个运行的内存 / memory a run")] = 64,
    epoch: Annotated[int, typer.Option("--epoch", help="起始任期，默认为当前时间 / default: the time")] = 0,
    ca: Annotated[
        Path | None,
        typer.Option(
            "--ca", help="适配器证书的 CA；缺省为本机服务的 / its authority; default: this home's service's"
        ),
    ] = None,
    certificate: Annotated[
        Path | None, typer.Option("--certificate", help="客户端证书，同上 / client certificate, as above")
    ] = None,
    key: Annotated[Path | None, typer.Option("--key", help="客户端证书的私钥 / its key")] = None,
    token_file: Annotated[
        Path | None, typer.Option("--token-file", help="令牌文件 / a file with a token for every call")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """检验任一适配器是否符合契约；只用于测试池，会抬高其任期 / prove any adapter, by its endpoint (a pool for tests)."""
    specs = chosen(ALL, only or ())
    if not specs:
        groups = ", ".join(GROUPS)
        raise Fault(
            f"--only {', '.join(only or ())}: 没有这样的条款；组有 {groups} / no such spec; the groups are {groups}"
        )
    _require_endpoint(endpoint)
    suite = Suite(
        endpoint=endpoint,
        specs=specs,
        options=Options(
            epoch=epoch or time.time_ns() // 1_000_000_000,
            patience_s=patience,
            load_rate=load_rate,
            asking=Asking(cpu_milli=cpu_milli, memory_bytes=memory_mib * MEBIBYTE, image=image),
            caller=_caller(endpoint, Caller(ca, certificate, key), token_file),
        ),
        prefix=f"conf-{secrets.token_hex(4)}",
        restart=(lambda: _run(restart_command)) if restart_command else None,
    )
    try:
        result = asyncio.run(_interruptible(suite, quiet=as_json))
    except (NotAsked, CallerUnusable) as error:
        raise Fault(str(error)) from error
    _write(result, report, as_json)
    if result.interrupted:
        raise typer.Exit(ExitCode.INTERRUPTED)
    if not result.conforms:
        failed = result.counts[Outcome.FAILED]
        raise AnswerIsNo(
            f"{endpoint}: 不符合契约：{failed} 条未通过，{len(result.left_running)} 个运行未能停止 / does not conform: "
            f"{failed} specs failed, {len(result.left_running)} runs could not be ended"
        )


def _caller(endpoint: str, stated: Caller, token_file: Path | None) -> Caller:
    """As stated; where nothing is, and the adapter serves over TLS, the scheduler of this home's service, if any."""
    if token_file is not None:
        token = read_input(token_file, _LARGEST_TOKEN).decode("utf-8", "replace").strip()
        return replace(stated, token=token)
    files = AccessFiles(find_home().folder / "access")
    if stated != Caller() or not endpoint.startswith(SECURE) or not files.authority.exists():
        return stated
    tls = to_adapters(files)
    return Caller(tls.ca, tls.certificate, tls.key)


async def _interruptible(suite: Suite, *, quiet: bool) -> Report:
    """Runs the suite; SIGINT and SIGTERM end it, but not before it has cleaned up."""
    running = asyncio.create_task(run_suite(suite, (lambda verdict: None) if quiet else _Teller().tell))
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, running.cancel)
    return await running


class _Teller:
    """Prints each verdict as it comes, under the heading of its group."""

    def __init__(self) -> None:
        self._group = ""

    def tell(self, verdict: Verdict) -> None:
        spec = verdict.spec
        if spec.group != self._group:
            self._group = spec.group
            sys.stdout.write("\n{} / {}\n".format(*GROUPS[spec.group]))
        took = f"  ({verdict.seconds:.1f} s)" if verdict.seconds >= 1 else ""
        sys.stdout.write(f"  {_SIGNS[verdict.outcome]} {spec.zh} / {spec.title}  [{spec.name}]{took}\n")
        if verdict.message:
            sys.stdout.write(f"      {verdict.message}\n")
        sys.stdout.flush()


def _write(result: Report, path: Path | None, as_json: bool) -> None:
    text = json.dumps(result.document(), ensure_ascii=False, indent=2) + "\n"
    if path is not None:
        try:
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise Fault(
                f"--report {path}: 无法写入（{error.strerror}） / cannot be written: name another file"
            ) from error
    if as_json:
        sys.stdout.write(text)
        return
    counts = result.counts
    subject = result.subject
    sys.stdout.write(
        f"\n{subject.pool_id} ({subject.technology} {subject.adapter_version}, {subject.runtime}): "
        f"通过 {counts[Outcome.PASSED]}，未通过 {counts[Outcome.FAILED]}，跳过 {counts[Outcome.SKIPPED]}；"
        f"条款覆盖 {result.coverage:.0%}，接口覆盖 {result.rpc_coverage:.0%} / "
        f"{counts[Outcome.PASSED]} passed, {counts[Outcome.FAILED]} failed, {counts[Outcome.SKIPPED]} skipped; "
        f"{result.coverage:.0%} of the specs asked, {result.rpc_coverage:.0%} of the RPCs called\n"
    )
    for run_id in result.left_running:
        sys.stdout.write(f"未能停止 / could not be ended: {run_id}\n")


def _require_endpoint(endpoint: str) -> None:
    host, _, port = endpoint.removeprefix(SECURE).rpartition(":")
    if not (host and port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise Fault(
            f"{endpoint!r}: 须为 主机:端口，TLS 用 {SECURE}主机:端口 / must be HOST:PORT, for example 127.0.0.1:7001, or "
            f"{SECURE}HOST:PORT over TLS"
        )


async def _run(command: str) -> None:
    """Runs the restart command to its end. Raises RestartFailed."""
    # A group of its own: what hangs is ended with all that it started, and no loop of a script stays behind.
    process = await asyncio.create_subprocess_shell(
        command, stdin=asyncio.subprocess.DEVNULL, start_new_session=True
    )
    try:
        async with asyncio.timeout(_RESTART_S):
            code = await process.wait()
    except TimeoutError as error:
        os.killpg(process.pid, signal.SIGKILL)
        raise RestartFailed(
            f"the restart command has not ended after {_RESTART_S:g} s: it must end once the adapter serves again, "
            f"and leave it in the background (try it alone: sh -c {shlex.quote(command)})"
        ) from error
    if code != 0:
        raise RestartFailed(f"the restart command ended with exit code {code}")

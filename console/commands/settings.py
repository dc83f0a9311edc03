"""`xisuan settings`: check the settings file, and put it in force while the service runs."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Annotated

import typer

from console import printing
from console.connection import operations
from console.faults import AnswerIsNo, Fault
from console.home import find_home
from console.service_settings import read_service_settings, settings_file
from scheduler.runtime.operation_desk import settings_digest

app = typer.Typer(no_args_is_help=True, help="服务设置：检查、重新载入 / the settings of the service")
_WAIT_S = 15.0
_POLL_S = 0.2


@app.command()
def check(file: Annotated[Path | None, typer.Argument(metavar="FILE.yaml")] = None) -> None:
    """检查设置文件 / is the settings file right; nothing is changed."""
    path = settings_file(find_home(), file)
    stated = read_service_settings(path)
    printing.say(f"设置无误 / the settings are right: {path or '缺省 / defaults'}", "bold green")
    printing.say(f"摘要 / digest: {settings_digest(stated.cycle)}")


@app.command()
def reload() -> None:
    """重新载入运行中服务的设置 / puts the settings file in force, without a restart."""
    home = find_home()
    endpoint = home.read_endpoint()
    if endpoint is None or not endpoint.is_process_alive() or not home.is_locked():
        raise Fault(
            f"服务未在本机运行（数据目录 {home.folder}）；请在运行 xisuan up 的机器上执行"
            f" / no service of the home {home.folder} runs on this machine; run this where xisuan up runs"
        )
    path = settings_file(home, Path(endpoint.settings) if endpoint.settings else None)
    wanted = settings_digest(read_service_settings(path).cycle)  # a bad file is told here, before anything is sent
    os.kill(endpoint.pid, signal.SIGHUP)
    deadline = time.monotonic() + _WAIT_S
    with operations(home) as service:
        while service.service_status().settings.digest != wanted:
            if time.monotonic() > deadline:
                raise AnswerIsNo(
                    f"{_WAIT_S:.0f} 秒内未生效；见服务日志 / not in force within {_WAIT_S:.0f} s: see the service's log"
                )
            time.sleep(_POLL_S)
    printing.say(f"设置已生效 / settings are in force: {path or '缺省 / defaults'}", "bold green")

"""`xisuan login` keeps the address, the authority and the token of a service elsewhere, for the commands of this home."""

from __future__ import annotations

import getpass
import json
import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

from adapters.sdk.files import write_durably
from console import printing
from console.faults import Fault
from console.files import read_input
from console.home import find_home
from scheduler.access.certificates import write_private
from xisuan.credentials import LOGIN, Credentials
from xisuan.queues import Queues

_LARGEST = 64 * 1024


def login(
    address: Annotated[str, typer.Argument(metavar="HOST:PORT", help="服务地址 / where the service answers")] = "",
    ca: Annotated[Path | None, typer.Option(help="服务的 CA 证书 / the authority of the service, PEM")] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(help="令牌文件；缺省从标准输入读取 / a file with the token; default: standard input"),
    ] = None,
    forget: Annotated[
        bool, typer.Option("--forget", help="删除已保存的登录 / forgets the login that is kept")
    ] = False,
) -> None:
    """登录另一台机器上的服务，之后的命令都用它 / later commands of this home use the service at this address."""
    home = find_home()
    folder = home.folder / LOGIN
    if forget:
        shutil.rmtree(folder, ignore_errors=True)
        printing.say("已忘记 / forgotten")
        return
    if not address or ca is None:
        raise Fault("须给出地址与 --ca / give the address and --ca: xisuan login HOST:PORT --ca ca.pem")
    authority = read_input(ca, _LARGEST)
    token = _token(token_file)
    with Queues(address, patience_s=5.0, credentials=Credentials(token, ca)) as service:
        service.queues()  # a CallError says what is wrong with the token, the address or the authority
    home.create()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_private(folder / "token", token.encode("ascii"))
    write_private(folder / "ca.pem", authority)
    write_durably(folder / "login.json", f"{json.dumps({'address': address})}\n".encode())
    printing.say(f"已登录 / logged in: {address}")


def _token(file: Path | None) -> str:
    if file is not None:
        text = read_input(file, _LARGEST).decode("ascii", "replace")
    elif sys.stdin.isatty():
        text = getpass.getpass("令牌 / token: ")
    else:
        text = sys.stdin.read(_LARGEST)
    if not text.strip() or not text.isascii():
        raise Fault(
            "没有令牌；请用 --token-file，或从标准输入给出 / no token: give --token-file, or standard input"
        )
    return text.strip()

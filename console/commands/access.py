"""`xisuan access` issues, lists and revokes tokens and client certificates. It needs no service, and works beside one.

Issuing happens where the authority's key is: in the home of the service, by whoever may read it. Every change is an
event of the chain. A token is printed once, and kept nowhere.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import typer

from console import printing
from console.access_record import record_issued, record_revoked
from console.commands.options import AsJson, By
from console.faults import Fault
from console.home import Home, find_home
from console.people import actor
from scheduler.access.certificates import write_private
from scheduler.access.local import LocalAccess
from scheduler.access.principals import Grant, GrantUnreadable, read_grant
from scheduler.access.register import Entry, RegisterUnreadable
from scheduler.runtime.clock import SystemClock

app = typer.Typer(no_args_is_help=True, help="访问控制：令牌与证书 / tokens and certificates")
tokens = typer.Typer(no_args_is_help=True, help="令牌：签发、列出、吊销 / tokens")
certificates = typer.Typer(no_args_is_help=True, help="证书：签发、列出、吊销 / certificates")
app.add_typer(tokens, name="token")
app.add_typer(certificates, name="certificate")

Kind = Literal["token", "certificate"]
Name = Annotated[str, typer.Argument(metavar="NAME", help="名称，记入事件链 / the name that is recorded")]
Grants = Annotated[
    list[str],
    typer.Option(
        "--grant",
        metavar="ROLE@SCOPE",
        help="授权，如 submitter@city/east，可重复；/ 表示全部 / a role in a subtree, may be repeated",
    ),
]
Days = Annotated[int, typer.Option("--days", help="有效天数 / days until it expires")]
CredentialId = Annotated[str, typer.Argument(metavar="ID", help="编号，见 ls / its id, see ls")]
Reason = Annotated[str, typer.Option("--reason", help="原因，记入事件链 / kept in the record")]


@tokens.command("create")
def create_token(
    name: Name,
    grant: Grants,
    days: Days = 90,
    out: Annotated[
        Path | None, typer.Option(help="写入文件（0600）而不打印 / a file instead of the terminal")
    ] = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """签发令牌，只显示这一次 / issues a token, shown this once."""
    home, local = _local()
    issued = local.issue_token(name, _read(grant), days)
    record_issued(home.store_url, [issued.entry], actor(by))
    if out is not None:
        write_private(out, f"{issued.secret}\n".encode("ascii"))
    if as_json:
        shown = {**_shown(issued.entry), "token": "" if out else issued.secret}
        printing.write_json(shown)
    elif out is not None:
        printing.say(f"{issued.entry.id} → {out}")
    else:
        printing.warn(f"{issued.entry.id}：令牌只显示这一次 / the token is shown this once")
        sys.stdout.write(f"{issued.secret}\n")


@certificates.command("create")
def create_certificate(
    name: Name,
    grant: Grants,
    out: Annotated[Path, typer.Option(help="写入此目录 / the folder for certificate and key")],
    days: Days = 365,
    by: By = None,
) -> None:
    """签发客户端证书 / issues a client certificate with its key (0600)."""
    home, local = _local()
    issued = local.issue_certificate(name, _read(grant), days)
    record_issued(home.store_url, [issued.entry], actor(by))
    _write_pair(out, "client", issued.certificate, issued.secret, local)
    printing.say(f"{issued.entry.id} → {out}/client.pem, client.key, ca.pem")


@certificates.command("server")
def create_server_certificate(
    name: Name,
    host: Annotated[
        list[str], typer.Option("--host", help="调度器访问它的名称或地址，可重复 / as the scheduler calls it")
    ],
    out: Annotated[Path, typer.Option(help="写入此目录 / the folder for certificate and key")],
    days: Days = 365,
) -> None:
    """为另一台机器上的适配器签发服务端证书 / for an adapter on another machine: --tls-certificate, --tls-key."""
    _, local = _local()
    pair = local.issue_server_certificate(name, host, days)
    _write_pair(out, "server", pair.certificate.decode(), pair.key.decode(), local)
    printing.say(f"{name} → {out}/server.pem, server.key, ca.pem")


@tokens.command("ls")
def list_tokens(as_json: AsJson = False) -> None:
    """签发过的令牌 / the tokens that were issued."""
    _list("token", as_json)


@certificates.command("ls")
def list_certificates(as_json: AsJson = False) -> None:
    """签发过的客户端证书 / the client certificates that were issued."""
    _list("certificate", as_json)


@tokens.command("revoke")
def revoke_token(token_id: CredentialId, reason: Reason = "", by: By = None) -> None:
    """吊销令牌，一秒内生效 / revokes a token; it holds within a second."""
    _revoke("token", token_id, reason, by)


@certificates.command("revoke")
def revoke_certificate(serial: CredentialId, reason: Reason = "", by: By = None) -> None:
    """吊销客户端证书，一秒内生效 / revokes a client certificate; it holds within a second."""
    _revoke("certificate", serial, reason, by)


def _local() -> tuple[Home, LocalAccess]:
    home = find_home()
    home.create()
    return home, LocalAccess(home.folder, SystemClock().now_ms())


def _read(texts: Sequence[str]) -> list[Grant]:
    try:
        return [read_grant(text) for text in texts]
    except GrantUnreadable as error:
        raise Fault(f"--grant: {error}") from error


def _entries(local: LocalAccess, kind: Kind) -> list[Entry]:
    try:
        return [one for one in local.entries() if one.kind == kind]
    except RegisterUnreadable as error:
        raise Fault(str(error)) from error


def _list(kind: Kind, as_json: bool) -> None:
    _, local = _local()
    found = _entries(local, kind)
    if as_json:
        printing.write_json([_shown(one) for one in found])
        return
    now_ms = SystemClock().now_ms()
    rows = [(one.id, one.name, ", ".join(one.grants), _day(one.expires_ms), _state(one, now_ms)) for one in found]
    printing.table("凭据 / credentials", ("id", "名称 name", "授权 grants", "至 until", "状态 state"), rows)


def _revoke(kind: Kind, credential_id: str, reason: str, by: str | None) -> None:
    home, local = _local()
    if all(one.id != credential_id for one in _entries(local, kind)):
        raise Fault(
            f"没有编号为 {credential_id} 的凭据；见 xisuan access {kind} ls / there is no {kind} {credential_id}; see xisuan "
            f"access {kind} ls"
        )
    revoked = local.revoke(credential_id)
    assert revoked is not None  # it was there a moment ago, and entries are never taken out
    record_revoked(home.store_url, revoked, reason, actor(by))
    printing.say(f"{credential_id} 已吊销 / is revoked ({revoked.name})")


def _write_pair(folder: Path, stem: str, certificate: str, key: str, local: LocalAccess) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_private(folder / f"{stem}.key", key.encode())
        (folder / f"{stem}.pem").write_text(certificate, encoding="ascii")
        (folder / "ca.pem").write_bytes(local.files.authority.read_bytes())
    except OSError as error:
        raise Fault(
            f"{folder}: 无法写入（{error.strerror}）/ cannot be written: name another folder with --out"
        ) from error


def _shown(entry: Entry) -> dict[str, object]:
    return {**entry.model_dump(mode="json"), "state": _state(entry, SystemClock().now_ms())}


def _state(entry: Entry, now_ms: int) -> str:
    if entry.revoked_ms is not None:
        return "revoked"
    return "expired" if entry.expires_ms <= now_ms else "valid"


def _day(moment_ms: int) -> str:
    return datetime.fromtimestamp(moment_ms / 1000, UTC).date().isoformat()

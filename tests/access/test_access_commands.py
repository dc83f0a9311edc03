"""`xisuan access` and `xisuan login`, as they are typed."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from console.app import run_command
from scheduler.access.guard import AccessSettings, Guard
from scheduler.access.local import LocalAccess
from scheduler.access.settings import AccessForm
from scheduler.store.opening import open_store
from tests.access.guarded import NOW_MS
from xisuan.credentials import Credentials, find_credentials, login_address


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("XISUAN_STORE", "XISUAN_TOKEN", "XISUAN_TOKEN_FILE", "XISUAN_CA", "XISUAN_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XISUAN_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = run_command(words)
    said = capsys.readouterr()
    return code, said.out, said.err


def test_a_token_is_issued_listed_and_revoked_and_the_record_says_so(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = run(
        capsys, "access", "token", "create", "张三", "--grant", "submitter@city/east", "--by", "李工", "--json"
    )
    issued = json.loads(out)
    assert (code, issued["name"], issued["grants"]) == (0, "张三", ["submitter@city/east"])
    guard = Guard(AccessSettings(home / "access", AccessForm()), NOW_MS)
    assert asyncio.run(guard.by_token(issued["token"])).principal.name == "张三"
    listed = run(capsys, "access", "token", "ls", "--json")[1]
    assert [(one["id"], one["state"]) for one in json.loads(listed)] == [(issued["id"], "valid")]
    assert issued["token"] not in listed
    assert run(capsys, "access", "token", "revoke", issued["id"], "--reason", "离职", "--by", "李工")[0] == 0
    assert json.loads(run(capsys, "access", "token", "ls", "--json")[1])[0]["state"] == "revoked"
    store = open_store(f"sqlite:///{home / 'xisuan.db'}")
    events = [(one.kind, one.subject, one.actor, one.payload.get("reason")) for one in store.read()]
    whole = b"".join(event.payload_json.encode() for event in store.read())
    store.close()
    assert events == [
        ("access.issued", issued["id"], "李工", None),
        ("access.revoked", issued["id"], "李工", "离职"),
    ]
    assert issued["token"].encode() not in whole


def test_secrets_go_into_files_that_nobody_else_reads(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    token, folder = tmp_path / "t", tmp_path / "c"
    create = ("create", "系统七", "--grant", "viewer")
    assert run(capsys, "access", "token", *create, "--out", str(token))[0] == 0
    assert run(capsys, "access", "certificate", *create, "--out", str(folder))[0] == 0
    assert (
        run(capsys, "access", "certificate", "server", "gpu", "--host", "10.1.2.9", "--out", str(folder))[0] == 0
    )
    for file in (token, folder / "client.key", folder / "server.key", home / "access" / "register.json"):
        assert file.stat().st_mode & 0o077 == 0, file


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("token", "create", "a", "--grant", "king@x"), "king@x"),
        (("token", "create", "xisuan:me", "--grant", "viewer"), "xisuan:"),
        (("token", "create", "a", "--grant", "viewer", "--days", "0"), "3650"),
        (("certificate", "create", "xisuan-scheduler", "--grant", "viewer", "--out", "x"), "xisuan-"),
        (("token", "revoke", "t-unknown"), "t-unknown"),
    ],
)
def test_what_cannot_be_issued_is_refused_in_one_line(
    home: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], said: str
) -> None:
    code, _, err = run(capsys, "access", *words)
    assert code == 2
    assert said in err
    assert len(err.strip().splitlines()) == 1


def test_a_login_that_does_not_work_is_not_kept(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    local = LocalAccess(tmp_path, NOW_MS())
    local.prepare("127.0.0.1", ())
    token = tmp_path / "token"
    token.write_text("nonsense", "ascii")
    ca = str(local.files.authority)
    code, _, _ = run(capsys, "login", "127.0.0.1:1", "--ca", ca, "--token-file", str(token))
    assert code == 2
    assert login_address(home) == ""
    assert run(capsys, "login", "127.0.0.1:1")[0] == 2


def test_credentials_come_from_the_environment_before_the_home(tmp_path: Path) -> None:
    login = tmp_path / "login"
    login.mkdir()
    (login / "login.json").write_text('{"address": "10.1.2.3:7700"}', "utf-8")
    (login / "token").write_text("kept\n", "ascii")
    home = {"XISUAN_HOME": str(tmp_path)}
    assert find_credentials("10.1.2.3:7700", home) == Credentials("kept", login / "ca.pem")
    assert find_credentials("10.1.2.4:7700", home) == Credentials()
    given = find_credentials("10.1.2.3:7700", home | {"XISUAN_TOKEN": "given", "XISUAN_CA": "ca.pem"})
    assert given == Credentials("given", Path("ca.pem"))

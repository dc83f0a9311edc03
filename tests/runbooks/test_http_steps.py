"""The steps that speak HTTP, against real servers on the loopback: what they ask, what they take for an answer, what they
never tell."""

from __future__ import annotations

import json
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from scheduler.core.migration.phases import Phase
from scheduler.core.migration.run import Step
from scheduler.runbooks.steps.context import StepContext, StepPorts, StepResult
from scheduler.runbooks.steps.registry import carry_out
from tests.runbooks.runbooks import MemoryPools, MovedClock
from tests.runbooks.test_migration_decisions import a_run

TOKEN = "the-token-of-the-webhook"


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    key: str
    body: Any


@dataclass
class Gateway:
    """Answers with the scripted (status, body), the last one again and again, and remembers what it was asked. `where` is
    what an answer of 3xx points at."""

    script: list[tuple[int, str]]
    where: str = ""
    asked: list[Asked] = field(default_factory=list)
    url: str = ""

    def answer(self) -> tuple[int, str]:
        return self.script.pop(0) if len(self.script) > 1 else self.script[0]


@contextmanager
def serving(*script: tuple[int, str], where: str = "") -> Iterator[Gateway]:
    gateway = Gateway(list(script), where)

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            body = json.loads(content) if content else None
            gateway.asked.append(Asked(self.command, self.path, self.headers.get("Idempotency-Key", ""), body))
            status, text = gateway.answer()
            self.send_response(status)
            if gateway.where:
                self.send_header("Location", gateway.where)
            self.end_headers()
            self.wfile.write(text.encode())

        do_GET = do_PUT = do_POST = _answer

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    gateway.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield gateway
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def babbling(answer: bytes, again: bytes = b"", pause_s: float = 0.05) -> Iterator[str]:
    """A server that is none: it sends bytes, and more of them again and again until it is closed. Its URL."""
    listener = socket.create_server(("127.0.0.1", 0))
    is_over = threading.Event()

    def talk(caller: socket.socket) -> None:
        with caller:
            try:
                caller.recv(65536)
                caller.sendall(answer)
                while again and not is_over.wait(pause_s):
                    caller.sendall(again)
                if not answer:
                    is_over.wait(10)
            except OSError:
                return  # the step hung up

    def serve() -> None:
        while True:
            try:
                caller, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=talk, args=(caller,), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        is_over.set()
        listener.close()


def refused() -> str:
    """A URL at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


def carried_out(
    action: Mapping[str, Any], folder: Path, timeout_ms: int = 400, run_id: str = "R1", attempt: str = "s.e1.0"
) -> StepResult:
    step = Step("s", Phase.CUTOVER, action["kind"], "", dict(action), None, timeout_ms=timeout_ms)
    ports = StepPorts(MovedClock(), MemoryPools(), MemoryPools(), folder)
    run = replace(a_run(), run_id=run_id, steps=(step,))
    secret = {"hook": action.get("at", "")}.__getitem__
    return carry_out(StepContext(run, step, action, attempt, False, ports, secret, None))


def check(url: str, status: int = 200, contains: str = "") -> dict[str, Any]:
    return {"kind": "http_check", "url": url, "status": status, "contains": contains}


def switch(url: str, to: str = "cloud") -> dict[str, Any]:
    return {"kind": "switch", "url": url, "argv": [], "to": to, "back": "legacy"}


def notify(url: str) -> dict[str, Any]:
    return {"kind": "notify", "webhook": "hook", "text": "割接开始", "at": f"{url}/{TOKEN}"}


KINDS: dict[str, Callable[[str], dict[str, Any]]] = {
    "a check": check,
    "a switch": switch,
    "a notification": notify,
}


@pytest.mark.parametrize(
    ("script", "wanted", "is_done", "says"),
    [
        ([(200, "ok")], (200, ""), True, ""),
        ([(200, "状态：正常")], (200, "正常"), True, ""),
        ([(404, "gone")], (404, "gone"), True, ""),
        ([(503, "starting"), (503, "starting"), (200, "ok")], (200, ""), True, ""),
        ([(200, "starting"), (200, "ready")], (200, "ready"), True, ""),
        ([(500, "ok")], (200, ""), False, "HTTP 500"),
        ([(200, "维护中")], (200, "正常"), False, "正常"),
        ([(204, "")], (200, ""), False, "HTTP 204"),
    ],
    ids=[
        *(
            "any body",
            "the words wanted",
            "a 404 that is wanted",
            "well at the third time",
            "the words come later",
        ),
        *("a 5xx with a good body", "the wrong words", "another status of success"),
    ],
)
def test_a_check_asks_until_the_answer_is_as_wanted(
    script: list[tuple[int, str]], wanted: tuple[int, str], is_done: bool, says: str, tmp_path: Path
) -> None:
    with serving(*script) as gateway:
        result = carried_out(check(f"{gateway.url}/health", *wanted), tmp_path, 2000 if is_done else 200)
    assert result.is_done is is_done, result.message
    assert says in result.message and "\n" not in result.message
    assert {each.method for each in gateway.asked} == {"GET"} and gateway.asked[0].path == "/health"


def test_a_switch_tells_the_gateway_where_to_and_may_be_repeated(tmp_path: Path) -> None:
    with serving((200, "")) as gateway:
        for _ in range(2):
            assert carried_out(switch(gateway.url), tmp_path).is_done
    assert [(each.method, each.body) for each in gateway.asked] == [("PUT", {"target": "cloud"})] * 2
    assert len({each.key for each in gateway.asked}) == 1, "the same attempt after a restart is no other request"


def test_a_switch_by_program_gets_the_target_as_its_last_argument_and_one_attempt_runs_it_once(
    tmp_path: Path,
) -> None:
    noted = tmp_path / "noted"
    program = [sys.executable, "-c", "import sys; open(sys.argv[1], 'a').write(sys.argv[2] + '\\n')", str(noted)]
    action = {"kind": "switch", "url": "", "argv": program, "to": "cloud", "back": "legacy"}
    for _ in range(2):
        assert carried_out(action, tmp_path, 20_000).is_done
    assert noted.read_text(encoding="utf-8") == "cloud\n"
    assert carried_out({**action, "to": "legacy"}, tmp_path, 20_000, attempt="s.c1.0").is_done
    assert noted.read_text(encoding="utf-8") == "cloud\nlegacy\n"
    broken = {**action, "argv": [sys.executable, "-c", "import sys; sys.exit('no zone')"]}
    result = carried_out(broken, tmp_path, 20_000, attempt="s.e2.0")
    assert not result.is_done and "no zone" in result.message


def test_a_notification_says_what_happened_where_and_is_known_when_it_comes_again(tmp_path: Path) -> None:
    with serving((500, ""), (200, "")) as gateway:
        assert carried_out(notify(gateway.url), tmp_path, 2000).is_done
        assert carried_out(
            notify(gateway.url), tmp_path
        ).is_done  # the host was killed before it recorded the first
        assert carried_out(notify(gateway.url), tmp_path, run_id="R2").is_done
    assert {each.method for each in gateway.asked} == {"POST"}
    assert gateway.asked[0].body == {"text": "割接开始", "run_id": "R1", "step": "s"}
    keys = [each.key for each in gateway.asked]
    assert keys[0] == keys[1] == keys[2] != keys[3], "another run's notification is another one"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("status", [400, 404, 429, 500, 503])
def test_an_answer_that_says_no_is_told_with_its_status_and_without_the_secret(
    kind: str, status: int, tmp_path: Path
) -> None:
    with serving((status, TOKEN)) as gateway:
        result = carried_out(KINDS[kind](gateway.url), tmp_path, 60)
    assert not result.is_done and f"HTTP {status}" in result.message and TOKEN not in str(result)


@pytest.mark.parametrize("kind", KINDS)
def test_nobody_there_is_tried_again_and_then_told(kind: str, tmp_path: Path) -> None:
    result = carried_out(KINDS[kind](refused()), tmp_path, 60)
    assert not result.is_done and "ConnectionRefusedError" in result.message
    assert TOKEN not in str(result) and "\n" not in result.message


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("answer", "again"),
    [
        (b"", b""),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", b"."),
        (b"HTTP/1.1 500 No\r\nContent-Length: 1000000\r\n\r\n", b"."),
        (b"what is this?\r\n\r\n", b""),
        (b"HTTP/1.1 banana\r\n\r\n", b""),
        (b"HTTP/1.1 503 No\r\nContent-Length: 50\r\n\r\ncut off", b""),
    ],
    ids=["silence", "a byte now and then", "a 500 byte by byte", "no HTTP", "no status", "an answer cut off"],
)
def test_a_server_that_does_not_answer_does_not_keep_a_step_beyond_its_time(
    kind: str, answer: bytes, again: bytes, tmp_path: Path
) -> None:
    with babbling(answer, again) as url:
        began = time.monotonic()
        wanted = check(url, contains="ready") if kind == "a check" else KINDS[kind](url)
        result = carried_out(wanted, tmp_path, 120)
        assert time.monotonic() - began < 4.0, "the time limit of a single call is five seconds"
    if kind == "a check" or b" 200 " not in answer:
        assert not result.is_done
    assert TOKEN not in str(result) and "our fault" not in result.message and "\n" not in result.message


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_an_answer_that_points_elsewhere_is_not_followed(kind: str, status: int, tmp_path: Path) -> None:
    with serving((200, "please log in")) as login, serving((status, ""), where=f"{login.url}/login") as gateway:
        result = carried_out(KINDS[kind](gateway.url), tmp_path, 60)
        assert carried_out(check(gateway.url, status), tmp_path).is_done
    assert not result.is_done and f"HTTP {status}" in result.message
    assert login.asked == []


@pytest.mark.parametrize(
    "url",
    [f"ftp://127.0.0.1/{TOKEN}", f"http://127.0.0.1:port/{TOKEN}", f"http:///{TOKEN}", f"http://[::1/{TOKEN}"],
)
def test_an_address_that_is_none_is_one_line_and_stays_a_secret(url: str, tmp_path: Path) -> None:
    result = carried_out({**notify(""), "at": url}, tmp_path, 60)
    assert not result.is_done and TOKEN not in str(result) and "\n" not in result.message


def test_chinese_letters_and_blanks_of_an_address_arrive(tmp_path: Path) -> None:
    with serving((200, "正常")) as gateway:
        assert carried_out(check(f"{gateway.url}/健康 检查?系统=a%20b", contains="正常"), tmp_path).is_done
    assert gateway.asked[0].path == "/%E5%81%A5%E5%BA%B7%20%E6%A3%80%E6%9F%A5?%E7%B3%BB%E7%BB%9F=a%20b"

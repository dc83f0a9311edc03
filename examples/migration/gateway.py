"""The gateway of the worked example: users call it, and it passes them on to the environment that is in use.

    python gateway.py --port 8000 --target http://127.0.0.1:8080 --state FILE

PUT /_gateway/target {"target": URL} switches; the target is kept in the state file, so that a gateway that was
killed goes on where it was. Everything else is passed on; 502 says that the target does not answer.
"""

from __future__ import annotations

import argparse
import json
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
_PATIENCE_S = 5.0


class Gateway(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, port: int, target: str, state: Path) -> None:
        super().__init__(("127.0.0.1", port), Request)
        self._state = state
        self.target = state.read_text(encoding="utf-8") if state.exists() else target

    def switch(self, target: str) -> None:
        new = self._state.with_suffix(".new")
        new.write_text(target, encoding="utf-8")
        new.replace(self._state)
        self.target = target


class Request(BaseHTTPRequestHandler):
    server: Gateway

    def do_PUT(self) -> None:
        target = json.loads(self._body())["target"]
        if self.path != "/_gateway/target" or not target.startswith("http://127.0.0.1:"):
            self._answer(400, b"")
            return
        self.server.switch(target)
        self._answer(200, json.dumps({"target": target}).encode())

    def do_GET(self) -> None:
        self._pass_on(None)

    def do_POST(self) -> None:
        self._pass_on(self._body())

    def _pass_on(self, body: bytes | None) -> None:
        request = urllib.request.Request(f"{self.server.target}{self.path}", data=body, method=self.command)
        try:
            with _DIRECT.open(request, timeout=_PATIENCE_S) as answer:
                self._answer(answer.status, answer.read())
        except urllib.error.HTTPError as error:
            self._answer(error.code, error.read())
        except OSError:
            self._answer(502, b"")

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Every request is not worth a line here."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--target", required=True)
    parser.add_argument("--state", type=Path, required=True)
    given = parser.parse_args()
    Gateway(given.port, given.target, given.state).serve_forever()


if __name__ == "__main__":
    main()

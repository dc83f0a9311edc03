"""A network service with nothing in it: `python network.py PORT`. `up.sh` starts it.

Nova asks its network service what a machine is connected to, whatever it is connected to. The machines of the tests
have no network (`networks: none`), so an empty answer to every question is the true one.
"""

from __future__ import annotations

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PORT = int(sys.argv[1])
VERSIONS = [
    {"id": "v2.0", "status": "CURRENT", "links": [{"rel": "self", "href": f"http://127.0.0.1:{PORT}/v2.0/"}]}
]


class Nothing(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        asked = self.path.partition("?")[0].rstrip("/").rpartition("/")[2].replace("-", "_")
        answer = {"versions": VERSIONS} if asked in ("", "v2.0") else {asked: []}
        text = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *words: object) -> None:
        """Nobody reads it."""


ThreadingHTTPServer(("127.0.0.1", PORT), Nothing).serve_forever()

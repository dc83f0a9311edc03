"""The service that the worked example moves: a small web application over one PostgreSQL database.

    python notices.py --port 8080 --environment legacy --database-file URL_FILE --database notices

GET /health tells the environment and the number of notices, GET /notices their keys;
POST /notices {"key", "text"} stores one, once a key.
While the database takes no writes it answers 503, and its callers try again, as they would of any service.
"""

from __future__ import annotations

import argparse
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psycopg

_INSERT = "INSERT INTO notices (key, text) VALUES (%s, %s) ON CONFLICT (key) DO NOTHING"


class Notices(ThreadingHTTPServer):
    """The server; `url` is where the database is, `environment` the name that it gives itself."""

    daemon_threads = True

    def __init__(self, port: int, environment: str, url: str, database: str) -> None:
        super().__init__(("127.0.0.1", port), Request)
        self.environment, self.url, self.database = environment, url, database

    def connect(self) -> psycopg.Connection[tuple[str]]:
        return psycopg.connect(self.url, dbname=self.database, connect_timeout=3, autocommit=True)


class Request(BaseHTTPRequestHandler):
    server: Notices

    def do_GET(self) -> None:
        try:
            with self.server.connect() as connection:
                keys = [row[0] for row in connection.execute("SELECT key FROM notices")]
        except psycopg.Error as error:
            self._answer(503, {"error": type(error).__name__})
            return
        told: dict[str, object] = {"keys": keys} if self.path == "/notices" else {"notices": len(keys)}
        self._answer(200, {"environment": self.server.environment, **told})

    def do_POST(self) -> None:
        notice = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        try:
            with self.server.connect() as connection:
                connection.execute(_INSERT, [notice["key"], notice["text"]])
        except psycopg.Error as error:
            self._answer(503, {"error": type(error).__name__})
            return
        self._answer(201, {"environment": self.server.environment})

    def _answer(self, status: int, document: dict[str, object]) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Every request is not worth a line here."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--environment", required=True)
    parser.add_argument("--database-file", type=Path, required=True, help="a file that holds the connection URL")
    parser.add_argument("--database", required=True)
    given = parser.parse_args()
    url = given.database_file.read_text(encoding="utf-8").strip()
    Notices(given.port, given.environment, url, given.database).serve_forever()


if __name__ == "__main__":
    main()

"""What a fixture does when its real server cannot be had here: skip with the reason, or fail where CI requires it."""

from __future__ import annotations

import os
import socket

import pytest

NOT_INSTALLED = 3  # the exit code of every start script whose programs are missing


def absent(server: str, reason: str) -> None:
    """Skips the asking test; fails it when the environment's XISUAN_REQUIRE names `server` (as CI does)."""
    if server in os.environ.get("XISUAN_REQUIRE", "").replace(",", " ").split():
        pytest.fail(f"XISUAN_REQUIRE asks for {server}, but: {reason}")
    pytest.skip(f"no {server}: {reason}")


def free_port(following: int = 0) -> int:
    """A loopback port that is free now, and as many after it."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        if all(_is_free(port + i) for i in range(1, following + 1)):
            return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return port < 65536 and probe.connect_ex(("127.0.0.1", port)) != 0

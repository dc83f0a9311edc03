"""What a fixture does when its real server cannot be had here: skip with the reason, or fail where CI requires it."""

from __future__ import annotations

import os
import random
import socket

import pytest

NOT_INSTALLED = 3  # the exit code of every start script whose programs are missing


def absent(server: str, reason: str) -> None:
    """Skips the asking test; fails it when the environment's XISUAN_REQUIRE names `server` (as CI does)."""
    if server in os.environ.get("XISUAN_REQUIRE", "").replace(",", " ").split():
        pytest.fail(f"XISUAN_REQUIRE asks for {server}, but: {reason}")
    pytest.skip(f"no {server}: {reason}")


# Below what the kernel gives to clients of its own accord (from 32768 on): a server may take seconds until it listens, and
# until then no client of another test may be given its port by chance.
_PORTS = range(27_000, 32_000)
_given: set[int] = set()


def free_port(following: int = 0) -> int:
    """A loopback port that is free now, and as many after it; none that this process was given before."""
    for _ in range(1_000):
        first = random.randrange(_PORTS.start, _PORTS.stop - following)
        wanted = range(first, first + following + 1)
        if _given.isdisjoint(wanted) and all(map(_is_free, wanted)):
            _given.update(wanted)
            return first
    raise AssertionError(f"no {following + 1} free ports in a row between {_PORTS.start} and {_PORTS.stop}")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(
            socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
        )  # as servers do: connections that ended do not count
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True

"""A world of its own for a run of rounds: its processes, mounts and network end with it, whatever happens to it.

The disk that fills up is a mount, and the line that is cut a pair of network devices: both need namespaces. As root
`unshare` gives them anywhere but in a container that forbids it.
"""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

_LOOKS = 100
_MARK = "XISUAN_CHAOS_INSIDE"
_UNSHARE = ("unshare", "--mount", "--net", "--pid", "--fork", "--mount-proc", "--kill-child")


def is_inside() -> bool:
    return _MARK in os.environ


def why_not() -> str:
    """Why this machine cannot give us namespaces; empty when it can."""
    tried = subprocess.run(
        [*_UNSHARE, "ip", "link", "set", "lo", "up"], capture_output=True, text=True, check=False
    )
    return "" if tried.returncode == 0 else " ".join(tried.stderr.split()) or f"exit code {tried.returncode}"


def enter(module: str, arguments: Sequence[str]) -> subprocess.Popen[bytes]:
    """`python -m module` with these arguments, started inside."""
    command = [*_UNSHARE, sys.executable, "-m", module, *arguments]
    return subprocess.Popen(command, env=os.environ | {_MARK: "1"})


def raise_loopback() -> None:
    _ip("link", "set", "lo", "up")


class Disk:
    """A file system in memory at `path`, which is full when it is told to be."""

    def __init__(self, path: Path, megabytes: int) -> None:
        self.path = path
        self._size = f"size={megabytes}m"
        path.mkdir(parents=True)
        _run("mount", "-t", "tmpfs", "-o", f"{self._size},mode=755", "none", str(path))

    def fill(self) -> None:
        """Not a byte more can be written: the disk is as large as what lies on it, which may grow while we look."""
        for _ in range(_LOOKS):
            seen = os.statvfs(self.path)
            used_kb = (seen.f_blocks - seen.f_bfree) * seen.f_frsize // 1024
            remount = ("mount", "-o", f"remount,size={used_kb}k", str(self.path))
            if subprocess.run(remount, check=False, capture_output=True).returncode == 0:
                return
        raise AssertionError(f"{self.path} grows faster than it can be measured")

    def free(self) -> None:
        _run("mount", "-o", f"remount,{self._size}", str(self.path))


class Line:
    """A network cable between us and a process that has a network of its own."""

    def __init__(self) -> None:
        number = next(_numbers)
        self._ours, self._theirs = f"near{number}", f"far{number}"
        # 198.18.0.0/15 is set aside for tests of networks (RFC 2544): nothing real is there.
        self._our_address, self.their_address = f"198.18.{number}.1", f"198.18.{number}.2"
        _ip("link", "add", self._ours, "type", "veth", "peer", "name", self._theirs)
        _ip("addr", "add", f"{self._our_address}/30", "dev", self._ours)
        _ip("link", "set", self._ours, "up")
        self._inside: tuple[str, ...] = ()

    def plug_into(self, pid: int) -> None:
        """The process must have been started by `alone`."""
        _ip("link", "set", self._theirs, "netns", str(pid))
        self._inside = ("nsenter", "-t", str(pid), "-n", "ip")
        _run(*self._inside, "addr", "add", f"{self.their_address}/30", "dev", self._theirs)
        for device in ("lo", self._theirs):
            _run(*self._inside, "link", "set", device, "up")

    def cut(self) -> None:
        """From now on packets are lost without a word: at the far end, so that our side sees no error of its own."""
        _run(*self._inside, "link", "set", self._theirs, "down")

    def mend(self) -> None:
        _run(*self._inside, "link", "set", self._theirs, "up")


_numbers = itertools.count(1)


def alone(command: Sequence[str]) -> list[str]:
    """The same command, with a network of its own, and under the same process id."""
    return ["unshare", "--net", *command]


def _ip(*words: str) -> None:
    _run("ip", *words)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)

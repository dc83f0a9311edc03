"""The papers behind what is recorded: minutes, approvals, test reports. Their SHA-256 goes into the event chain, a copy onto
this shelf, so that an evidence bundle can hold the paper itself.

Who calls this: commands that take a paper (orders, sites, acts on a run, review steps), and `migration evidence export`.
A paper is found by its content, so that the shelf needs no index and keeps each one once. Ledger workbooks are not kept: they
may hold what must be stored nowhere.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from console.faults import Fault
from console.files import read_input

_LARGEST_PAPER = 256 * 1024 * 1024
_MOST_FILES = 100_000


class PaperShelf:
    """`folder` None: papers are hashed and not kept."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def keep(self, paper: Path) -> str:
        """The paper's SHA-256. Its copy lies on the shelf when this returns; Fault where it cannot be read or kept."""
        content = read_input(paper, _LARGEST_PAPER)
        digest = hashlib.sha256(content).hexdigest()
        if self._folder is not None and not any(self._folder.glob(f"{digest}*")):
            self._put(self._folder, f"{digest}{paper.suffix[:10].lower()}", content)
        return digest

    @staticmethod
    def _put(folder: Path, name: str, content: bytes) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            descriptor, draft = tempfile.mkstemp(prefix=".", dir=folder)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(draft).replace(folder / name)
        except OSError as error:
            raise Fault(
                f"佐证文件无法存入 {folder}（{error.strerror}）；请检查空间和权限"
                f" / the paper cannot be kept in {folder}; check space and permissions"
            ) from error


# Where nothing is to be kept: a dry reading of an order, say.
UNKEPT = PaperShelf(None)


def find_papers(wanted: Collection[str], shelf: Path, folders: Sequence[Path]) -> dict[str, tuple[str, bytes]]:
    """(suffix, content) by SHA-256 of those that lie on the shelf or anywhere below `folders`. Fault for a folder that is
    none."""
    missing = set(wanted)
    found: dict[str, tuple[str, bytes]] = {}
    for file in _files(shelf, folders):
        if not missing:
            break
        content = file.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        if digest in missing:
            missing.discard(digest)
            found[digest] = file.suffix[:10].lower(), content
    return found


def _files(shelf: Path, folders: Sequence[Path]) -> Iterator[Path]:
    if shelf.is_dir():
        yield from sorted(one for one in shelf.iterdir() if not one.name.startswith(".") and one.is_file())
    for folder in folders:
        if not folder.is_dir():
            raise Fault(
                f"{folder} 不是文件夹；请指定存放文件的文件夹 / {folder} is no folder; name the one that holds the papers"
            )
        seen = 0
        for file in sorted(folder.rglob("*")):
            if file.is_file() and file.stat().st_size <= _LARGEST_PAPER:
                seen += 1
                if seen > _MOST_FILES:
                    raise Fault(
                        f"{folder} 的文件超过 {_MOST_FILES} 个；请缩小范围 / has too many files; name a smaller folder"
                    )
                yield file

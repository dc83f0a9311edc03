"""The fence: the highest leader epoch that this adapter has seen, across its own restarts.

Two schedulers may both believe that they lead for a moment; only the later one may act. The epoch is on disk
before the first item of a new leader is looked at, so an old leader cannot act after a restart either.
"""

from __future__ import annotations

from pathlib import Path

from adapters.sdk.files import write_durably

MAX_EPOCH = 2**63 - 1


class StaleEpoch(Exception):
    """A call of a leader that has been replaced."""

    def __init__(self, epoch: int, highest: int) -> None:
        super().__init__(
            f"epoch {epoch}: 已见过更高的 {highest}，本领导者已被取代，请退位 / "
            f"a higher epoch, {highest}, has been seen: this leader has been replaced and must give up"
        )


class Fence:
    """Remembers the highest epoch in `path`. Raises ValueError when the file holds something else."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.highest = 0
        if path.exists():
            text = path.read_text(encoding="ascii", errors="replace").strip()
            if not text.isdigit():
                raise ValueError(
                    f"{path} = {text[:40]!r}: 须为一个整数；请用备份恢复该文件 / "
                    "must hold one whole number: restore the file from a backup"
                )
            self.highest = int(text)

    def admit(self, epoch: int) -> None:
        """Raises StaleEpoch for a lower epoch; makes a higher one durable. Raises OSError when it cannot."""
        if epoch < self.highest:
            raise StaleEpoch(epoch, self.highest)
        if epoch > self.highest:
            write_durably(self._path, f"{epoch}\n".encode("ascii"))
            self.highest = epoch

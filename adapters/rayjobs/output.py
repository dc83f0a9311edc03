"""The program's own output in the file that Ray keeps of a job: Ray's lines about the start are taken out of it.

`engine.py` reads logs through it, so that byte 0 is the first byte of the program.
"""

from __future__ import annotations

import re

_SETTING_UP = re.compile(rb"\A[0-9-]+ [0-9:,]+\tINFO job_manager\.py:[0-9]+ -- Runtime env is setting up\.\n")


class ProgramOutput:
    """Takes a job's file piece by piece, and gives what the program wrote.

    Ray writes one line before the program starts, and one that it flushes only after it: the second may stand behind
    the program's first words. So nothing is given before that line has been seen, or the file has come to its end.
    """

    def __init__(self, submission_id: str, entrypoint: str) -> None:
        self._line = f"Running entrypoint for job {submission_id}: {entrypoint}\n".encode()
        self._held: bytes | None = b""

    def take(self, piece: bytes) -> bytes:
        """What of the program's output is certain after `piece`."""
        if self._held is None:
            return piece
        self._held += piece
        before, line, after = self._held.partition(self._line)
        if not line:
            return b""
        self._held = None
        return _SETTING_UP.sub(b"", before) + after

    def rest(self) -> bytes:
        """What is left at the end of the file: all of it for a program that never started, as Ray tells why."""
        held, self._held = self._held or b"", None
        return held

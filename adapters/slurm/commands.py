"""Slurm's own programs as asynchronous calls: sbatch, squeue, scancel, scontrol, sinfo.

`engine.py` and `backend.py` call it. A slurmctld that is not there makes its clients block, so every call has a limit;
what they say on failure is passed on as it is. Options and formats are those of Slurm 22.05 and later.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

from adapters.sdk.engine import EngineUnavailable

_TIMEOUT_S = 20.0
_DOWN = (
    "Unable to contact slurm controller",
    "Socket timed out",
    "Connection refused",
    "Zero Bytes were transmitted",
    "Protocol authentication error",
    "slurm_persist_conn_open",
    "Unable to establish controller machine",
)
"""What Slurm's clients print where the controller cannot be asked, whatever was asked."""


class SlurmRefused(Exception):
    """Slurm understood and said no; the message is its own, on one line."""


class Slurm:
    """One cluster. `configuration` is its slurm.conf (None: where Slurm's own programs look for it)."""

    def __init__(self, configuration: Path | None, at_once: int = 8) -> None:
        self._environment = {**os.environ, "SLURM_TIME_FORMAT": "%s"}
        if configuration is not None:
            self._environment["SLURM_CONF"] = str(configuration)
        self._at_once = asyncio.Semaphore(at_once)

    @property
    def environment(self) -> dict[str, str]:
        """What a program of Slurm needs around it to find this cluster."""
        return dict(self._environment)

    async def run(self, *words: str, standard_input: str = "") -> str:
        """What the program printed. Raises SlurmRefused, or EngineUnavailable where the controller is not there."""
        async with self._at_once:
            return await self._run(words, standard_input)

    async def _run(self, words: Sequence[str], standard_input: str) -> str:
        try:
            process = await asyncio.create_subprocess_exec(
                *words,
                env=self._environment,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
        except FileNotFoundError as error:
            raise EngineUnavailable(
                f"{words[0]}: 本机没有 Slurm 客户端，请安装 / Slurm's clients are not on this machine: install them"
            ) from error
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                out, err = await process.communicate(standard_input.encode("utf-8"))
        except TimeoutError as error:
            raise _unavailable(f"{words[0]}: {_TIMEOUT_S:g} s") from error
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        said = " ".join(err.decode("utf-8", "replace").split())
        if process.returncode:
            if any(sign in said for sign in _DOWN):
                raise _unavailable(said)
            raise SlurmRefused(said or f"{words[0]}: exit code {process.returncode}")
        return out.decode("utf-8", "replace") or said


def _unavailable(why: str) -> EngineUnavailable:
    return EngineUnavailable(
        f"slurmctld 暂不可用（{why}），请稍后重试 / slurmctld cannot be asked: try again later"
    )

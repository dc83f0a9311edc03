"""A command as a child process of the adapter: input given, output in pieces as it comes, killed when its time is over.

Backends whose `exec` is a program of this machine (`adapters.local`, Slurm's srun) yield what `run_command` yields.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator, Mapping, Sequence

from adapters.contract import Execution, ExecutionOutput

_PIECE = 64 * 1024
_WAITING_PIECES = 16
KILLED = 128 + signal.SIGKILL
"""The exit code of a command whose time was over, as a shell tells an end by SIGKILL."""


async def run_command(
    words: Sequence[str],
    environment: Mapping[str, str],
    execution: Execution,
    *,
    polite: signal.Signals | None = None,
    polite_s: float = 3.0,
) -> AsyncIterator[ExecutionOutput]:
    """What `words` write, with the input and the time limit of `execution`; the last piece has the exit code.

    At the limit, and where the caller goes away, the whole process group is killed: after `polite_s` where a `polite`
    signal is given first (for a program that must end something elsewhere).
    """
    process = await asyncio.create_subprocess_exec(
        *words,
        env=dict(environment),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    pieces: asyncio.Queue[ExecutionOutput | None] = asyncio.Queue(_WAITING_PIECES)
    work = asyncio.create_task(_carry(process, execution.standard_input, pieces))
    ends_at = time.monotonic() + execution.timeout_ms / 1000
    try:
        while (piece := await _next(pieces, ends_at)) is not None:
            yield piece
    finally:
        if process.returncode is None and time.monotonic() < ends_at and work.done():
            # Its output has ended before it has: only its time limits it now.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(ends_at - time.monotonic()):
                    await process.wait()
        is_over = process.returncode is None
        await _end(process, polite, polite_s)
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
    code = process.returncode
    assert code is not None, "it was waited for"
    yield ExecutionOutput(exit_code=KILLED if is_over else code if code >= 0 else 128 - code)


async def _next(pieces: asyncio.Queue[ExecutionOutput | None], ends_at: float) -> ExecutionOutput | None:
    """The next piece; None when there are no more, or the time is over."""
    try:
        async with asyncio.timeout(max(0.0, ends_at - time.monotonic())):
            return await pieces.get()
    except TimeoutError:
        return None


async def _carry(
    process: asyncio.subprocess.Process, standard_input: bytes, pieces: asyncio.Queue[ExecutionOutput | None]
) -> None:
    """Input in, both outputs out; None when both have ended."""
    out, err = process.stdout, process.stderr
    assert out is not None and err is not None

    async def output() -> None:
        while piece := await out.read(_PIECE):
            await pieces.put(ExecutionOutput(standard_output=piece))

    async def errors() -> None:
        while piece := await err.read(_PIECE):
            await pieces.put(ExecutionOutput(standard_error=piece))

    feeding = asyncio.create_task(_feed(process, standard_input))
    try:
        await asyncio.gather(output(), errors())
    finally:
        feeding.cancel()
        await asyncio.gather(feeding, return_exceptions=True)
    await pieces.put(None)


async def _feed(process: asyncio.subprocess.Process, standard_input: bytes) -> None:
    pipe = process.stdin
    assert pipe is not None
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # a command need not read what it is given
        pipe.write(standard_input)
        await pipe.drain()
        pipe.close()
        await pipe.wait_closed()


async def _end(process: asyncio.subprocess.Process, polite: signal.Signals | None, polite_s: float) -> None:
    """Whatever still lives of the command's process group is killed."""
    if polite is not None and process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, polite)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(polite_s):
                await process.wait()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()

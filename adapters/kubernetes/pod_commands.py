"""A command beside a task: the pod's `exec` subresource over a WebSocket, with input, outputs and exit code apart.

`backend.py` calls it. Channels and the end of input are those of the API server's protocol v5.channel.k8s.io (1.30 and
later); an older server speaks v4, which cannot say that the input has ended.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import aiohttp

from adapters.contract import Execution, ExecutionOutput
from adapters.kubernetes.api import Api, Json
from adapters.sdk.child_command import KILLED
from adapters.sdk.engine import EngineUnavailable

_V5, _V4 = "v5.channel.k8s.io", "v4.channel.k8s.io"
_INPUT, _OUTPUT, _ERRORS, _STATUS, _CLOSE = 0, 1, 2, 3, 255
_PIECE = 32 * 1024
_SLACK_S = 3.0  # the command is ended in the pod first, by its own `timeout`
_CANNOT_EXECUTE, _NOT_FOUND = 126, 127  # exit codes as a shell gives them


@dataclass(frozen=True, slots=True)
class NotStarted:
    """The container could not execute the program: one line of its runtime."""

    message: str


async def run_in_pod(api: Api, pod: Json, execution: Execution) -> AsyncIterator[ExecutionOutput]:
    """What the command writes; the last piece has its exit code.

    The cluster does not end a command whose caller has gone: it runs under the container's own `timeout`, and without
    that program as it is. Raises EngineUnavailable, ApiRefused.
    """
    limit_s = -(-execution.timeout_ms // 1000)
    ends_at = time.monotonic() + execution.timeout_ms / 1000 + _SLACK_S
    limited = ("timeout", "-s", "KILL", str(limit_s), *execution.command)
    outcome: NotStarted | None = None
    for words in (limited, execution.command):
        outcome = None
        async for piece in _converse(api, pod, words, execution.standard_input, ends_at):
            if isinstance(piece, NotStarted):
                outcome = piece
            else:
                yield piece
        if outcome is None:
            return
    assert outcome is not None, "the loop ends before where the command was started"
    code = _NOT_FOUND if "not found" in outcome.message or "no such file" in outcome.message else _CANNOT_EXECUTE
    yield ExecutionOutput(standard_error=(outcome.message + "\n").encode())
    yield ExecutionOutput(exit_code=code)


async def _converse(
    api: Api, pod: Json, words: Sequence[str], standard_input: bytes, ends_at: float
) -> AsyncIterator[ExecutionOutput | NotStarted]:
    metadata = pod["metadata"]
    path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}/exec"
    query = [("container", "main"), ("stdin", str(bool(standard_input)).lower()), ("stdout", "true")]
    query += [("stderr", "true"), *(("command", word) for word in words)]
    socket = await api.socket(path, query, (_V5, _V4))
    try:
        if standard_input:
            await _send(socket, standard_input)
        while True:
            message = await _receive(socket, ends_at)
            if message is None:
                yield ExecutionOutput(exit_code=KILLED)
                return
            if message.type is not aiohttp.WSMsgType.BINARY:
                raise EngineUnavailable(
                    "命令的连接中断，结果未知 / the connection to the command was cut: its outcome is not known"
                )
            channel, content = message.data[0], bytes(message.data[1:])
            if channel == _STATUS:
                yield _ending(json.loads(content))
                return
            if content and _is_missing_timeout(words, content):
                yield NotStarted(content.decode("utf-8", "replace").strip())
                return
            if content and channel == _OUTPUT:
                yield ExecutionOutput(standard_output=content)
            elif content and channel == _ERRORS:
                yield ExecutionOutput(standard_error=content)
    finally:
        await socket.close()


async def _send(socket: aiohttp.ClientWebSocketResponse, standard_input: bytes) -> None:
    if socket.protocol != _V5:
        raise EngineUnavailable(
            "集群版本低于 1.30，命令不能带输入；请升级，或把输入写进命令 / "
            "this cluster is older than 1.30: a command takes no input; upgrade it, or put the input into the command"
        )
    for start in range(0, len(standard_input), _PIECE):
        await socket.send_bytes(bytes([_INPUT]) + standard_input[start : start + _PIECE])
    await socket.send_bytes(bytes([_CLOSE, _INPUT]))


async def _receive(socket: aiohttp.ClientWebSocketResponse, ends_at: float) -> aiohttp.WSMessage | None:
    """The next message; None when the time is over."""
    try:
        async with asyncio.timeout(max(0.0, ends_at - time.monotonic())):
            return await socket.receive()
    except TimeoutError:
        return None


def _is_missing_timeout(words: Sequence[str], content: bytes) -> bool:
    """Some runtimes tell on standard error, not in the status, that a container has no such program."""
    return words[0] == "timeout" and b'"timeout": executable file not found' in content


def _ending(status: Json) -> ExecutionOutput | NotStarted:
    """The status that ends every conversation (meta/v1 Status): success, an exit code, or why there is none."""
    if status.get("status") == "Success":
        return ExecutionOutput(exit_code=0)
    for cause in status.get("details", {}).get("causes", ()):
        if cause.get("reason") == "ExitCode":
            return ExecutionOutput(exit_code=int(cause["message"]))
    return NotStarted(" ".join(str(status.get("message", "")).split()) or "cannot be executed")

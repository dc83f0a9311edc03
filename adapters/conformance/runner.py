"""Asks the specs one after another, cleans up after each and at the end, and makes the report.

`xisuan adapter conformance` calls `run_suite`, and so do the tests, with the restart of their own adapters.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import grpc
from google.protobuf import json_format

from adapters.conformance.proxy import FaultProxy
from adapters.conformance.report import Report, Subject, Verdict, skipped
from adapters.conformance.session import Options, Session, one_line
from adapters.conformance.spec import Broken, Excused, Need, Outcome, Spec, excuse
from adapters.wire.status import details_of

_CLEAN_UP_S = 60.0
_SPEC_S = 300.0
_PATIENCES = 4  # and where pools are slow, as many waits as one spec may need


class NotAsked(Exception):
    """The suite could not begin: the adapter does not answer, or refuses the suite's epoch. One line."""


class RestartFailed(Exception):
    """The command that restarts the adapter did not: one line with its exit code."""


@dataclass(frozen=True, slots=True)
class Suite:
    """What is asked of whom. `restart` restarts the adapter and returns when that is done; None: it cannot be.
    `prefix` begins every run id, so that no two runs of the suite meet."""

    endpoint: str
    specs: Sequence[Spec]
    options: Options
    prefix: str
    restart: Callable[[], Awaitable[None]] | None = None


async def run_suite(suite: Suite, tell: Callable[[Verdict], None]) -> Report:
    """Asks every spec; `tell` hears each verdict as it comes. When cancelled, cleans up and reports what it has.

    Raises NotAsked before anything was asked, CallerUnusable where it cannot be asked as said.
    """
    line = suite.options.caller.line(suite.endpoint)
    proxy = FaultProxy(line.target)
    await proxy.start()
    session = Session(proxy, line, suite.options, suite.prefix, suite.restart)
    verdicts: list[Verdict] = []
    interrupted = False
    left: list[str] = []
    try:
        await _begin(session, suite)
        try:
            for spec in suite.specs:
                verdicts.append(await _ask(spec, session, _given(session, suite)))
                tell(verdicts[-1])
        except asyncio.CancelledError:
            interrupted = True
            task = asyncio.current_task()
            if task is not None:
                task.uncancel()
        left = await _clean_up(session)
    finally:
        await session.close()
        await proxy.close()
    return Report(_subject(session, suite), tuple(verdicts), dict(session.called), tuple(left), interrupted)


async def _begin(session: Session, suite: Suite) -> None:
    try:
        async with asyncio.timeout(suite.options.patience_s):
            await session.connect()
            await session.stop()
    except (TimeoutError, grpc.RpcError) as error:
        said = details_of(error) if isinstance(error, grpc.RpcError) else None
        if said is not None and said.reason == "STALE_EPOCH":
            raise NotAsked(
                f"{suite.endpoint}: --epoch {suite.options.epoch} 过低，适配器已见过更高的任期；请给更大的 --epoch / "
                f"the adapter has seen a higher epoch: give a higher --epoch"
            ) from error
        why = said.message.partition("\n")[0] if said is not None else f"{suite.options.patience_s:g} s"
        raise NotAsked(
            f"{suite.endpoint}: 适配器没有正常应答（{why}）；请检查地址和它是否已启动 / "
            f"no good answer from an adapter there: check the address, and that it runs"
        ) from error


def _given(session: Session, suite: Suite) -> frozenset[Need]:
    met = (
        (Need.RESTART, suite.restart is not None),
        (Need.LOAD, suite.options.load_rate > 0),
        (Need.LISTS_NODES, bool(session.node())),
    )
    return frozenset(need for need, holds in met if holds)


async def _ask(spec: Spec, session: Session, given: frozenset[Need]) -> Verdict:
    need = excuse(spec, session.can, given)
    if need is not None:
        return skipped(spec, need)
    began = time.monotonic()
    outcome, message = Outcome.PASSED, ""
    try:
        async with asyncio.timeout(max(_SPEC_S, _PATIENCES * session.options.patience_s)):
            await spec.run(session)
    except Excused as error:
        outcome, message = Outcome.SKIPPED, str(error)
    except Broken as error:
        outcome, message = Outcome.FAILED, str(error)
    except grpc.RpcError as error:
        outcome, message = Outcome.FAILED, _of_a_call(error, session)
    except (TimeoutError, RestartFailed) as error:
        outcome, message = (
            Outcome.FAILED,
            one_line(f"not done in time: {error}" if str(error) else "not done in time"),
        )
    except (IndexError, ValueError, KeyError) as error:
        # A spec unpacks what an adapter answers: an answer of another shape is the adapter's fault.
        outcome, message = Outcome.FAILED, one_line(f"an answer of another shape: {type(error).__name__} {error}")
    taken_s = time.monotonic() - began
    untidy = await _tidy(session)
    if untidy and outcome is Outcome.PASSED:
        outcome, message = Outcome.FAILED, untidy
    return Verdict(spec, outcome, taken_s, message)


def _of_a_call(error: grpc.RpcError, session: Session) -> str:
    """Which call failed, as far as one was alone under way, and how."""
    said = details_of(error)
    if said.code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return f"{session.stub.latest}: no answer in time (a call has {session.options.call_s:g} s)"
    return one_line(f"{session.stub.latest} failed: {said.code.name} {said.reason} {said.message}")


async def _tidy(session: Session) -> str:
    """Stops what a spec left running; returns why it could not, if so."""
    try:
        async with asyncio.timeout(_CLEAN_UP_S):
            await session.clean_up()
    except (TimeoutError, grpc.RpcError) as error:
        said = details_of(error).message if isinstance(error, grpc.RpcError) else "no answer in time"
        return one_line(f"its runs could not be stopped afterwards: {said}")
    return ""


async def _clean_up(session: Session) -> list[str]:
    """Ends everything that this run of the suite launched; returns the runs that are alive in spite of it."""
    try:
        async with asyncio.timeout(_CLEAN_UP_S):
            return await session.end_all()
    except (TimeoutError, grpc.RpcError):
        return ["?"]


def _subject(session: Session, suite: Suite) -> Subject:
    return Subject(
        endpoint=suite.endpoint,
        pool_id=session.can.pool_id,
        technology=session.can.technology,
        adapter_version=session.can.adapter_version,
        runtime=session.runtime,
        capabilities=json_format.MessageToDict(
            session.can, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
        ),
    )

"""Adapters that are wrong in one way in what a pool need not offer: gangs, commands beside runs, checkpoints.

No pool of ours takes checkpoints, so a sound one stands here as well: a simulated pool that keeps notes.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from adapters.contract import (
    Capabilities,
    CheckpointTaken,
    Execution,
    ExecutionOutput,
    Launch,
    Refusal,
    RefusalCode,
    RunReport,
)
from adapters.local.backend import LocalBackend
from adapters.sdk.child_command import run_command
from adapters.sdk.servicer import AdapterServicer
from adapters.simulated.backend import SimulatedBackend
from adapters.simulated.fates import Profile
from tests.adapters.adapter_process import declared_pool
from tests.conformance.adapter_in_process import Parts
from tests.conformance.mutants import Mutant
from xisuan.pool.v1 import pool_adapter_service_pb2 as pb


class CheckpointingPool(SimulatedBackend):
    """A simulated pool whose runs can be saved, and go on from what was saved."""

    def __init__(self, folder: Path) -> None:
        super().__init__(declared_pool("simulated"), Profile(launch_latency_ms=20), 7, folder)
        self.capabilities: Capabilities = replace(self.capabilities, checkpoints=True)
        self._taken: dict[str, CheckpointTaken] = {}

    async def checkpoint(self, run_id: str, checkpoint_id: str) -> CheckpointTaken | Refusal:
        new = CheckpointTaken(checkpoint_id, time.time_ns() // 1_000_000, 4096)
        return self._taken.setdefault(checkpoint_id, new)

    async def launch(self, launches: Sequence[Launch]) -> Sequence[RunReport | Refusal]:
        known = [one for one in launches if not one.restore_from or one.restore_from in self._taken]
        answers = {answer.run_id: answer for answer in await super().launch(known)}
        none = {one.run_id: Refusal(one.run_id, RefusalCode.NOT_FOUND, "no such checkpoint") for one in launches}
        return [(none | answers)[one.run_id] for one in launches]


class _TakesAgain(CheckpointingPool):
    async def checkpoint(self, run_id: str, checkpoint_id: str) -> CheckpointTaken | Refusal:
        self._taken.pop(checkpoint_id, None)
        time.sleep(0.002)  # so that the two differ
        return await super().checkpoint(run_id, checkpoint_id)


class _Local(LocalBackend):
    def __init__(self, folder: Path) -> None:
        super().__init__(declared_pool("local"), folder, stop_runs_at_exit=True)


class _OneTaskIsEnough(_Local):
    async def launch(self, launches: Sequence[Launch]) -> Sequence[RunReport | Refusal]:
        return await super().launch(
            [replace(one, requirements=replace(one.requirements, tasks=1)) for one in launches]
        )


class _ForgetsInput(_Local):
    def execute(self, execution: Execution) -> AsyncIterator[ExecutionOutput]:
        return super().execute(replace(execution, standard_input=b""))


class _ElsewhereOnTheMachine(_Local):
    def execute(self, execution: Execution) -> AsyncIterator[ExecutionOutput]:
        return run_command(execution.command, {"PATH": "/usr/bin:/bin"}, execution)


class _NoEnd(_Local):
    def execute(self, execution: Execution) -> AsyncIterator[ExecutionOutput]:
        return super().execute(replace(execution, timeout_ms=600_000))


class _AnyTask(AdapterServicer):
    async def known(self, run_id: str) -> RunReport:
        return replace(await super().known(run_id), nodes=())


class _BesideTheDead(AdapterServicer):
    async def Exec(self, request: pb.ExecRequest, context: Any) -> AsyncIterator[pb.ExecResponse]:
        async for piece in self._backend.execute(self._execution(request)):  # type: ignore[attr-defined]  # the local pool
            yield pb.ExecResponse(standard_output=piece.standard_output, exit_code=piece.exit_code)


OPTIONAL_MUTANTS: tuple[Mutant, ...] = (
    Mutant("keeps the input of a command to itself", "extras.exec", Parts(backend=_ForgetsInput)),
    Mutant("runs commands elsewhere than beside the run", "extras.surroundings", Parts(backend=_ElsewhereOnTheMachine)),
    Mutant("lets commands take as long as they like", "extras.overtime", Parts(backend=_NoEnd)),
    Mutant("runs commands beside tasks that are not there", "extras.task", Parts(backend=_Local, servicer=_AnyTask)),
    Mutant("runs commands beside ended runs", "extras.dead", Parts(backend=_Local, servicer=_BesideTheDead)),
    Mutant("executes for replaced leaders", "extras.fence", Parts(backend=_Local, servicer=_BesideTheDead)),
    Mutant("executes one task of a gang", "launch.tasks", Parts(backend=_OneTaskIsEnough)),
    Mutant("takes a checkpoint anew for the same id", "extras.checkpoint", Parts(backend=_TakesAgain)),
)  # fmt: skip

"""A spec: one law of the adapter contract, what a pool must declare for it to apply, and what came of asking."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from xisuan.pool.v1 import pool_adapter_service_pb2 as pb

if TYPE_CHECKING:
    from adapters.conformance.session import Session


class Broken(Exception):
    """The adapter breaks the law: one line that says what was expected and what was seen."""


class Excused(Exception):
    """The law cannot be asked here; one line says which capability or circumstance excuses it."""


class Outcome(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


class Need(StrEnum):
    """What a spec needs. Values are the capability's name, or the option of the suite that was not given."""

    RESTART = "--restart-command"
    LOAD = "--load-rate"
    LOGS = "logs"
    GANGS = "gangs"
    MAX_RUNTIME = "max_runtime"
    LEASES = "leases"
    SUSPEND = "suspend"
    EXEC = "exec"
    CHECKPOINTS = "checkpoints"
    RESERVATIONS = "reservations"
    START_ESTIMATES = "start_estimates"
    SERVICES = "services"
    CHOOSES_NODES = "chooses_nodes"
    REFUSES_WHEN_FULL = "refuses_when_full"
    LISTS_NODES = "nodes"
    EXECUTES = "simulates"
    ENDS = "runtimes"


Run = Callable[["Session"], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Spec:
    """`title` and `zh` are the law in English and in Chinese; `name` is unique and stable: "group.words"."""

    name: str
    title: str
    zh: str
    run: Run
    needs: tuple[Need, ...] = ()

    @property
    def group(self) -> str:
        return self.name.partition(".")[0]


_SUITE_OPTIONS = (Need.RESTART, Need.LOAD)


def excuse(spec: Spec, can: pb.GetCapabilitiesResponse, given: frozenset[Need]) -> Need | None:
    """The first need of the spec that neither the capabilities nor the suite's options meet."""
    for need in spec.needs:
        met = need in given if need in (*_SUITE_OPTIONS, Need.LISTS_NODES) else _declares(can, need)
        if not met:
            return need
    return None


def _declares(can: pb.GetCapabilitiesResponse, need: Need) -> bool:
    machines_only = list(can.runtimes) == ["virtual-machine"]
    match need:
        case Need.EXECUTES:
            return not can.simulates and not machines_only
        case Need.ENDS:
            return not machines_only  # a machine runs until it is stopped
        case _:
            return bool(getattr(can, need.value))


EXCUSES: dict[Need, tuple[str, str]] = {
    Need.RESTART: ("未给出 --restart-command", "no --restart-command was given"),
    Need.LOAD: ("--load-rate 为 0", "--load-rate is 0"),
    Need.LISTS_NODES: ("该池不列出节点", "the pool lists no nodes"),
    Need.EXECUTES: ("能力 simulates：不真正执行程序", "capability simulates: no program is executed"),
    Need.ENDS: ("运行时只有虚拟机：停止才结束", "runtimes are machines only: they end when they are stopped"),
}


def explain_excuse(need: Need) -> tuple[str, str]:
    """The excuse in Chinese and in English."""
    return EXCUSES.get(need, (f"未声明能力 {need}", f"capability {need} is not declared"))

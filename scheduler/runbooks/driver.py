"""The driver: carries runs forward, durably. One workflow of DBOS a stretch, from one wait to the next.

What is true is on the event chain (`record`); what DBOS adds is that a stretch that was begun is ended, whenever
the process dies, by whoever starts next on the same database. A stretch asks `decisions.decide`, does what it says,
records it, and ends when there is nothing to do; waiting holds no thread. `wake` begins another stretch, `tick`
does so for whatever time has come and whatever other processes have recorded.

Why no step is done twice that must not be, and none is left out: a decision is made on the recorded run only; each
attempt is recorded before it begins and after it ends, in transactions that check the transition tables; and what
lies between (a kill after the effect, before its record) is answered by the step itself: commands by their
supervisor's files, workloads by their idempotency key, switches and checks by being repeatable.

Determinism, as DBOS asks for it: the workflow function branches on nothing but the results of its own steps.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from inventory.store.errors import StoreError
from scheduler.core.migration.decisions import (
    Compensate,
    Decision,
    Execute,
    Record,
    Wait,
    decide,
    due_warning,
    last_moment_ms,
)
from scheduler.core.migration.run import Change, ChangeKind, MigrationRun
from scheduler.core.migration.transitions import MigrationState, StepState
from scheduler.runbooks.faults import StepImpossible
from scheduler.runbooks.record import DRIVER as ACTOR
from scheduler.runbooks.record import RunRecord
from scheduler.runbooks.steps.context import StepContext, StepPorts, StepResult, failed
from scheduler.runbooks.steps.registry import carry_out

_LOG = logging.getLogger("xisuan.runbooks")
_CLOSING_S = 2.0
_AGAIN_MS = 5000
_BETWEEN_WARNINGS_S = 0.5


def nobody(point: str) -> None:
    """The default observer: nobody looks."""


@dataclass(frozen=True, slots=True)
class DriverSettings:
    """`database_url` is where DBOS keeps its checkpoints: an SQLite file of its own, or the PostgreSQL of the store.
    `observer` is told every point at which the process may die (the crash tests do it there). DBOS looks every
    `poll_s`, and closing waits as long."""

    database_url: str
    observer: Callable[[str], None] = nobody
    poll_s: float = 0.25


class Driver:
    """One a process and one an installation at a time. Made, started, ticked, closed by `console.runbook_host`."""

    def __init__(self, record: RunRecord, ports: StepPorts, settings: DriverSettings) -> None:
        self._record = record
        self._ports = ports
        self._settings = settings
        self._locks: dict[str, threading.Lock] = {}
        self._timers: dict[str, int] = {}
        self._waking: set[str] = set()
        self._abandoned: set[str] = set()
        self._guard = threading.Lock()
        self._launching = threading.Lock()
        self._durable: Any = None
        self._seen_seq = 0
        self._look_for_warnings_s = 0.0

    def start(self) -> None:
        """Wakes every run that is not over; with the first, DBOS recovers the stretches that were cut short."""
        self._seen_seq, _ = self._record.touched_after(0)
        for run_id in self._record.run_ids():
            run = self._record.load(run_id)
            if run is not None and not run.state.is_final:
                self.wake(run_id)

    def close(self) -> None:
        """Lets the steps under way end for a moment; what does not end is taken up at the next start."""
        deadline_s = time.monotonic() + _CLOSING_S
        while not self.is_idle() and time.monotonic() < deadline_s:
            time.sleep(0.01)  # DBOS itself would look once a second only
        if self._durable is not None:
            self._durable.close()

    def wake(self, run_id: str) -> None:
        """Begins a stretch, unless one waits to begin already."""
        with self._guard:
            if run_id in self._waking:
                return
            self._waking.add(run_id)
        try:
            self._launched().begin(run_id)
        except Exception:
            with self._guard:
                self._waking.discard(run_id)
            raise

    def _launched(self) -> Any:
        """The module `durable`, whose DBOS runs: from the first run on that is carried forward."""
        with self._launching:
            if self._durable is None:
                from scheduler.runbooks import durable

                durable.launch(self._settings.database_url, self._settings.poll_s, self.drive)
                self._durable = durable
        return self._durable

    def tick(self) -> None:
        """Wakes what is due by the clock or was touched by another process, and gives warnings that are due.

        Called several times a second. A database that is locked is asked again at the next tick.
        """
        try:
            # What the driver itself recorded needs nobody to look: its stretch goes on until there is nothing to do.
            self._seen_seq, touched = self._record.touched_after(self._seen_seq, but_by=ACTOR)
        except StoreError as error:
            _LOG.warning("the store does not answer: %s", error)
            return
        now_ms = self._ports.clock.now_ms()
        with self._guard:
            due = [run_id for run_id, at_ms in self._timers.items() if at_ms <= now_ms]
            for run_id in due:
                del self._timers[run_id]
        for run_id in dict.fromkeys([*touched, *due]):
            if run_id in touched and self._loaded(run_id).state is MigrationState.ROLLING_BACK:
                self._abandoned.add(run_id)  # whatever its step is doing forward is given up
            self.wake(run_id)
        if time.monotonic() >= self._look_for_warnings_s:
            self._look_for_warnings_s = time.monotonic() + _BETWEEN_WARNINGS_S
            self._warn_while_busy(now_ms)

    def is_idle(self) -> bool:
        """True when no stretch is under way and none waits to begin."""
        with self._guard:
            return not self._waking and not any(lock.locked() for lock in self._locks.values())

    def drive(self, run_id: str) -> None:
        """The body of a stretch. Two stretches of one run never overlap."""
        with self._guard:
            lock = self._locks.setdefault(run_id, threading.Lock())
        with lock:
            with self._guard:
                self._waking.discard(run_id)
            try:
                self._go_on(run_id)
            except Exception:
                # A store that stayed locked, say: nothing else would make anybody look again.
                with self._guard:
                    self._timers[run_id] = self._ports.clock.now_ms() + _AGAIN_MS
                raise

    def _go_on(self, run_id: str) -> None:
        answer = self._durably("advance", self._advanced, run_id, None, None)
        while answer["kind"] != "wait":
            result = self._durably("execute", self._executed, run_id, answer)
            answer = self._durably("advance", self._advanced, run_id, answer, result)

    def _durably(self, name: str, function: Callable[..., Any], *arguments: Any) -> Any:
        """A step of DBOS: done once, its result remembered, as JSON text: no class of ours is pickled into a database
        that outlives releases. The observer is told before and after."""
        self._settings.observer(f"before {name}")
        result = self._launched().step(name, lambda: json.dumps(function(*arguments), ensure_ascii=False))
        self._settings.observer(f"after {name}")
        return json.loads(result)

    def _advanced(
        self, run_id: str, attempt: Mapping[str, Any] | None, result: Mapping[str, Any] | None
    ) -> Mapping[str, Any]:
        """Records how the attempt ended, then all that is to be recorded, then that the next attempt begins; returns
        that attempt, or that there is nothing to do. Repeating it changes nothing."""
        if attempt is not None and result is not None:
            self._ended(run_id, attempt, result)
            self._settings.observer("ended")
        while True:
            decision = decide(self._loaded(run_id), self._ports.clock.now_ms())
            if isinstance(decision, Wait):
                with self._guard:
                    self._timers.pop(run_id, None)
                    if decision.until_ms is not None:
                        self._timers[run_id] = decision.until_ms
                return {"kind": "wait"}
            if isinstance(decision, Record):
                self._recorded(run_id)
                self._settings.observer("recorded")
            elif self._begun(run_id, _document(decision)):
                self._settings.observer("begun")
                return _document(decision)

    def _recorded(self, run_id: str) -> None:
        """Records what is to be recorded now, which may be nothing any more."""

        def make(run: MigrationRun) -> Change | None:
            now_ms = self._ports.clock.now_ms()
            decision = decide(run, now_ms)
            return Change(decision.kind, decision.payload, ACTOR, now_ms) if isinstance(decision, Record) else None

        self._record.change(run_id, make)

    def _begun(self, run_id: str, answer: Mapping[str, Any]) -> bool:
        """Records that the attempt begins; False when it is not what is to be done any more."""
        began = False

        def make(run: MigrationRun) -> Change | None:
            nonlocal began
            now_ms = self._ports.clock.now_ms()
            decision = decide(run, now_ms)
            began = _same(decision, answer)
            progress = run.of(run.step(answer["step"]))
            if not began or _is_under_way(progress.state, answer["kind"]):
                return None
            kind = ChangeKind.STEP_STARTED if answer["kind"] == "execute" else ChangeKind.COMPENSATION_STARTED
            return Change(kind, {"step": answer["step"], "attempt": answer["attempt"]}, ACTOR, now_ms)

        self._record.change(run_id, make)
        return began

    def _executed(self, run_id: str, answer: Mapping[str, Any]) -> dict[str, Any]:
        run = self._loaded(run_id)
        step = run.step(answer["step"])
        if not _is_attempt_under_way(run, answer):
            return {"kind": "over"}  # recovered after its end was recorded
        is_compensation = answer["kind"] == "compensate"
        action = step.compensation if is_compensation else step.action
        assert action is not None  # only steps with a compensation are compensated
        context = StepContext(
            run=run,
            step=step,
            action=action,
            attempt_key=_attempt_key(answer),
            is_compensation=is_compensation,
            ports=self._ports,
            secret=Secrets(self._record.opening(run_id)["secrets"]).value,
            deadline_ms=answer.get("deadline_ms"),
            is_abandoned=lambda: not is_compensation and run_id in self._abandoned,
        )
        self._settings.observer(f"executing {answer['kind']} {step.step_id}")
        result = _guarded(context)
        self._settings.observer(f"executed {answer['kind']} {step.step_id}")
        return {"state": result.state.value, "message": result.message, "evidence": dict(result.evidence)}

    def _ended(self, run_id: str, answer: Mapping[str, Any], result: Mapping[str, Any]) -> None:
        """Records how the attempt ended, once."""

        def make(run: MigrationRun) -> Change | None:
            if "state" not in result or not _is_attempt_under_way(run, answer):
                return None
            named = {"step": answer["step"], "attempt": answer["attempt"], **result}
            kind = ChangeKind.STEP_ENDED
            if answer["kind"] == "compensate":
                named["ok"] = named.pop("state") == StepState.DONE
                kind = ChangeKind.COMPENSATION_ENDED
            return Change(kind, named, ACTOR, self._ports.clock.now_ms())

        self._record.change(run_id, make)

    def _warn_while_busy(self, now_ms: int) -> None:
        """A long step inside the window must not swallow the warning."""
        with self._guard:
            busy = [run_id for run_id, lock in self._locks.items() if lock.locked()]
        for run_id in busy:
            run = self._record.load(run_id)
            if run is not None and due_warning(run, now_ms):

                def make(run: MigrationRun) -> Change | None:
                    payload = {"last_moment_ms": last_moment_ms(run), "now_ms": now_ms}
                    return Change(ChangeKind.WARNED, payload, ACTOR, now_ms) if due_warning(run, now_ms) else None

                self._record.change(run_id, make)

    def _loaded(self, run_id: str) -> MigrationRun:
        run = self._record.load(run_id)
        if run is None:
            raise LookupError(run_id)
        return run


@dataclass(frozen=True, slots=True)
class Secrets:
    """Where the run's secrets are found; each is read when it is used, and kept nowhere."""

    places: Mapping[str, Mapping[str, str]]
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)

    def value(self, name: str) -> str:
        place = self.places[name]
        if place["env"]:
            value = self.environment.get(place["env"], "")
            if not value:
                raise StepImpossible(
                    f"密钥 {name}: 环境变量 {place['env']} 未设置；请在服务的环境中设置 / the secret {name}: the variable "
                    f"{place['env']} is not set; set it where the service runs"
                )
            return value
        try:
            return Path(place["file"]).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise StepImpossible(
                f"密钥 {name}: 文件 {place['file']} 读不出；请放好并给服务读权限 / the secret {name}: its file cannot be read "
                f"({error.strerror}); put it there, readable to the service"
            ) from None


def _guarded(context: StepContext) -> StepResult:
    """A step that cannot be carried out has failed, with the reason; so has one in which we made a mistake: the
    run is then held for a person, never lost."""
    try:
        return carry_out(context)
    except StepImpossible as error:
        return failed(str(error))
    except Exception as error:  # noqa: BLE001 - any failure of a step belongs to its run, and is recorded there
        _LOG.exception("step %s of %s failed", context.step.step_id, context.run.run_id)
        return failed(f"内部错误 / our fault: {type(error).__name__}: {error}")


def _document(decision: Execute | Compensate) -> dict[str, Any]:
    match decision:
        case Execute(step_id, attempt, deadline_ms):
            return {"kind": "execute", "step": step_id, "attempt": attempt, "deadline_ms": deadline_ms}
        case Compensate(step_id, attempt):
            return {"kind": "compensate", "step": step_id, "attempt": attempt}


def _same(decision: Decision, answer: Mapping[str, Any]) -> bool:
    """True when the decision is still the one that was answered; the deadline may have moved."""
    if not isinstance(decision, Execute | Compensate):
        return False
    now = _document(decision)
    return all(now.get(key) == answer.get(key) for key in ("kind", "step", "attempt"))


def _is_under_way(state: StepState, kind: str) -> bool:
    return state is (StepState.RUNNING if kind == "execute" else StepState.COMPENSATING)


def _is_attempt_under_way(run: MigrationRun, answer: Mapping[str, Any]) -> bool:
    progress = run.of(run.step(answer["step"]))
    attempt = progress.attempt if answer["kind"] == "execute" else progress.compensation_attempt
    return bool(attempt == answer["attempt"]) and _is_under_way(progress.state, answer["kind"])


def _attempt_key(answer: Mapping[str, Any]) -> str:
    """A short name for a folder or a header, the same for the same attempt for ever."""
    name = f"{answer['kind']}/{answer['step']}/{answer['attempt']}"
    readable = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in answer["step"])
    return (
        f"{readable[:40]}.{answer['kind'][0]}{answer['attempt']}.{hashlib.sha256(name.encode()).hexdigest()[:8]}"
    )

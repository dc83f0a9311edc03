"""What people may do with migration runs: open, approve, refuse, pause, resume, skip, retry, roll back, look.

The control plane holds one for the gateways (writes take turns with its writer), the command line uses it directly
where no service runs. It checks who may do what (roles, segregation of duties) and records; the driver, wherever it
runs, sees the change and goes on. What a user does wrong is a `RequestRefused` with one clear line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from inventory.model.calendar import Window as CalendarWindow
from scheduler.core.migration.decisions import in_window
from scheduler.core.migration.go_no_go import OVERRUN_EVIDENCE
from scheduler.core.migration.moves import WaveMoves, plan_document
from scheduler.core.migration.phases import Phase, Role
from scheduler.core.migration.run import Change, ChangeKind, MigrationRun, Step
from scheduler.core.migration.transitions import IllegalChange, MigrationState, StepState
from scheduler.runbooks.admission import KnownSystem, misfits, of_the_ledger, unasked_documents
from scheduler.runbooks.expansion import opening
from scheduler.runbooks.faults import RefusalKind, RequestRefused, RunbookRefused
from scheduler.runbooks.order import Order, planned_window, read_order
from scheduler.runbooks.pool_rules import KnownPool, pool_faults
from scheduler.runbooks.record import DRIVER, RunRecord
from scheduler.runbooks.site import Site, read_site, read_templates
from scheduler.runbooks.template import read_template
from scheduler.runbooks.template_rules import UNSKIPPABLE
from scheduler.runbooks.wave_orders import wave_orders

# Methods that write nothing; the others are one transaction each.
READS = frozenset({"show", "list", "history"})


@dataclass(frozen=True, slots=True)
class Paper:
    """What an approval stands on: a document's number (文号) and the SHA-256 of its file."""

    number: str
    sha256: str


class RunDesk:
    """`known_systems` maps every key that an order may use to what the ledger says of that system, `known_pools` the
    registered pools by id; `now_ms` tells the moment of a request (UTC since 1970)."""

    def __init__(
        self,
        record: RunRecord,
        now_ms: Callable[[], int],
        known_systems: Callable[[], Mapping[str, KnownSystem]],
        known_pools: Callable[[], Mapping[str, KnownPool]],
    ) -> None:
        self._record = record
        self._now_ms = now_ms
        self._known_systems = known_systems
        self._known_pools = known_pools

    def open(self, template_text: str, order_text: str, actor: str, window: CalendarWindow | None = None) -> str:
        """Opens a run and returns its id; the driver begins at once. `window`, from a wave plan, replaces the
        order's. RequestRefused INVALID with every fault of template, order, and both together."""
        try:
            template = read_template(template_text, "runbook")
            known = self._known_systems()
            order = of_the_ledger(_with_window(read_order(order_text, "order"), window), known)
            payload = opening(template, order)
            faults = [
                *misfits(template, order, known, _named(actor), self._now_ms()),
                *unasked_documents(order.documents, [template]),
                *pool_faults(template, order, payload["steps"], known, self._known_pools()),
            ]
            if faults:
                raise RunbookRefused(faults)
        except RunbookRefused as refused:
            raise RequestRefused(RefusalKind.INVALID, str(refused), "RUNBOOK_REFUSED") from None
        self._require_movable(order)
        return self._record.open(payload, actor=_named(actor), now_ms=self._now_ms())

    def open_wave(
        self, site_text: str, runbooks: Mapping[str, str], moves: WaveMoves, actor: str
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Opens one run for each move group of a wave, all or none. Returns their ids, and the systems (ledger keys)
        that wait until what they are merged into was moved. `runbooks` holds the texts of the templates by the names
        that the site file has for them. RequestRefused INVALID with everything that is missing, of every group."""
        now_ms, known, pools = self._now_ms(), self._known_systems(), self._known_pools()
        try:
            site = read_site(site_text, "site")
            templates = read_templates(runbooks)
            made, waiting = wave_orders(site, templates, moves, now_ms)
            payloads: list[Mapping[str, Any]] = []
            faults = unasked_documents(dict.fromkeys(_papers_of(site)), templates.values())
            for one in made:
                try:
                    payload = opening(one.template, one.order)
                    payload = {**payload, "plan": plan_document(moves, one.members)}
                    overrun = moves.overrun_of(one.members)
                    if overrun is not None:
                        payload["evidence"] = {**payload["evidence"], OVERRUN_EVIDENCE: overrun}
                    payloads.append(payload)
                    faults += misfits(one.template, one.order, known, _named(actor), now_ms)
                    faults += pool_faults(one.template, one.order, payload["steps"], known, pools)
                except RunbookRefused as refused:
                    faults += refused.faults
            if faults:
                raise RunbookRefused(faults)
        except RunbookRefused as refused:
            raise RequestRefused(RefusalKind.INVALID, str(refused), "RUNBOOK_REFUSED") from None
        for one in made:
            self._require_movable(one.order)
        return self._record.open_all(payloads, actor=_named(actor), now_ms=now_ms), waiting

    def approve(
        self, run_id: str, step_id: str, actor: str, paper: Paper, duties: frozenset[str] | None = None
    ) -> None:
        """A person of the step's role says yes. PRECONDITION for the wrong person or the wrong moment. `duties`: the
        roles that access control has granted to him, which then decide; none: those of the order do."""

        def make(run: MigrationRun) -> Change:
            step = _awaited(run, step_id)
            _require_may_approve(run, step, _named(actor), duties)
            if not paper.number.strip():
                raise _refused("审批须有文号 / an approval needs a document number: --number")
            payload = {"step": step.step_id, "number": paper.number, "sha256": paper.sha256}
            return self._change(ChangeKind.APPROVED, payload, actor)

        self._changed(run_id, make)

    def refuse(
        self, run_id: str, step_id: str, actor: str, reason: str, duties: frozenset[str] | None = None
    ) -> None:
        """A person of the step's role says no: the run is held. `duties` as in `approve`."""

        def make(run: MigrationRun) -> Change:
            step = _awaited(run, step_id)
            _require_may_approve(run, step, _named(actor), duties)
            payload = {"step": step.step_id, "reason": _reason(reason)}
            return self._change(ChangeKind.REFUSED, payload, actor)

        self._changed(run_id, make)

    def pause(self, run_id: str, actor: str, reason: str) -> None:
        """No further step begins. The window's clock goes on: an overrun is still rolled back by policy."""
        self._changed(run_id, lambda run: self._change(ChangeKind.PAUSED, {"reason": _reason(reason)}, actor))

    def resume(self, run_id: str, actor: str) -> None:
        def make(run: MigrationRun) -> Change:
            if run.state is not MigrationState.PAUSED:
                raise _refused(
                    f"{run_id} 未暂停 ({run.state}) / is not paused; a held run is retried, skipped or rolled back"
                )
            return self._change(ChangeKind.RESUMED, {}, actor)

        self._changed(run_id, make)

    def retry(self, run_id: str, actor: str) -> None:
        """The failed step once more, and only that; what was done stays done."""

        def make(run: MigrationRun) -> Change:
            return self._change(ChangeKind.RETRIED, {"step": _failed(run).step_id}, actor)

        self._changed(run_id, make)

    def skip(self, run_id: str, actor: str, reason: str, number: str = "") -> None:
        """Leaves the failed step out, on a person's word, which stands in the place of its evidence."""

        def make(run: MigrationRun) -> Change:
            step = _failed(run)
            if step.kind in UNSKIPPABLE or run.of(step).state is StepState.COMPENSATION_FAILED:
                raise _refused(
                    f"{step.step_id} ({step.kind}) 不可跳过；请 retry 或 rollback / cannot be skipped; retry it, or roll back"
                )
            payload = {"step": step.step_id, "reason": _reason(reason), "number": number}
            return self._change(ChangeKind.SKIPPED, payload, actor)

        self._changed(run_id, make)

    def roll_back(self, run_id: str, actor: str, reason: str) -> None:
        """Undoes everything that was done, last first, for the whole group."""

        def make(run: MigrationRun) -> Change:
            if run.is_committed:
                raise _refused(
                    f"{run_id} 已过提交点 {run.policy.commit_point}，不能回退 / is past its commit point; there is no rollback"
                )
            return self._change(ChangeKind.ROLLBACK_BEGUN, {"reason": _reason(reason)}, actor)

        self._changed(run_id, make)

    def show(self, run_id: str) -> dict[str, Any]:
        """The run as a document: state, steps, evidence, what it waits for and who may do it."""
        run = self._record.load(run_id)
        if run is None:
            raise _unknown(run_id)
        return run_document(run)

    def list(self) -> tuple[dict[str, Any], ...]:
        """Every run in short, oldest first."""
        found = (self._record.load(run_id) for run_id in self._record.run_ids())
        return tuple(_short(run) for run in found if run is not None)

    def history(self, run_id: str) -> tuple[dict[str, Any], ...]:
        """Every event of the run: number, moment, kind, actor, hash, payload (the opening's without its steps)."""
        entries = self._record.entries(run_id)
        if not entries:
            raise _unknown(run_id)
        return tuple(
            {
                "seq": entry.seq,
                "at": _moment(entry.change.at_ms),
                "kind": entry.change.kind.value,
                "actor": entry.change.actor,
                "hash": entry.hash,
                "payload": {key: value for key, value in entry.change.payload.items() if key != "steps"},
            }
            for entry in entries
        )

    def _change(self, kind: ChangeKind, payload: Mapping[str, Any], actor: str) -> Change:
        return Change(kind, payload, _named(actor), self._now_ms())

    def _changed(self, run_id: str, make: Callable[[MigrationRun], Change]) -> None:
        with _translated(run_id):
            self._record.change(run_id, make)

    def _require_movable(self, order: Order) -> None:
        """No system is in another run that is under way."""
        wanted = {system.key for system in order.systems}
        for run_id in self._record.run_ids():
            run = self._record.load(run_id)
            if run is not None and not run.state.is_final:
                shared = sorted(wanted & {system.system_key for system in run.systems})
                if shared:
                    raise RequestRefused(
                        RefusalKind.PRECONDITION,
                        f"系统 {shared[0]} 正由 {run_id} 迁移；请等其结束或先回退 / the system {shared[0]} is being moved "
                        f"by {run_id}; wait for it, or roll it back first",
                        "SYSTEM_BUSY",
                    )


def _papers_of(site: Site) -> Iterator[str]:
    for documents in (site.documents, *(system.documents for system in site.systems.values())):
        yield from documents


def run_document(run: MigrationRun) -> dict[str, Any]:
    """The JSON form of a run (docs/runbooks.md)."""
    awaited = next((step for step in run.steps if step.step_id == run.waiting_for), None)
    return {
        **_short(run),
        "commit_point": run.policy.commit_point.value,
        "is_committed": run.is_committed,
        "in_window": in_window(run),
        "window": {"starts": _moment(run.window.starts_ms), "ends": _moment(run.window.ends_ms)},
        "waiting_for": run.waiting_for or None,
        "may_approve": sorted(_may_approve(run, awaited)) if awaited is not None and awaited.role else [],
        "steps": [
            {
                "id": step.step_id,
                "phase": step.phase.value,
                "kind": step.kind,
                "title": step.title,
                "state": run.of(step).state.value,
                "attempt": run.of(step).attempt,
                "message": run.of(step).message,
                "milliseconds": max(0, run.of(step).ended_ms - run.of(step).started_ms),
            }
            for step in run.steps
        ],
        "evidence": dict(run.evidence),
        "systems": [
            {"key": one.system_key, "outcome": one.outcome, "into": one.into or None} for one in run.systems
        ],
    }


def _short(run: MigrationRun) -> dict[str, Any]:
    return {
        "run_id": run.run_id,
        "title": run.title,
        "state": run.state.value,
        "phase": _phase(run).value,
        "reason": run.reason,
        "changed": _moment(run.changed_ms),
    }


def _phase(run: MigrationRun) -> Phase:
    """The phase of the step that is next, or the last one."""
    passed = (StepState.DONE, StepState.SKIPPED, StepState.COMPENSATED)
    return next((step.phase for step in run.steps if run.of(step).state not in passed), run.phases[-1])


def _may_approve(run: MigrationRun, step: Step) -> frozenset[str]:
    """The people of the step's role; who executed the run is not among those who accept it (职责分离)."""
    assert step.role is not None
    people = run.people.get(step.role, frozenset())
    return people - run.executors if step.phase is Phase.ACCEPTANCE else people


def _require_may_approve(run: MigrationRun, step: Step, actor: str, duties: frozenset[str] | None) -> None:
    role: Role | None = step.role
    assert role is not None
    if duties:
        if role.value not in duties:
            raise _refused(
                f"{actor} 未被授予职责 {role} ({role.label}) / {actor} was not granted the duty {role}: "
                f"approver:{role}@..., see docs/access.md"
            )
    elif actor not in run.people.get(role, frozenset()):
        named = "、".join(sorted(run.people.get(role, frozenset())))
        raise _refused(
            f"{actor} 没有角色 {role} ({role.label})；有此角色的是 {named} / {actor} does not have the role {role}; "
            f"those who have: {named}"
        )
    if step.phase is Phase.ACCEPTANCE and actor in run.executors:
        raise _refused(
            f"{actor} 执行过 {run.run_id}，不能验收（职责分离）/ {actor} executed {run.run_id} and cannot accept it "
            "(segregation of duties); another person of the role must"
        )


def _awaited(run: MigrationRun, step_id: str) -> Step:
    """The approval that the run waits for; `step_id` empty means that one."""
    if run.state is not MigrationState.WAITING:
        raise _refused(f"{run.run_id} 现在不等待审批 ({run.state}) / does not wait for an approval now")
    step = run.step(run.waiting_for)
    if step.role is None:
        raise _refused(f"{run.run_id} 在等割接窗口，不等审批 / waits for its window, not for an approval")
    if step_id and step_id != step.step_id:
        raise _refused(
            f"{run.run_id} 等待的是 {step.step_id}，不是 {step_id} / waits for {step.step_id}, not for {step_id}"
        )
    return step


def _failed(run: MigrationRun) -> Step:
    """The one step at which the run is held."""
    ended = (StepState.FAILED, StepState.UNKNOWN, StepState.COMPENSATION_FAILED)
    if run.state in (MigrationState.HELD, MigrationState.ROLLBACK_HELD):
        for step in run.steps:
            if run.of(step).state in ended:
                return step
    raise _refused(f"{run.run_id} 没有失败的步骤 ({run.state}) / has no failed step")


def _with_window(order: Order, window: CalendarWindow | None) -> Order:
    if window is None:
        return order
    return order.model_copy(update={"window": planned_window(window)})


def _moment(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")


def _named(actor: str) -> str:
    if not actor.strip():
        raise RequestRefused(RefusalKind.INVALID, "须写明经办人 / the actor must be named", "NO_ACTOR")
    if actor.strip() == DRIVER:
        raise RequestRefused(
            RefusalKind.INVALID,
            f"{DRIVER} 是程序的名字；请写经办人 / is the program's name; name a person",
            "NO_ACTOR",
        )
    return actor.strip()


def _reason(text: str) -> str:
    if not text.strip():
        raise RequestRefused(RefusalKind.INVALID, "须写明原因 / a reason is required", "NO_REASON")
    return text.strip()


def _refused(message: str) -> RequestRefused:
    return RequestRefused(RefusalKind.PRECONDITION, message, "RUN_REFUSES")


def _unknown(run_id: str) -> RequestRefused:
    return RequestRefused(
        RefusalKind.UNKNOWN, f"没有 {run_id}；见 xisuan migration runs / there is no run {run_id}", "NO_SUCH_RUN"
    )


@contextmanager
def _translated(run_id: str) -> Iterator[None]:
    try:
        yield
    except IllegalChange as error:
        raise _refused(f"{run_id}: 现在不能这样做 / this cannot be done now: {error}") from None
    except LookupError:
        raise _unknown(run_id) from None

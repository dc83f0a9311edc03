"""The steps that reach a pool through the scheduler: `workload`, its cancellation, `reserve`, `release`."""

from __future__ import annotations

from scheduler.runbooks.ports import Capacity, CapacityRefused, PoolTask, PoolUnavailable
from scheduler.runbooks.steps.context import StepContext, StepResult, done, failed

MIB = 1024**2


def run_workload(context: StepContext) -> StepResult:
    """Submits the workload (again: the same one) and waits until it runs, or has succeeded."""
    action = context.action
    last = [""]
    submitted: list[str] = []

    def look() -> StepResult | None:
        try:
            if not submitted:
                submitted.append(context.ports.workloads.submit(_task(context)))
            workload_id = submitted[0]
            state = context.ports.workloads.state(workload_id)
        except PoolUnavailable as error:
            last[0] = str(error)
            return None
        last[0] = f"{workload_id} {state.state} {state.message}".strip()
        if state.state in ("failed", "cancelled"):
            return failed(last[0], workload=workload_id)
        if state.state == "succeeded" or state.state == action["until"]:
            return done(workload=workload_id)
        return None

    return context.until(look) or failed(f"未及时 / not in time {action['until']}: {last[0]}")


def cancel_workload(context: StepContext) -> StepResult:
    """Ends the workloads of every attempt of the step."""
    last = [""]

    def cancel() -> StepResult | None:
        try:
            for attempt in range(1, context.run.of(context.step).attempt + 1):
                workload_id = context.ports.workloads.submit(_task(context, attempt))
                context.ports.workloads.cancel(workload_id, f"{context.run.run_id} 回退 / rolled back")
        except PoolUnavailable as error:
            last[0] = str(error)
            return None
        return done()

    return context.until(cancel) or failed(f"未能取消 / could not be cancelled: {last[0]}")


def reserve(context: StepContext) -> StepResult:
    action = context.action
    capacity = Capacity(context.run.run_id, action["pool"], action["cpu_milli"], action["memory_mib"] * MIB)
    last = [""]

    def hold() -> StepResult | None:
        try:
            return done(held=context.ports.reservations.hold(capacity), pool=action["pool"])
        except CapacityRefused as error:
            return failed(str(error))
        except PoolUnavailable as error:
            last[0] = str(error)
            return None

    return context.until(hold) or failed(last[0])


def release(context: StepContext) -> StepResult:
    keeps = context.action.get("keeps", "nothing")  # runs that were opened before had none
    last = [""]

    def let_go() -> StepResult | None:
        try:
            context.ports.reservations.release(context.run.run_id, as_allocation=keeps == "allocation")
        except PoolUnavailable as error:
            last[0] = str(error)
            return None
        return done(keeps=keeps)

    return context.until(let_go) or failed(last[0])


def _task(context: StepContext, attempt: int = 0) -> PoolTask:
    action = context.step.action
    number = attempt or context.run.of(context.step).attempt
    return PoolTask(
        # An attempt that failed is followed by another workload; a repeated call of one attempt is the same.
        key=f"{context.run.run_id}/{context.step.step_id}/{number}",
        name=context.step.title,
        pool_id=action["pool"],
        command=tuple(action["command"]),
        environment=action["environment"],
        cpu_milli=action["cpu_milli"],
        memory_bytes=action["memory_mib"] * MIB,
        estimated_ms=action.get("estimated_minutes", 0) * 60_000,  # runs that were opened before had none
    )

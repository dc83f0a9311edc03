"""Outlooks, dry runs and warnings as messages: what `WorkloadServicer` answers about the future."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from adapters.wire.opinions import opinion_to_wire
from adapters.wire.scalars import VERDICTS, WORKLOAD_STATES, duration_to_wire, timestamp_to_wire
from adapters.wire.workloads import submission_to_wire
from inventory.model.submission_batch import SubmissionBatch
from inventory.model.workload import Submission
from scheduler.core.admission import Accepted
from scheduler.core.placement.explain import Explanation
from scheduler.forecast.counterfactuals import Counterfactual
from scheduler.forecast.forecast import StartForecast
from scheduler.services.outlooks import Outlook, Stopped, Warned, summary
from scheduler.services.ports import ArrayPlacement, DryRunPlacement
from xisuan.common.v1 import common_pb2
from xisuan.workload.v1 import workload_pb2
from xisuan.workload.v1 import workload_service_pb2 as pb


def explain_answer(said: Explanation, outlook: Outlook) -> pb.ExplainResponse:
    return pb.ExplainResponse(
        opinions=[opinion_to_wire(opinion) for opinion in said.opinions],
        refusals_by_code={code.value: count for code, count in said.counts},
        summary_zh=said.summary_zh,
        summary_en=said.summary_en,
        verdict=VERDICTS[said.verdict] if said.verdict is not None else common_pb2.VERDICT_UNSPECIFIED,
        counterfactuals=[_counterfactual(one) for one in outlook.counterfactuals],
        forecast=forecast_to_wire(outlook.forecast),
    )


def forecast_to_wire(said: StartForecast | None) -> pb.StartForecast | None:
    if said is None:
        return None
    summary_zh, summary_en = summary(said)
    return pb.StartForecast(
        earliest=timestamp_to_wire(said.earliest_ms),
        latest=timestamp_to_wire(said.latest_ms),
        median=timestamp_to_wire(said.median_ms),
        probability=said.probability,
        futures=said.futures,
        not_started=said.not_started,
        pool_id=said.pool_id,
        finish_earliest=timestamp_to_wire(said.finish_earliest_ms),
        finish_latest=timestamp_to_wire(said.finish_latest_ms),
        summary_zh=summary_zh,
        summary_en=summary_en,
    )


def dry_run_result(answer: DryRunPlacement) -> pb.DryRunResult:
    return pb.DryRunResult(
        placement=pb.DryRunPlacement(
            pool_id=answer.pool_id,
            nodes=answer.nodes,
            opinions=[opinion_to_wire(opinion) for opinion in answer.explanation.opinions],
            estimated_cost_cny=answer.estimated_cost_cny,
            carbon_g=answer.carbon_g,
            forecast=forecast_to_wire(answer.forecast),
            victims=[_victim(one) for one in answer.victims],
            warnings=[warning_to_wire(one) for one in answer.warnings],
            staging=duration_to_wire(answer.staging_ms),
            array=_array(answer.array),
        )
    )


def _array(counted: ArrayPlacement | None) -> pb.ArrayPlacement | None:
    if counted is None:
        return None
    placed = [pb.PoolElements(pool_id=pool_id, elements=elements) for pool_id, elements in counted.placed]
    return pb.ArrayPlacement(placed=placed, waiting=counted.waiting, later=counted.later)


class AcceptedAnswers:
    """Answers to one call: the workloads as stored, from what was submitted and what has become of it."""

    def __init__(self, batch: SubmissionBatch, warned: Mapping[str, Warned]) -> None:
        self._batch = batch
        self._specs = [_spec_of(like) for like in batch.templates]
        self._warned = warned

    def fill(self, answer: pb.SubmitResponse, position: int, outcome: Accepted) -> None:
        """Writes the answer to submission `position` of the batch."""
        workload = answer.workload
        workload.workload_id = outcome.workload_id
        workload.spec.CopyFrom(self._specs[self._batch.template[position]])
        workload.spec.client_key = self._batch.client_keys[position]
        workload.spec.name = self._batch.names[position]
        if outcome.after:
            workload.spec.after[:] = outcome.after  # ids, where the submission may have named keys
        workload.state = WORKLOAD_STATES[outcome.state]
        workload.submitted_at.FromMilliseconds(outcome.submitted_ms)
        workload.message = outcome.message
        answer.created = outcome.created
        if (warning := self._warned.get(outcome.workload_id)) is not None:
            answer.warnings.append(warning_to_wire(warning))


_MOST_KEPT: Final = 1024
_LONGEST_KEPT: Final = 16 * 1024  # bytes
# By identity: the gateway reads what is alike as one object (`adapters.wire.submissions`), which is kept beside its spec.
_specs: dict[int, tuple[Submission, workload_pb2.WorkloadSpec]] = {}


def _spec_of(like: Submission) -> workload_pb2.WorkloadSpec:
    """`submission_to_wire`, written once for all that are alike. To be copied from."""
    kept = _specs.get(id(like))
    if kept is not None:
        return kept[1]
    spec = submission_to_wire(like)
    if spec.ByteSize() <= _LONGEST_KEPT:
        if len(_specs) >= _MOST_KEPT:
            _specs.clear()
        _specs[id(like)] = (like, spec)
    return spec


def warning_to_wire(one: Warned) -> pb.Warning:
    return pb.Warning(code=one.code, message_zh=one.message_zh, message_en=one.message_en)


def _counterfactual(one: Counterfactual) -> pb.Counterfactual:
    return pb.Counterfactual(
        code=one.code,
        change_zh=one.change_zh,
        change_en=one.change_en,
        pool_id=one.pool_id,
        at=timestamp_to_wire(one.at_ms) if one.at_ms else None,
    )


def _victim(one: Stopped) -> pb.Victim:
    return pb.Victim(run_id=one.run_id, workload_id=one.workload_id, pool_id=one.pool_id, queue=one.queue)

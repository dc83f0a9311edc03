"""Outlooks, dry runs and warnings as messages: what `WorkloadServicer` answers about the future."""

from __future__ import annotations

from collections.abc import Mapping

from adapters.wire.opinions import opinion_to_wire
from adapters.wire.scalars import VERDICTS, duration_to_wire, timestamp_to_wire
from adapters.wire.workloads import workload_to_wire
from scheduler.core.admission import Accepted
from scheduler.core.placement.explain import Explanation
from scheduler.forecast.counterfactuals import Counterfactual
from scheduler.forecast.forecast import PROBABILITY, StartForecast
from scheduler.services.outlooks import Outlook, Stopped, Warned, summary
from scheduler.services.ports import DryRunPlacement
from xisuan.common.v1 import common_pb2
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
        probability=PROBABILITY,
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
        )
    )


def accepted_answer(outcome: Accepted, warned: Mapping[str, Warned]) -> pb.SubmitResponse:
    warning = warned.get(outcome.workload.workload_id)
    return pb.SubmitResponse(
        workload=workload_to_wire(outcome.workload),
        created=outcome.created,
        warnings=[warning_to_wire(warning)] if warning is not None else [],
    )


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

"""Reasons and opinions of pools between the model and protobuf: what Explain and DryRun answer with."""

from __future__ import annotations

from adapters.wire.inspection import Inspection
from adapters.wire.scalars import VERDICTS
from inventory.model.placement import NodesRefused, PoolOpinion, Reason, ReasonCode
from xisuan.common.v1 import common_pb2
from xisuan.workload.v1 import workload_service_pb2


def reason_to_wire(reason: Reason) -> common_pb2.Reason:
    return common_pb2.Reason(
        code=reason.code,
        verdict=VERDICTS[reason.verdict],
        needed=reason.needed,
        offered=reason.offered,
        remedy_zh=reason.remedy_zh,
        remedy_en=reason.remedy_en,
        nodes=[
            common_pb2.NodesRefused(
                code=one.code, nodes=one.nodes, nearest_zh=one.nearest_zh, nearest_en=one.nearest_en
            )
            for one in reason.nodes
        ],
    )


def reason_from_wire(message: common_pb2.Reason, check: Inspection, path: str) -> Reason:
    """The reason; its verdict follows from its code. An unknown code is a violation."""
    known = {code.value: code for code in ReasonCode}
    if message.code not in known:
        check.refuse(
            f"{path}.code", message.code, "没有这个原因代码", f"unknown reason; known are: {', '.join(known)}"
        )
    return Reason(
        code=known.get(message.code, ReasonCode.UNREACHABLE),
        needed=message.needed,
        offered=message.offered,
        remedy_zh=message.remedy_zh,
        remedy_en=message.remedy_en,
        nodes=tuple(
            NodesRefused(known[one.code], one.nodes, one.nearest_zh, one.nearest_en)
            for one in message.nodes
            if one.code in known
        ),
    )


def opinion_to_wire(opinion: PoolOpinion) -> workload_service_pb2.PoolOpinion:
    return workload_service_pb2.PoolOpinion(
        pool_id=opinion.pool_id,
        reasons=[reason_to_wire(reason) for reason in opinion.reasons],
        scores=dict(opinion.scores),
        score=opinion.score,
    )


def opinion_from_wire(message: workload_service_pb2.PoolOpinion, path: str = "opinion") -> PoolOpinion:
    """The opinion, its scores in the order of their names. Raises InvalidMessage for an unknown reason."""
    check = Inspection()
    opinion = PoolOpinion(
        pool_id=message.pool_id,
        reasons=tuple(
            reason_from_wire(reason, check, f"{path}.reasons[{i}]") for i, reason in enumerate(message.reasons)
        ),
        scores=tuple(sorted(message.scores.items())),
        score=message.score,
    )
    check.close()
    return opinion

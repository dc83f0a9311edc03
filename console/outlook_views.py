"""Estimates, counterfactuals and dry runs as people and programs see them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from xisuan.client import ArrayPlacement, Counterfactual, DryRunPlacement, StartForecast


class Timestamp(Protocol):
    def ToMilliseconds(self) -> int: ...


def forecast_line(said: StartForecast) -> str:
    return f"{said.summary_zh} / {said.summary_en}"


def forecast_json(said: StartForecast) -> dict[str, Any]:
    return {
        "earliest_ms": _at(said.earliest),
        "latest_ms": _at(said.latest),
        "median_ms": _at(said.median),
        "probability": said.probability,
        "futures": said.futures,
        "not_started": said.not_started,
        "pool_id": said.pool_id or None,
        "finish_earliest_ms": _at(said.finish_earliest),
        "finish_latest_ms": _at(said.finish_latest),
    }


def _at(stamp: Timestamp) -> int | None:
    """Absent moments are None."""
    return stamp.ToMilliseconds() or None


def counterfactual_lines(found: Iterable[Counterfactual]) -> list[str]:
    """One line each: the change, and where it would start then; before them what they leave out of account."""
    found = list(found)
    if not found:
        return []
    return [
        "只改一处、且不计其他等待者时 / with one change, and but for others that wait:",
    ] + [
        f"  若{one.change_zh}，可在 {one.pool_id} 开始 / with {one.change_en} it starts in {one.pool_id}"
        if one.code != "time"
        else f"  {one.change_zh}，可在 {one.pool_id} 开始 / {one.change_en} it starts in {one.pool_id}"
        for one in found
    ]


def counterfactual_json(one: Counterfactual) -> dict[str, Any]:
    return {
        "code": one.code,
        "change_zh": one.change_zh,
        "change_en": one.change_en,
        "pool_id": one.pool_id,
        "at_ms": _at(one.at),
    }


def dry_run_lines(placement: DryRunPlacement) -> list[str]:
    """What a dry run tells besides the placement: elements, warnings, victims, staging, the estimate."""
    lines = [_elements_line(placement.array)] if placement.HasField("array") else []
    lines += [f"  ⚠ {one.message_zh} / {one.message_en}" for one in placement.warnings]
    if placement.HasField("forecast"):
        lines.append(f"  {forecast_line(placement.forecast)}")
    if placement.HasField("staging"):
        seconds = placement.staging.ToMilliseconds() / 1000
        lines.append(f"  输入数据传输约 {seconds:g} 秒 / its inputs take about {seconds:g} s to get there")
    for one in placement.victims:
        lines.append(
            f"  将抢占 {one.workload_id}（队列 {one.queue}，{one.pool_id}）/ would stop {one.workload_id} of queue "
            f"{one.queue} in {one.pool_id}"
        )
    return lines


def _elements_line(array: ArrayPlacement) -> str:
    """Where the elements of an array would go, and how many would wait, for room or for their turn."""
    counts = [(one.elements, f"→ {one.pool_id}", f"in {one.pool_id}") for one in array.placed]
    counts.append((array.waiting, "等待资源", "waiting for room"))
    counts.append((array.later, "等待轮次", "waiting for their turn"))
    told = [(count, zh, en) for count, zh, en in counts if count]
    chinese = "，".join(f"{count} 个{zh}" for count, zh, _ in told)
    english = ", ".join(f"{count} {en}" for count, _, en in told)
    return f"  元素：{chinese} / elements: {english}"


def dry_run_json(placement: DryRunPlacement) -> dict[str, Any]:
    return {
        "carbon_g": placement.carbon_g if placement.HasField("carbon_g") else None,
        "staging_ms": placement.staging.ToMilliseconds(),
        "forecast": forecast_json(placement.forecast) if placement.HasField("forecast") else None,
        "victims": [
            {"run_id": one.run_id, "workload_id": one.workload_id, "pool_id": one.pool_id, "queue": one.queue}
            for one in placement.victims
        ],
        "array": _array_json(placement.array) if placement.HasField("array") else None,
        "warnings": [
            {"code": one.code, "message_zh": one.message_zh, "message_en": one.message_en}
            for one in placement.warnings
        ],
    }


def _array_json(array: ArrayPlacement) -> dict[str, Any]:
    return {
        "placed": {one.pool_id: one.elements for one in array.placed},
        "waiting": array.waiting,
        "later": array.later,
    }

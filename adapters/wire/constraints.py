"""What workloads ask of nodes beyond amounts, and what nodes say of themselves, between the model and protobuf.

`workloads` and `pools` use it. Sets become sorted lists, so that equal values are equal bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from adapters.wire.inspection import Inspection
from adapters.wire.words import WordRule
from inventory.model.constraints import (
    ANY,
    NODE,
    AcceleratorKind,
    Affinity,
    InputPlace,
    Labels,
    NodeSelector,
    SelectorOperator,
    Spread,
    Taint,
    Toleration,
)
from xisuan.pool.v1 import pool_adapter_service_pb2
from xisuan.workload.v1 import workload_pb2

MAX_RULES = 64  # selectors, tolerations, values of one selector, inputs
MAX_NEIGHBOUR_RULES = 16  # placement labels, affinities, spreads
MAX_SKEW = 10_000
MAX_INPUT_BYTES = 2**60

LABEL_KEY = WordRule(
    128, re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*"), "字母、数字、“.”、“_”、“-”、“/”", "letters, digits, . _ - /"
)
LABEL_VALUE = WordRule(256, may_be_empty=True)
_PLACE = WordRule(128)
OPERATORS: dict[SelectorOperator, workload_pb2.SelectorOperator.ValueType] = {
    SelectorOperator.IN: workload_pb2.SELECTOR_OPERATOR_IN,
    SelectorOperator.NOT_IN: workload_pb2.SELECTOR_OPERATOR_NOT_IN,
    SelectorOperator.EXISTS: workload_pb2.SELECTOR_OPERATOR_EXISTS,
    SelectorOperator.DOES_NOT_EXIST: workload_pb2.SELECTOR_OPERATOR_DOES_NOT_EXIST,
}
_OPERATOR_OF = {0: SelectorOperator.IN, **{int(number): operator for operator, number in OPERATORS.items()}}
_HAS_VALUES = (SelectorOperator.IN, SelectorOperator.NOT_IN)


def kind_from_wire(text: str, check: Inspection, path: str) -> AcceleratorKind | None:
    if not text:
        return None
    if text in tuple(AcceleratorKind):
        return AcceleratorKind(text)
    known = ", ".join(AcceleratorKind)
    check.refuse(path, text, f"没有这类加速卡，可用：{known}", f"unknown kind of accelerator; known are: {known}")
    return None


def labels_from_wire(given: Mapping[str, str], check: Inspection, path: str, most: int = MAX_RULES) -> Labels:
    check.whole_number(f"{path}.length", len(given), 0, most)
    for key, value in given.items():
        LABEL_KEY.inspect(key, check, path)
        LABEL_VALUE.inspect(value, check, f"{path}[{key!r}]")
    return frozenset(given.items())


def selectors_from_wire(
    given: Iterable[workload_pb2.NodeSelector], check: Inspection, path: str
) -> frozenset[NodeSelector]:
    selectors = [_selector(one, check, f"{path}[{i}]") for i, one in enumerate(given)]
    check.whole_number(f"{path}.length", len(selectors), 0, MAX_RULES)
    return frozenset(selectors)


def _selector(message: workload_pb2.NodeSelector, check: Inspection, path: str) -> NodeSelector:
    LABEL_KEY.inspect(message.key, check, f"{path}.key")
    operator = _OPERATOR_OF.get(message.operator)
    if operator is None:
        known = ", ".join(SelectorOperator)
        check.refuse(
            f"{path}.operator", message.operator, f"没有这种比较，可用：{known}", f"unknown; known: {known}"
        )
        operator = SelectorOperator.EXISTS
    elif operator in _HAS_VALUES:
        check.whole_number(f"{path}.values.length", len(message.values), 1, MAX_RULES)
    elif message.values:
        check.refuse(f"{path}.values", message.values[0], f"{operator} 不带值", f"{operator} takes no values")
    for i, value in enumerate(message.values):
        LABEL_VALUE.inspect(value, check, f"{path}.values[{i}]")
    return NodeSelector(message.key, operator, frozenset(message.values))


def tolerations_from_wire(
    given: Iterable[workload_pb2.Toleration], check: Inspection, path: str
) -> frozenset[Toleration]:
    tolerations = [Toleration(one.key, one.value) for one in given]
    check.whole_number(f"{path}.length", len(tolerations), 0, MAX_RULES)
    for i, one in enumerate(tolerations):
        if one.key != ANY:
            LABEL_KEY.inspect(one.key, check, f"{path}[{i}].key")
        LABEL_VALUE.inspect(one.value, check, f"{path}[{i}].value")
    return frozenset(tolerations)


def affinities_from_wire(
    given: Iterable[workload_pb2.Affinity], check: Inspection, path: str
) -> frozenset[Affinity]:
    affinities = []
    for i, one in enumerate(given):
        check.whole_number(f"{path}[{i}].labels.length", len(one.labels), 1, MAX_NEIGHBOUR_RULES)
        labels = labels_from_wire(one.labels, check, f"{path}[{i}].labels")
        affinities.append(
            Affinity(labels, topology(one.topology or NODE, check, f"{path}[{i}].topology"), one.anti)
        )
    check.whole_number(f"{path}.length", len(affinities), 0, MAX_NEIGHBOUR_RULES)
    return frozenset(affinities)


def spreads_from_wire(given: Iterable[workload_pb2.Spread], check: Inspection, path: str) -> frozenset[Spread]:
    spreads = []
    for i, one in enumerate(given):
        skew = check.whole_number(f"{path}[{i}].max_skew", one.max_skew, 0, MAX_SKEW) or 1
        spreads.append(Spread(topology(one.topology, check, f"{path}[{i}].topology"), skew))
    check.whole_number(f"{path}.length", len(spreads), 0, MAX_NEIGHBOUR_RULES)
    return frozenset(spreads)


def topology(key: str, check: Inspection, path: str) -> str:
    return LABEL_KEY.inspect(key, check, path)


def inputs_from_wire(
    given: Iterable[workload_pb2.InputPlace], check: Inspection, path: str
) -> tuple[InputPlace, ...]:
    inputs = []
    for i, one in enumerate(given):
        size = check.whole_number(f"{path}[{i}].size_bytes", one.size_bytes, 0, MAX_INPUT_BYTES)
        inputs.append(InputPlace(_PLACE.inspect(one.place, check, f"{path}[{i}].place"), size))
    check.whole_number(f"{path}.length", len(inputs), 0, MAX_RULES)
    return tuple(inputs)


def selectors_to_wire(selectors: Iterable[NodeSelector]) -> list[workload_pb2.NodeSelector]:
    return [
        workload_pb2.NodeSelector(key=one.key, operator=OPERATORS[one.operator], values=sorted(one.values))
        for one in sorted(selectors, key=lambda one: (one.key, one.operator, sorted(one.values)))
    ]


def tolerations_to_wire(tolerations: Iterable[Toleration]) -> list[workload_pb2.Toleration]:
    ordered = sorted(tolerations, key=lambda one: (one.key, one.value))
    return [workload_pb2.Toleration(key=one.key, value=one.value) for one in ordered]


def affinities_to_wire(affinities: Iterable[Affinity]) -> list[workload_pb2.Affinity]:
    return [
        workload_pb2.Affinity(labels=dict(one.labels), topology=one.topology, anti=one.anti)
        for one in sorted(affinities, key=lambda one: (sorted(one.labels), one.topology, one.anti))
    ]


def spreads_to_wire(spreads: Iterable[Spread]) -> list[workload_pb2.Spread]:
    ordered = sorted(spreads, key=lambda one: (one.topology, one.max_skew))
    return [workload_pb2.Spread(topology=one.topology, max_skew=one.max_skew) for one in ordered]


def inputs_to_wire(inputs: Iterable[InputPlace]) -> list[workload_pb2.InputPlace]:
    return [workload_pb2.InputPlace(place=one.place, size_bytes=one.size_bytes) for one in inputs]


def taints_to_wire(taints: Iterable[Taint]) -> list[pool_adapter_service_pb2.Taint]:
    ordered = sorted(taints, key=lambda one: (one.key, one.value))
    return [pool_adapter_service_pb2.Taint(key=one.key, value=one.value) for one in ordered]


def taints_from_wire(given: Iterable[pool_adapter_service_pb2.Taint]) -> frozenset[Taint]:
    return frozenset(Taint(one.key, one.value) for one in given)

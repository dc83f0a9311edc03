"""How the fields of a job file are read: amounts, durations, zones, architectures, commands.

Each reader takes what YAML gives and returns the model's value, or raises ValueError with the rule and the remedy
("中文 / English"); `console.jobfile` adds file, job, line, field and value.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import TypeVar

from adapters.wire.scalars import (
    MAX_ACCELERATOR_MILLI,
    MAX_CPU_MILLI,
    MAX_DISK_BYTES,
    MAX_DURATION_MS,
    MAX_MEMORY_BYTES,
)
from inventory.model.constraints import (
    NODE,
    AcceleratorKind,
    Affinity,
    InputPlace,
    NodeSelector,
    SelectorOperator,
    Spread,
    Toleration,
)
from inventory.model.partition import OnDisconnect, OnReconnect, PartitionPolicy
from inventory.model.retry import LONGEST_PAUSE_MS, FailureCategory, RetryPolicy, RetryRule
from inventory.model.system import Architecture, Zone
from inventory.model.units import parse_bytes, parse_cpu
from inventory.model.workload import JobArray

CHINA = timezone(timedelta(hours=8))

ZONE_WORDS: Mapping[str, Zone] = {
    "internet": Zone.INTERNET,
    "互联网": Zone.INTERNET,
    "extranet": Zone.EXTRANET,
    "政务外网": Zone.EXTRANET,
    "intranet": Zone.INTRANET,
    "政务内网": Zone.INTRANET,
    "dedicated": Zone.DEDICATED,
    "业务专网": Zone.DEDICATED,
}
ARCHITECTURE_WORDS: Mapping[str, Architecture] = {
    "x86_64": Architecture.X86_64,
    "x86": Architecture.X86_64,
    "amd64": Architecture.X86_64,
    "arm64": Architecture.ARM64,
    "aarch64": Architecture.ARM64,
    "c86": Architecture.C86,
}
_UNIT_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+")
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")


def cpu_milli(value: object) -> int:
    """Milli-CPU of 4, 0.5 or "500m"."""
    rule = "须为核数（4、0.5）或毫核（500m） / write cores (4, 0.5) or milli-cores (500m)"
    amount = _amount(value, parse_cpu, rule)
    return _at_most(amount, MAX_CPU_MILLI, ("一百万核", "a million cores"))


def memory_bytes(value: object) -> int:
    rule = "须写数量和单位，如 512Mi、8Gi / write a number with its unit, such as 512Mi or 8Gi"
    return _at_most(_amount(value, parse_bytes, rule), MAX_MEMORY_BYTES, ("1024Ti", "1024Ti"))


def disk_bytes(value: object) -> int:
    rule = "须写数量和单位，如 20Gi、1Ti / write a number with its unit, such as 20Gi or 1Ti"
    return _at_most(_amount(value, parse_bytes, rule), MAX_DISK_BYTES, ("1048576Ti", "1048576Ti"))


def card_milli(value: object) -> int:
    """Milli-accelerators of a number of cards: 2, 0.5."""
    rule = "须为加速卡张数，如 1、8、0.5 / write a number of cards, such as 1, 8 or 0.5"
    return _at_most(_amount(value, parse_cpu, rule), MAX_ACCELERATOR_MILLI, ("一百万张", "a million cards"))


def moment_ms(value: object) -> int:
    """UTC milliseconds of a moment: "2026-03-01 18:00" of China's time, or with another offset, "…+00:00"."""
    rule = (
        '须为带引号的时间，如 "2026-03-01 18:00"（北京时间）/ write a moment in quotes, such as "2026-03-01 18:00" '
        "(China's time), or with an offset"
    )
    if not isinstance(value, str | datetime):
        raise ValueError(rule)
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        raise ValueError(rule) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=CHINA)
    return round(moment.timestamp() * 1000)


def job_array(value: object) -> JobArray:
    """A number of elements, or {count: 1000, max_parallel: 50}."""
    form = value if isinstance(value, dict) else {"count": value}
    numbers = [form.get("count"), form.get("max_parallel", 0)]
    if not form.keys() <= {"count", "max_parallel"} or not all(_is_count(number) for number in numbers):
        raise ValueError(
            "须为元素个数，如 1000，或 {count: 1000, max_parallel: 50} / write the number of elements, such as 1000, "
            "or {count: 1000, max_parallel: 50}"
        )
    return JobArray(*(int(str(number)) for number in numbers))


def retry(value: object) -> RetryPolicy:
    """{backoff: 30s, max_backoff: 10m, on: [{failure: program, exit_codes: [75], attempts: 5}]}."""
    rule = (
        "须写 {backoff: 30s, max_backoff: 10m, on: [{failure: node, attempts: 5}]} / write "
        "{backoff: 30s, max_backoff: 10m, on: [{failure: node, attempts: 5}]}"
    )
    if not isinstance(value, dict) or not value.keys() <= {"backoff", "max_backoff", "on"}:
        raise ValueError(rule)
    entries = value.get("on", [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ValueError(rule)
    return RetryPolicy(
        tuple(_retry_rule(entry) for entry in entries),
        duration_ms(value["backoff"]) if "backoff" in value else 0,
        duration_ms(value["max_backoff"]) if "max_backoff" in value else LONGEST_PAUSE_MS,
    )


def _retry_rule(entry: Mapping[str, object]) -> RetryRule:
    known = "|".join(FailureCategory)
    codes = entry.get("exit_codes", [])
    codes = codes if isinstance(codes, list) else [codes]
    if entry.get("failure") not in list(FailureCategory):
        raise ValueError(f"failure = {entry.get('failure')!r}：须为 {known} / failure must be one of {known}")
    numbers = [entry.get("attempts"), *codes]
    if not entry.keys() <= {"failure", "attempts", "exit_codes"} or not all(map(_is_count, numbers)):
        raise ValueError(
            "每条须写 failure 与 attempts（次数），program 可写 exit_codes / each has a failure and attempts, and for "
            "program exit_codes if you like"
        )
    exit_codes = frozenset(int(str(code)) for code in codes)
    return RetryRule(FailureCategory(str(entry["failure"])), int(str(numbers[0])), exit_codes)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def duration_ms(value: object) -> int:
    """Milliseconds of "90s", "5m", "2h", "1h30m"; a bare number is refused, because nobody knows its unit."""
    text = str(value).strip()
    if isinstance(value, bool) or not _DURATION.fullmatch(text):
        raise ValueError("须带单位，如 90s、5m、2h、1h30m / write it with units, such as 90s, 5m, 2h or 1h30m")
    total = sum(float(number) * _UNIT_MS[unit] for number, unit in _PART.findall(text))
    return _at_most(int(total + 0.5), MAX_DURATION_MS, ("十年", "ten years"))


def zone(value: object) -> Zone:
    word = str(value).strip()
    found = ZONE_WORDS.get(word) or ZONE_WORDS.get(word.lower())
    if found is None:
        known = ", ".join(ZONE_WORDS)
        raise ValueError(f"没有这个网络区域，可用：{known} / there is no such zone; use one of {known}")
    return found


def architectures(value: object) -> tuple[Architecture, ...]:
    """One architecture, or a list of them."""
    words = value if isinstance(value, list) else [value]
    return tuple(_architecture(word) for word in words)


def _architecture(value: object) -> Architecture:
    found = ARCHITECTURE_WORDS.get(str(value).strip().lower())
    if found is None:
        known = ", ".join(ARCHITECTURE_WORDS)
        raise ValueError(
            f"没有架构 {value!r}，可用：{known} / there is no architecture {value!r}; use one of {known}"
        )
    return found


def command(value: object) -> tuple[str, ...]:
    """A list of words, or one line that is split as a shell would; no shell is involved."""
    if isinstance(value, str):
        try:
            return tuple(shlex.split(value))
        except ValueError:
            raise ValueError(
                "引号不成对，请补全或写成列表 / a quote is not closed; close it, or write a list"
            ) from None
    if not isinstance(value, list):
        raise ValueError(
            "须为一行命令或列表，如 [python3, run.py] / write one line or a list, such as [python3, run.py]"
        )
    return tuple(text(word) for word in value)


def text(value: object) -> str:
    """A text; numbers are taken as they are written, yes/no and dates must be quoted."""
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    raise ValueError("须为文本，请加引号 / must be text: put it in quotes")


def texts(value: object) -> tuple[str, ...]:
    """One text, or a list of them."""
    return tuple(text(item) for item in value) if isinstance(value, list) else (text(value),)


def node_selectors(value: object) -> frozenset[NodeSelector]:
    """Node labels by name: a value, a list of values, "*" (any value); "!value" and "!" turn them round."""
    if not isinstance(value, dict):
        raise ValueError(
            '须为“标签: 值”，值可为列表、"*" 或 "!值" / write label: value; a value may be a list, "*" or "!value"'
        )
    return frozenset(_selector(text(key), texts(wanted)) for key, wanted in value.items())


def _selector(key: str, words: tuple[str, ...]) -> NodeSelector:
    if words == ("*",):
        return NodeSelector(key, SelectorOperator.EXISTS)
    if words == ("!",):
        return NodeSelector(key, SelectorOperator.DOES_NOT_EXIST)
    refused = [word for word in words if word.startswith("!")]
    if refused and len(refused) < len(words):
        raise ValueError(
            f'{key}: 有的值带 "!"，有的不带，请统一 / {key}: some values begin with "!" and some do not; make them alike'
        )
    if refused:
        return NodeSelector(key, SelectorOperator.NOT_IN, frozenset(word[1:] for word in words))
    return NodeSelector(key, SelectorOperator.IN, frozenset(words))


def tolerations(value: object) -> frozenset[Toleration]:
    """Taints that are tolerated: "key" or "key=value", one or a list; "*" for all."""
    parts = (word.partition("=") for word in texts(value))
    return frozenset(Toleration(key.strip(), of.strip()) for key, _, of in parts)


def affinities(value: object) -> frozenset[Affinity]:
    """A list of {labels: {...}, topology: rack}; the topology is "node" where it is left out."""
    found = set()
    for entry in value if isinstance(value, list) else [value]:
        if not isinstance(entry, dict) or not entry.keys() <= {"labels", "topology"} or "labels" not in entry:
            raise ValueError(
                "每项须写 labels，可写 topology，如 {labels: {app: web}, topology: rack}"
                " / give each its labels and, if it matters, a topology: {labels: {app: web}, topology: rack}"
            )
        found.add(Affinity(frozenset(settings(entry["labels"]).items()), text(entry.get("topology", NODE))))
    return frozenset(found)


def spreads(value: object) -> frozenset[Spread]:
    """Topology keys with the largest difference: {rack: 1}; or one key, or a list of keys."""
    if not isinstance(value, dict):
        return frozenset(Spread(key) for key in texts(value))
    for skew in value.values():
        if not isinstance(skew, int) or isinstance(skew, bool) or skew < 1:
            raise ValueError("差值须为不小于 1 的整数，如 {rack: 1} / the difference must be 1 or more: {rack: 1}")
    return frozenset(Spread(text(key), skew) for key, skew in value.items())


def inputs(value: object) -> tuple[InputPlace, ...]:
    """Places with sizes: {pool-a: 2Ti}."""
    if not isinstance(value, dict):
        raise ValueError("须为“地点: 数量”，如 {pool-a: 2Ti} / write place: size, such as {pool-a: 2Ti}")
    return tuple(InputPlace(text(place), disk_bytes(size)) for place, size in value.items())


def partition(value: object) -> PartitionPolicy:
    """What happens while the pool cannot be heard: {lost_after: 5m, on_disconnect: stop, on_reconnect: keep_original}."""
    names = {"lost_after", "on_disconnect", "on_reconnect"}
    if not isinstance(value, dict) or "lost_after" not in value or not set(value) <= names:
        raise ValueError(
            "须写 {lost_after: 5m}，可加 on_disconnect: keep|stop 与 on_reconnect: keep_original|keep_replacement"
            " / write {lost_after: 5m}, and if you like on_disconnect and on_reconnect"
        )
    return PartitionPolicy(
        duration_ms(value["lost_after"]),
        _word(OnDisconnect, value.get("on_disconnect", OnDisconnect.KEEP), "on_disconnect"),
        _word(OnReconnect, value.get("on_reconnect", OnReconnect.KEEP_ORIGINAL), "on_reconnect"),
    )


def accelerator_kind(value: object) -> AcceleratorKind:
    word = text(value).strip()
    for kind in AcceleratorKind:
        if word.lower() in (kind.value.lower(), kind.name.lower()):
            return kind
    known = ", ".join(AcceleratorKind)
    raise ValueError(f"没有这类加速卡，可用：{known} / there is no such kind of card; use one of {known}")


def settings(value: object) -> dict[str, str]:
    """Names and values."""
    if not isinstance(value, dict):
        raise ValueError("须为“名称: 值”，每行一个 / write one name: value a line")
    return {text(name): text(entry) for name, entry in value.items()}


_Word = TypeVar("_Word", OnDisconnect, OnReconnect)


def _word(words: type[_Word], value: object, field: str) -> _Word:
    known = "|".join(words)
    if value not in list(words):
        raise ValueError(f"{field} = {value!r}：须为 {known} / {field} must be one of {known}")
    return words(str(value))


def _amount(value: object, parse: object, rule: str) -> int:
    if isinstance(value, bool) or not isinstance(value, str | int | float) or not callable(parse):
        raise ValueError(rule)
    try:
        return int(parse(value))
    except (ValueError, OverflowError):
        raise ValueError(rule) from None


def _at_most(amount: int, limit: int, shown: tuple[str, str]) -> int:
    if amount > limit:
        raise ValueError(f"超过上限 {shown[0]}，请改小 / is over the limit of {shown[1]}; ask for less")
    return amount

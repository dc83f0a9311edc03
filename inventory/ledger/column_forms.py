"""What the cells of a field look like when the cells of no other field look so: the evidence of `evidence`.

A form is much narrower than the field's parser: 三级等保测评已过期 can be read as level 3 where the heading says 等保级别,
but shows nothing about a column whose heading says nothing. Yes and no, plain numbers and free text have no form.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from inventory.ledger.cells import capacity, choices, dates, quantities
from inventory.ledger.cells.text import Unreadable, is_ditto, narrow, packed, says_none
from inventory.ledger.credentials import is_credential
from inventory.ledger.grid import CalendarDay, Percent, Value
from inventory.ledger.lexicon import CREDENTIAL
from inventory.model.system import Disposition

MIN_CELLS = 5
MIN_SHARE = 0.8
_SPECIFIC_SHARE = 0.2
_ORGANISATION = re.compile(
    r"(?:.*[\u4e00-\u9fff])?[\u4e00-\u9fff](?:局|委|办|办公室|中心|院|馆|会|所|公司|集团|街道|镇|乡|部|署|联|厅|队|站|处|学校|医院|法院|银行)"
)
_SYSTEM = re.compile(
    r"(?=.*[\u4e00-\u9fff]).*(?:系统|平台|网站|网|门户|app|小程序|公众号|[^仓车]库|[端云脑]|一张图|大屏|模块|专题|应用)"
    r"(?:[(（][^)）]*[)）]|v?\d+(?:\.\d+)*|[一二三]期)*",
    re.IGNORECASE,
)
_LIST_MARKS = re.compile(r"[、，,；;\n\r|/+]+")
_SOFTWARE = re.compile(
    r"windows|linux|centos|red ?hat|rhel|ubuntu|debian|suse|unix|aix|麒麟(?!9)|kylin|统信|uos|euler|欧拉|方德|深度|操作系统"
    r"|oracle|mysql|sql|达梦|金仓|vmware|kvm|fusion|hyper-v|docker|tomcat|java|中间件",
    re.IGNORECASE,
)
_CORES_AND_MEMORY = re.compile(r"\d ?(?:核|C(?![A-Z])|V?CPU|CORES?)|CPU[^\d]{0,4}\d", re.IGNORECASE)
_DISK = re.compile(r".*\d ?[TGP]I?B?(?![A-Z]).*", re.IGNORECASE | re.DOTALL)
_DISK_ONLY = re.compile(r"\dT|T[B]?[+*×]|[+＋]|盘", re.IGNORECASE)
_LEVEL = re.compile(
    r"(?:(?:网络安全|信息安全)?(?:等保|等级保护)(?:2\.0)?)?第?[一二三四1-4]级(?:等保|[(（][^)）]*[)）])?|S[1-4]A[1-4](?:G[1-4])?|"
    r"[(（]?S[1-4]A[1-4](?:G[1-4])?[)）]?|(?:未|尚未|暂未)(?:定级|备案)",
    re.IGNORECASE,
)
_LEVEL_OF_PROTECTION = re.compile(r"等保|等级保护|第.级|S\dA\d|定级|备案", re.IGNORECASE)
_SECRECY = re.compile(r"(?:非|不|未|参照)?涉密(?:系统|信息系统|管理)?|非密|(?:秘密|机密|绝密)级?")
_DATE_TEXT = re.compile(
    r"(?:19|20)\d{2}(?:[-./年]\d{1,2}(?:[-./月]\d{1,2}日?|月份?)?|年)|(?:19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])"
)
_OWNER = re.compile(r"垂管|垂直|统建|条线|条管|国有|国企|国资|自建|[区县市]属|平台公司|本级")
_PERCENT = re.compile(r"-?\d+(?:\.\d+)?[%％]")
_SHORT = 10


@dataclass(frozen=True, slots=True)
class Form:
    """`fits` judges a filled cell; `shows` the filled cells that fit, as a column, in their order."""

    fits: Callable[[Value], bool]
    shows: Callable[[Sequence[Value]], bool]


def is_organisation(text: str) -> bool:
    """True for what ends as the names of departments, companies and their like end: 区教委, 示例水务公司."""
    return _ORGANISATION.fullmatch(text) is not None


def is_system_name(value: Value) -> bool:
    """True for what ends as the names of systems end: 学籍管理系统, 门户网站, 办公平台（二期）."""
    return isinstance(value, str) and len(value) <= 60 and _SYSTEM.fullmatch(packed(value)) is not None


def lists_system_names(value: Value) -> bool:
    """True for one or several system names in a cell."""
    return isinstance(value, str) and all(
        is_system_name(part) for part in _LIST_MARKS.split(value.strip()) if packed(part)
    )


def filled(values: Sequence[Value]) -> list[Value]:
    """The cells that say something of their own."""
    return [value for value in values if not says_none(value) and not is_ditto(value)]


def share_of(values: Sequence[Value], fits: Callable[[Value], bool]) -> float:
    """How many of the filled cells fit, 0..1; 0 where fewer than MIN_CELLS are filled."""
    own = filled(values)
    return sum(map(fits, own)) / len(own) if len(own) >= MIN_CELLS else 0.0


def name_share(values: Sequence[Value]) -> float:
    """How far a column looks like the systems' own names: unique texts that end as systems do, hardly a cell empty."""
    own = filled(values)
    unique = len({packed(value) for value in own})
    if unique < 0.9 * len(own) or len(own) < MIN_SHARE * len(values):
        return 0.0
    return share_of(values, is_system_name)


def _reads(parse: Callable[[Value], object], value: Value) -> object:
    try:
        return parse(value)
    except Unreadable:
        return None


def _is_architecture(value: Value) -> bool:
    text = packed(value)
    if len(text) > 30 or _SOFTWARE.search(text) or _CORES_AND_MEMORY.search(text):
        return False
    return _reads(choices.architecture, value) is not None


def _is_zone(value: Value) -> bool:
    return len(packed(value)) <= 14 and _reads(choices.zone, value) is not None


def _is_level(value: Value) -> bool:
    return isinstance(value, str) and _LEVEL.fullmatch(packed(value)) is not None


def _is_secrecy(value: Value) -> bool:
    return isinstance(value, str) and _SECRECY.fullmatch(packed(value)) is not None


def _is_disposition(value: Value) -> bool:
    """关停, 整合, 平迁; not 已上云 and 未迁移, which answer another question."""
    if not isinstance(value, str) or len(packed(value)) > _SHORT or packed(value)[0] in "已未":
        return False
    return _reads(choices.disposition, value) is not None


def _is_spec(value: Value) -> bool:
    if not isinstance(value, str) or not _CORES_AND_MEMORY.search(narrow(value)):
        return False
    machines = _reads(capacity.machines, value)
    return isinstance(machines, capacity.Machines) and machines.vcpu is not None and machines.mem_gb is not None


def _is_disk(value: Value) -> bool:
    if not isinstance(value, str) or not _DISK.fullmatch(narrow(value)) or _CORES_AND_MEMORY.search(narrow(value)):
        return False
    return _reads(capacity.size_gb, value) is not None


def _is_date(value: Value) -> bool:
    if isinstance(value, CalendarDay):
        return True
    return (
        isinstance(value, str)
        and _DATE_TEXT.fullmatch(packed(value)) is not None
        and _reads(dates.partial_date, value) is not None
    )


def _is_owner(value: Value) -> bool:
    text = packed(value)
    if not isinstance(value, str) or len(text) > _SHORT or text.startswith(("示例", "某")):
        return False
    if is_organisation(text) and not text.endswith(("国有公司", "平台公司", "国企")):
        return False
    return _reads(choices.ownership, value) is not None


def _is_department(value: Value) -> bool:
    text = packed(value)
    return isinstance(value, str) and len(text) <= 25 and is_organisation(text) and not is_system_name(value)


def _is_percent(value: Value) -> bool:
    return isinstance(value, Percent) or (isinstance(value, str) and bool(_PERCENT.fullmatch(packed(value))))


def _anything(values: Sequence[Value]) -> bool:
    return bool(values)


def _some(pattern: re.Pattern[str]) -> Callable[[Sequence[Value]], bool]:
    """At least one cell in five, and two of them, say what only this field says."""
    return lambda values: (
        sum(bool(pattern.search(packed(value))) for value in values) >= max(2, _SPECIFIC_SHARE * len(values))
    )


def _several(parse: Callable[[Value], object]) -> Callable[[Sequence[Value]], bool]:
    """At least two meanings: a column that says 互联网 in every row may tell where anything else stands."""
    return lambda values: len({_reads(parse, value) for value in values}) >= 2


def _are_dispositions(values: Sequence[Value]) -> bool:
    """改造 and 购买服务 alone may tell how systems are built; what ends or moves them must be among the answers."""
    meanings = {_reads(choices.disposition, value) for value in values}
    decided = {Disposition.RETIRE, Disposition.CONSOLIDATE, Disposition.REHOST, Disposition.RETAIN}
    return len(meanings) >= 3 and len(meanings & decided) >= 2


def _are_levels(values: Sequence[Value]) -> bool:
    return _some(_LEVEL_OF_PROTECTION)(values) and _several(choices.protection_level)(values)


def _stand_together(values: Sequence[Value]) -> bool:
    """Departments stand in groups: at least three, hardly one of them in two places."""
    texts = [packed(value) for value in values]
    runs = 1 + sum(one != other for one, other in pairwise(texts))
    return len(set(texts)) >= 3 and runs <= 1.2 * len(set(texts))


READERS: dict[str, Callable[[Value], object]] = {
    "zone": choices.zone,
    "classified": choices.classified,
    "mlps": choices.protection_level,
    "arch": choices.architecture,
    "disposition": choices.disposition,
    "ownership": choices.ownership,
    "spec": capacity.machines,
    "servers": capacity.count,
    "mem": capacity.size_gb,
    "disk": capacity.size_gb,
    "gpu_count": capacity.count,
    "golive": dates.partial_date,
    "users": lambda value: quantities.people(value, 10_000),
    "opex_wan": lambda value: quantities.money_wan(value, "万元"),
    "cpu_avg_pct": lambda value: quantities.percentage(value, False),
    "zombie": choices.yes_or_no,
    "crypto_plan": choices.yes_or_no,
    "data_catalog": choices.yes_or_no,
    "should_migrate": lambda value: choices.yes_or_no(value, "should"),
    "migrated": choices.yes_or_no,
}
"""How each field's cells are read; whether they can be read does not depend on units. Free text and names refute nothing."""


def refutes(values: Sequence[Value], target: str) -> bool:
    """True when enough cells are filled and hardly one can be read as the field."""
    read = READERS.get(target)
    own = filled(values)
    if read is None or len(own) < MIN_CELLS:
        return False
    return sum(_can_be_read(read, value) for value in own) <= (1 - MIN_SHARE) * len(own)


def _can_be_read(read: Callable[[Value], object], value: Value) -> bool:
    try:
        read(value)
    except Unreadable:
        return False
    return True


FORMS: dict[str, Form] = {
    "arch": Form(_is_architecture, _anything),
    "zone": Form(_is_zone, _several(choices.zone)),
    "classified": Form(_is_secrecy, _some(re.compile("涉密|非密"))),
    "mlps": Form(_is_level, _are_levels),
    "disposition": Form(_is_disposition, _are_dispositions),
    "spec": Form(_is_spec, _anything),
    "disk": Form(_is_disk, _some(_DISK_ONLY)),
    "golive": Form(_is_date, _anything),
    "ownership": Form(_is_owner, lambda values: _some(_OWNER)(values) and _several(choices.ownership)(values)),
    "department": Form(_is_department, _stand_together),
    "cpu_avg_pct": Form(_is_percent, _anything),
    CREDENTIAL: Form(is_credential, _anything),
}
"""Every form that a cell can show by itself; names of other systems need the workbook, see `evidence`."""

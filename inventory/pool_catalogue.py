"""The pool catalogue: the two CSV files in which pools and their node groups are declared, read into pools.

Who calls this: `xisuan pool register`, the demo, and the wave planner. Columns are found by name, in any order;
all are required. Cells that hold several values separate them by `|`. Numbers are in the units that the column
names say (T and GB as powers of 1024, as in the ledger). UTF-8 with or without a byte-order mark, or GB18030.

Nothing is read in part: every fault of both files is reported at once, each with file, line, column, value, rule
and remedy, and then there are no pools.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Generic, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from inventory.model.form_faults import form_faults
from inventory.model.pool import NodeGroup, Pool
from inventory.model.system import Architecture, Zone
from inventory.model.units import GIB, TIB, Resources

_ID = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_LARGEST = 10**9


class CatalogueError(ValueError):
    """Pool files that cannot be used. `faults` has one line for each fault; the message is all of them."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = tuple(faults)


def _one_of(kind: type[Zone] | type[Architecture]) -> Callable[[object], frozenset[Any]]:
    def parse(text: object) -> frozenset[Any]:
        words = [word.strip() for word in str(text).split("|") if word.strip()]
        if not words:
            raise ValueError("至少写一个 / at least one is needed")
        valid = [str(each) for each in kind]
        for word in words:
            if word not in valid:
                raise ValueError(f"{word!r} 须为 / must be one of {'、'.join(valid)}")
        return frozenset(kind(word) for word in words)

    return parse


def _blank_to_none(text: object) -> object:
    return None if isinstance(text, str) and not text.strip() else text


Zones = Annotated[frozenset[Zone], BeforeValidator(_one_of(Zone))]
Architectures = Annotated[frozenset[Architecture], BeforeValidator(_one_of(Architecture))]
Model = Annotated[str | None, BeforeValidator(_blank_to_none)]
Amount = Annotated[float, Field(ge=0, le=_LARGEST)]
Price = Annotated[Amount | None, BeforeValidator(_blank_to_none)]
Identifier = Annotated[str, Field(pattern=f"^{_ID}$")]


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True, allow_inf_nan=False)


class PoolRow(_Row):
    """One row of the pool file. `mlps` is the highest protection level; `green` a share 0..1; `pue` at least 1."""

    pool_id: Identifier
    name: str = Field(min_length=1)
    hub: str
    adapter: str = Field(min_length=1)
    zones: Zones
    mlps: int = Field(ge=0, le=4)
    arch: Architectures
    accel: Model
    cards: int = Field(ge=0, le=_LARGEST)
    pflops_fp16: float = Field(ge=0, le=_LARGEST)
    disk_tb: float = Field(ge=0, le=_LARGEST)
    oneway_ms_cq: float = Field(ge=0, le=_LARGEST)
    egress_gbps: float = Field(ge=0, le=_LARGEST)
    pue: float = Field(ge=1, le=10)
    green: float = Field(ge=0, le=1)
    kwh_cny: float = Field(ge=0, le=_LARGEST)
    card_h_cny: Price
    vcpu_h_cny: float = Field(ge=0, le=_LARGEST)
    classes: str
    # Columns that a file may leave out, and cells that may be empty.
    region: str = ""
    idle_w: Price = None
    loaded_w: Price = None
    carbon_g_kwh: Price = None
    node_policy: str = ""


class GroupRow(_Row):
    """One row of the node-group file: `nodes` equal nodes, each with `vcpu`, `mem_gb` and `cards`."""

    pool_id: str = Field(min_length=1)
    group: str = Field(min_length=1)
    nodes: int = Field(ge=1, le=1_000_000)
    arch: Architecture
    vcpu: int = Field(ge=1, le=100_000)
    mem_gb: float = Field(gt=0, le=_LARGEST)
    accel: Model
    cards: int = Field(ge=0, le=1000)


RowT = TypeVar("RowT", bound=_Row)


@dataclass(frozen=True, slots=True)
class CsvFile:
    """A CSV file as bytes, with the name that faults shall show."""

    name: str
    content: bytes


@dataclass(frozen=True, slots=True)
class _Placed(Generic[RowT]):
    """A row with the line that it begins on, counted from 1 as an editor counts."""

    line: int
    row: RowT


def read_pools(pool_file: Path, group_file: Path) -> tuple[Pool, ...]:
    """The pools of both files, in the order of the pool file. Raises CatalogueError with every fault."""
    files, faults = [], []
    for path in (pool_file, group_file):
        try:
            files.append(CsvFile(str(path), path.read_bytes()))
        except OSError as fault:
            faults.append(
                f"{path}: 无法读取（{fault.strerror}），请检查路径和权限"
                " / cannot be read; check path and permissions"
            )
    if faults:
        raise CatalogueError(faults)
    return parse_pools(*files)


def parse_pools(pool_file: CsvFile, group_file: CsvFile) -> tuple[Pool, ...]:
    """As `read_pools`, of files that are in memory already."""
    pools, pool_faults = _rows(pool_file, PoolRow)
    groups, group_faults = _rows(group_file, GroupRow)
    faults = pool_faults + group_faults
    if not pool_faults:
        faults += _pool_faults(pool_file.name, pools)
        faults += _group_faults(group_file.name, groups, {placed.row.pool_id: placed.row for placed in pools})
        if not faults:
            faults += _sum_faults(pool_file.name, pools, groups)
    if faults:
        raise CatalogueError(faults)
    of_pool: dict[str, list[NodeGroup]] = {}
    for placed in groups:
        of_pool.setdefault(placed.row.pool_id, []).append(_group(placed.row))
    return tuple(_pool(placed.row, tuple(of_pool.get(placed.row.pool_id, ()))) for placed in pools)


def _rows(file: CsvFile, kind: type[RowT]) -> tuple[list[_Placed[RowT]], list[str]]:
    """The valid rows of a file, and one line for each fault. Empty lines are passed over."""
    text = _decoded(file.content)
    if text is None:
        return [], [
            f"{file.name}: 编码须为 UTF-8 或 GB18030，请另存 / the encoding must be UTF-8 or GB18030; save it anew"
        ]
    rows: list[_Placed[RowT]] = []
    faults: list[str] = []
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [cell.strip() for cell in next(reader, [])]
        faults = list(_header_faults(file.name, header, kind))
        if faults:
            return [], faults
        line = reader.line_num + 1
        for cells in reader:
            if any(cell.strip() for cell in cells):
                outcome = _row(file.name, line, dict(zip(header, cells, strict=False)), kind)
                if len(cells) != len(header):
                    faults.append(
                        f"{file.name} 第 {line} 行"
                        f" / line {line}: 有 {len(cells)} 格，表头有 {len(header)} 格，请对齐"
                        f" / {len(cells)} cells under {len(header)} headings; make them equal"
                    )
                elif isinstance(outcome, list):
                    faults.extend(outcome)
                else:
                    rows.append(_Placed(line, outcome))
            line = reader.line_num + 1
    except csv.Error as fault:
        place = f"{file.name} 第 {reader.line_num} 行 / line {reader.line_num}"
        faults.append(f"{place}: 不是合法的 CSV（{fault}），请检查引号 / not valid CSV; check the quotes")
    if not rows and not faults:
        faults.append(f"{file.name}: 没有数据行，请至少写一行 / no rows; write at least one")
    return rows, faults


def _decoded(content: bytes) -> str | None:
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    return None


def _header_faults(name: str, header: list[str], kind: type[_Row]) -> Iterator[str]:
    expected = [column for column, field in kind.model_fields.items() if field.is_required()]
    known = list(kind.model_fields)
    place = f"{name} 第 1 行 / line 1"
    if not any(header):
        headings = ",".join(expected)
        yield f"{place}: 文件是空的，首行须为表头 {headings} / empty file; the first line must be the headings"
        return
    for column in expected:
        if column not in header:
            yield f"{place}: 缺少列 {column}，请补上 / column {column} is missing; add it"
    for column in sorted(set(header) - set(known)):
        yield f"{place}: 未知列 {column!r}，请删除；列名须为 {','.join(known)} / unknown column; remove it"
    for column in sorted({column for column in header if header.count(column) > 1}):
        yield f"{place}: 列 {column!r} 重复，请只留一列 / column given twice; keep one"


def _row(name: str, line: int, cells: dict[str, str], kind: type[RowT]) -> RowT | list[str]:
    try:
        return kind.model_validate(cells)
    except ValidationError as refusal:
        return [_fault(name, line, str(fault.place[0]), fault.value, fault.rule) for fault in form_faults(refusal)]


def _fault(name: str, line: int, column: str, value: str, rule: str) -> str:
    """`value` as it shall be shown, with its quotes."""
    return f"{name} 第 {line} 行 {column} 列 / line {line}, column {column}: {value}: {rule}；请改正 / correct it"


def _pool_faults(name: str, pools: list[_Placed[PoolRow]]) -> Iterator[str]:
    first_line: dict[str, int] = {}
    for placed in pools:
        row, line = placed.row, placed.line
        if first_line.setdefault(row.pool_id, line) != line:
            earlier = first_line[row.pool_id]
            rule = f"与第 {earlier} 行重复 / also on line {earlier}; pool_id is unique"
            yield _fault(name, line, "pool_id", repr(row.pool_id), rule)
        yield from _card_faults(name, line, row.accel, row.cards)
        if row.cards and row.card_h_cny is None:
            rule = "有加速卡就须有卡时价格 / a pool with cards needs a price per card and hour"
            yield _fault(name, line, "card_h_cny", "''", rule)


def _group_faults(name: str, groups: list[_Placed[GroupRow]], pools: dict[str, PoolRow]) -> Iterator[str]:
    first_line: dict[tuple[str, str], int] = {}
    for placed in groups:
        row, line = placed.row, placed.line
        if first_line.setdefault((row.pool_id, row.group), line) != line:
            earlier = first_line[row.pool_id, row.group]
            yield _fault(name, line, "group", repr(row.group), f"与第 {earlier} 行重复 / also on line {earlier}")
        yield from _card_faults(name, line, row.accel, row.cards)
        pool = pools.get(row.pool_id)
        if pool is None:
            rule = f"没有这个池，可用 / no such pool; there are {'、'.join(sorted(pools))}"
            yield _fault(name, line, "pool_id", repr(row.pool_id), rule)
            continue
        if row.arch not in pool.arch:
            offered = "|".join(sorted(pool.arch))
            yield _fault(
                name, line, "arch", repr(str(row.arch)), f"所属池只有 {offered} / its pool has only {offered}"
            )
        if row.accel is not None and row.accel != pool.accel:
            rule = f"所属池的加速卡是 {pool.accel or '无'} / its pool has {pool.accel or 'none'}"
            yield _fault(name, line, "accel", repr(row.accel), rule)


def _card_faults(name: str, line: int, accel: str | None, cards: int) -> Iterator[str]:
    if (accel is None) != (cards == 0):
        rule = "accel 与 cards 须同时填写或同时为空和 0 / accel and cards go together: both, or empty and 0"
        yield _fault(name, line, "cards", str(cards), rule)


def _sum_faults(name: str, pools: list[_Placed[PoolRow]], groups: list[_Placed[GroupRow]]) -> Iterator[str]:
    """Where the two files contradict each other, or a pool has no nodes at all."""
    for placed in pools:
        mine = [group.row for group in groups if group.row.pool_id == placed.row.pool_id]
        if not mine and placed.row.adapter == "local":
            continue  # a local pool is the machine that its adapter runs on, and measures that
        if not mine:
            rule = "节点组文件中没有它的节点组 / it has no node group in the other file; add one"
            yield _fault(name, placed.line, "pool_id", repr(placed.row.pool_id), rule)
            continue
        cards = sum(group.nodes * group.cards for group in mine)
        if cards != placed.row.cards:
            rule = f"各节点组合计 {cards} 张 / its node groups have {cards} in sum; the two must agree"
            yield _fault(name, placed.line, "cards", str(placed.row.cards), rule)


def _group(row: GroupRow) -> NodeGroup:
    capacity = Resources(
        cpu_milli=row.vcpu * 1000,
        memory_bytes=round(row.mem_gb * GIB),
        accelerator_milli=row.cards * 1000,
    )
    return NodeGroup(row.group, row.nodes, row.arch, capacity, row.accel)


def _pool(row: PoolRow, groups: tuple[NodeGroup, ...]) -> Pool:
    return Pool(
        pool_id=row.pool_id,
        name=row.name,
        hub=row.hub,
        adapter=row.adapter,
        zones=row.zones,
        protection_level=row.mlps,
        architectures=row.arch,
        accelerator=row.accel,
        cards=row.cards,
        disk_bytes=round(row.disk_tb * TIB),
        one_way_ms=row.oneway_ms_cq,
        egress_gbps=row.egress_gbps,
        pue=row.pue,
        green_share=row.green,
        kwh_cny=row.kwh_cny,
        card_hour_cny=row.card_h_cny,
        vcpu_hour_cny=row.vcpu_h_cny,
        classes=frozenset(word.strip() for word in row.classes.split("|") if word.strip()),
        node_groups=groups,
        region=row.region,
        idle_watts=row.idle_w,
        loaded_watts=row.loaded_w,
        carbon_g_kwh=row.carbon_g_kwh,
        node_policy=row.node_policy,
    )

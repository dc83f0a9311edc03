"""Finds the tables of a sheet: where the heading block stands and which column means which field.

`sheets` calls `find_table` on the first rows of a sheet and again wherever a later row looks like a heading. A block
is one to three rows; headings of upper rows are groups and count as context of those below (服务器 over 数量). What
headings leave open, `evidence` settles by the cells below them; only the column of the names is sought by its cells here,
as without it there is no table.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from inventory.ledger.cells.quantities import bare_number
from inventory.ledger.cells.text import packed, plain
from inventory.ledger.column_forms import MIN_SHARE, name_share
from inventory.ledger.grid import TALL_MERGE_ROWS, Merge, Row, Value, address
from inventory.ledger.lexicon import (
    CREDENTIAL,
    IGNORED,
    KNOWN,
    MAX_HEADING_LENGTH,
    Fit,
    heading_key,
    lexicon,
)
from inventory.ledger.mapping import HeaderMapping

NAME = "name"
_BLOCK_ROWS = 3
_REPEATABLE = frozenset(("deps",))
_GOOD_ENOUGH = 0.7
_MANY = frozenset((IGNORED, CREDENTIAL))
# A sheet with a name column and nothing else that we know is a code list, not a ledger.
_MIN_FIELDS = 2
# A sheet that no heading makes a ledger needs more that we know before a column may pass for the systems' names.
_MIN_FIELDS_BESIDE_UNNAMED = 4
# However many cells agree, what they show is less sure than a heading that is known.
_BY_VALUES = 0.7
_MONEY_UNIT = re.compile(r"亿元|千万元|百万元|十万元|万元|千元|百元|元|[(（]万[)）]")
_SIZE_UNIT = re.compile(r"(?:^|[^A-Z])([TGM])I?B?(?![A-Z])")
_PEOPLE_UNIT = re.compile(r"(万|千)(?:人|户|个|名)?")
_UNIT_WORD = re.compile(r"[万千百]?元(?:/年)?|[万千]?人|台|核|个|张|块|[MGT]B?|%", re.IGNORECASE)
_UNIT_ROW_BONUS = 0.1
_EACH = re.compile(r"单台|每台|单机|每节点|单节点|每服务器|单服务器|每个|单个|平均每台")
_ALTOGETHER = re.compile(r"总|合计|共计|累计|共")


@dataclass(frozen=True, slots=True)
class Column:
    """A column that was given a field. `groups` are the headings above `heading`, outermost first."""

    index: int
    target: str
    heading: str
    groups: tuple[str, ...]
    confidence: float
    cell: str
    by_values: bool = False

    @property
    def context(self) -> str:
        """All that is written over the column, in NFKC and upper case: units and 单台/合计 are looked up in it."""
        return packed("".join((*self.groups, self.heading))).upper()

    @property
    def money_unit(self) -> str | None:
        """万元, 元 ... as the heading says, the innermost word first; None where it names none."""
        for text in (self.heading, *reversed(self.groups)):
            found = _MONEY_UNIT.findall(packed(text))
            if found:
                return str(found[-1]).strip("(（)）")
        return None

    @property
    def size_unit(self) -> str | None:
        """T, G or M; None where the heading names none."""
        for text in (self.heading, *reversed(self.groups)):
            found = _SIZE_UNIT.findall(packed(text).upper())
            if found:
                return str(found[-1])
        return None

    @property
    def people_unit(self) -> int:
        found = _PEOPLE_UNIT.search(packed(self.heading))
        return {"万": 10_000, "千": 1000}[found[1]] if found else 1

    @property
    def counts_each(self) -> bool | None:
        """True for 单台, False for 合计, None where the heading does not say."""
        if _EACH.search(self.context):
            return True
        return False if _ALTOGETHER.search(packed(self.heading)) else None


@dataclass(frozen=True, slots=True)
class HeadingReport:
    """How one heading was understood. `target` None: the heading is not used.

    `by_values`: not the heading said so but the cells below it (`evidence`); `confidence` is then at most 0.7.
    """

    sheet: str
    cell: str
    heading: str
    target: str | None
    confidence: float
    by_values: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """One heading block and its columns. `top` and `bottom` are row numbers.

    `paths` holds for each column that has any its headings from the outermost group down; `reports` stand in its order.
    """

    top: int
    bottom: int
    columns: dict[str, Column]
    dependency_columns: tuple[Column, ...]
    credential_columns: frozenset[int]
    paths: dict[int, tuple[str, ...]]
    reports: tuple[HeadingReport, ...]
    heading_rows: frozenset[tuple[str, ...]]
    # The first cells of the heading rows: what a row must begin with to be one of them.
    first_words: frozenset[str]

    def address_of(self, target: str, row: int) -> str:
        """A1 address of a field's cell; of the name's where the table has no such column."""
        column = self.columns.get(target) or self.columns[NAME]
        return address(row, column.index)


Learned = Mapping[str, Fit]
"""What cells told of a heading on another sheet of the workbook, by the heading's text as in its report."""


def heading_text(path: tuple[str, ...]) -> str:
    """A heading with its groups, as reports show it."""
    return " / ".join(path)


class MergeIndex:
    """Looks up the merge that covers a cell."""

    def __init__(self, merges: Sequence[Merge]) -> None:
        self._by_row: dict[int, list[Merge]] = {}
        self._tall: list[Merge] = []
        for merge in merges:
            if merge.bottom - merge.top > TALL_MERGE_ROWS:
                self._tall.append(merge)
                continue
            for row in range(merge.top, merge.bottom + 1):
                self._by_row.setdefault(row, []).append(merge)

    def covering(self, row: int, column: int) -> Merge | None:
        for merge in [*self._by_row.get(row, []), *self._tall]:
            if merge.left <= column <= merge.right and merge.top <= row <= merge.bottom:
                return merge
        return None


def row_key(row: Row) -> tuple[str, ...]:
    """A row as comparable text, trailing blanks cut: a heading block that is repeated has the same keys."""
    texts = [packed(value) for value in row.values]
    while texts and not texts[-1]:
        texts.pop()
    return tuple(texts)


def known_headings(row: Row) -> int:
    """How many cells of the row are headings of the lexicon."""
    words = lexicon()
    return sum(1 for value in row.values if isinstance(value, str) and words.is_known(value))


def looks_like_heading(row: Row) -> bool:
    """True for a row that is mostly headings and names a system column among them."""
    filled: list[str] = []
    for value in row.values:
        if isinstance(value, str):
            filled.append(value)
        elif value is not None:
            return False
    words = lexicon()
    known = unknown = 0
    names = False
    for value in filled:
        fit = words.exact(value) if len(value) <= MAX_HEADING_LENGTH else None
        if fit is None:
            unknown += 1
            # Asked of every row: half of it unknown settles the matter.
            if 2 * unknown >= len(filled):
                return False
        else:
            known += 1
            names = names or fit.target == NAME
    return names and known >= 2


def find_table(
    rows: Sequence[Row],
    merges: MergeIndex,
    sheet: str,
    mapping: HeaderMapping | None = None,
    learned: Learned | None = None,
) -> Table | None:
    """The best heading block among `rows`, or None. The block with the most recognised columns wins."""
    found: list[tuple[float, int, Table]] = []
    for first, last in _spans(rows, mapping):
        block = rows[first : last + 1]
        if _starts_with_title(block, merges) or _reaches_into_data(block, merges):
            continue
        table = _table(block, rows[last + 1 :], _paths(block, merges), sheet, mapping, learned or {})
        if table is None:
            continue
        score = sum(column.confidence for column in table.columns.values())
        score += 0.4 * sum(1 for report in table.reports if report.target in _MANY)
        if len(block) > 1 and all(_is_unit(plain(value)) for value in block[-1].values if value is not None):
            score += _UNIT_ROW_BONUS
        found.append((round(score, 2), -len(block), table))
    if not found:
        return None
    # Headings may be repeated further down with more cells filled: the first block that is good enough starts the
    # table, and of the blocks that overlap it the one that explains most is its true extent.
    enough = _GOOD_ENOUGH * max(score for score, _, _ in found)
    first_bottom = min(table.bottom for score, _, table in found if score >= enough)
    rivals = [entry for entry in found if entry[2].top <= first_bottom]
    return max(rivals, key=lambda entry: entry[:2])[2]


def _starts_with_title(block: Sequence[Row], merges: MergeIndex) -> bool:
    """True when the first of several rows says one thing over the whole width: a title, not a group of headings."""
    if len(block) < 2:
        return False
    top = block[0]
    told = [index for index, value in enumerate(top.values) if plain(value).strip()]
    width = max(index for row in block[1:] for index, value in enumerate(row.values) if value is not None) + 1
    if len(told) != 1:
        return False
    cover = merges.covering(top.number, told[0])
    first, last = (cover.left, cover.right) if cover else (told[0], width - 1)
    return first <= 1 and last >= width - 2


def _reaches_into_data(block: Sequence[Row], merges: MergeIndex) -> bool:
    """True when a name stands below the heading of the names: data without any number looks like more headings."""
    for position, row in enumerate(block[:-1]):
        for index, value in enumerate(row.values[:-1]):
            if not isinstance(value, str) or not plain(row.values[index + 1]).strip():
                continue  # nothing to the right: 系统名称 may be the group of 全称 and 简称
            cover = merges.covering(row.number, index)
            if not _is_name_heading(value) or (cover is not None and cover.right > cover.left):
                continue
            below = (
                plain(lower.values[index]) if index < len(lower.values) else "" for lower in block[position + 1 :]
            )
            if any(text.strip() and not _is_unit(text) and not _is_name_heading(text) for text in below):
                return True
    return False


def _is_name_heading(text: str) -> bool:
    fit = lexicon().exact(text) if len(text) <= MAX_HEADING_LENGTH else None
    return fit is not None and fit.target == NAME


def _is_unit(label: str) -> bool:
    """True for （万元）, 台, GB: what stands in a row of units below the headings."""
    return not heading_key(label).core or _UNIT_WORD.fullmatch(packed(label)) is not None


def _spans(rows: Sequence[Row], mapping: HeaderMapping | None) -> list[tuple[int, int]]:
    """Index ranges to try: all blocks of one to three adjacent rows around a row with known headings."""
    promising = [index for index, row in enumerate(rows) if known_headings(row) >= 2]
    if not promising or mapping is not None:
        texts = [sum(isinstance(value, str) for value in row.values) for row in rows[:15]]
        promising = sorted({*promising, *(index for index, count in enumerate(texts) if count >= 2)})
    wordy = [_only_words(row) for row in rows]
    spans = set()
    for index in promising[:25]:
        for height in range(1, _BLOCK_ROWS + 1):
            for first in range(index - height + 1, index + 1):
                last = first + height - 1
                if first < 0 or last >= len(rows) or not all(wordy[first : last + 1]):
                    continue
                if rows[last].number - rows[first].number < _BLOCK_ROWS + 1:
                    spans.add((first, last))
    return sorted(spans)


def _only_words(row: Row) -> bool:
    """Headings are words: a row with a number of its own (a serial, a date) is data."""
    return all(isinstance(value, str) and bare_number(value) is None for value in row.values if value is not None)


def confidence_by_values(share: float, count: int) -> float:
    """How surely `count` filled cells, `share` of which fit, tell a field: Laplace's rule of succession, times 0.7."""
    return round(_BY_VALUES * (share * count + 1) / (count + 2), 3)


def _table(
    block: Sequence[Row],
    below: Sequence[Row],
    paths: dict[int, tuple[str, ...]],
    sheet: str,
    mapping: HeaderMapping | None,
    learned: Learned,
) -> Table | None:
    candidates: list[tuple[float, int, Fit]] = []
    by_values = set()
    for index, path in paths.items():
        chosen = mapping.field_of(path[-1]) if mapping else None
        fits = [Fit(chosen, 2.0)] if chosen else lexicon().fits(path[:-1], path[-1])
        told = learned.get(heading_text(path))
        if told is not None and (not fits or fits[0].confidence < KNOWN):
            fits = [told]
            by_values.add(index)
        candidates.extend((fit.confidence, index, fit) for fit in fits)
    candidates.sort(key=lambda entry: (-entry[0], entry[1]))
    taken = _assigned(candidates)
    named = _name_by_values(taken, paths, below)
    if named is not None:
        rest = [entry for entry in candidates if entry[2].target != NAME and entry[1] != named[0]]
        taken = {named[0]: named[1]} | _assigned(rest)
        by_values.add(named[0])
    cells = {index: address(block[-1].number, index) for index in paths}
    columns: dict[str, Column] = {}
    dependencies: list[Column] = []
    for index, fit in taken.items():
        if fit.target in _MANY:
            continue
        path = paths[index]
        confidence = min(1.0, fit.confidence)
        column = Column(index, fit.target, path[-1], path[:-1], confidence, cells[index], index in by_values)
        columns.setdefault(fit.target, column)
        if fit.target == "deps":
            dependencies.append(column)
    if NAME not in columns or len(columns) < _MIN_FIELDS:
        return None
    return Table(
        block[0].number,
        block[-1].number,
        columns,
        tuple(sorted(dependencies, key=lambda column: column.index)),
        frozenset(index for index, fit in taken.items() if fit.target == CREDENTIAL),
        dict(sorted(paths.items())),
        _reports(paths, taken, sheet, block[-1].number, by_values & set(taken)),
        frozenset(row_key(row) for row in block),
        frozenset(packed(row.values[0]) for row in block),
    )


def _assigned(candidates: Sequence[tuple[float, int, Fit]]) -> dict[int, Fit]:
    """The best fit of each column, best first; a field goes to one column, those that may repeat to several."""
    taken: dict[int, Fit] = {}
    held: set[str] = set()
    for _, index, fit in candidates:
        if index not in taken and (fit.target not in held or fit.target in _REPEATABLE):
            taken[index] = fit
            if fit.target not in _MANY:
                held.add(fit.target)
    return taken


def _name_by_values(
    taken: dict[int, Fit], paths: dict[int, tuple[str, ...]], below: Sequence[Row]
) -> tuple[int, Fit] | None:
    """The one column whose cells are names of systems, where no heading says for sure which it is."""
    holder = next((index for index, fit in taken.items() if fit.target == NAME), None)
    if holder is not None and taken[holder].confidence >= KNOWN:
        return None
    known = sum(fit.confidence >= KNOWN and fit.target not in _MANY for fit in taken.values())
    if known < _MIN_FIELDS_BESIDE_UNNAMED:
        return None
    shares: dict[int, float] = {}
    rows = [row for row in below if sum(value is not None for value in row.values) > known // 2]
    for index, path in paths.items():
        if index in taken and taken[index].confidence >= KNOWN:
            continue
        if index == holder or lexicon().lets_cells_speak(path, NAME):
            share = name_share([row.values[index] if index < len(row.values) else None for row in rows])
            if share >= MIN_SHARE:
                shares[index] = share
    if len(shares) != 1 or holder in shares:
        return None
    index, share = shares.popitem()
    return index, Fit(NAME, confidence_by_values(share, len(rows)))


def _reports(
    paths: dict[int, tuple[str, ...]], taken: dict[int, Fit], sheet: str, row: int, by_values: set[int]
) -> tuple[HeadingReport, ...]:
    return tuple(
        HeadingReport(
            sheet,
            address(row, index),
            heading_text(path),
            taken[index].target if index in taken else None,
            round(min(1.0, taken[index].confidence), 3) if index in taken else 0.0,
            index in by_values,
        )
        for index, path in sorted(paths.items())
    )


def _paths(block: Sequence[Row], merges: MergeIndex) -> dict[int, tuple[str, ...]]:
    """For each column, its headings from the outermost group down to its own."""
    width = max((len(row.values) for row in block), default=0)
    anchors = {row.number: row.values for row in block}
    levels: list[list[str]] = []
    for row in block:
        labels = []
        merged = False
        for index in range(width):
            cover = merges.covering(row.number, index)
            source = anchors.get(cover.top) if cover else row.values
            merged = merged or (cover is not None and cover.right > cover.left)
            position = cover.left if cover else index
            value: Value = source[position] if source is not None and position < len(source) else None
            labels.append(plain(value).strip())
        if row is not block[-1] and not merged:
            labels = _spread(labels)
        levels.append(labels)
    paths = {}
    for index in range(width):
        path: list[str] = []
        for labels in levels:
            label = labels[index]
            if not label or (path and path[-1] == label):
                continue
            if path and _is_unit(label):
                # A row of units below the headings, （万元） or （台）, belongs to the heading itself.
                path[-1] += label if label[0] in "(（[【" else f"（{label}）"
            else:
                path.append(label)
        if path:
            paths[index] = tuple(path)
    return paths


def _spread(labels: list[str]) -> list[str]:
    """A group row without merges: each group reaches to the next one."""
    spread, current = [], ""
    for label in labels:
        current = label or current
        spread.append(current)
    return spread

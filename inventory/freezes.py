"""Freeze periods (封网期) as data: reads a freeze file and lays its rules over the days of a plan.

Who calls this: the command line and the control plane; with `inventory.holidays` it makes the operations calendar
that the wave planner gets. The file that ships beside this module (`freezes.yaml`) holds illustrative defaults;
a user gives his own file instead. Its form is documented there and validated here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from inventory.holidays import holiday_names, known_years, read_days, read_holiday_spans
from inventory.model.calendar import Freeze, OperationsCalendar
from inventory.model.form_faults import form_faults
from inventory.model.system import Ownership, Zone

DEFAULT_FREEZES = Path(__file__).with_name("freezes.yaml")
_LEAP_YEAR = 2024


class FreezeFileError(ValueError):
    """A freeze file that cannot be used: one line for each fault (file, place, value, rule, remedy)."""


def _month_day(text: str) -> str:
    match = re.fullmatch(r"(\d{2})-(\d{2})", text)
    try:
        if match is None:
            raise ValueError
        date(_LEAP_YEAR, int(match[1]), int(match[2]))
    except ValueError:
        raise ValueError(
            "须为 MM-DD 且在一年之内，例如 03-05 / must be a day of the year as MM-DD, such as 03-05"
        ) from None
    return text


def _holiday(text: str) -> str:
    if text not in holiday_names():
        raise ValueError(f"须为下列之一 / must be one of: {', '.join(sorted(holiday_names()))}")
    return text


MonthDay = Annotated[str, AfterValidator(_month_day)]


class _Form(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class YearlySpan(_Form):
    """The same days every year; `last` before `first` means that the span goes over New Year."""

    first: MonthDay
    last: MonthDay


class DatedSpan(_Form):
    first: date
    last: date

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.last < self.first:
            raise ValueError(f"last {self.last} 早于 first {self.first}，请对调 / last is before first; swap them")
        return self


class MonthlySpan(_Form):
    """Days of every month, 1 to 31; a month that has no such day ends earlier."""

    first: int = Field(ge=1, le=31)
    last: int = Field(ge=1, le=31)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.last < self.first:
            raise ValueError(f"last {self.last} 小于 first {self.first}，请对调 / last is before first; swap them")
        return self


class HolidaySpan(_Form):
    """A public holiday with days before and after. `when_unknown` stands in for years without a notice."""

    name: Annotated[str, AfterValidator(_holiday)]
    before: int = Field(default=0, ge=0, le=14)
    after: int = Field(default=0, ge=0, le=14)
    when_unknown: tuple[DatedSpan | YearlySpan, ...] = ()


class FreezeForm(_Form):
    """One freeze: a name, exactly one kind of rule, a scope (empty: everyone), and where it comes from."""

    name: str = Field(min_length=1)
    source: str = Field(min_length=1)
    dates: tuple[DatedSpan, ...] = ()
    yearly: YearlySpan | None = None
    monthly: MonthlySpan | None = None
    holiday: HolidaySpan | None = None
    sectors: frozenset[str] = frozenset()
    zones: frozenset[Zone] = frozenset()
    ownerships: frozenset[Ownership] = frozenset()
    tags: frozenset[str] = frozenset()
    regions: frozenset[str] = frozenset()
    departments: frozenset[str] = frozenset()
    overridable_by: str | None = None

    @model_validator(mode="after")
    def _one_rule(self) -> Self:
        given = [bool(self.dates), self.yearly is not None, self.monthly is not None, self.holiday is not None]
        if sum(given) != 1:
            raise ValueError(
                "须恰有 dates、yearly、monthly、holiday 之一"
                " / exactly one of dates, yearly, monthly, holiday is needed"
            )
        return self


class FreezeFile(_Form):
    """The whole file. `sectors` tells by which words in a department's or system's name a sector is known."""

    version: Literal[1]
    illustrative: bool = False
    sectors: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    freezes: tuple[FreezeForm, ...]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = [freeze.name for freeze in self.freezes]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"封网期 {name!r} 重名，请改名 / two freezes are named {name!r}; rename one")
        for freeze in self.freezes:
            for sector in sorted(freeze.sectors - set(self.sectors)):
                raise ValueError(
                    f"封网期 {freeze.name!r} 的行业 {sector!r} 未在 sectors 中定义，请补充"
                    f" / sector {sector!r} of freeze {freeze.name!r} is not defined under sectors; add it"
                )
        return self


def read_freeze_file(path: Path = DEFAULT_FREEZES) -> FreezeFile:
    """Raises FreezeFileError where the file is missing, is no YAML, or breaks the form."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise FreezeFileError(
            f"{path}: 找不到封网期文件，请检查路径 / no such freeze file; check the path"
        ) from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as fault:
        cause = " ".join(str(fault).split())
        raise FreezeFileError(
            f"{path}: 无法读取，须为 UTF-8 的 YAML / cannot be read, UTF-8 YAML is expected: {cause}"
        ) from fault
    try:
        return FreezeFile.model_validate(content)
    except ValidationError as faults:
        raise FreezeFileError("\n".join(_lines(path, faults))) from None


def read_operations_calendar(
    starts_on: date, horizon_weeks: int, freeze_file: Path = DEFAULT_FREEZES
) -> OperationsCalendar:
    """Days, freezes and sector words for a plan that starts on `starts_on`; reads the files, decides nothing.

    Holds a few days more than the horizon, because a night's window ends on the day after.
    """
    last = starts_on + timedelta(weeks=horizon_weeks, days=2)
    rules = read_freeze_file(freeze_file)
    freezes = [freeze for form in rules.freezes for freeze in _periods(form, starts_on, last)]
    freezes.sort(key=lambda freeze: (freeze.first, freeze.last, freeze.name))
    return OperationsCalendar(read_days(starts_on, last), tuple(freezes), rules.sectors)


def _periods(form: FreezeForm, first: date, last: date) -> Iterator[Freeze]:
    """The periods of one rule that touch the days from `first` to `last`."""
    for begins, ends, provisional in _spans(form, first, last):
        if begins <= last and ends >= first:
            yield Freeze(
                name=form.name,
                first=begins,
                last=ends,
                source=form.source,
                sectors=form.sectors,
                zones=form.zones,
                ownerships=form.ownerships,
                tags=form.tags,
                regions=form.regions,
                departments=form.departments,
                overridable_by=form.overridable_by,
                provisional=provisional,
            )


def _spans(form: FreezeForm, first: date, last: date) -> Iterator[tuple[date, date, bool]]:
    years = range(first.year - 1, last.year + 2)
    for dated in form.dates:
        yield dated.first, dated.last, False
    if form.yearly is not None:
        for year in years:
            yield *_of_year(form.yearly, year), False
    if form.monthly is not None:
        for year in years:
            for month in range(1, 13):
                end = _last_of_month(year, month)
                if form.monthly.first <= end:
                    yield (
                        date(year, month, form.monthly.first),
                        date(year, month, min(form.monthly.last, end)),
                        False,
                    )
    if form.holiday is not None:
        yield from _holiday_periods(form.holiday, first, last)


def _holiday_periods(rule: HolidaySpan, first: date, last: date) -> Iterator[tuple[date, date, bool]]:
    before, after = timedelta(days=rule.before), timedelta(days=rule.after)
    for name, begins, ends in read_holiday_spans(first - after, last + before):
        if name == rule.name:
            yield begins - before, ends + after, False
    years = known_years()
    for span in rule.when_unknown:
        if isinstance(span, DatedSpan):
            if span.last.year not in years:
                yield span.first - before, span.last + after, True
            continue
        for year in range(first.year - 1, last.year + 2):
            begins, ends = _of_year(span, year)
            if ends.year not in years:
                yield begins - before, ends + after, True


def _of_year(span: YearlySpan, year: int) -> tuple[date, date]:
    """The span that begins in `year`. 02-29 is 02-28 in a common year."""
    begins, ends = _on(year, span.first), _on(year, span.last)
    return (begins, ends) if span.first <= span.last else (begins, _on(year + 1, span.last))


def _on(year: int, month_day: str) -> date:
    month, day = (int(part) for part in month_day.split("-"))
    return date(year, month, min(day, _last_of_month(year, month)))


def _last_of_month(year: int, month: int) -> int:
    following = date(year + month // 12, month % 12 + 1, 1)
    return (following - timedelta(days=1)).day


def _lines(path: Path, refusal: ValidationError) -> Iterator[str]:
    for fault in form_faults(refusal):
        place = ".".join(str(part) for part in fault.place) or "文件/file"
        yield f"{path}: {place} = {fault.value}: {fault.rule}；请改正 / correct it"

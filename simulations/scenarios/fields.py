"""The kinds of values that scenario forms are made of: durations, sizes, series; each says its rule when refused."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from inventory.model.units import parse_bytes, parse_cpu
from simulations.series import StepSeries

_UNITS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|[smhdw])")
MINUTE, HOUR, DAY = _UNITS["m"], _UNITS["h"], _UNITS["d"]
LONGEST_MS = 100 * 366 * DAY


class Form(BaseModel):
    """Every part of a scenario: what is not known is refused, not passed over."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True, allow_inf_nan=False)


def parse_duration(text: object) -> int:
    """Milliseconds of "90s", "1h30m", "2.5d"; 0 is "0". Raises ValueError with the rule."""
    said = str(text).strip().lower()
    if said == "0":
        return 0
    parts = _PART.findall(said)
    if isinstance(text, bool) or not parts or _PART.sub("", said).strip():
        raise ValueError(
            "须写成带单位的时长，如 500ms、90s、10m、1h30m、7d、2w"
            " / must be a duration with its unit: 500ms, 90s, 10m, 1h30m, 7d, 2w"
        )
    milliseconds = round(sum(float(number) * _UNITS[unit] for number, unit in parts))
    if milliseconds > LONGEST_MS:
        raise ValueError("不得超过 100 年 / must be at most 100 years")
    return milliseconds


def format_duration(milliseconds: float) -> str:
    """Short text for people: 1.5h, 20s, 3d."""
    for unit in ("d", "h", "m", "s"):
        if milliseconds >= _UNITS[unit]:
            return f"{milliseconds / _UNITS[unit]:.3g}{unit}"
    return f"{milliseconds:.3g}ms"


def _bytes(text: object) -> int:
    try:
        return parse_bytes(str(text))
    except ValueError as error:
        raise ValueError("须写成字节数，如 64Gi、1.5T / must be bytes, such as 64Gi or 1.5T") from error


def _cpu(text: object) -> int:
    try:
        return parse_cpu(str(text))
    except ValueError as error:
        raise ValueError("须写成核数，如 4、0.5 或 500m / must be cores (4, 0.5) or milli-cores (500m)") from error


Duration = Annotated[int, BeforeValidator(parse_duration)]
Bytes = Annotated[int, BeforeValidator(_bytes)]
MilliCpu = Annotated[int, BeforeValidator(_cpu)]
Name = Annotated[str, Field(pattern=r"^[^\s/\\:*?\"<>|]{1,64}$")]  # it becomes part of file names
Identifier = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]


class Step(Form):
    """From `at` (since the trace's origin) on it is `value`."""

    at: Duration
    value: float = Field(ge=0, le=1e9)


class SeriesForm(Form):
    """A quantity in steps; with `repeat` (1d, say) it begins anew every so long."""

    steps: tuple[Step, ...] = Field(min_length=1, max_length=1_000_000)
    repeat: Duration = 0

    @model_validator(mode="after")
    def _rises(self) -> SeriesForm:
        times = [step.at for step in self.steps]
        if times != sorted(set(times)):
            raise ValueError("steps 的时刻须逐个变大 / the times of steps must rise")
        if self.repeat and times[-1] - times[0] >= self.repeat:
            raise ValueError("各 step 须落在一个 repeat 周期之内 / all steps must lie within one repeat")
        return self

    def series(self) -> StepSeries:
        return StepSeries(
            np.array([step.at for step in self.steps], dtype=np.int64),
            np.array([step.value for step in self.steps], dtype=np.float64),
            self.repeat,
        )


def _as_series(given: Any) -> Any:
    """A plain number is a series that never changes."""
    if isinstance(given, Mapping | SeriesForm | None):
        return given
    return {"steps": [{"at": "0", "value": given}]}


Series = Annotated[SeriesForm, BeforeValidator(_as_series)]


def parse_seeds(given: object) -> tuple[int, ...]:
    """3, "0-9", "0-4,8" or a list. Raises ValueError with the rule."""
    parts = given if isinstance(given, list | tuple) else str(given).split(",")
    seeds: list[int] = []
    for part in parts:
        first, dash, last = str(part).strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()) or (dash and int(last) < int(first)):
            raise ValueError("须写成种子，如 0-9 或 0,3,7 / must be seeds, such as 0-9 or 0,3,7")
        if int(last or first) - int(first) > 10_000:
            raise ValueError("种子不得超过 10000 个 / at most 10,000 seeds")
        seeds += range(int(first), int(last or first) + 1)
    return tuple(dict.fromkeys(seeds))


Seeds = Annotated[tuple[int, ...], BeforeValidator(parse_seeds), Field(min_length=1)]

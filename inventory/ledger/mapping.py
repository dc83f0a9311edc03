"""Header mapping as a value: what a person decided about a sender's headings, read from YAML and written back.

`read.read_ledger` takes one; intake keeps one per sender. pydantic stands here because a mapping is a file that
people write (architecture: pydantic at the edges).
"""

from __future__ import annotations

from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from inventory.ledger.errors import MappingFileError
from inventory.ledger.lexicon import IGNORED, heading_key, lexicon


class HeaderMapping(BaseModel):
    """Overrides of the heading lexicon. YAML form:

    ```yaml
    sender: 示例区大数据中心          # optional: whose workbooks it is for
    headings:                        # heading as written -> field, or `ignore`
      承载网: zone
      内部代号: ignore
    sheets:                          # sheet name -> district, vertical, soe, or `skip`
      平台类: soe
    ```
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    sender: str | None = None
    headings: dict[str, str] = Field(default_factory=dict)
    sheets: dict[str, Literal["district", "vertical", "soe", "skip"]] = Field(default_factory=dict)

    @field_validator("headings")
    @classmethod
    def _fields_exist(cls, headings: dict[str, str]) -> dict[str, str]:
        known = [*sorted(lexicon().fields), IGNORED]
        for heading, target in headings.items():
            if target not in known:
                raise ValueError(
                    f"“{heading}”映射到未知字段 {target!r}，可用字段：{', '.join(known)}"
                    f" / heading {heading!r} is mapped to no field {target!r}; use one of {', '.join(known)}"
                )
        return headings

    def field_of(self, heading: str) -> str | None:
        """The field (or "ignore") that a person chose for this heading; None where nobody did."""
        wanted = heading_key(heading).full
        return next((target for text, target in self.headings.items() if heading_key(text).full == wanted), None)

    def to_yaml(self) -> str:
        return yaml.safe_dump(self.model_dump(exclude_none=True), allow_unicode=True, sort_keys=True)

    @classmethod
    def from_yaml(cls, text: str, filename: str = "mapping.yaml") -> HeaderMapping:
        """Raises MappingFileError with one line that names the first wrong entry."""
        try:
            content = yaml.safe_load(text)
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            where = f"第 {mark.line + 1} 行" if mark is not None else "内容"
            raise MappingFileError(
                f"{filename}：{where}不是有效的 YAML，请检查缩进与冒号 / {filename} is no valid YAML near {where}"
            ) from error
        if not isinstance(content, dict):
            raise MappingFileError(
                f"{filename}：映射文件须为“表头: 字段”的 YAML，顶层键为 headings、sheets、sender"
                f" / {filename} must be a YAML mapping with the keys headings, sheets, sender"
            )
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"])
            rule = first["msg"].removeprefix("Value error, ")
            if " / " not in rule:  # pydantic's own words are English only
                rule = f"不符合映射文件的格式（键为 headings、sheets、sender），请改正 / {rule}; correct it"
            raise MappingFileError(f"{filename}: {place}: {rule}") from error

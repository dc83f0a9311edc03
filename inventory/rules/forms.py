"""What the rule files share: strict YAML, texts in two languages, sources that must be named."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Self

import yaml
from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError, model_validator

from inventory.model.form_faults import form_faults
from inventory.model.migration import Pair
from inventory.rules.source import RuleFileError, Source


class Form(BaseModel):
    """Base of every form: what it does not know, it refuses."""

    model_config = ConfigDict(frozen=True, extra="forbid")


Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Id = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{2,60}$")]


class PairForm(Form):
    """A text for people."""

    zh: Text
    en: Text

    @property
    def pair(self) -> Pair:
        return self.zh, self.en


class SourceForm(Form):
    """Where a rule comes from: see `source.Source`."""

    document: Text | None = None
    clause: Text | None = None
    paraphrase: Text | None = None
    project: Text | None = None

    @model_validator(mode="after")
    def _says_where_from(self) -> Self:
        quoted = sum(text is not None for text in (self.clause, self.paraphrase))
        if (self.document is None and (quoted or self.project is None)) or (
            self.document is not None and quoted != 1
        ):
            raise ValueError(
                "须为 document 加 clause（引用原文）或 paraphrase（转述），或 project（本项目自定的理由）"
                " / must be document with clause (quoted) or paraphrase, or project (why it is our own)"
            )
        return self


def read_source(form: SourceForm, documents: Mapping[str, str]) -> tuple[Source, str | None]:
    """The source, and a fault where its document is not one of those that the file lists."""
    title = None if form.document is None else documents.get(form.document)
    fault = None
    if form.document is not None and title is None:
        known = ", ".join(documents)
        fault = (
            f"documents 中没有 {form.document!r}，可用：{known}"
            f" / {form.document!r} is not under documents; known: {known}"
        )
    return Source(form.document, title, form.clause, form.paraphrase, form.project), fault


class _StrictLoader(yaml.SafeLoader):
    """Refuses a key that stands twice: the second would silently win."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, str) and key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{key!r} 写了两次 / stands twice", key_node.start_mark
                )
            if isinstance(key, str):
                seen.add(key)
        return super().construct_mapping(node, deep)


def strict_yaml(path: Path) -> object:
    """The content of a YAML file. Raises RuleFileError where it is missing or is no YAML."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise RuleFileError([f"{path}: 找不到规则文件，请检查路径 / no such rule file; check the path"]) from None
    except (OSError, UnicodeDecodeError) as fault:
        raise RuleFileError([f"{path}: 无法读取，须为 UTF-8 / cannot be read as UTF-8: {fault}"]) from fault
    return parse_yaml(text, path.name)


def parse_yaml(text: str, name: str) -> object:
    """The content of a YAML text. `name` stands in messages. Raises RuleFileError."""
    try:
        content: object = yaml.load(text, _StrictLoader)  # a SafeLoader with one more refusal
    except (yaml.YAMLError, RecursionError) as fault:
        cause = " ".join(str(fault).split())
        raise RuleFileError(
            [f"{name}: 不是合法的 YAML，请改正 / is no valid YAML; correct it: {cause}"]
        ) from fault
    return content


def form_lines(name: str, refusal: ValidationError) -> Iterator[str]:
    for fault in form_faults(refusal):
        place = ".".join(str(part) for part in fault.place) or "文件/file"
        yield f"{name}: {place} = {fault.value}: {fault.rule}；请改正 / correct it"

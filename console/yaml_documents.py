"""YAML as people write it: several documents in one file, each value with the line that it stands on.

`console.jobfile` reads job files through it. Aliases are refused: a few lines of them expand to gigabytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from console.faults import Fault

Path = tuple[str | int, ...]
_ROOT: Path = ()


@dataclass(frozen=True, slots=True)
class YamlDocument:
    """One document: its plain value, and the line (from 1) of every mapping key and list item in it, by path."""

    value: Any
    lines: Mapping[Path, int]

    def line(self, path: Path) -> int:
        """The line of `path`, or of the nearest thing around it that has one."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def read_documents(text: str, name: str) -> list[YamlDocument]:
    """The documents of a YAML text that are not empty. Raises Fault that names the line."""
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            if isinstance(event, yaml.AliasEvent):
                line = _line(event.start_mark)
                raise Fault(
                    f"{name} 第 {line} 行：不支持别名 *{event.anchor}，请把内容写全"
                    f" / line {line}: aliases (*{event.anchor}) are not read; write it out"
                )
        return list(_documents(text, name))
    except yaml.MarkedYAMLError as error:
        line = _line(error.problem_mark)
        said = " ".join(f"{error.problem or error.context or ''}".split())
        raise Fault(
            f"{name} 第 {line} 行不是有效的 YAML（{said}）；请检查缩进、冒号和引号"
            f" / line {line} is no valid YAML; check indents, colons and quotes"
        ) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        said = " ".join(str(error).split())[:120]
        raise Fault(f"{name} 不是有效的 YAML（{said}）；请改正 / is no valid YAML; correct it") from error


def _documents(text: str, name: str) -> Iterator[YamlDocument]:
    loader = yaml.SafeLoader(text)
    try:
        while loader.check_node():
            node = loader.get_node()
            if node is None:
                return
            lines: dict[Path, int] = {_ROOT: _line(node.start_mark)}
            _note_lines(node, _ROOT, lines, name)
            value = loader.construct_document(node)
            if value is not None:
                yield YamlDocument(value, lines)
    finally:
        loader.dispose()


def _line(mark: Any) -> int:
    """The line as an editor counts; PyYAML has two kinds of marks, and sometimes none."""
    return 1 if mark is None else int(mark.line) + 1


def _note_lines(node: yaml.Node, path: Path, lines: dict[Path, int], name: str) -> None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.tag == "tag:yaml.org,2002:bool":
                key.tag = "tag:yaml.org,2002:str"  # the field `on` is a name; YAML 1.1 reads it as true
            inner = (*path, str(key.value))
            line = _line(key.start_mark)
            if inner in lines:
                raise Fault(
                    f"{name} 第 {line} 行：{key.value} 写了两次（前一次在第 {lines[inner]} 行），请删去一个"
                    f" / line {line}: {key.value} is given twice (first on line {lines[inner]}); remove one"
                )
            lines[inner] = line
            _note_lines(value, inner, lines, name)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            lines[(*path, index)] = _line(item.start_mark)
            _note_lines(item, (*path, index), lines, name)

"""Where a rule comes from, and what a faulty rule file says. Every file of rules beside this module uses both."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from inventory.model.migration import Pair


class RuleFileError(ValueError):
    """A rule file that cannot be used. `lines`: one for each fault (file, place, value, rule, remedy)."""

    def __init__(self, lines: Iterable[str]) -> None:
        self.lines = tuple(lines)
        super().__init__("\n".join(self.lines))


@dataclass(frozen=True, slots=True)
class Source:
    """Where a rule comes from: a document with the clause quoted from it, or a paraphrase where its text was not
    seen in full; and what of the rule is the project's own. Without a document the whole rule is."""

    document: str | None
    title: str | None
    clause: str | None
    paraphrase: str | None
    own: str | None

    @property
    def says(self) -> Pair:
        zh, en = [], []
        if self.document is not None:
            said = f"“{self.clause}”" if self.clause else ""
            zh.append(f"{self.title}：{said or '转述：' + (self.paraphrase or '')}")
            en.append(f"{self.title}: {said or 'paraphrased: ' + (self.paraphrase or '')}")
        if self.own is not None:
            zh.append(f"本项目自定：{self.own}")
            en.append(f"the project's own: {self.own}")
        return "；".join(zh), "; ".join(en)

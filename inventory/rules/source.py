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
    seen in full; and what of the rule is the project's own. Without a document the whole rule is.
    `own` and `paraphrase` are "中文 / English"."""

    document: str | None
    title: str | None
    clause: str | None
    paraphrase: str | None
    own: str | None

    @property
    def says(self) -> Pair:
        zh, en = [], []
        if self.document is not None:
            told_zh, _, told_en = (self.paraphrase or "").partition(" / ")
            # What is quoted stands as it is, in Chinese, in both.
            zh.append(f"{self.title}：" + (f"“{self.clause}”" if self.clause else f"转述：{told_zh}"))
            en.append(
                f"{self.title}: " + (f"“{self.clause}”" if self.clause else f"paraphrased: {told_en or told_zh}")
            )
        if self.own is not None:
            own_zh, _, own_en = self.own.partition(" / ")
            zh.append(f"本项目自定：{own_zh}")
            en.append(f"the project's own: {own_en or own_zh}")
        return "；".join(zh), "; ".join(en)

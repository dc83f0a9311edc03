"""Which systems do the same: likeness of Chinese names and functions by character n-grams.

Who calls this: `inventory.assessment`, for the ledger's systems and before a project is approved. Chinese has no
word boundaries, so pieces of one to three characters are compared, weighted by how rare they are (TF-IDF), and
likeness is the cosine of the two weightings, in percent. This is the one module that imports scikit-learn, and it
does so when the first search runs: most commands search nothing.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

# Words that name what kind of thing it is, or its phase, and tell nothing of what it does.
_TELLS_NOTHING = re.compile(
    r"信息系统|管理系统|业务系统|系统|平台|信息化|项目|工程"
    r"|[（(][^（）()]*[）)]|第?[一二三四五六七八九十\d]+期|v\d+(\.\d+)*"
)
_PIECES = (1, 3)
_AT_ONCE = 1_000
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Description:
    """A system or project as it is compared: its key, name, department and function in words."""

    key: str
    name: str
    department: str | None
    function: str | None


@dataclass(frozen=True, slots=True)
class Match:
    """Another one that looks alike, with its likeness in percent and the words that both use."""

    key: str
    name: str
    department: str | None
    likeness_pct: int
    shared: tuple[str, ...]


class LookalikeIndex:
    """The descriptions to search among. Made once, asked often."""

    def __init__(self, descriptions: Sequence[Description]) -> None:
        self._known = tuple(descriptions)

    def nearest(self, wanted: Description, limit: int = 5, at_least_pct: int = 1) -> tuple[Match, ...]:
        """The most alike, best first, without the one of the same key; at most `limit`."""
        if not self._known or not _text(wanted):
            return ()
        vectorizer, matrix = self._fitted
        likeness = (matrix @ vectorizer.transform([_text(wanted)]).T).toarray().ravel()
        return self._best(wanted, likeness, limit, at_least_pct)

    def nearest_of_each(self, limit: int = 5, at_least_pct: int = 1) -> Mapping[str, tuple[Match, ...]]:
        """For each description, the others that are most alike, as `nearest` gives them."""
        if not self._known:
            return {}
        _, matrix = self._fitted
        found: dict[str, tuple[Match, ...]] = {}
        for start in range(0, len(self._known), _AT_ONCE):
            part = self._known[start : start + _AT_ONCE]
            likeness = (matrix[start : start + len(part)] @ matrix.T).toarray()
            for at, wanted in enumerate(part):
                found[wanted.key] = self._best(wanted, likeness[at], limit, at_least_pct)
        return found

    @cached_property
    def _fitted(self) -> tuple[Any, Any]:
        from sklearn.feature_extraction.text import TfidfVectorizer

        vectorizer = TfidfVectorizer(analyzer="char", ngram_range=_PIECES, sublinear_tf=True, lowercase=True)
        texts = [_text(one) for one in self._known]
        # A ledger whose every name says nothing (all blank after cleaning) still has to be fitted with something.
        vectorizer.fit(texts if any(texts) else ["无"])
        return vectorizer, vectorizer.transform(texts)

    def _best(self, wanted: Description, likeness: Any, limit: int, at_least_pct: int) -> tuple[Match, ...]:
        # Rounded down before comparing: a likeness in percent is an integer everywhere, and ties fall to the key.
        near = (likeness >= at_least_pct / 100 - _ROUNDING).nonzero()[0].tolist()
        percents = {at: int(likeness[at] * 100 + _ROUNDING) for at in near}
        chosen = [at for at in near if percents[at] >= at_least_pct and self._known[at].key != wanted.key]
        chosen.sort(key=lambda at: (-percents[at], self._known[at].key))
        return tuple(
            Match(
                self._known[at].key,
                self._known[at].name,
                self._known[at].department,
                percents[at],
                _shared(wanted, self._known[at]),
            )
            for at in chosen[:limit]
        )


def _text(one: Description) -> str:
    """The name without its department and without words that tell nothing, and the function."""
    name = plain(one.name)
    if one.department:
        # 区交通局 stands as 交通局 in the names of its systems.
        name = name.replace(plain(one.department), "").replace(plain(one.department)[1:] or "\x00", "")
    return f"{_TELLS_NOTHING.sub('', name)} {_TELLS_NOTHING.sub('', plain(one.function or ''))}".strip()


def plain(text: str) -> str:
    return "".join(unicodedata.normalize("NFKC", text).split()).lower()


def _shared(one: Description, other: Description) -> tuple[str, ...]:
    """The longest pieces of two characters or more that stand in both, longest first, none within another."""
    text, wanted = _text(one), _text(other)
    pieces = {
        text[start : start + length]
        for length in range(2, len(text) + 1)
        for start in range(len(text) - length + 1)
        if text[start : start + length] in wanted and " " not in text[start : start + length]
    }
    kept: list[str] = []
    for piece in sorted(pieces, key=lambda piece: (-len(piece), piece)):
        if not any(piece in longer for longer in kept):
            kept.append(piece)
    return tuple(kept[:4])

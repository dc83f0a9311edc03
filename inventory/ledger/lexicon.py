"""The heading lexicon (headings.yaml) and how well a heading fits a field.

`tables` asks it for every heading; `mapping` for the names of the fields. The confidence is 1.0 for a spelling that
the lexicon holds, less for one that only contains or resembles such a spelling; below THRESHOLD nothing is claimed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache
from importlib import resources

import yaml

from inventory.ledger.cells.text import packed

IGNORED = "ignore"
CREDENTIAL = "credential"
THRESHOLD = 0.6
# From here on a heading is known; what lies below resembles a known one and may be overruled by a column's cells.
KNOWN = 0.9
_VAGUE = 0.8
MAX_HEADING_LENGTH = 60
_BRACKETED = re.compile(r"[(\[【〔][^)\]】〕]*[)\]】〕]?")
_NUMBERING = re.compile(r"^(?:[(]?\d{1,2}[.、)]|[(]?[一二三四五六七八九十]{1,2}[、.)])")
_TRIM = re.compile(r"[*#:：、,，;；。.·“”\"'‘’\-—_/|?？!！\s]+")
_RANK_STEP = 0.001
_GROUP_TAIL = re.compile(r"(?:基本)?(?:情况|信息|状况|内容|资源|配置|部分)$")


# Below a group these say no more than the group does: 名称 under 对接情况.
_NEUTRAL = re.compile(r"(?:系统)?名称|情况|内容|清单|明细|信息|列表|描述|具体情况|是否|结果")


@dataclass(frozen=True, slots=True)
class HeadingKey:
    """A heading made comparable. `core` is without what stands in brackets, `full` with it."""

    core: str
    full: str


@dataclass(frozen=True, slots=True)
class Fit:
    """`target` is a field name, CREDENTIAL or IGNORED."""

    target: str
    confidence: float


@dataclass(frozen=True, slots=True)
class FieldSpellings:
    headings: tuple[str, ...]
    never: tuple[str, ...]
    never_under: tuple[str, ...]

    def allows(self, key: str) -> bool:
        return not any(word in key for word in self.never)


@dataclass(frozen=True, slots=True)
class EvidenceRule:
    """When a heading lets a column's cells speak: none of `never` in it and, where there are any, one of `hint`."""

    never: tuple[str, ...]
    hint: tuple[str, ...]

    def allows(self, key: str) -> bool:
        return not any(word in key for word in self.never) and (
            not self.hint or any(word in key for word in self.hint)
        )


@lru_cache(maxsize=16_384)
def heading_key(text: str) -> HeadingKey:
    """NFKC, lower case, no spaces, numbering, stars or punctuation; 登保, the usual slip for 等保, put right."""
    bare = _NUMBERING.sub("", packed(text).lower()).replace("登保", "等保")
    return HeadingKey(
        _TRIM.sub("", _BRACKETED.sub("", bare)), _TRIM.sub("", re.sub(r"[()\[\]【】〔〕]", "", bare))
    )


class Lexicon:
    """All spellings, prepared once."""

    def __init__(self, content: dict[str, object]) -> None:
        fields = content["fields"]
        credentials = content["credentials"]
        others = content["others"]
        assert isinstance(fields, dict) and isinstance(credentials, dict) and isinstance(others, list)
        self.fields: dict[str, FieldSpellings] = {
            name: FieldSpellings(
                tuple(heading_key(text).full for text in entry["headings"]),
                tuple(packed(word).lower() for word in entry.get("never", ())),
                tuple(packed(word).lower() for word in entry.get("never_under", ())),
            )
            for name, entry in fields.items()
        }
        self._exact: dict[str, Fit] = {}
        for name, spellings in self.fields.items():
            for rank, key in enumerate(spellings.headings):
                fit = Fit(name, round(1 - rank * _RANK_STEP, 4))
                if key not in self._exact or self._exact[key].confidence < fit.confidence:
                    self._exact[key] = fit
        for text in others:
            self._exact.setdefault(heading_key(text).full, Fit(IGNORED, 1.0))
        for text in _texts(content["vague"]):
            self._exact.setdefault(heading_key(text).full, Fit(IGNORED, _VAGUE))
        self._evidence_rules = _evidence_rules(content["by_values"])
        self._by_sign: dict[str, list[str]] = {}
        for spelling in self._exact:
            for sign in set(spelling):
                self._by_sign.setdefault(sign, []).append(spelling)
        self._credential_words = tuple(credentials["words"])
        self._credential_never = tuple(credentials["never"])
        for text in credentials["headings"]:
            self._exact[heading_key(text).full] = Fit(CREDENTIAL, 1.0)

    def is_known(self, text: str) -> bool:
        """True when the text is a heading of the lexicon as it stands; the quick question asked of every row."""
        return len(text) <= MAX_HEADING_LENGTH and self.exact(text) is not None

    @lru_cache(maxsize=65_536)  # noqa: B019 - one lexicon lives as long as the process
    def exact(self, text: str) -> Fit | None:
        key = heading_key(text)
        return self._exact.get(key.full) or self._exact.get(key.core)

    def asks_for_credentials(self, text: str) -> bool:
        key = packed(text).lower()
        if any(word in key for word in self._credential_never):
            return False
        return any(word in key for word in self._credential_words)

    def lets_cells_speak(self, path: tuple[str, ...], target: str) -> bool:
        """Whether what stands over a column leaves room for giving it `target` for what its cells say."""
        rule = self._evidence_rules.get(target)
        return rule is None or rule.allows("".join(heading_key(part).full for part in path))

    def fits(self, groups: Iterable[str], own: str) -> list[Fit]:
        """Every field that the heading `own` under the group headings may mean, best first."""
        path = (*groups, own)
        return self._fits(tuple(part for part in path if part))

    @lru_cache(maxsize=16_384)  # noqa: B019 - as above
    def _fits(self, path: tuple[str, ...]) -> list[Fit]:
        if not path or len(path[-1]) > MAX_HEADING_LENGTH:
            return []
        own = path[-1]
        if self.asks_for_credentials("".join(path)) and not self._says_field(own):
            return [Fit(CREDENTIAL, 1.0)]
        best: dict[str, float] = {}
        for composite in _composites(path):
            found = self._exact.get(composite)
            if found:
                # A group and a heading that together make a known spelling say more than the heading alone.
                best[found.target] = max(best.get(found.target, 0), min(1.0, found.confidence) + 0.01)
        found = self.exact(own)
        if found and not (found.target in self.fields and not self._allowed(found.target, path)):
            best[found.target] = max(best.get(found.target, 0), found.confidence)
        if not best:
            best = self._resembling(path)
        ranked = sorted(best.items(), key=lambda item: (-item[1], item[0]))
        return [
            Fit(target, round(min(confidence, 1.01), 4))
            for target, confidence in ranked
            if confidence >= THRESHOLD
        ]

    def _says_field(self, own: str) -> bool:
        found = self.exact(own)
        return found is not None and found.target != CREDENTIAL and not self.asks_for_credentials(own)

    def _allowed(self, target: str, path: tuple[str, ...]) -> bool:
        groups = "".join(heading_key(part).full for part in path[:-1])
        return not any(word in groups for word in self.fields[target].never_under)

    def _resembling(self, path: tuple[str, ...]) -> dict[str, float]:
        best: dict[str, float] = {}
        own = {heading_key(path[-1]).core, heading_key(path[-1]).full} - {""}
        groups = (
            []
            if _NEUTRAL.fullmatch(heading_key(path[-1]).core)
            else [heading_key(part).full for part in path[:-1]]
        )
        for key in sorted({*own, *_composites(path)}):
            for spelling in self._alike(key):
                if key not in own and any(spelling in group for group in groups):
                    continue  # the group alone says it: 计算资源 over 备份 tells nothing of the backup
                target = self._exact[spelling].target
                confidence = _resemblance(key, spelling)
                if confidence <= best.get(target, THRESHOLD - 0.01) or target == CREDENTIAL:
                    continue
                rules = self.fields.get(target)
                if rules is None or (rules.allows(key) and self._allowed(target, path)):
                    best[target] = confidence
        return best

    def _alike(self, key: str) -> list[str]:
        """The spellings that share at least two signs with the key: only those can resemble it."""
        shared = Counter(spelling for sign in set(key) for spelling in self._by_sign.get(sign, ()))
        return [spelling for spelling, count in shared.items() if count >= 2]


def _texts(entries: object) -> list[str]:
    assert isinstance(entries, list)
    return [str(entry) for entry in entries]


def _evidence_rules(content: object) -> dict[str, EvidenceRule]:
    assert isinstance(content, dict)
    return {
        name: EvidenceRule(tuple(entry.get("never", ())), tuple(entry.get("hint", ())))
        for name, entry in content.items()
    }


def _composites(path: tuple[str, ...]) -> list[str]:
    """group + heading, with and without a filler such as 情况 at the end of the group."""
    own = heading_key(path[-1])
    found = []
    for group in path[:-1]:
        key = heading_key(group)
        for head in (key.core, key.full, _GROUP_TAIL.sub("", key.core)):
            for tail in (own.core, own.full):
                if head and tail:
                    found.append(head + tail)
    return found


def _resemblance(key: str, spelling: str) -> float:
    """0..0.95: how much of the longer text the shorter one is, if contained; else the common signs, discounted."""
    shorter, longer = sorted((key, spelling), key=len)
    if len(shorter) < 2:
        return 0.0
    if shorter in longer:
        coverage = len(shorter) / len(longer)
        return 0.55 + 0.4 * coverage if len(shorter) >= 3 or coverage >= 0.5 else 0.0
    if 2 * len(set(key) & set(spelling)) < len(set(longer)):
        return 0.0
    ratio = SequenceMatcher(None, key, spelling, autojunk=False).ratio()
    return 0.9 * ratio if ratio >= 0.7 else 0.0


@lru_cache(maxsize=1)
def lexicon() -> Lexicon:
    text = resources.files("inventory.ledger").joinpath("headings.yaml").read_text(encoding="utf-8")
    content: dict[str, object] = yaml.safe_load(text)
    return Lexicon(content)

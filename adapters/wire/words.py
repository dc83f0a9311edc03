"""The rules for names that people and programs give: queues, keys, pools, cards. One rule an object, one place."""

from __future__ import annotations

import re
from dataclasses import dataclass

from adapters.wire.inspection import Inspection


@dataclass(frozen=True, slots=True)
class WordRule:
    """A text of at most `longest` characters, without control characters, that matches `pattern` if there is one.

    `allowed_zh` and `allowed_en` say in words what the pattern allows.
    """

    longest: int
    pattern: re.Pattern[str] | None = None
    allowed_zh: str = ""
    allowed_en: str = ""
    may_be_empty: bool = False

    def inspect(self, text: str, check: Inspection, path: str) -> str:
        """`text`; a violation at `path` when it breaks this rule."""
        if not text:
            if not self.may_be_empty:
                check.refuse(path, text, "必填，不能为空", "required: give a value")
        elif len(text) > self.longest:
            check.refuse(
                path,
                text,
                f"{len(text)} 个字符，最多 {self.longest} 个",
                f"{len(text)} characters; at most {self.longest}",
            )
        elif self.pattern is not None and not self.pattern.fullmatch(text):
            check.refuse(path, text, f"只能用{self.allowed_zh}", f"use only {self.allowed_en}")
        elif not text.isprintable():
            check.refuse(path, text, "不能含控制字符", "must not contain control characters")
        return text


# Names of the organisation are Chinese, as in docs/queues.md. Ideographs have one case and one normal form, so two
# paths that look alike are the same; the compatibility block, where that is not so, is left out.
_LEVEL = r"[a-z0-9\u3007\u3400-\u9fff-]+"
QUEUE = WordRule(
    128,
    re.compile(f"{_LEVEL}(/{_LEVEL})*"),
    "汉字、小写字母、数字、“-”，以“/”分级，如 市/区/单位/系统",
    'Chinese characters, lower-case letters, digits and "-", in levels like city/district/department/system',
)
POOL_ID = WordRule(63, re.compile(r"[a-z0-9-]+"), "小写字母、数字、“-”", 'lower-case letters, digits and "-"')
ACCELERATOR = WordRule(
    64, re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*"), "字母、数字、“.”、“_”、“-”、“/”", "letters, digits, . _ - /"
)
NODE_ID = WordRule(253)
GROUP = WordRule(
    63, re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*"), "字母、数字、“.”、“_”、“-”", "letters, digits, . _ -"
)

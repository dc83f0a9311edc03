"""Recognises what a ledger must never hold: accounts and passwords, by what a cell says.

Every cell of every sheet is asked, because passwords stand in remarks as often as under 账号密码. Nothing here keeps,
returns or prints the text: the answer is yes or no (architecture, decision 13).
"""

from __future__ import annotations

import re
from functools import lru_cache

from inventory.ledger.cells.text import narrow, packed, says_nothing
from inventory.ledger.grid import Value

_HINT = re.compile(
    r"密|口令|pwd|pass|pw[:=]|token|secret|key|@|[账帐]|用户名|登录|://|\d\.\d+\.\d|root|admin|eyJ|bearer|BEGIN|AKIA|LTAI|/",
    re.IGNORECASE,
)
_VALUE = r"(?P<value>[^\s,，;；。、）)]{2,})"
_LABELLED = re.compile(
    r"(?<!商用)(?<!国产)(?<!应用)(?:密码|口令|登[录陆]密码|passw(?:or)?d|passwd|pwd|\bpw\b|\bpass\b|secret|token|(?:access|api|secret)[_ -]?key(?:[_ -]?(?:id|secret))?|密钥|"
    r"[账帐]号|[账帐]户|用户名|登[录陆]名|username|\buser\b|\buid\b|[账帐]密)\s*(?:[:=：]|为|是(?=\s*[\x21-\x7e]))\s*"
    + _VALUE,
    re.IGNORECASE,
)
_ACCOUNT_NAMES = r"(?:root|admin\w*|administrator|sa|sysdba|system|sys|sysadmin|test\d*|guest|user\d*|oracle|postgres|mysql|ubuntu|centos|manager|weblogic|nacos|superadmin|super)"
_ADDRESS = r"\d{1,3}(?:\.\d{1,3}){3}(?::\d{1,5})?"
_SEPARATOR = r"\s*[/|,，;；、\\\s:：]\s*"
_TRIPLE = re.compile(rf"{_ADDRESS}{_SEPARATOR}[A-Za-z][\w.@-]*{_SEPARATOR}(?P<value>\S{{3,}})")
_PAIR = re.compile(
    rf"(?<![\w.@/-]){_ACCOUNT_NAMES}\s*[/|,，;；:：\\]\s*(?P<value>[^\s/,，;；、)）]{{3,}})(?![\w/])",
    re.IGNORECASE,
)
_IN_ADDRESS = re.compile(r"[a-z][\w+.:-]*://[^\s/@:]+:[^\s/@]+@", re.IGNORECASE)
_TOKENS = re.compile(
    r"\beyJ[\w-]{10,}\.[\w-]{6,}|\b(?:AKIA|LTAI|AKID)[A-Za-z0-9]{12,}|\bsk-[A-Za-z0-9]{16,}|\bgh[pousr]_[A-Za-z0-9]{20,}|-----BEGIN [A-Z ]*PRIVATE KEY"
    r"|\bbearer\s+[\w.-]{12,}",
    re.IGNORECASE,
)
# What stands behind a colon when the sender withheld the secret, as he should.
_WITHHELD = re.compile(
    r"(?:无|没有|未设|不填|勿填|请勿|不得|禁止|不要|不必|另行|线下|另附|单独|见附件|详见|已删|保密|略|不提供|不予|专人|由|已修改|[*xX×●•]{3,}|[-—/]+$|是否|数量|\d+个|采用|统一|实名|应用方案)"
)
_STRONG = re.compile(r"(?=.*[A-Za-z])(?=.*[\d!@#$%^&*_+=~])")


def is_credential(value: Value) -> bool:
    """True when the cell holds what looks like an account or a password, wherever it stands."""
    return isinstance(value, str) and len(value) >= 5 and _tells_credential(value)


@lru_cache(maxsize=16_384)
def _tells_credential(value: str) -> bool:
    text = narrow(value)
    if not _HINT.search(text):
        return False
    if _TOKENS.search(text) or _IN_ADDRESS.search(text):
        return True
    if any(not _WITHHELD.match(match["value"]) for match in _LABELLED.finditer(text)):
        return True
    if _TRIPLE.search(text):
        return True
    return any(_STRONG.match(match["value"]) for match in _PAIR.finditer(text))


def is_withheld(value: Value) -> bool:
    """True when a cell under a credential heading holds nothing to refuse: empty, 无, —, 另行提供, ***."""
    return says_nothing(value) or bool(_WITHHELD.match(packed(value)))

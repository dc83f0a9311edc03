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
    r"密|口令|pwd|pass|\bpw\b|token|secret|key|[@!#$%^&*]|[账帐]|用户名|登[录陆]|://|\d\.\d+\.\d|root|admin|\bsa\b|sys|guest"
    r"|user|\buid\b|eyJ|bearer|BEGIN|AKIA|LTAI|AKID|sk-|gh[pousr]_",
    re.IGNORECASE,
)
_VALUE = r"(?P<value>[^\s,，;；。、）)]{2,})"
_LABELS = (
    r"密码|口令|密钥|[账帐]号|[账帐]户|[账帐]密|用户名|登[录陆]名|passw(?:or)?d|passwd|pwd|\bpw\b|\bpass\b|secret|token"
    r"|(?:access|api|secret)[_ -]?key(?:[_ -]?(?:id|secret))?|username|\buser\b|\buid\b"
)
_NOT_OURS = r"(?<!商用)(?<!国产)(?<!应用)"
_LABELLED = re.compile(rf"{_NOT_OURS}(?:{_LABELS})\s*(?:[:=：]|为|是(?=\s*[\x21-\x7e]))\s*{_VALUE}", re.IGNORECASE)
_ATTACHED = re.compile(
    _NOT_OURS
    + r"(?:密码|口令)\s*(?!SM\d|AES|SHA|RSA|MD5|3?DES|GB|GM|JR)(?=[\x21-\x7e]*\d)(?P<value>[\x21-\x7e]{5,})",
    re.IGNORECASE,
)
_ACCOUNT = r"(?:root|admin\w*|administrator|sa|sysdba|sysadmin|sysop|superadmin|guest)"
_ADDRESS = r"\d{1,3}(?:\.\d{1,3}){3}(?::\d{1,5})?"
_SEPARATOR = r"\s*[/|,，;；、\\\s:：]\s*"
_TRIPLE = re.compile(
    rf"{_ADDRESS}{_SEPARATOR}(?P<account>[A-Za-z][\w.@-]*){_SEPARATOR}(?P<value>[\x21-\x7e]{{3,}})"
)
_PAIR = re.compile(
    rf"(?<![\w.@/-]){_ACCOUNT}\s*[/|,，;；:：\\]\s*(?P<value>[\x21-\x7e]{{3,}}?)(?=[\s,，;；、。)）]|$)",
    re.IGNORECASE,
)
_ANY_PAIR = re.compile(r"(?<![\w.@/-])[A-Za-z][\w.]{1,20}\s*[/|:：]\s*(?P<value>[\x21-\x2e\x30-\x7e]{6,})")
_IN_ADDRESS = re.compile(r"[a-z][\w+.:-]*://[^\s/@:]+:[^\s/@]+@", re.IGNORECASE)
_TOKENS = re.compile(
    r"\beyJ[\w-]{10,}\.[\w-]{6,}|\b(?:AKIA|LTAI|AKID)[A-Za-z0-9]{12,}|\bsk-[A-Za-z0-9]{16,}"
    r"|\bgh[pousr]_[A-Za-z0-9]{20,}|-----BEGIN [A-Z ]*PRIVATE KEY|\bbearer\s+[\w.-]{12,}",
    re.IGNORECASE,
)
# What stands behind a colon when the sender withheld the secret, as he should.
_WITHHELD = re.compile(
    r"(?:无|没有|未设|不填|勿填|请勿|不得|禁止|不要|不必|另行|线下|另附|单独|见附件|详见|已删|保密|略|不提供|不予|专人|由|已修改"
    r"|[*xX×●•]{3,}|[-—/]+$|是否|数量|\d+个|采用|统一|实名|应用方案)"
)
_KNOWN_ACCOUNT = re.compile(_ACCOUNT, re.IGNORECASE)
# Behind a known account, letters with digits or signs, or six digits; behind any other word, also a sign that words
# and versions do not have: CentOS/Windows2012 is no password.
_SECRET = re.compile(r"(?=.*[A-Za-z])(?=.*[\d!@#$%^&*_+=~])|\d{6,}$")
_STRONG_SECRET = re.compile(r"(?=.*[A-Za-z])(?=.*\d)(?=.*[!@#$%^&*])")


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
    labelled = (*_LABELLED.finditer(text), *_ATTACHED.finditer(text))
    if any(not _WITHHELD.match(match["value"]) for match in labelled):
        return True
    if any(_names_account(match) or _STRONG_SECRET.match(match["value"]) for match in _TRIPLE.finditer(text)):
        return True
    if any(_SECRET.match(match["value"]) for match in _PAIR.finditer(text)):
        return True
    return "://" not in text and any(_STRONG_SECRET.match(match["value"]) for match in _ANY_PAIR.finditer(text))


def _names_account(match: re.Match[str]) -> bool:
    return _KNOWN_ACCOUNT.fullmatch(match["account"]) is not None


def is_withheld(value: Value) -> bool:
    """True when a cell under a credential heading holds nothing to refuse: empty, 无, —, 另行提供, ***."""
    return says_nothing(value) or bool(_WITHHELD.match(packed(value)))

"""Bearer tokens: a JWT becomes a principal once, and is known by its hash until it expires.

Two kinds of issuers: those of the settings (OIDC, keys from JWKS), and this installation itself, whose tokens are
valid as long as its register (`register`) has them. Nothing here logs or repeats a token.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import jwt

from scheduler.access.caller import Caller
from scheduler.access.keys import KeySet, key_source
from scheduler.access.principals import Grant, GrantUnreadable, Principal, read_foreign_name, read_grant
from scheduler.access.refusals import Unauthenticated
from scheduler.access.register import Register
from scheduler.access.settings import OURS, AccessForm, IssuerForm

LOCAL_ISSUER = OURS
LOCAL_AUDIENCE = "xisuan"
LOCAL_ALGORITHM: Final = "ES256"
MAX_TOKEN_CHARACTERS = 16_384
MAX_KNOWN = 20_000
_REQUIRED = ["exp", "iss", "aud", "sub"]


@dataclass(frozen=True, slots=True)
class Verified:
    """A principal, and until when (UTC milliseconds) his credential is good. `generation` is the register's state in
    which it was looked up; None: the register does not decide. `decided` keeps what was decided for each method."""

    principal: Principal
    expires_ms: int
    generation: int | None = None
    decided: dict[str, Caller] = field(default_factory=dict, compare=False, repr=False)


class TokenVerifier:
    def __init__(self, form: AccessForm, register: Register, local_keys: str, now_ms: Callable[[], int]) -> None:
        self._register = register
        self._now_ms = now_ms
        self._known: OrderedDict[bytes, Verified] = OrderedDict()
        ours = IssuerForm(
            issuer=LOCAL_ISSUER,
            audience=LOCAL_AUDIENCE,
            jwks=local_keys,
            algorithms=(LOCAL_ALGORITHM,),
            leeway_s=5,
        )
        self._issuers = {one.issuer: one for one in (*form.issuers, ours)}
        self._keys = {
            name: KeySet(key_source(one.jwks, one.jwks_ca), now_ms) for name, one in self._issuers.items()
        }
        self._by_subject: dict[tuple[str, str], list[Grant]] = {}
        self._by_group: dict[tuple[str, str], list[Grant]] = {}
        for binding in form.bindings:
            grants = [read_grant(text) for text in binding.grants]
            if binding.subject:
                self._by_subject.setdefault((binding.issuer, binding.subject), []).extend(grants)
            elif binding.group:
                self._by_group.setdefault((binding.issuer, binding.group), []).extend(grants)

    async def verify(self, token: str) -> Verified:
        """Raises Unauthenticated, or KeysUnavailable where it cannot be told now."""
        digest = hashlib.sha256(token.encode("utf-8", "replace")).digest()
        known = self._known.get(digest)
        if known is not None and self.is_valid(known):
            return known
        verified = await self._verify(token)
        self._known[digest] = verified
        self._known.move_to_end(digest)
        if len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)
        return verified

    def is_valid(self, verified: Verified) -> bool:
        """Whether what was verified before still holds: not expired, and not revoked since."""
        if verified.expires_ms <= self._now_ms():
            return False
        return verified.generation is None or verified.generation == self._register.generation()

    async def _verify(self, token: str) -> Verified:
        issuer, key_id = _unverified(token)
        if issuer not in self._keys:
            raise Unauthenticated(
                "令牌的签发方不受信任；请用本服务认可的登录方式 / the issuer of this token is not trusted here; log in with "
                "one that is"
            )
        key = await self._keys[issuer].key(key_id)
        form = self._issuers[issuer]
        claims = _claims(token, key, form)
        if issuer == LOCAL_ISSUER:
            return self._local(claims)
        return Verified(self._foreign(form, claims), int((claims["exp"] + form.leeway_s) * 1000))

    def _local(self, claims: Mapping[str, Any]) -> Verified:
        entry = self._register.token(str(claims.get("jti", "")))
        if entry is None or entry.name != claims["sub"]:
            raise Unauthenticated("令牌已吊销；请重新领取 / this token was revoked; ask for another")
        return Verified(
            entry.principal(), min(entry.expires_ms, int(claims["exp"] * 1000)), self._register.generation()
        )

    def _foreign(self, form: IssuerForm, claims: Mapping[str, Any]) -> Principal:
        try:
            name = read_foreign_name(str(claims.get(form.name_claim) or claims["sub"]))
            stated = claims.get(form.grants_claim) if form.grants_claim else None
            grants = [read_grant(str(text)) for text in stated] if isinstance(stated, list) else []
        except GrantUnreadable as error:
            raise Unauthenticated(f"令牌的声明无法使用：{error} / a claim of this token cannot be used") from None
        grants += self._by_subject.get((form.issuer, str(claims["sub"])), [])
        groups = claims.get(form.groups_claim)
        for group in groups if isinstance(groups, list) else []:
            grants += self._by_group.get((form.issuer, str(group)), [])
        return Principal(name, tuple(dict.fromkeys(grants)), f"{form.issuer}#{claims['sub']}")


def _unverified(token: str) -> tuple[str, str | None]:
    """Issuer and key id as the token claims them, only to choose the key that it is verified with."""
    if len(token) > MAX_TOKEN_CHARACTERS:
        raise _unreadable()
    try:
        whole = jwt.decode_complete(token, options={"verify_signature": False})
    except jwt.PyJWTError:
        raise _unreadable() from None
    key_id = whole["header"].get("kid")
    return str(whole["payload"].get("iss", "")), str(key_id) if key_id is not None else None


def _claims(token: str, key: jwt.PyJWK, form: IssuerForm) -> Mapping[str, Any]:
    try:
        claims: Mapping[str, Any] = jwt.decode(
            token,
            key,
            algorithms=list(form.algorithms),
            audience=form.audience,
            issuer=form.issuer,
            leeway=form.leeway_s,
            options={"require": _REQUIRED},
        )
    except jwt.ExpiredSignatureError:
        raise Unauthenticated("令牌已过期；请重新登录 / this token has expired; log in again") from None
    except jwt.ImmatureSignatureError:
        raise Unauthenticated("令牌尚未生效；请核对时钟 / this token is not valid yet; check the clocks") from None
    except jwt.InvalidAudienceError:
        raise Unauthenticated("令牌不是发给本服务的 / this token was issued for another audience") from None
    except jwt.PyJWTError:
        raise Unauthenticated("令牌无效；请重新登录 / this token is not valid; log in again") from None
    return claims


def _unreadable() -> Unauthenticated:
    return Unauthenticated("令牌无法识别；应为 JWT / the token cannot be read; it must be a JWT")

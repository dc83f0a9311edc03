"""The guard of one gateway: who calls, may he do this, and not too fast. `door` asks it before every call."""

from __future__ import annotations

import hashlib
import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from scheduler.access.caller import Caller
from scheduler.access.certificates import read_presented
from scheduler.access.local import AccessFiles
from scheduler.access.permissions import PERMISSIONS, REFLECTION, Permission, Reach
from scheduler.access.principals import ROOT, Principal, Role, read_grant
from scheduler.access.rates import Buckets
from scheduler.access.refusals import Denied, TooFast, Unauthenticated
from scheduler.access.register import Register
from scheduler.access.settings import AccessForm
from scheduler.access.tokens import TokenVerifier, Verified

REQUEST_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_MAX_CERTIFICATES = 10_000
_EVERYBODY = frozenset(Role)


@dataclass(frozen=True, slots=True)
class AccessSettings:
    """What a gateway needs to know: the folder of `local`, and the section of the settings."""

    folder: Path
    form: AccessForm

    @property
    def files(self) -> AccessFiles:
        return AccessFiles(self.folder)


@dataclass(frozen=True, slots=True)
class Admitted:
    """A caller, and what was verified of him: long streams ask whether it still holds."""

    caller: Caller
    verified: Verified


class Guard:
    """Belongs to one event loop. `now_ms` is the wall clock, UTC."""

    def __init__(self, settings: AccessSettings, now_ms: Callable[[], int]) -> None:
        form, files = settings.form, settings.files
        self._now_ms = now_ms
        self._register = Register(files.register, now_ms)
        self._tokens = TokenVerifier(form, self._register, str(files.keys), now_ms)
        self._certificate_grants = {
            name: tuple(
                read_grant(text) for one in form.bindings if one.certificate == name for text in one.grants
            )
            for name in (one.certificate for one in form.bindings if one.certificate)
        }
        self._calls = Buckets(form.rates.calls.rate())
        self._workloads = Buckets(form.rates.workloads.rate())
        self._certificates: OrderedDict[bytes, Verified] = OrderedDict()
        self.wants_certificates = form.client_certificates == "required"

    async def by_token(self, token: str) -> Verified:
        """Raises Unauthenticated, KeysUnavailable."""
        return await self._tokens.verify(token)

    def by_certificate(self, pem: bytes) -> Verified:
        """The principal of a client certificate whose chain the transport has verified. Raises Unauthenticated."""
        digest = hashlib.sha256(pem).digest()
        known = self._certificates.get(digest)
        if known is not None and self.is_valid(known):
            return known
        verified = self._read_certificate(pem)
        self._certificates[digest] = verified
        if len(self._certificates) > _MAX_CERTIFICATES:
            self._certificates.popitem(last=False)
        return verified

    def is_valid(self, verified: Verified) -> bool:
        return self._tokens.is_valid(verified)

    def admit(self, method: str, verified: Verified, request_id: str) -> Caller:
        """The caller of this method. Raises Denied, TooFast."""
        principal = verified.principal
        wait_ms = self._calls.take(principal.name, self._now_ms())
        if wait_ms:
            raise _too_fast("调用", "calls", wait_ms)
        known = verified.decided.get(method)
        if known is None:
            known = verified.decided[method] = self._decide(method, principal)
        return Caller(principal, request_id, known.scopes, known.visible)

    def _decide(self, method: str, principal: Principal) -> Caller:
        """Whether he may call it at all, and where. Raises Denied."""
        if method in REFLECTION:
            return Caller(principal, "", (), ())
        permission = PERMISSIONS.get(method)
        if permission is None:
            raise Denied(f"没有人可以调用 {method} / nobody may call {method}")
        scopes = principal.scopes(permission.roles)
        _require_reach(principal, permission, scopes, method)
        return Caller(principal, "", scopes, principal.scopes(_EVERYBODY))

    def narrow(self, caller: Caller, method: str, act: int) -> Caller:
        """The caller of a method that does several things, for the one that is asked. Raises Denied."""
        permission = PERMISSIONS[method]
        roles = permission.by_act.get(act)
        if roles is None:
            return caller  # the servicer refuses what is no act
        scopes = caller.principal.scopes(roles)
        _require_reach(caller.principal, Permission(roles, permission.reach), scopes, method)
        return Caller(caller.principal, caller.request_id, scopes, caller.visible)

    def count_workloads(self, caller: Caller, count: int) -> None:
        """Raises TooFast where the principal submits more than his rate."""
        wait_ms = self._workloads.take(caller.principal.name, self._now_ms(), count)
        if wait_ms:
            raise _too_fast("提交作业", "submissions", wait_ms)

    def _read_certificate(self, pem: bytes) -> Verified:
        try:
            presented = read_presented(pem)
        except ValueError:
            raise Unauthenticated(
                "客户端证书没有通用名 / the client certificate has no common name of its own"
            ) from None
        entry = self._register.certificate(presented.serial)
        generation = self._register.generation()
        if entry is not None and entry.name == presented.name:
            return Verified(entry.principal(), min(entry.expires_ms, presented.expires_ms), generation)
        grants = self._certificate_grants.get(presented.name)
        if grants is None:
            raise Unauthenticated(
                "该客户端证书未登记或已吊销；请用 xisuan access certificate create 领取，或在设置中授权 / this client "
                "certificate is not registered, or was revoked; have one issued, or bind it in the settings"
            )
        principal = Principal(presented.name, grants, presented.serial)
        return Verified(principal, presented.expires_ms, generation)


def _require_reach(principal: Principal, permission: Permission, scopes: tuple[str, ...], method: str) -> None:
    call = method.rpartition("/")[2]
    roles = " 或/or ".join(sorted(permission.roles)) if permission.roles != _EVERYBODY else "任一角色/any role"
    if not scopes:
        raise Denied(
            f"{principal.name} 不能调用 {call}：需要角色 {roles}；请联系管理员 / {principal.name} may not call {call}: it needs "
            f"the role {roles}; ask an administrator"
        )
    if permission.reach is Reach.SERVICE and ROOT not in scopes:
        raise Denied(
            f"{principal.name} 不能调用 {call}：它涉及整个服务，角色须授予于 / （{roles}）/ {call} concerns the whole service: "
            "the role must be granted at /"
        )


def _too_fast(what_zh: str, what_en: str, wait_ms: int) -> TooFast:
    return TooFast(
        f"{what_zh}过于频繁，请在 {wait_ms} 毫秒后重试 / too many {what_en}; retry after {wait_ms} ms", wait_ms
    )

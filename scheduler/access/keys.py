"""Where the public keys of an issuer come from: a JWKS file or URL, read again when a key is unknown, at a bounded rate.

`tokens.TokenVerifier` holds one for each issuer. Reading happens on a thread, so that no call waits for another's.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import logging
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import jwt

from scheduler.access.refusals import KeysUnavailable, Unauthenticated

REFETCH_MS = 30_000
# A key that the issuer has withdrawn is forgotten after this at the latest, unless the issuer does not answer.
REFRESH_MS = 600_000
_FETCH_S = 5.0
_LARGEST = 1024 * 1024
log = logging.getLogger("xisuan.access")
Read = Callable[[], bytes]


class KeySet:
    """The signing keys of one issuer by key id. `read` gives the JWKS document; it may fail with OSError."""

    def __init__(self, read: Read, now_ms: Callable[[], int], refetch_ms: int = REFETCH_MS) -> None:
        self._read = read
        self._now_ms = now_ms
        self._refetch_ms = refetch_ms
        self._keys: dict[str, jwt.PyJWK] = {}
        self._read_ms: int | None = None
        self._tried_ms: int | None = None
        self._reading = asyncio.Lock()

    async def key(self, key_id: str | None) -> jwt.PyJWK:
        """The key of this id; where a token names none, the only one. Raises Unauthenticated for an unknown one,
        KeysUnavailable where no keys could be read yet."""
        found = self._find(key_id)
        if found is None or self._is_old():
            async with self._reading:
                found = self._find(key_id)
                if (found is None or self._is_old()) and self._may_try():
                    await self._load()
                    found = self._find(key_id)
        if found is not None:
            return found
        if self._read_ms is None:
            raise KeysUnavailable(
                "签发方的公钥暂时取不到，请稍后重试 / the issuer's keys are not to be had at present; retry later"
            )
        raise Unauthenticated(
            "令牌的密钥不在签发方的公钥中；请重新登录 / the key of this token is none of the issuer's; log in again"
        )

    def _find(self, key_id: str | None) -> jwt.PyJWK | None:
        if key_id is None:
            return next(iter(self._keys.values())) if len(self._keys) == 1 else None
        return self._keys.get(key_id)

    def _is_old(self) -> bool:
        return self._read_ms is None or self._now_ms() - self._read_ms >= REFRESH_MS

    def _may_try(self) -> bool:
        return self._tried_ms is None or self._now_ms() - self._tried_ms >= self._refetch_ms

    async def _load(self) -> None:
        self._tried_ms = self._now_ms()
        try:
            document = json.loads(await asyncio.to_thread(self._read))
            read = jwt.PyJWKSet.from_dict(document)
        except (OSError, ValueError, jwt.PyJWTError, AttributeError, TypeError) as error:
            log.warning("the keys of an issuer could not be read: %s", error)
            return
        self._keys = {
            key.key_id or "": key
            for key in read.keys
            if key.public_key_use in (None, "sig") and key.key_type in ("RSA", "EC", "OKP")
        }
        self._read_ms = self._now_ms()


def key_source(place: str, ca_file: str = "") -> Read:
    """Reads from a path or a URL. `ca_file` (PEM) is trusted for the URL instead of the machine's own. Raises
    ValueError for a URL that anybody on the way could answer."""
    parts = urlsplit(place)
    if parts.scheme not in ("http", "https"):
        path = Path(place)
        return lambda: _bounded(path.read_bytes())
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise ValueError(
            f"JWKS 地址 {place} 须用 https（回环地址除外）/ the JWKS address {place} must be https, except on loopback"
        )
    return lambda: _fetch(place, ca_file)


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """An issuer's keys come from the address that was configured, and from nowhere else."""

    def redirect_request(self, req, fp, code, msg, headers, newurl):  # type: ignore[no-untyped-def]  # urllib's own form
        return None


def _fetch(url: str, ca_file: str) -> bytes:
    context = ssl.create_default_context(cafile=ca_file or None)
    opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context), _NoRedirects())
    with opener.open(url, timeout=_FETCH_S) as answer:
        return _bounded(answer.read(_LARGEST + 1))


def _bounded(content: bytes) -> bytes:
    if len(content) > _LARGEST:
        raise OSError("the JWKS document has more than 1 MiB")
    return content

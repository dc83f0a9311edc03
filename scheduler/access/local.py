"""What one installation issues for itself: authority, certificates, tokens, in the home's folder `access`.

`xisuan up` calls `prepare` at every start, so that a newcomer notices nothing; `xisuan access` issues and revokes.
Private files have mode 0600 in a folder of mode 0700. A token is shown once and stored nowhere but in the two files
that this machine's own commands use.
"""

from __future__ import annotations

import fcntl
import json
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from scheduler.access.certificates import (
    LEAF_DAYS,
    KeyPair,
    Wanted,
    as_names,
    is_pair,
    make_authority,
    names_of,
    read_presented,
    sign,
    write_private,
)
from scheduler.access.principals import Grant, GrantUnreadable, Role, read_foreign_name, read_name
from scheduler.access.register import Entry, RegisterFile, read_register, write_register
from scheduler.access.tokens import LOCAL_ALGORITHM, LOCAL_AUDIENCE, LOCAL_ISSUER

ADMINISTRATOR = "xisuan:local-administrator"
RUNBOOK_HOST = "xisuan:runbook-host"
# The name by which adapters know the scheduler: `adapters.sdk.tls.SCHEDULER`.
SCHEDULER_NAME = "xisuan-scheduler"
# What programs of this home show where `client_certificates` are required. It is nobody's: who calls is said by a token.
LOCAL_CLIENT_NAME = "xisuan-local"
_DAY_MS = 86_400_000
_OWN_TOKEN_DAYS = 400
_RENEW_BEFORE_MS = 35 * _DAY_MS
LONGEST_DAYS = 3650


@dataclass(frozen=True, slots=True)
class AccessFiles:
    """Where everything lies."""

    folder: Path

    @property
    def authority(self) -> Path:
        return self.folder / "ca.pem"

    @property
    def register(self) -> Path:
        return self.folder / "register.json"

    @property
    def keys(self) -> Path:
        """The public half of the token key, as JWKS."""
        return self.folder / "jwks.json"

    @property
    def administrator_token(self) -> Path:
        return self.folder / "administrator.token"

    @property
    def runbook_host_token(self) -> Path:
        return self.folder / "runbook-host.token"

    def certificate(self, name: str) -> Path:
        return self.folder / f"{name}.pem"

    def key(self, name: str) -> Path:
        return self.folder / f"{name}.key"


@dataclass(frozen=True, slots=True)
class Issued:
    """A credential that was just made; `secret` (a token, or a private key as PEM) is shown once."""

    entry: Entry
    secret: str
    certificate: str = ""


class LocalAccess:
    """`now_ms` is the moment of every change."""

    def __init__(self, home: Path, now_ms: int) -> None:
        self.files = AccessFiles(home / "access")
        self._now_ms = now_ms

    def prepare(self, host: str, names: Sequence[str]) -> tuple[Entry, ...]:
        """Makes what is missing, and renews what ends soon: authority, certificates of gateway, scheduler, adapters and of
        the programs of this home, the token key, the tokens of the local administrator and of the runbook host. Returns
        what it has issued."""
        with self._changing():
            before = {one.id for one in self.entries()}
            authority = self._authority()
            for name, wanted in (
                ("gateway", Wanted("xisuan-gateway", as_names(host, names), is_server=True)),
                ("adapter", Wanted("xisuan-adapter", as_names("", ()), is_server=True)),
                ("scheduler", Wanted(SCHEDULER_NAME, is_client=True)),
                ("local", Wanted(LOCAL_CLIENT_NAME, is_client=True)),
            ):
                self._keep_certificate(authority, name, wanted)
            self._token_key()
            everything = tuple(Grant(role) for role in (Role.ADMINISTRATOR, Role.APPROVER))
            self._keep_token(self.files.administrator_token, ADMINISTRATOR, everything, names_actors=True)
            host_grants = (Grant(Role.OPERATOR), Grant(Role.SUBMITTER))
            self._keep_token(self.files.runbook_host_token, RUNBOOK_HOST, host_grants)
            return tuple(one for one in self.entries() if one.id not in before)

    def entries(self) -> tuple[Entry, ...]:
        return read_register(self.files.register).entries

    def issue_token(self, name: str, grants: Sequence[Grant], days: int) -> Issued:
        """Raises GrantUnreadable for a name or a time that cannot be."""
        read_foreign_name(name)
        _require_days(days)
        with self._changing():
            return self._issue_token(name, grants, days, names_actors=False)

    def issue_certificate(self, name: str, grants: Sequence[Grant], days: int = LEAF_DAYS) -> Issued:
        """A client certificate with a new key. Raises GrantUnreadable."""
        read_foreign_name(name)
        _require_days(days)
        with self._changing():
            pair = sign(self._authority(), Wanted(name, is_client=True, days=days), self._now_ms)
            presented = read_presented(pair.certificate)
            entry = Entry(
                id=presented.serial,
                kind="certificate",
                name=name,
                grants=tuple(map(str, grants)),
                created_ms=self._now_ms,
                expires_ms=presented.expires_ms,
            )
            self._enter(entry)
        return Issued(entry, pair.key.decode(), pair.certificate.decode())

    def issue_server_certificate(self, name: str, names: Sequence[str], days: int = LEAF_DAYS) -> KeyPair:
        """For an adapter on another machine: `names` are those by which the scheduler calls it."""
        _require_days(days)
        with self._changing():
            wanted = Wanted(read_name(name), tuple(names), is_server=True, days=days)
            return sign(self._authority(), wanted, self._now_ms)

    def revoke(self, credential_id: str) -> Entry | None:
        """The entry that is now revoked; None for an unknown id. Holds within a second."""
        with self._changing():
            found = next((one for one in self.entries() if one.id == credential_id), None)
            if found is not None and found.revoked_ms is None:
                found = found.model_copy(update={"revoked_ms": self._now_ms})
                self._enter(found)
            return found

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """One change at a time, of whichever process."""
        self.files.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self.files.folder / "lock").open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _authority(self) -> KeyPair:
        key_file = self.files.key("ca")
        if not _belong_together(self.files.authority, key_file):
            made = make_authority(f"Xisuan authority {secrets.token_hex(4)}", self._now_ms)
            write_private(key_file, made.key)
            write_private(self.files.authority, made.certificate)
        return KeyPair(self.files.authority.read_bytes(), key_file.read_bytes())

    def _keep_certificate(self, authority: KeyPair, name: str, wanted: Wanted) -> None:
        file, key_file = self.files.certificate(name), self.files.key(name)
        if _belong_together(file, key_file):
            pem = file.read_bytes()
            lasts = read_presented(pem).expires_ms - self._now_ms > _RENEW_BEFORE_MS
            if lasts and set(wanted.names) <= names_of(pem):
                return
        pair = sign(authority, wanted, self._now_ms)
        write_private(key_file, pair.key)
        write_private(file, pair.certificate)

    def _token_key(self) -> ec.EllipticCurvePrivateKey:
        file = self.files.key("token")
        if not file.exists() or not self.files.keys.exists():
            key = ec.generate_private_key(ec.SECP256R1())
            public = ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
            key_id = secrets.token_hex(8)
            document = {"keys": [{**public, "kid": key_id, "use": "sig", "alg": LOCAL_ALGORITHM}]}
            private = key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            write_private(file, private)
            write_private(self.files.keys, json.dumps(document).encode())
        loaded = serialization.load_pem_private_key(file.read_bytes(), None)
        assert isinstance(loaded, ec.EllipticCurvePrivateKey)  # it is the file that is written above
        return loaded

    def _keep_token(self, file: Path, name: str, grants: Sequence[Grant], *, names_actors: bool = False) -> None:
        if file.exists():
            known = {one.id: one for one in self.entries()}
            try:
                claims = jwt.decode(file.read_text("ascii"), options={"verify_signature": False})
            except (jwt.PyJWTError, ValueError):
                claims = {}
            entry = known.get(str(claims.get("jti")))
            if entry and entry.revoked_ms is None and entry.expires_ms - self._now_ms > _RENEW_BEFORE_MS:
                return
        issued = self._issue_token(name, grants, _OWN_TOKEN_DAYS, names_actors=names_actors)
        write_private(file, issued.secret.encode("ascii"))

    def _issue_token(self, name: str, grants: Sequence[Grant], days: int, *, names_actors: bool) -> Issued:
        key = self._token_key()
        (public,) = json.loads(self.files.keys.read_text("utf-8"))["keys"]
        entry = Entry(
            id=f"t-{secrets.token_hex(6)}",
            kind="token",
            name=name,
            grants=tuple(map(str, grants)),
            created_ms=self._now_ms,
            expires_ms=self._now_ms + days * _DAY_MS,
            names_actors=names_actors,
        )
        claims = {
            "iss": LOCAL_ISSUER,
            "aud": LOCAL_AUDIENCE,
            "sub": name,
            "jti": entry.id,
            "iat": entry.created_ms // 1000,
            "exp": entry.expires_ms // 1000,
        }
        token = jwt.encode(claims, key, LOCAL_ALGORITHM, headers={"kid": public["kid"]})
        self._enter(entry)
        return Issued(entry, token)

    def _enter(self, entry: Entry) -> None:
        others = [one for one in self.entries() if (one.kind, one.id) != (entry.kind, entry.id)]
        write_register(self.files.register, RegisterFile(entries=(*others, entry)))


def _belong_together(certificate: Path, key: Path) -> bool:
    """Both are there, and a crash has not left one of them older than the other."""
    if not certificate.exists() or not key.exists():
        return False
    return is_pair(KeyPair(certificate.read_bytes(), key.read_bytes()))


def _require_days(days: int) -> None:
    if not 1 <= days <= LONGEST_DAYS:
        raise GrantUnreadable(
            f"有效期 {days} 天须在 1 与 {LONGEST_DAYS} 之间 / a credential lasts 1 to {LONGEST_DAYS} days, not {days}"
        )

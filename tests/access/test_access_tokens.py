"""Which tokens are believed: signature, issuer, audience, times, algorithms, keys that change, revocation."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from scheduler.access.guard import AccessSettings, Guard
from scheduler.access.keys import REFETCH_MS, KeySet
from scheduler.access.local import LocalAccess
from scheduler.access.principals import Grant, GrantUnreadable, Role, covers, read_grant
from scheduler.access.refusals import AccessRefused, KeysUnavailable, Unauthenticated
from scheduler.access.settings import AccessForm

ISSUER, AUDIENCE = "https://sso.example.gov.cn", "xisuan"
EC_KEY, OTHER_KEY = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
RSA_KEY = rsa.generate_private_key(65537, 2048)


def jwks(**keys: Any) -> str:
    """A JWKS document of these keys by id."""
    documents = []
    for key_id, key in keys.items():
        algorithm = RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else ECAlgorithm
        documents.append({**algorithm.to_jwk(key.public_key(), as_dict=True), "kid": key_id, "use": "sig"})
    return json.dumps({"keys": documents})


class Clock:
    def __init__(self) -> None:
        self.now = int(time.time() * 1000)  # noqa: TID251 - PyJWT reads the real clock, and so must these tokens

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def form_of(place: str, **more: Any) -> AccessForm:
    issuer = {"issuer": ISSUER, "audience": AUDIENCE, "jwks": place, "leeway_s": 10, **more}
    bindings = [
        {"issuer": ISSUER, "subject": "u-1", "grants": ["submitter@city/east"]},
        {"issuer": ISSUER, "group": "ops", "grants": ["operator"]},
    ]
    return AccessForm.model_validate({"issuers": [issuer], "bindings": bindings})


@pytest.fixture
def guard(tmp_path: Path, clock: Clock) -> Guard:
    (tmp_path / "jwks.json").write_text(jwks(k1=EC_KEY, r1=RSA_KEY), "utf-8")
    LocalAccess(tmp_path, clock.now).prepare("127.0.0.1", ())
    return Guard(AccessSettings(tmp_path / "access", form_of(str(tmp_path / "jwks.json"))), clock)


def token(
    clock: Clock, key: Any = EC_KEY, key_id: str | None = "k1", algorithm: str = "ES256", **claims: Any
) -> str:
    now = clock.now // 1000
    stated = {"iss": ISSUER, "aud": AUDIENCE, "sub": "u-1", "exp": now + 60, "nbf": now - 5, **claims}
    said = {name: value for name, value in stated.items() if value is not None}
    return jwt.encode(said, key, algorithm, headers={"kid": key_id} if key_id else None)


def test_a_token_of_the_issuer_names_its_principal_with_the_grants_that_are_bound_to_him(
    guard: Guard, clock: Clock
) -> None:
    principal = asyncio.run(guard.by_token(token(clock, groups=["ops", "others"]))).principal
    assert principal.name == "u-1"
    assert set(principal.grants) == {Grant(Role.SUBMITTER, "city/east"), Grant(Role.OPERATOR)}


@pytest.mark.parametrize(
    ("fault", "claims", "key"),
    [
        ("expired beyond the leeway", {"exp": -11}, {}),
        ("not valid yet, beyond the leeway", {"nbf": 11}, {}),
        ("issued for another audience", {"aud": "another"}, {}),
        ("without an audience", {"aud": None}, {}),
        ("without an end", {"exp": None}, {}),
        ("without a subject", {"sub": None}, {}),
        ("of an issuer that is not trusted", {"iss": "https://elsewhere"}, {}),
        ("said to be of this installation itself", {"iss": "xisuan-local"}, {}),
        ("signed by another key under the id of a known one", {}, {"key": OTHER_KEY}),
        ("signed by a key that the issuer does not have", {}, {"key": OTHER_KEY, "key_id": "k9"}),
        ("without a key id where the issuer has several", {}, {"key_id": None}),
        ("signed with a secret instead of a key", {}, {"key": "x" * 64, "algorithm": "HS256"}),
        ("not signed at all", {}, {"key": None, "algorithm": "none"}),
        ("signed by an algorithm that is not allowed", {}, {"key": RSA_KEY, "key_id": "r1", "algorithm": "PS256"}),
        ("under a name of the service's own parts", {"sub": "xisuan:local-administrator"}, {}),
    ],
)
def test_a_token_is_refused_and_not_repeated_when_it_is(
    guard: Guard, clock: Clock, fault: str, claims: dict[str, Any], key: dict[str, Any]
) -> None:
    moved = {
        name: clock.now // 1000 + value if name in ("exp", "nbf") and value is not None else value
        for name, value in claims.items()
    }
    forged = token(clock, **key, **moved)
    with pytest.raises(Unauthenticated) as refused:
        asyncio.run(guard.by_token(forged))
    assert not any(part and part in str(refused.value) for part in forged.split("."))


@pytest.mark.parametrize(("name", "seconds"), [("exp", -5), ("nbf", 5)])
def test_clocks_may_differ_by_the_leeway(guard: Guard, clock: Clock, name: str, seconds: int) -> None:
    moved: dict[str, Any] = {name: clock.now // 1000 + seconds}
    assert asyncio.run(guard.by_token(token(clock, **moved))).principal.name == "u-1"


def test_rsa_keys_are_believed_as_well(guard: Guard, clock: Clock) -> None:
    said = token(clock, RSA_KEY, "r1", "RS256")
    assert asyncio.run(guard.by_token(said)).principal.name == "u-1"


def test_a_token_that_was_verified_is_known_until_it_expires(guard: Guard, clock: Clock) -> None:
    async def twice() -> None:
        said = token(clock)
        first = await guard.by_token(said)
        assert await guard.by_token(said) is first
        clock.now = first.expires_ms
        assert not guard.is_valid(first)

    asyncio.run(twice())


class Issuer:
    """A source of keys that counts how often it is read."""

    def __init__(self, document: str | None) -> None:
        self.document = document
        self.reads = 0

    def __call__(self) -> bytes:
        self.reads += 1
        if self.document is None:
            raise OSError("no answer")
        return self.document.encode()


def test_a_new_key_is_fetched_when_it_is_first_seen_and_unknown_ones_only_at_a_bounded_rate(clock: Clock) -> None:
    issuer = Issuer(jwks(k1=EC_KEY))
    keys = KeySet(issuer, clock)

    async def rotate() -> None:
        assert (await keys.key("k1")).key_id == "k1"
        issuer.document = jwks(k1=EC_KEY, k2=OTHER_KEY)
        for _ in range(50):
            with pytest.raises(Unauthenticated):
                await keys.key("k2")
        assert issuer.reads == 1
        clock.now += REFETCH_MS
        assert (await keys.key("k2")).key_id == "k2"
        assert issuer.reads == 2

    asyncio.run(rotate())


def test_keys_that_were_read_hold_while_the_issuer_does_not_answer_and_without_any_nobody_is_judged(
    clock: Clock,
) -> None:
    issuer = Issuer(None)
    keys = KeySet(issuer, clock)

    async def silent() -> None:
        with pytest.raises(KeysUnavailable):
            await keys.key("k1")
        issuer.document = jwks(k1=EC_KEY)
        clock.now += REFETCH_MS
        await keys.key("k1")
        issuer.document = None
        clock.now += 3_600_000
        assert (await keys.key("k1")).key_id == "k1"

    asyncio.run(silent())


@pytest.mark.parametrize("document", ["", "[]", "{}", '{"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "k1"}]}'])
def test_a_document_that_is_no_jwks_of_public_keys_gives_no_key(clock: Clock, document: str) -> None:
    with pytest.raises(AccessRefused):
        asyncio.run(KeySet(Issuer(document), clock).key("k1"))


def test_a_local_token_is_valid_until_it_is_revoked(tmp_path: Path, clock: Clock, guard: Guard) -> None:
    local = LocalAccess(tmp_path, clock.now)
    issued = local.issue_token("张三", [Grant(Role.VIEWER, "city")], 1)

    async def revoke() -> None:
        verified = await guard.by_token(issued.secret)
        assert verified.principal.grants == (Grant(Role.VIEWER, "city"),)
        local.revoke(issued.entry.id)
        clock.now += 1_000
        assert not guard.is_valid(verified)
        with pytest.raises(Unauthenticated):
            await guard.by_token(issued.secret)

    asyncio.run(revoke())


def test_no_file_of_the_installation_holds_a_token_that_was_issued_to_somebody(
    tmp_path: Path, clock: Clock
) -> None:
    local = LocalAccess(tmp_path, clock.now)
    local.prepare("127.0.0.1", ())
    issued = local.issue_token("张三", [Grant(Role.VIEWER)], 1)
    files = [file for file in (tmp_path / "access").iterdir() if file.is_file()]
    assert all(issued.secret.encode() not in file.read_bytes() for file in files)
    assert all(file.stat().st_mode & 0o077 == 0 for file in files if file.name != "lock")
    assert (tmp_path / "access").stat().st_mode & 0o077 == 0


def test_a_second_start_keeps_what_the_first_has_made_and_a_damaged_pair_is_made_again(
    tmp_path: Path, clock: Clock
) -> None:
    local = LocalAccess(tmp_path, clock.now)
    assert {one.name for one in local.prepare("127.0.0.1", ())} == {
        "xisuan:local-administrator",
        "xisuan:runbook-host",
    }
    files = {file: file.read_bytes() for file in (tmp_path / "access").iterdir()}
    assert local.prepare("127.0.0.1", ()) == ()
    assert files == {file: file.read_bytes() for file in (tmp_path / "access").iterdir()}
    (tmp_path / "access" / "gateway.key").write_bytes((tmp_path / "access" / "adapter.key").read_bytes())
    local.prepare("127.0.0.1", ("xisuan.example",))
    assert (tmp_path / "access" / "gateway.key").read_bytes() not in files.values()


@pytest.mark.parametrize(
    "text", ["", "king@x", "viewer@a//b", "submitter:data_bureau@/", "approver:nobody@/", "viewer@a/ b"]
)
def test_a_grant_that_means_nothing_is_refused_by_name(text: str) -> None:
    with pytest.raises(GrantUnreadable):
        read_grant(text)


PATHS = st.lists(st.sampled_from(["a", "b", "ab", "a-b"]), min_size=1, max_size=4).map("/".join)


@given(scope=PATHS, path=PATHS)
def test_a_scope_covers_itself_and_what_lies_below_and_nothing_else(scope: str, path: str) -> None:
    parts = path.split("/")
    assert covers((scope,), path) is (parts[: len(scope.split("/"))] == scope.split("/"))
    assert covers(("",), path)
    assert not covers((), path)


@given(st.sampled_from(list(Role)), PATHS | st.just(""))
def test_a_grant_is_read_as_it_is_written(role: Role, scope: str) -> None:
    assert read_grant(str(Grant(role, scope))) == Grant(role, scope)


@pytest.mark.parametrize(
    "change",
    [
        {"jwks": "http://sso.example.gov.cn/jwks"},
        {"algorithms": ["HS256"]},
        {"algorithms": ["none"]},
        {"issuer": "xisuan-local"},
        {"leeway_s": 3600},
    ],
)
def test_settings_that_would_open_a_door_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        form_of("https://sso.example.gov.cn/jwks", **change)

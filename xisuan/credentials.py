"""Who calls, and whom to believe: token, authority and client certificate of a program that calls Xisuan.

    Client("10.1.2.3:7700", credentials=Credentials(token="eyJ...", ca=Path("ca.pem")))

Without credentials in the program they come from the environment: XISUAN_TOKEN or XISUAN_TOKEN_FILE, XISUAN_CA,
XISUAN_CERTIFICATE and XISUAN_KEY; and without these from the home folder of a service on this machine (XISUAN_HOME,
default `.xisuan`), where that service is the one that is called.
"""

from __future__ import annotations

import ipaddress
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import grpc

# The environment's names for them.
CREDENTIALS = ("XISUAN_TOKEN", "XISUAN_TOKEN_FILE", "XISUAN_CA", "XISUAN_CERTIFICATE", "XISUAN_KEY")
# The folder of a home in which `xisuan login` keeps what it was given.
LOGIN = "login"


class CredentialsUnusable(ValueError):
    """Credentials that cannot be read, or must not be used so: one line with what to do."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """`ca` (PEM): the authority that signed the service's certificate; None: the channel is not encrypted, which is
    for loopback only. `certificate` and `key` (PEM): a client certificate. Tokens and keys are never printed."""

    token: str = field(default="", repr=False)
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    def channel(self, address: str, options: tuple[tuple[str, object], ...]) -> grpc.Channel:
        """Raises CredentialsUnusable."""
        if self.ca is None:
            if self.token and not is_loopback(address):
                raise CredentialsUnusable(
                    f"{address} 不是本机地址，令牌只能经 TLS 发送；请用 XISUAN_CA 指定服务的 CA 证书 / {address} is not this "
                    "machine: a token travels over TLS only; name the service's CA with XISUAN_CA"
                )
            return grpc.insecure_channel(address, options=options)
        pair: tuple[bytes, bytes] | tuple[None, None] = (None, None)
        if self.certificate is not None and self.key is not None:
            pair = (_read(self.key), _read(self.certificate))
        secure = grpc.ssl_channel_credentials(_read(self.ca), *pair)
        return grpc.secure_channel(address, secure, options=options)

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What every call carries."""
        return (("authorization", f"Bearer {self.token}"),) if self.token else ()


def find_credentials(address: str, environment: Mapping[str, str] | None = None) -> Credentials:
    """Those of the environment, else of the home: of `xisuan login` at this address, or of the service that runs there
    at it; else none. Raises CredentialsUnusable for a file that is named and cannot be read."""
    settings = os.environ if environment is None else environment
    stated = from_environment(settings)
    if stated is not None:
        return stated
    home = Path(settings.get("XISUAN_HOME") or ".xisuan")
    if login_address(home) == address:
        return Credentials(_text(home / LOGIN / "token"), home / LOGIN / "ca.pem")
    if _written(home / "endpoint.json").get("address") == address:
        return of_home(home)
    return Credentials()


def from_environment(settings: Mapping[str, str]) -> Credentials | None:
    """None where the environment names none. Raises CredentialsUnusable for a file that cannot be read."""
    token_file = settings.get("XISUAN_TOKEN_FILE")
    token = settings.get("XISUAN_TOKEN") or (_read(Path(token_file)).decode().strip() if token_file else "")
    places = {name: settings.get(f"XISUAN_{name.upper()}") for name in ("ca", "certificate", "key")}
    if not token and not any(places.values()):
        return None
    return Credentials(token, **{name: Path(place) if place else None for name, place in places.items()})


def of_home(home: Path) -> Credentials:
    """The local administrator's of the service that runs in this home; none where this user may not read them."""
    access = home / "access"
    token = _text(access / "administrator.token")
    if not token:
        return Credentials()
    pair = access / "local.pem", access / "local.key"
    return Credentials(token, access / "ca.pem", *(pair if all(file.is_file() for file in pair) else (None, None)))


def login_address(home: Path) -> str:
    """Where `xisuan login` has logged in; empty: nowhere."""
    return str(_written(home / LOGIN / "login.json").get("address", ""))


def is_loopback(address: str) -> bool:
    """Whether host:port is this machine itself."""
    host = address.rpartition(":")[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _written(path: Path) -> Mapping[str, object]:
    """A small JSON object; empty where there is none."""
    try:
        written = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return written if isinstance(written, dict) else {}


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CredentialsUnusable(
            f"{path}: 凭据文件无法读取（{error.strerror}）/ this credential cannot be read; check path and permissions"
        ) from error

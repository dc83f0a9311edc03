"""X.509 certificates of one installation: its authority, what it signs, and who a client certificate stands for.

`local` makes them; `guard` reads those that clients present. Keys are ECDSA on P-256, which every TLS stack speaks.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from adapters.sdk.files import sync_directory

AUTHORITY_DAYS = 3650
LEAF_DAYS = 825
# Clocks of two machines may differ: a certificate is valid from a little before it was made.
_BEFORE = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate and its private key, both PEM."""

    certificate: bytes
    key: bytes


@dataclass(frozen=True, slots=True)
class Presented:
    """What a client certificate says of its owner: common name, and serial number in hex."""

    name: str
    serial: str
    expires_ms: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """A certificate to be signed. `names` are DNS names and IP addresses of a server; `is_client`: for clients."""

    common_name: str
    names: tuple[str, ...] = ()
    is_server: bool = False
    is_client: bool = False
    days: int = LEAF_DAYS


def make_authority(common_name: str, now_ms: int) -> KeyPair:
    """A self-signed authority that may sign leaves only."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(common_name)
    builder = (
        _builder(name, name, now_ms, AUTHORITY_DAYS)
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return _pair(builder.sign(key, hashes.SHA256()), key)


def sign(authority: KeyPair, wanted: Wanted, now_ms: int) -> KeyPair:
    """A new key, and its certificate by this authority."""
    signer = x509.load_pem_x509_certificate(authority.certificate)
    signing_key = serialization.load_pem_private_key(authority.key, None)
    assert isinstance(signing_key, ec.EllipticCurvePrivateKey)  # the authority is one of ours
    key = ec.generate_private_key(ec.SECP256R1())
    purposes = []
    if wanted.is_server:
        purposes.append(ExtendedKeyUsageOID.SERVER_AUTH)
    if wanted.is_client:
        purposes.append(ExtendedKeyUsageOID.CLIENT_AUTH)
    builder = (
        _builder(_name(wanted.common_name), signer.subject, now_ms, wanted.days)
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signing_key.public_key()), critical=False
        )
    )
    if wanted.names:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([_alternative(n) for n in wanted.names]), False
        )
    return _pair(builder.sign(signing_key, hashes.SHA256()), key)


def read_presented(pem: bytes) -> Presented:
    """Raises ValueError for what is no certificate, or has no common name."""
    certificate = x509.load_pem_x509_certificate(pem)
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    if len(names) != 1:
        raise ValueError("the certificate has no common name of its own")
    expires_ms = int(certificate.not_valid_after_utc.timestamp() * 1000)
    return Presented(str(names[0].value), f"{certificate.serial_number:x}", expires_ms)


def is_pair(pair: KeyPair) -> bool:
    """Whether the key is that of the certificate."""
    certificate = x509.load_pem_x509_certificate(pair.certificate)
    return certificate.public_key() == serialization.load_pem_private_key(pair.key, None).public_key()


def names_of(pem: bytes) -> frozenset[str]:
    """The DNS names and IP addresses that a server certificate is for."""
    certificate = x509.load_pem_x509_certificate(pem)
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return frozenset()
    addresses = (str(one) for one in found.get_values_for_type(x509.IPAddress))
    return frozenset({*found.get_values_for_type(x509.DNSName), *addresses})


def write_private(path: Path, content: bytes) -> None:
    """Replaces the file by this content, which nobody else of the machine may read at any moment."""
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    sync_directory(path.parent)


def _builder(subject: x509.Name, issuer: x509.Name, now_ms: int, days: int) -> x509.CertificateBuilder:
    now = datetime.fromtimestamp(now_ms / 1000, UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BEFORE)
        .not_valid_after(now + timedelta(days=days))
    )


def _pair(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> KeyPair:
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return KeyPair(certificate.public_bytes(pem), private)


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def as_names(host: str, further: Sequence[str]) -> tuple[str, ...]:
    """Every name by which a server on this machine is called."""
    usual = ("localhost", "127.0.0.1", "::1")
    mine = () if host in ("", "0.0.0.0", "::") else (host,)
    return tuple(dict.fromkeys((*usual, *mine, *further)))

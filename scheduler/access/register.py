"""The register of what this installation has issued: tokens and client certificates, their grants, what was revoked.

One JSON file in the home's folder `access`. `local` writes it for the command line, gateways read it: what is not in
it, or is revoked or expired there, is not valid whatever its signature. Contents of credentials are never in it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from scheduler.access.certificates import write_private
from scheduler.access.principals import Principal, read_grant
from scheduler.access.settings import GrantText

# Gateways look this often, so a revocation holds after this at the latest.
LOOK_EVERY_MS = 1_000


class RegisterUnreadable(Exception):
    """The file is damaged: one line."""


class Entry(BaseModel):
    """One credential. `id` is the token's own id or the certificate's serial number in hex."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Annotated[str, Field(min_length=1)]
    kind: Literal["token", "certificate"]
    name: str
    grants: tuple[GrantText, ...]
    created_ms: int
    expires_ms: int
    names_actors: bool = False
    revoked_ms: int | None = None

    def principal(self) -> Principal:
        return Principal(self.name, tuple(map(read_grant, self.grants)), self.id, self.names_actors)


class RegisterFile(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    entries: tuple[Entry, ...] = ()


def read_register(path: Path) -> RegisterFile:
    """Empty where there is no file. Raises RegisterUnreadable."""
    try:
        return RegisterFile.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return RegisterFile()
    except (ValidationError, OSError) as error:
        raise RegisterUnreadable(
            f"{path}: 凭据登记册无法读取；请从备份恢复 / the register of credentials cannot be read; restore it from a backup"
        ) from error


def write_register(path: Path, content: RegisterFile) -> None:
    write_private(path, content.model_dump_json(indent=1).encode())


class Register:
    """The file as a gateway sees it: read again when it has changed, looked at once a second at most."""

    def __init__(self, path: Path, now_ms: Callable[[], int]) -> None:
        self._path = path
        self._now_ms = now_ms
        self._looked_ms: int | None = None
        self._stamp: tuple[int, int, int] | None = None
        self._generation = 0
        self._entries: dict[tuple[str, str], Entry] = {}

    def generation(self) -> int:
        """Another number after every change of the file."""
        now_ms = self._now_ms()
        if self._looked_ms is None or not 0 <= now_ms - self._looked_ms < LOOK_EVERY_MS:
            self._looked_ms = now_ms
            self._look()
        return self._generation

    def token(self, token_id: str) -> Entry | None:
        """The valid token of this id."""
        return self._valid("token", token_id)

    def certificate(self, serial: str) -> Entry | None:
        """The valid certificate of this serial number (hex)."""
        return self._valid("certificate", serial)

    def _valid(self, kind: str, credential_id: str) -> Entry | None:
        self.generation()
        if (kind, credential_id) not in self._entries:
            self._look()  # it may have been issued a moment ago
        entry = self._entries.get((kind, credential_id))
        if entry is None or entry.revoked_ms is not None or entry.expires_ms <= self._now_ms():
            return None
        return entry

    def _look(self) -> None:
        try:
            found = self._path.stat()
            stamp: tuple[int, int, int] | None = (found.st_mtime_ns, found.st_size, found.st_ino)
        except OSError:
            stamp = None
        if stamp == self._stamp and self._generation:
            return
        self._generation += 1
        self._stamp = stamp
        try:
            entries = read_register(self._path).entries
        except RegisterUnreadable:
            entries = ()  # what cannot be looked up is not valid
        self._entries = {(entry.kind, entry.id): entry for entry in entries}

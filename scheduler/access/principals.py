"""Principals: who calls, with which roles, in which subtree of the organisation. Pure values.

`tokens` and `certificates` find the principal of a call, `permissions` says what a role may do, and the servicers'
ports keep him to his subtree (`scheduler.services.scoped`).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum

from scheduler.core.migration.phases import Role as Duty

# A scope is a queue path without slashes at its ends; ROOT covers everything.
ROOT = ""
# Names of the service's own parts.
RESERVED = ("xisuan:", "xisuan-")
_NAME = re.compile(r"[^\x00-\x1f\x7f]{1,128}")


class Role(StrEnum):
    """What somebody is trusted with, within a scope. Every role may look."""

    VIEWER = "viewer"
    SUBMITTER = "submitter"
    OPERATOR = "operator"
    APPROVER = "approver"
    ADMINISTRATOR = "administrator"


class GrantUnreadable(ValueError):
    """A grant that cannot be read: one line with value, rule and remedy."""


@dataclass(frozen=True, slots=True)
class Grant:
    """A role within a subtree. `duty` is for approvers only: the approval role of a runbook that it stands for; None:
    the order of a migration names the people of each role."""

    role: Role
    scope: str = ROOT
    duty: Duty | None = None

    def __str__(self) -> str:
        duty = f":{self.duty.value}" if self.duty else ""
        return f"{self.role.value}{duty}@{self.scope or '/'}"


@dataclass(frozen=True, slots=True)
class Principal:
    """Somebody whose credential was verified. `credential_id` names the credential, never its content.

    `names_actors`: this credential stands for everybody who may read it (the local administrator's on one machine), so
    the person whom a call names is recorded as the actor, and the principal beside him.
    """

    name: str
    grants: tuple[Grant, ...]
    credential_id: str = ""
    names_actors: bool = False

    def scopes(self, roles: Collection[Role]) -> tuple[str, ...]:
        """The subtrees in which the principal has one of these roles; those inside another are left out."""
        return _outermost(grant.scope for grant in self.grants if grant.role in roles)

    def duties(self, paths: Iterable[str]) -> frozenset[str]:
        """The approval roles of runbooks that are granted for all of these paths."""
        wanted = tuple(paths)
        stated = ((grant.duty, grant.scope) for grant in self.grants)
        return frozenset(
            duty.value for duty, scope in stated if duty and all(covers((scope,), path) for path in wanted)
        )


def covers(scopes: Iterable[str], path: str) -> bool:
    """Whether a queue path lies in one of the subtrees."""
    return any(scope == ROOT or path == scope or path.startswith(f"{scope}/") for scope in scopes)


def read_grant(text: str) -> Grant:
    """`role@scope`, `approver:duty@scope`; the scope is a path, or "/" (also left out) for everything.

    Raises GrantUnreadable.
    """
    words, at, path = text.strip().partition("@")
    role_word, colon, duty_word = words.strip().partition(":")
    try:
        role = Role(role_word)
        duty = Duty(duty_word) if colon else None
    except ValueError:
        raise GrantUnreadable(
            f"授权 {text!r} 无法识别；请写 角色@范围，角色为 {_listed(Role)}，审批角色可写 approver:职责（{_listed(Duty)}）"
            f" / the grant {text!r} cannot be read; write ROLE@SCOPE with a role of {_listed(Role)}"
        ) from None
    if duty is not None and role is not Role.APPROVER:
        raise GrantUnreadable(
            f"授权 {text!r}：只有 approver 有职责 / only an approver has a duty: approver:{duty}@..."
        )
    return Grant(role, read_scope(path) if at else ROOT, duty)


def read_scope(text: str) -> str:
    """A subtree of the organisation as a path. Raises GrantUnreadable."""
    parts = text.strip().strip("/").split("/")
    if parts == [""]:
        return ROOT
    if any(not part.strip() or part != part.strip() or _NAME.fullmatch(part) is None for part in parts):
        raise GrantUnreadable(
            f"范围 {text!r} 应形如 市/区/单位，或 / 表示全部 / the scope {text!r} must be like city/district/department, "
            "or / for everything"
        )
    return "/".join(parts)


def read_name(text: str) -> str:
    """The name of a principal: 1 to 128 printable characters. Raises GrantUnreadable."""
    if _NAME.fullmatch(text) is None or text != text.strip():
        raise GrantUnreadable(
            f"名称 {text[:40]!r} 须为 1 至 128 个可见字符，首尾无空格 / the name must be 1 to 128 printable characters "
            "without spaces at its ends"
        )
    return text


def read_foreign_name(text: str) -> str:
    """As `read_name`; a name of the service's own parts is refused: nobody else may appear under it in the record."""
    if text.startswith(RESERVED):
        raise GrantUnreadable(
            f"名称 {text[:40]!r}：以 xisuan: 与 xisuan- 开头的名称由系统保留 / names that begin with xisuan: or xisuan- are "
            "reserved"
        )
    return read_name(text)


def _outermost(scopes: Iterable[str]) -> tuple[str, ...]:
    found = sorted(set(scopes))
    return tuple(one for one in found if not covers((other for other in found if other != one), one))


def _listed(words: type[StrEnum]) -> str:
    return ", ".join(word.value for word in words)

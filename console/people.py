"""Who does it: the name that goes into the record of imports, decisions and plans."""

from __future__ import annotations

import getpass
import os

from console.faults import Fault


def actor(given: str | None) -> str:
    """The name given with --by, else XISUAN_ACTOR, else the login name."""
    if given is not None:
        if not given.strip():
            raise Fault("--by 不能为空；请写明经办人姓名 / --by must not be empty; give the person's name")
        return given.strip()
    named = os.environ.get("XISUAN_ACTOR", "").strip()
    if named:
        return named
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        raise Fault(
            "不知道经办人是谁；请用 --by 写明姓名 / nobody is logged in by name; give the person's name with --by"
        ) from None

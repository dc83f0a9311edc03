"""How risky it is to cut over one system, 0 (harmless) to 100.

Who calls this: `estate.py`. The number decides who may be a pilot and who goes first; it is no rule of any
document. The weights are illustrative (示例数据): they order systems as an operations team would, and mean nothing
else.
"""

from __future__ import annotations

from inventory.model.system import Disposition, System

_PER_LEVEL = 8  # protection level 0..4: at most 32
_PER_DIGIT_OF_USERS, _MOST_FOR_USERS = 3, 18  # 80 users: 6; 5,000: 12; 100,000 and more: 18
_PER_DEPENDENT, _MOST_FOR_DEPENDENTS = 2, 20
_FOR_CARDS = 10
_FOR_DISPOSITION = {
    Disposition.REHOST: 0,
    Disposition.CONSOLIDATE: 5,
    Disposition.REPLATFORM: 10,
    Disposition.REPURCHASE: 15,
    Disposition.REFACTOR: 20,
}


def risk_of(system: System, level: int, dependents: int) -> int:
    """`level` is the protection level, `dependents` the size of the blast radius.

    An unknown number of users counts as very many: unknown is not none.
    """
    if system.users is None:
        users = _MOST_FOR_USERS
    else:
        users = min(_MOST_FOR_USERS, _PER_DIGIT_OF_USERS * len(str(system.users)) if system.users else 0)
    return (
        level * _PER_LEVEL
        + users
        + min(_MOST_FOR_DEPENDENTS, dependents * _PER_DEPENDENT)
        + (_FOR_CARDS if system.gpu else 0)
        + (_FOR_DISPOSITION.get(system.disposition, 0) if system.disposition else 0)
    )

"""What `xisuan doctor` looks at beside the service itself: libraries, the end of the chain, certificates, leftovers.

Each function looks at one thing and says what it found, whether that is good, and what to do where it is not. Nothing is
changed, and nothing needs a running service.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

import psutil
from packaging.requirements import Requirement

from inventory.store.chain import event_hash
from inventory.store.event_store import Store

LAST_EVENTS = 1_000
SOON_DAYS = 30
DAY_MS = 86_400_000
LARGEST_SKEW_MS = 1_000


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at. `remedy` is empty where it is good; texts are "中文 / English"."""

    name: str
    good: bool
    found: str
    remedy: str = ""


def libraries() -> Check:
    """Every library that the server part needs, against the versions that it states."""
    wrong = list(_wrong_libraries())
    name = "程序库 / libraries"
    if not wrong:
        return Check(name, True, f"xisuan {version('xisuan')}, ray {version('ray')}, grpcio {version('grpcio')}")
    return Check(
        name,
        False,
        ", ".join(wrong),
        "请运行 pip install -c constraints.txt 'xisuan[server]' / run pip install -c constraints.txt 'xisuan[server]'",
    )


def _wrong_libraries() -> Iterator[str]:
    for line in requires("xisuan") or ():
        needed = Requirement(line)
        if needed.marker is not None and not needed.marker.evaluate({"extra": "server"}):
            continue
        try:
            found = version(needed.name)
        except PackageNotFoundError:
            yield f"{needed.name} 缺失 / missing"
            continue
        if not needed.specifier.contains(found, prereleases=True):
            yield f"{needed.name} {found}（须 / needs {needed.specifier}）"


def end_of_chain(store: Store) -> Check:
    """The last events, hash by hash, up to the recorded end. `xisuan verify` recomputes all of them."""
    head = store.head()
    name = "事件链末段 / end of the chain"
    previous = None
    for event in store.read(max(0, head.seq - LAST_EVENTS), LAST_EVENTS):
        fields = (
            event.previous_hash, str(event.seq), event.kind, event.subject, event.effective_on.isoformat(),
            str(event.recorded_ms), event.actor, event.payload_json,
        )  # fmt: skip
        is_whole = event_hash(tuple(field.encode() for field in fields)) == event.hash
        if not is_whole or previous not in (None, event.previous_hash):
            return Check(name, False, f"事件 {event.seq} 不符 / event {event.seq} does not fit", _RESTORE)
        previous = event.hash
    if previous not in (None, head.hash):
        return Check(name, False, f"链尾不符 / the recorded end {head.seq} is another", _RESTORE)
    return Check(name, True, f"{min(head.seq, LAST_EVENTS)} 个事件 / events, {head.seq}:{head.hash[:12]}")


_RESTORE = "用 xisuan verify 查明首个不符之处，再从备份恢复 / find the first fault by xisuan verify, then restore a backup"


def clock_skew(pool_id: str, skew_ms: int | None) -> Check:
    """The adapter's clock against ours; None: it does not tell."""
    name = f"时钟偏差 / clock skew {pool_id}"
    if skew_ms is None:
        return Check(name, True, "适配器未告知 / the adapter does not tell")
    good = abs(skew_ms) <= LARGEST_SKEW_MS
    remedy = "" if good else "请在两台机器上启用时间同步（chrony） / keep time on both machines (chrony)"
    return Check(name, good, f"{skew_ms:+d} ms", remedy)


def certificate(name: str, expires_ms: int, now_ms: int) -> Check:
    """How long a certificate is valid yet; one that ends within a month is bad already, because renewing takes people."""
    left_days = (expires_ms - now_ms) // DAY_MS
    good = left_days >= SOON_DAYS
    remedy = "" if good else "请续签后重启服务 / renew it, then restart the service"
    return Check(f"证书 / certificate {name}", good, f"剩余 / left: {left_days} 天 / days", remedy)


def leftovers(folder: Path) -> Check:
    """Processes of a service of this home that has ended. Ask only where no service holds the home."""
    own = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    found = [
        process.pid for process in psutil.process_iter() if process.pid not in own and _names(process, folder)
    ]
    name = "遗留进程 / leftover processes"
    if not found:
        return Check(name, True, "无 / none")
    listed = " ".join(map(str, found))
    return Check(name, False, listed, f"请结束它们 / end them: kill {listed}")


def _names(process: psutil.Process, folder: Path) -> bool:
    try:
        return any(f"{folder}/" in word for word in process.cmdline())
    except psutil.Error:  # it has ended meanwhile, or is somebody else's
        return False

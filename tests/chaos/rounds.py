"""Chaos: rounds of faults under load, each checked by the history of what happened.

    python -m tests.chaos.rounds --seeds 1-200 [--jobs 2] [--logs DIR]

`make chaos` and CI run it. Each seed is one round; all rounds of one kind of store share a service, SQLite first. Jobs
are worlds of their own beside each other, each with its share of the seeds. The exit code is 1 where a round broke a
promise; its schedule, violations, history and logs are kept.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos import isolation
from tests.chaos.checker import check
from tests.chaos.history import Call, History, PoolHistory
from tests.chaos.load import Load
from tests.chaos.schedule import LOAD_S, POSTGRES, SQLITE, Schedule, draw
from tests.chaos.stage import Stage
from tests.chaos.striking import strike

CANNOT = 77  # the exit code where this machine gives us no namespaces: no round was run
_LONGEST = 600  # characters of a violation: an error of Ray brings the traces of two processes


@dataclass(slots=True)
class Tally:
    """How often each fault struck, and which seeds failed."""

    strikes: Counter[str] = field(default_factory=Counter)
    rounds: Counter[str] = field(default_factory=Counter)
    workloads: int = 0
    failed: list[int] = field(default_factory=list)


def play(stage: Stage, schedule: Schedule) -> History:
    """One round: load, faults, quiet; then everything that was seen of it."""
    load = Load(schedule.seed, stage.patient_client)
    already = {pool_id: len(one.history().entries) for pool_id, one in stage.witnesses.items()}
    load.start()
    began = time.monotonic()
    errors: list[BaseException] = []

    def carry_out(number: int) -> None:
        what = schedule.strikes[number]
        time.sleep(max(0.0, began + what.at_s - time.monotonic()))
        try:
            strike(stage, what)
        except Exception as error:  # noqa: BLE001 - told by the round itself, below
            errors.append(error)

    threads = [threading.Thread(target=carry_out, args=(number,)) for number in range(len(schedule.strikes))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    time.sleep(max(0.0, began + LOAD_S - time.monotonic()))
    if errors:
        raise errors[0]
    load.finish()
    return History(
        asked=load.asked,
        acknowledged=tuple(load.acknowledged),
        cancelled=frozenset(load.cancelled),
        refusals=tuple(load.refusals),
        watched=tuple(watcher.watched() for watcher in load.watchers),
        stored=load.stored(),
        pools=tuple(_since(one.history(), already[pool_id]) for pool_id, one in stage.witnesses.items()),
    )


def _since(pool: PoolHistory, position: int) -> PoolHistory:
    """The round's part of a journal; nothing was at work when it began."""
    return PoolHistory(pool.pool_id, pool.capacity, pool.entries[position:])


def run(seeds: Sequence[int], logs: Path) -> Tally:
    tally = Tally()
    schedules = [draw(seed) for seed in seeds]
    for kind in (SQLITE, POSTGRES):
        chosen = [schedule for schedule in schedules if schedule.store == kind]
        while chosen:
            chosen = _on_one_stage(kind, chosen, logs, tally)
    return tally


def _on_one_stage(kind: str, schedules: Sequence[Schedule], logs: Path, tally: Tally) -> Sequence[Schedule]:
    """Rounds on one service, until one fails: those after it get a new one. Returns what is left."""
    folder = Path(tempfile.mkdtemp(prefix="xc-"))
    folder.chmod(0o755)  # PostgreSQL runs as another user, who must get through to its files
    with Stage(folder, kind) as stage:
        for number, schedule in enumerate(schedules, start=1):
            sys.stdout.write(f"{schedule}\n")
            sys.stdout.flush()
            if not _judged(stage, schedule, tally):
                _keep(stage, logs / f"seed-{schedule.seed}")
                return schedules[number:]
    shutil.rmtree(folder, ignore_errors=True)
    return ()


def _judged(stage: Stage, schedule: Schedule, tally: Tally) -> bool:
    began = time.monotonic()
    tally.rounds[schedule.store] += 1
    tally.strikes.update(one.fault.value for one in schedule.strikes)
    try:
        history = play(stage, schedule)
        violations = [str(one) for one in check(history)]
        tally.workloads += len(history.stored)
        told = f"{len(history.stored)} workloads, {len(history.refusals)} refusals, {_epochs(history)} leaders"
    except Exception as error:  # noqa: BLE001 - whatever goes wrong in a round is its result
        violations, told = [f"the round could not be played: {type(error).__name__}: {error}"], ""
    if violations:
        tally.failed.append(schedule.seed)
    verdict = "".join(f"\n  BROKEN {one[:_LONGEST]}" for one in violations[:20])
    word = "FAILED" if violations else "held"
    sys.stdout.write(f"  seed {schedule.seed} {word} in {time.monotonic() - began:.1f} s: {told}{verdict}\n")
    sys.stdout.flush()
    return not violations


def _epochs(history: History) -> int:
    return len({entry.epoch for pool in history.pools for entry in pool.entries if isinstance(entry, Call)})


def _keep(stage: Stage, folder: Path) -> None:
    """Logs, journals and the store, for whoever looks into the failure."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with suppress(shutil.Error):  # sockets of Ray cannot be copied, everything else is
        shutil.copytree(stage.folder, folder, dirs_exist_ok=True, symlinks=True, ignore_dangling_symlinks=True)
    sys.stdout.write(f"  kept in {folder}; again: make chaos SEEDS={folder.name.removeprefix('seed-')}\n")


def seeds_of(text: str) -> list[int]:
    """Numbers and ranges: "1-10 17"."""
    seeds: list[int] = []
    for word in text.replace(",", " ").split():
        first, _, last = word.partition("-")
        seeds += range(int(first), int(last or first) + 1)
    return seeds


def shares(seeds: Sequence[int], jobs: int) -> list[list[int]]:
    """Of equal size, and each with as few kinds of store as can be: every kind costs a service of its own."""
    ordered = sorted(seeds, key=lambda seed: draw(seed).store != SQLITE)
    size = -(-len(ordered) // max(1, jobs))
    return [ordered[start : start + size] for start in range(0, len(ordered), size)]


def _in_worlds(seeds: Sequence[int], jobs: int, logs: Path) -> int:
    """Each share in namespaces of its own, which end with us; the worst exit code."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    worlds = [
        isolation.enter("tests.chaos.rounds", ["--seeds", " ".join(map(str, share)), "--logs", str(logs)])
        for share in shares(seeds, jobs)
    ]
    try:
        return max(world.wait() for world in worlds)
    finally:
        for world in worlds:
            world.kill()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=seeds_of, default=seeds_of("1-200"), help='such as "1-10 17"')
    parser.add_argument("--jobs", type=int, default=1, help="rounds at a time")
    parser.add_argument("--logs", type=Path, default=Path(tempfile.gettempdir()) / "xisuan-chaos")
    arguments = parser.parse_args()
    if not isolation.is_inside():
        why = isolation.why_not()
        if why:
            sys.stderr.write(f"SKIPPED: chaos needs namespaces (root, or a container that allows them): {why}\n")
            return CANNOT
        return _in_worlds(arguments.seeds, arguments.jobs, arguments.logs)
    isolation.raise_loopback()
    began = time.monotonic()
    tally = run(arguments.seeds, arguments.logs)
    struck = ", ".join(f"{fault} {times}" for fault, times in sorted(tally.strikes.items()))
    sys.stdout.write(
        f"{tally.rounds.total()} rounds ({dict(tally.rounds)}) in {time.monotonic() - began:.0f} s, "
        f"{tally.workloads} workloads; faults: {struck}\n"
    )
    if tally.failed:
        sys.stdout.write(f"FAILED: seeds {' '.join(map(str, tally.failed))}\n")
    return 1 if tally.failed else 0


if __name__ == "__main__":
    sys.exit(main())

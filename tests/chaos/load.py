"""The clients of a round: they submit, cancel and watch through the gateway, whatever happens to it meanwhile.

`tests.chaos.rounds` starts a `Load`, breaks things, and asks it to `finish`; then it has what clients know of the
round. Submissions are repeated under the same key until they are acknowledged, as the contract tells clients to do.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from tests.chaos.history import FAILS, SUCCEEDS, Asked, Refused, StoredWorkload
from tests.chaos.schedule import FAR, LOAD_S
from tests.chaos.watchers import PATIENCE_S, Connect, both, state_word
from xisuan.client import (
    WORKLOAD_STATE_ACTIVE,
    WORKLOAD_STATE_QUEUED,
    WORKLOAD_STATE_SUBMITTED,
    CallError,
    Client,
    Program,
    Requirements,
    Resources,
    WorkloadSpec,
)
from xisuan.common.v1.common_pb2 import ON_DISCONNECT_STOP

BATCH = 5
_EVERY_S = 0.15
_CANCEL_EVERY_S = 0.3
_PAUSE_S = 0.2
_MEMORY = 64 * 1024**2
_LIVE = (WORKLOAD_STATE_SUBMITTED, WORKLOAD_STATE_QUEUED, WORKLOAD_STATE_ACTIVE)
# INVALID_ARGUMENT, FAILED_PRECONDITION: what an item waits for was itself refused, has failed or was cancelled.
_WAITED_FOR_IN_VAIN = (3, 9)
# The last workload of a round, and one after it, so that watchers hear something when they know what to wait for.
_LAST, _BEYOND = "last", "beyond"


class Load:
    """The load of one round on a queue of its own. `seed` fixes what is submitted, not when it is answered."""

    def __init__(self, seed: int, connect: Connect) -> None:
        self.queue = f"chaos/{seed}-{time.time_ns()}"
        self.asked: dict[str, Asked] = {}
        self.acknowledged: list[tuple[str, str]] = []
        self.cancelled: set[str] = set()
        self.refusals: list[Refused] = []
        self._seed = seed
        self._connect = connect
        self._until = 0.0
        self.watchers = both(connect, self.queue)
        self._clients = [threading.Thread(target=self._submit, args=(number,)) for number in range(2)]
        self._clients.append(threading.Thread(target=self._cancel))

    def start(self) -> None:
        """Returns when the watchers listen, so that they see the round from its beginning."""
        for watcher in self.watchers:
            watcher.start()
        for watcher in self.watchers:
            assert watcher.listens.wait(PATIENCE_S), f"{watcher.name}: the service sends nothing"
        self._until = time.monotonic() + LOAD_S
        for client in self._clients:
            client.start()

    def stop(self) -> None:
        """Before its time is up: nothing new is asked from now on."""
        self._until = 0.0

    def finish(self) -> None:
        """Waits until every submission is acknowledged, everything has ended, and the watchers have seen it."""
        for client in self._clients:
            client.join()
        with self._connect(PATIENCE_S) as client:
            self._until_all_ended(client)
            self._deliver(client, [self._spec(Asked(_LAST), lasting_ms=10)])
            self._until_all_ended(client)
            for watcher in self.watchers:
                watcher.until(dict(self.acknowledged)[_LAST])
            self._deliver(client, [self._spec(Asked(_BEYOND), lasting_ms=10)])
            self._until_all_ended(client)
        for watcher in self.watchers:
            watcher.join(PATIENCE_S)

    def stored(self) -> tuple[StoredWorkload, ...]:
        with self._connect(PATIENCE_S) as client:
            return tuple(
                StoredWorkload(
                    one.workload_id,
                    one.spec.client_key,
                    state_word(one.state),
                    tuple(run.run_id for run in one.runs),
                )
                for one in client.list(queue=self.queue)
            )

    def _submit(self, number: int) -> None:
        chance = random.Random(f"load {self._seed} {number}")
        count = 0
        with self._connect(0.0) as client:
            while time.monotonic() < self._until:
                specs = []
                for _ in range(BATCH):
                    count += 1
                    specs.append(self._draw(chance, number, count))
                self._deliver(client, specs)
                time.sleep(_EVERY_S)

    def _draw(self, chance: random.Random, number: int, count: int) -> WorkloadSpec:
        after = (f"{number}-{count - 1}",) if count > 1 and chance.random() < 0.15 else ()
        course = FAILS if chance.random() < 0.1 else SUCCEEDS
        spec = self._spec(
            Asked(f"{number}-{count}", course, after, chance.choice((1, 1, 2))),
            lasting_ms=chance.choice((30, 100, 300, 800)),
        )
        spec.requirements.per_task.cpu_milli = chance.choice((500, 1000, 2000))
        spec.requirements.tasks = chance.choice((1, 1, 1, 2))
        if chance.random() < 0.2:
            spec.requirements.pools.extend(FAR)
            spec.partition.lost_after.FromSeconds(2)
            # With "keep", two runs at once would be what was asked for.
            spec.partition.on_disconnect = ON_DISCONNECT_STOP
        return spec

    def _spec(self, asked: Asked, *, lasting_ms: int) -> WorkloadSpec:
        self.asked[asked.key] = asked
        return WorkloadSpec(
            queue=self.queue,
            client_key=asked.key,
            requirements=Requirements(per_task=Resources(cpu_milli=500, memory_bytes=_MEMORY), tasks=1),
            program=Program(command=("work", str(lasting_ms), asked.course)),
            after=asked.after,
            max_attempts=asked.max_attempts,
        )

    def _deliver(self, client: Client, specs: list[WorkloadSpec]) -> None:
        """Until the batch is acknowledged: a client that has no answer asks again."""

        def once() -> None:
            for spec, result in zip(specs, client.submit_batch(specs), strict=True):
                if result.HasField("error") and not (spec.after and result.error.code in _WAITED_FOR_IN_VAIN):
                    self.refusals.append(Refused("submit", str(result.error.code), result.error.message))
                elif result.HasField("accepted"):
                    self.acknowledged.append((spec.client_key, result.accepted.workload.workload_id))

        self._insist("submit", once)

    def _cancel(self) -> None:
        chance = random.Random(f"cancel {self._seed}")
        with self._connect(0.0) as client:
            while time.monotonic() < self._until:
                time.sleep(_CANCEL_EVERY_S)
                if self.acknowledged:
                    self._cancel_one(client, chance.choice(self.acknowledged)[1])

    def _cancel_one(self, client: Client, workload_id: str) -> None:
        self.cancelled.add(workload_id)
        self._insist("cancel", lambda: client.cancel(workload_id, "chaos"))

    def _insist(self, name: str, call: Callable[[], object]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            try:
                call()
                return
            except CallError as error:
                if name == "cancel" and error.code == "FAILED_PRECONDITION":
                    return  # it had ended before
                self.refusals.append(Refused(name, error.code, error.message))
                if not error.is_retryable and error.code != "DEADLINE_EXCEEDED":
                    return
            time.sleep(_PAUSE_S)

    def _until_all_ended(self, client: Client) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            with suppress(CallError):
                if not any(True for _ in client.list(queue=self.queue, states=_LIVE)):
                    return
            time.sleep(_PAUSE_S)

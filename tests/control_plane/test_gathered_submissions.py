"""What many callers submit at once reaches the control plane in few calls, and each gets his own answer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from adapters import tracing
from inventory.model.submission_batch import SubmissionBatch
from inventory.model.workload import Submission
from inventory.store import attribution
from inventory.store.attribution import Attribution
from scheduler.core.admission import Accepted
from scheduler.runtime import gathering
from scheduler.runtime.gathering import Asked, GatheredSubmissions
from scheduler.services.ports import RequestError
from tests.control_plane.site import Site, running, story
from tests.lifecycle.bookkeeping import submission


class Remote:
    """Answers each submission with its keys, when it is let go; a key `bad` is refused, `broken` breaks the call."""

    def __init__(self) -> None:
        self.calls: list[Sequence[Asked]] = []
        self.alone: list[Sequence[Submission]] = []
        self.gate = asyncio.Event()

    async def submit_all(self, asked: Sequence[Asked]) -> list[object]:
        self.calls.append(asked)
        await self.gate.wait()
        keys = [tuple(one.batch.client_keys) for one in asked]
        if ("broken",) in keys:
            raise ConnectionError("the control plane has gone")
        return [ValueError("bad") if own == ("bad",) else list(own) for own in keys]

    async def submit(self, submissions: Sequence[Submission]) -> list[str]:
        self.alone.append(submissions)
        return ["alone"]

    async def get(self, workload_id: str) -> str:
        return workload_id


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def sizes(remote: Remote) -> list[int]:
    return [len(call) for call in remote.calls]


def start(gathered: GatheredSubmissions, *keys: str) -> list[asyncio.Task[list[object]]]:
    return [asyncio.create_task(gathered.submit([submission(key)])) for key in keys]


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "_GATHER_S", 0.0)


def test_a_second_call_waits_a_moment_for_others_to_share_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "_GATHER_S", 0.2)

    async def story() -> None:
        remote = Remote()
        gathered = GatheredSubmissions(remote)
        tasks = start(gathered, "a")
        await turns()
        for key in "bcd":
            tasks += start(gathered, key)
            await turns()
        assert sizes(remote) == [1]
        remote.gate.set()
        await asyncio.gather(*tasks)
        assert sizes(remote) == [1, 3]

    asyncio.run(story())


def test_who_is_alone_waits_for_nobody_and_who_comes_meanwhile_shares_a_call() -> None:
    async def story() -> None:
        remote = Remote()
        gathered = GatheredSubmissions(remote)
        tasks = start(gathered, "a")
        await turns()
        tasks += start(gathered, "b")
        await turns()
        assert sizes(remote) == [1, 1]  # two calls may be under way
        tasks += start(gathered, *"cdefgh")
        await turns()
        assert sizes(remote) == [1, 1]
        remote.gate.set()
        assert await asyncio.gather(*tasks) == [[key] for key in "abcdefgh"]
        assert sizes(remote) == [1, 1, 6]
        assert await gathered.get("w-1") == "w-1"

    asyncio.run(story())


def test_a_call_carries_a_bounded_number_of_workloads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "_MOST_WORKLOADS", 4)

    async def story() -> None:
        remote = Remote()
        gathered = GatheredSubmissions(remote)
        tasks = start(gathered, "a", "b")
        await turns()
        many = [[submission(f"{n}.{i}") for i in range(3)] for n in range(2)] + [
            [submission(f"l{i}") for i in range(9)]
        ]
        tasks += [asyncio.create_task(gathered.submit(items)) for items in many]
        remote.gate.set()
        answers = await asyncio.gather(*tasks)
        assert [len(answer) for answer in answers] == [1, 1, 3, 3, 9]
        assert sizes(remote)[1:] == [1, 1, 1]  # three and three are too many together; nine go alone

    asyncio.run(story())


def test_each_submission_goes_on_behalf_of_its_own_caller() -> None:
    async def one(gathered: GatheredSubmissions, name: str) -> object:
        attribution.begin(Attribution(name, f"request-of-{name}"))
        return await gathered.submit([submission(name)])

    async def story() -> None:
        remote = Remote()
        remote.gate.set()
        gathered = GatheredSubmissions(remote)
        await asyncio.gather(*(asyncio.create_task(one(gathered, name)) for name in "abc"))
        seen = {one.batch.client_keys[0]: one.on_behalf_of for call in remote.calls for one in call}
        assert seen == {name: Attribution(name, f"request-of-{name}") for name in "abc"}

    asyncio.run(story())


def test_a_refusal_is_its_caller_s_alone_and_a_broken_call_everybody_s() -> None:
    async def story() -> None:
        remote = Remote()
        gathered = GatheredSubmissions(remote)
        tasks = start(gathered, "a", "bad", "b", "c")
        await turns()
        gone, broken = start(gathered, "gone", "broken")
        await turns()
        gone.cancel()
        remote.gate.set()
        answers = await asyncio.gather(*tasks, gone, broken, return_exceptions=True)
        assert [str(answer) for answer in answers[:4]] == ["['a']", "bad", "['b']", "['c']"]
        assert isinstance(answers[4], asyncio.CancelledError)
        assert isinstance(answers[5], ConnectionError)
        assert await gathered.submit([submission("again")]) == ["again"]

    asyncio.run(story())


def test_a_traced_submission_is_a_call_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "current_traceparent", lambda: "00-aa-bb-01")
    assert not tracing.is_tracing()

    async def story() -> None:
        remote = Remote()
        assert await GatheredSubmissions(remote).submit([submission("a")]) == ["alone"]
        assert (len(remote.alone), remote.calls) == (1, [])

    asyncio.run(story())


@story
async def test_callers_of_one_call_are_decided_one_after_the_other(site: Site) -> None:
    site.settings = replace(site.settings, live_limit=3)
    async with running(site):
        (known,) = await site.submit(submission("known"))

        def asked(*keys: str) -> Asked:
            return Asked(
                SubmissionBatch.of([submission(key) for key in keys]), Attribution("某人", f"r-{keys[0]}")
            )

        both, too_many, repeated, stored = await site.plane.submit_all(
            [asked("a", "b"), asked("c"), asked("a"), asked("known")]
        )
        assert isinstance(both, list) and [one.created for one in both if isinstance(one, Accepted)] == [
            True,
            True,
        ]
        assert isinstance(too_many, RequestError) and too_many.reason == "TOO_MANY_WORKLOADS"
        assert isinstance(repeated, RequestError)  # full is full, even for what is known
        assert isinstance(stored, RequestError)
        (first,) = (one for one in both[:1] if isinstance(one, Accepted))
        events = site.store.store.read(subject=first.workload_id)
        assert [event.payload["request_id"] for event in events] == ["r-a"]
        assert (await site.plane.get(known)).workload.client_key == "known"


@story
async def test_two_callers_with_one_key_have_one_workload(site: Site) -> None:
    async with running(site):
        asked = [Asked(SubmissionBatch.of([submission("same")]), None) for _ in range(2)]
        first, second = await site.plane.submit_all(asked)
        assert isinstance(first, list) and isinstance(second, list)
        (one,), (other,) = first, second
        assert isinstance(one, Accepted) and isinstance(other, Accepted)
        assert (one.created, other.created) == (True, False) and one.workload_id == other.workload_id

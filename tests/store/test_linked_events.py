"""The fast way to link many events gives, for each, the plain hash over its plain fields, and the payload of its text."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from inventory.store.chain import GENESIS, Draft, Event, Head, JsonText, canonical_json, event_hash, link, link_all

NOW = 1_763_800_000_000  # 2025-11-22 in China
texts = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=8)
scalars = st.none() | st.booleans() | st.integers() | texts
values = scalars | st.floats(allow_nan=False, allow_infinity=False) | st.lists(scalars, max_size=3)
drafts = st.builds(
    Draft,
    kind=texts,
    subject=texts,
    payload=st.dictionaries(texts, values | values.map(lambda value: JsonText(canonical_json(value))), max_size=4),
    effective_on=st.none() | st.dates(),
    actor=texts,
)


def plain(event: Event) -> str:
    """By `event_hash`, from the columns as they are stored."""
    whole = (
        event.previous_hash,
        event.seq,
        event.kind,
        event.subject,
        event.effective_on.isoformat(),
        event.recorded_ms,
        event.actor,
        event.payload_json,
    )
    return event_hash(tuple(str(field).encode() for field in whole))


@given(st.lists(drafts, max_size=6), st.integers(0, 10**9))
def test_events_linked_together_are_those_linked_one_by_one(some: list[Draft], last: int) -> None:
    head = Head(last, GENESIS)
    linked = link_all(head, some, actor="张 100%", recorded_ms=NOW)
    for draft, event in zip(some, linked, strict=True):
        assert event == link(head, draft, actor="张 100%", recorded_ms=NOW)
        assert event.hash == plain(event)
        assert event.payload == json.loads(event.payload_json)
        head = Head(event.seq, event.hash)
    assert head.seq == last + len(some)

"""The event and its hash: the canonical form that anyone can recompute with nothing but SHA-256.

`inventory.store.event_store` makes events, `inventory.store.verify` recomputes them. The form, byte by byte, so
that an auditor needs no program of ours:

    hash(event) = hex(SHA-256( N(previous_hash) N(seq) N(kind) N(subject) N(effective_on)
                               N(recorded_ms) N(actor) N(payload) ))

where N(text) is the netstring of its UTF-8 bytes: the length in decimal, ":", the bytes, ",". The fields are
taken exactly as they stand in the columns of the table `events`: numbers in decimal, `effective_on` as
YYYY-MM-DD, `payload` as the stored JSON text (keys sorted, no white space, non-ASCII characters as they are).
`previous_hash` is the hash of the event with the next lower seq, and GENESIS for event 1.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property, lru_cache
from typing import Any

import orjson

GENESIS = "0" * 64
_CHINA = timedelta(hours=8)
_FIELDS = 8
_NETSTRINGS = b"%d:%s," * _FIELDS
_CANONICAL = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)


@dataclass(frozen=True, slots=True)
class JsonText:
    """A value that is canonical JSON already: parts that many payloads share are written once."""

    text: str


_PLAIN = frozenset({str, int, bool, type(None), JsonText})


@dataclass(frozen=True, slots=True)
class Draft:
    """An event before it is recorded. `kind` is "area.happened", `subject` the id that it is about.

    `payload` holds JSON values only; those at its top may be given as `JsonText`. `effective_on` is the day from which the
    fact holds; None means the civil day (China) on which it is recorded. `actor` is whose decision it is, where that is
    not who records it.
    """

    kind: str
    subject: str
    payload: Mapping[str, object]
    effective_on: date | None = None
    actor: str = ""


@dataclass(frozen=True)
class Event:
    """A recorded fact. Not slotted, so that the parsed payload is made once, when somebody asks for it."""

    seq: int
    kind: str
    subject: str
    payload_json: str
    effective_on: date
    recorded_ms: int
    actor: str
    previous_hash: str
    hash: str

    @cached_property
    def payload(self) -> dict[str, Any]:
        """The payload as parsed from the stored text: what a rebuild will see, whatever the draft held. Empty where the
        event was archived (`inventory.store.archive`)."""
        parsed: dict[str, Any] = json.loads(self.payload_json) if self.payload_json else {}
        return parsed


@dataclass(frozen=True, slots=True)
class Head:
    """The end of the chain: the number and the hash of the last event; (0, GENESIS) when there is none."""

    seq: int = 0
    hash: str = GENESIS


def canonical_json(value: object) -> str:
    """JSON with sorted keys and no white space. Raises ValueError for NaN and for text that is not Unicode."""
    text = _CANONICAL.encode(value)
    text.encode()  # a lone surrogate fails here, with the offending character named, and not inside a driver
    return text


def payload_text(payload: Mapping[str, object]) -> str:
    """`canonical_json` of a payload, some of whose values may be `JsonText`."""
    types = set(map(type, payload.values()))
    if types <= _PLAIN:
        # Without floats and containers both libraries write the same text, and this one in a fifth of the time.
        ready = payload
        if JsonText in types:
            ready = {
                key: orjson.Fragment(value.text) if isinstance(value, JsonText) else value
                for key, value in payload.items()
            }
        try:
            return orjson.dumps(ready, option=orjson.OPT_SORT_KEYS).decode()
        except orjson.JSONEncodeError:
            pass  # an integer of more than 64 bits, or a text that is not Unicode: the other one writes it, or names it
    return canonical_json(
        {key: json.loads(one.text) if isinstance(one, JsonText) else one for key, one in payload.items()}
    )


@lru_cache(maxsize=64)
def civil_day(recorded_ms: int) -> date:
    """The day in China (UTC+8, no summer time) of a moment in UTC milliseconds since 1970."""
    return (datetime.fromtimestamp(recorded_ms / 1000, UTC) + _CHINA).date()


def event_hash(fields: tuple[bytes, ...]) -> str:
    """SHA-256 over the netstrings of an event's eight fields, in the order of the module's docstring."""
    return hashlib.sha256(
        _NETSTRINGS % tuple([part for field in fields for part in (len(field), field)])
    ).hexdigest()


def link(head: Head, draft: Draft, *, actor: str, recorded_ms: int) -> Event:
    """The event that `draft` becomes when it is recorded right after `head`, by `actor` unless the draft says whose it is."""
    actor = draft.actor or actor
    if "\x00" in draft.kind or "\x00" in draft.subject or "\x00" in actor:
        named = (("kind", draft.kind), ("subject", draft.subject), ("actor", actor))
        name, text = next((name, text) for name, text in named if "\x00" in text)
        raise ValueError(f"the {name} {text!r} of an event must not hold a NUL character")
    payload_json = payload_text(draft.payload)
    effective_on = draft.effective_on or civil_day(recorded_ms)
    seq = head.seq + 1
    digest = event_hash(
        (
            head.hash.encode(),
            b"%d" % seq,
            draft.kind.encode(),
            draft.subject.encode(),
            effective_on.isoformat().encode(),
            b"%d" % recorded_ms,
            actor.encode(),
            payload_json.encode(),
        )
    )
    return Event(
        seq=seq,
        kind=draft.kind,
        subject=draft.subject,
        payload_json=payload_json,
        effective_on=effective_on,
        recorded_ms=recorded_ms,
        actor=actor,
        previous_hash=head.hash,
        hash=digest,
    )

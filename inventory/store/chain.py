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
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

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

    def __reduce__(self) -> tuple[type[JsonText], tuple[str]]:
        """As `inventory.model.pickling` does it: drafts go to another process by the thousand."""
        return JsonText, (self.text,)


_SCALARS = frozenset({str, int, bool, type(None)})
_PLAIN = _SCALARS | {JsonText}


class Draft(NamedTuple):
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
    return _payload_bytes(payload, set(map(type, payload.values()))).decode()


def _payload_bytes(payload: Mapping[str, object], types: set[type]) -> bytes:
    """`types` are those of its values."""
    if types <= _PLAIN:
        # Without floats and containers both libraries write the same text, and this one in a fifth of the time.
        ready = payload
        if JsonText in types:
            ready = {
                key: orjson.Fragment(value.text) if isinstance(value, JsonText) else value
                for key, value in payload.items()
            }
        try:
            return orjson.dumps(ready, option=orjson.OPT_SORT_KEYS)
        except orjson.JSONEncodeError:
            pass  # an integer of more than 64 bits, or a text that is not Unicode: the other one writes it, or names it
    return canonical_json(
        {key: json.loads(one.text) if isinstance(one, JsonText) else one for key, one in payload.items()}
    ).encode()


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
    (event,) = link_all(head, (draft,), actor=actor, recorded_ms=recorded_ms)
    return event


def link_all(head: Head, drafts: Iterable[Draft], *, actor: str, recorded_ms: int) -> list[Event]:
    """`link` of each draft, one after the other. Every event costs this, so what many of them share (all but number,
    hash before, subject and payload) is written once; `event_hash` is the plain form of it.
    """
    forms: dict[tuple[str, str, date | None], _Form] = {}
    seq, before = head.seq, head.hash
    events: list[Event] = []
    for draft in drafts:
        shared = (draft.kind, draft.actor or actor, draft.effective_on)
        form = forms.get(shared)
        if form is None:
            form = forms[shared] = _form(
                draft.kind, shared[1], draft.effective_on or civil_day(recorded_ms), recorded_ms
            )
        if "\x00" in draft.subject:
            raise _holds_nul("subject", draft.subject)
        seq += 1
        types = set(map(type, draft.payload.values()))
        number, subject, payload = b"%d" % seq, draft.subject.encode(), _payload_bytes(draft.payload, types)
        fields = (len(before), before.encode(), len(number), number, len(subject), subject, len(payload), payload)
        digest = hashlib.sha256(form.text % fields).hexdigest()
        made: dict[str, object] = {
            "seq": seq,
            "kind": draft.kind,
            "subject": draft.subject,
            "payload_json": payload.decode(),
            "effective_on": form.effective_on,
            "recorded_ms": recorded_ms,
            "actor": form.actor,
            "previous_hash": before,
            "hash": digest,
        }
        if types <= _SCALARS:
            made["payload"] = dict(draft.payload)  # what parsing its text would give
        events.append(_event(made))
        before = digest
    return events


def _event(fields: dict[str, object]) -> Event:
    """`Event(**fields)`, which would set each of them through the check that frozen classes have."""
    event = object.__new__(Event)
    object.__setattr__(event, "__dict__", fields)
    return event


class _Form(NamedTuple):
    """What is hashed of events that share kind, actor and day, with places for what they do not share."""

    text: bytes
    effective_on: date
    actor: str


def _form(kind: str, actor: str, effective_on: date, recorded_ms: int) -> _Form:
    for name, text in (("kind", kind), ("actor", actor)):
        if "\x00" in text:
            raise _holds_nul(name, text)

    def fixed(*fields: str) -> bytes:
        encoded = [field.encode() for field in fields]
        return b"".join(b"%d:%s," % (len(field), field) for field in encoded).replace(b"%", b"%%")

    place = b"%d:%s,"
    days = fixed(effective_on.isoformat(), str(recorded_ms), actor)
    return _Form(place * 2 + fixed(kind) + place + days + place, effective_on, actor)


def _holds_nul(name: str, text: str) -> ValueError:
    return ValueError(f"the {name} {text!r} of an event must not hold a NUL character")

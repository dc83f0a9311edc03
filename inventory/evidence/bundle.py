"""Makes a bundle of evidence: the chosen events, the chain from the first of them to its head, and the verifier.

The chain is linear, so that the proof of one event is every later one: an event proves the hash before it only by its
whole content. Without `hashes_only` the bundle therefore carries the content of all of them; with it, links between
other events are stated, not proven, and the verifier says how many.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any

from inventory.evidence import verify
from inventory.store.chain import Event, Head, canonical_json

_README = """证据包 / Evidence bundle
=======================
验证（只需 Python 3.11 以上，无需联网和安装）/ verify, offline, with Python alone:

    python -I -S verify.py 本包.zip        或先解压 / or unpack it first:  python -I -S verify.py .

events.jsonl   所选事件的原文 / the chosen events, field by field
chain.jsonl    自首个事件至链尾的每一环节 / every link from the first of them to the head
duties.csv     每个割接任务由谁执行、谁审批、谁验收 / who executed, approved and accepted each run
files.csv      事件引用的文件及其 SHA-256 / files that events refer to
papers/        其中随包提供的文件，文件名即 SHA-256 / those of them that are in the bundle, named by their SHA-256
manifest.json  清单与所选范围 / list of the files and what was chosen

哈希 = SHA-256( N(前一哈希) N(seq) N(kind) N(subject) N(effective_on) N(recorded_ms) N(actor) N(payload) )，
N(x) 为 UTF-8 字节的 netstring（十进制长度、冒号、字节、逗号）。
The hash of an event is the SHA-256 over the netstrings of those fields.
请将 verify.py 打印的链尾与另行记录的链尾核对（--head）。
Compare the head that it prints with one written down elsewhere (--head): only that tells who made the bundle.
"""


def make_bundle(
    segment: Sequence[Event],
    chosen: AbstractSet[int],
    selection: Mapping[str, Any],
    *,
    hashes_only: bool,
) -> bytes:
    """The ZIP. `segment` are all events from the first chosen one to the head, in order; `chosen` their numbers."""
    events = [_document(event) for event in segment if event.seq in chosen]
    files = {
        verify.EVENTS: _lines(events),
        verify.CHAIN: _lines(_link(event, event.seq in chosen or hashes_only) for event in segment),
        verify.DUTIES: verify.duties_csv(events).encode(),
        verify.FILES: verify.files_csv(events).encode(),
        "README.txt": _README.encode(),
        "verify.py": Path(verify.__file__).read_bytes(),
    }
    end = Head(segment[-1].seq, segment[-1].hash)
    manifest = {
        "form": verify.FORM,
        "selection": dict(selection),
        "events": len(events),
        "head": {"seq": end.seq, "hash": end.hash},
        "files": {name: hashlib.sha256(content).hexdigest() for name, content in sorted(files.items())},
    }
    return _sealed(files, manifest)


def papers_wanted(bundle: bytes) -> frozenset[str]:
    """The SHA-256 of every file that the bundle's events refer to."""
    return frozenset(verify.referenced(_unpacked(bundle)[verify.FILES]))


def with_papers(bundle: bytes, papers: Mapping[str, tuple[str, bytes]]) -> bytes:
    """The bundle with files that its events refer to: (suffix, content) by SHA-256. What it says of them is sealed anew."""
    files = _unpacked(bundle)
    for digest, (suffix, content) in papers.items():
        files[f"{verify.PAPERS}{digest}{suffix}"] = content
    manifest = json.loads(files.pop(verify.MANIFEST))
    files.pop(verify.SEAL)
    manifest["files"] = {name: hashlib.sha256(content).hexdigest() for name, content in sorted(files.items())}
    return _sealed(files, manifest)


def _unpacked(bundle: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(bundle)) as source:
        return {name: source.read(name) for name in source.namelist()}


def _sealed(files: dict[str, bytes], manifest: Mapping[str, Any]) -> bytes:
    """The archive of these files, their list and its seal."""
    listed = json.dumps(manifest, ensure_ascii=False, indent=1, sort_keys=True).encode()
    seal = f"{hashlib.sha256(listed).hexdigest()}\n".encode()
    return verify.archive({**files, verify.MANIFEST: listed, verify.SEAL: seal})


def _document(event: Event) -> dict[str, Any]:
    """The columns as they are hashed; the payload stays the text that it is."""
    return {
        "seq": event.seq,
        "kind": event.kind,
        "subject": event.subject,
        "effective_on": event.effective_on.isoformat(),
        "recorded_ms": event.recorded_ms,
        "actor": event.actor,
        "payload": event.payload_json,
    }


def _link(event: Event, is_short: bool) -> dict[str, Any]:
    """A link of the chain; with its content where the bundle has it nowhere else."""
    hashes = {"seq": event.seq, "previous_hash": event.previous_hash, "hash": event.hash}
    # Of an archived event only the hashes are here.
    return hashes if is_short or not event.payload_json else {**_document(event), **hashes}


def _lines(documents: Iterable[Mapping[str, Any]]) -> bytes:
    return "".join(f"{canonical_json(one)}\n" for one in documents).encode()

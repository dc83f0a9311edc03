"""Verifies a bundle of evidence offline, with nothing but Python's standard library: python -I -S verify.py FILE.zip

This file is put into every bundle as it stands, and `xisuan migration evidence verify` runs the same code. It finds
any byte that was changed and names where: files against the manifest, the manifest against its seal, the archive
against the one form in which it is written, every event against its hash, every link against the one before.
What it cannot know is who made the bundle: compare the chain's head that it prints with one that you wrote down.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import json
import sys
import zipfile
from pathlib import Path
from typing import Any

FORM = "xisuan-evidence/1"
MANIFEST, SEAL, EVENTS, CHAIN, DUTIES, FILES = (
    "manifest.json",
    "manifest.sha256",
    "events.jsonl",
    "chain.jsonl",
    "duties.csv",
    "files.csv",
)
PAPERS = "papers/"  # the files themselves, each named by its SHA-256
FIELDS = ("seq", "kind", "subject", "effective_on", "recorded_ms", "actor", "payload")
_MOMENT = (1980, 1, 1, 0, 0, 0)  # the earliest that a ZIP can say: the same files give the same archive
_EXECUTES = ("runbook.opened", "runbook.resumed", "runbook.retried", "runbook.skipped")


def event_hash(previous_hash: str, event: dict[str, Any]) -> str:
    """SHA-256 over the netstrings of previous hash, seq, kind, subject, effective_on, recorded_ms, actor, payload."""
    fields = (previous_hash, *(str(event[name]) for name in FIELDS))
    return hashlib.sha256(b"".join(_netstring(field.encode()) for field in fields)).hexdigest()


def _netstring(field: bytes) -> bytes:
    return b"%d:%s," % (len(field), field)


def archive(files: dict[str, bytes]) -> bytes:
    """The one form of a bundle: files in the order of their names, not compressed, without times or owners."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as target:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _MOMENT)
            entry.create_system, entry.external_attr = 3, 0o100644 << 16
            target.writestr(entry, files[name])
    return content.getvalue()


def duties_csv(events: list[dict[str, Any]]) -> str:
    """Who executed, approved and accepted each run, and who attested and closed each review case. A person on both
    sides is a breach of segregation of duties."""
    lines = ["what,id,executed_by,approved_by,accepted_by,breach"]
    for (what, subject), who in _duties(events):
        names = (who["executed"], who["approved"], who["accepted"], who["executed"] & who["accepted"])
        lines.append(",".join([what, _cell(subject), *(_cell(" ".join(sorted(one))) for one in names)]))
    return "\n".join(lines) + "\n"


def _duties(events: list[dict[str, Any]]) -> list[tuple[tuple[str, str], dict[str, set[str]]]]:
    found: dict[tuple[str, str], dict[str, set[str]]] = {}
    acceptance: dict[str, set[str]] = {}
    for event in events:
        kind, subject = event["kind"], event["subject"]
        area = kind.partition(".")[0]
        if area == "runbook" or kind == "assessment.case_advanced":
            what = "run" if area == "runbook" else "case"
            who = found.setdefault((what, subject), {"executed": set(), "approved": set(), "accepted": set()})
            payload = json.loads(event["payload"])
            if kind == "runbook.opened":
                steps = payload["steps"]
                acceptance[subject] = {one["id"] for one in steps if one["phase"] == "acceptance" and one["role"]}
            part = _part(kind, payload, acceptance.get(subject, set()))
            if part:
                who[part].add(event["actor"])
    return sorted(found.items(), key=lambda one: (one[0][0], len(one[0][1]), one[0][1]))


def _part(kind: str, payload: dict[str, Any], acceptance: set[str]) -> str:
    """Which side of the segregation the event's actor takes; empty: none."""
    if kind in _EXECUTES:
        return "executed"
    if kind == "runbook.approved":
        return "accepted" if payload["step"] in acceptance else "approved"
    # Of a closure: who attests that a system is unused decides, who closes it executes.
    return {"attest_unused": "accepted", "close": "executed"}.get(payload.get("action", ""), "")


def files_csv(events: list[dict[str, Any]]) -> str:
    """Every SHA-256 of a file that an event refers to, with the number of its document."""
    lines = ["seq,subject,number,sha256"]
    for event in events:
        for number, digest in _references(json.loads(event["payload"]), ""):
            lines.append(f"{event['seq']},{_cell(event['subject'])},{_cell(number)},{digest}")
    return "\n".join(dict.fromkeys(lines)) + "\n"


def _references(value: object, number: str) -> list[tuple[str, str]]:
    """(number of the document, digest) of every sha256 field, however deep it stands."""
    found: list[tuple[str, str]] = []
    if isinstance(value, dict):
        number = str(value.get("number") or value.get("document") or value.get("filename") or number)
        for name, part in sorted(value.items()):
            if name in ("sha256", "document_sha256") and isinstance(part, str) and len(part) == 64:
                found.append((number, part))
            else:
                found += _references(part, number)
    elif isinstance(value, list):
        for part in value:
            found += _references(part, number)
    return found


def _cell(text: str) -> str:
    # A spreadsheet takes =, +, - and @ at the head of a cell for a formula.
    text = f"'{text}" if text[:1] in ("=", "+", "-", "@") else text
    return '"' + text.replace('"', '""') + '"' if any(sign in text for sign in ',"\n\r') else text


class Verdict:
    """What was found: `faults` are lines that each name a place; `facts` are what the evidence shows."""

    def __init__(self) -> None:
        self.faults: list[str] = []
        self.facts: list[str] = []


def verify_archive(content: bytes, head: str = "") -> Verdict:
    """The whole judgement of a bundle as bytes. `head`: a chain head that was written down before."""
    verdict = Verdict()
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as source:
            names = source.namelist()
            files = {name: source.read(name) for name in names}
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, RuntimeError, EOFError) as error:
        verdict.faults.append(f"压缩包已损坏：{error} / the archive is damaged: {error}{_damaged(content)}")
        return verdict
    verify_files(files, verdict, head)
    again = archive(files)
    if again != content and not verdict.faults:
        place = next(
            (at for at, (one, two) in enumerate(zip(again, content, strict=False)) if one != two),
            min(len(again), len(content)),
        )
        where = _place(again, place)
        verdict.faults.append(
            f"压缩包第 {place} 字节（{where}）与规定形式不同 / byte {place} of the archive ({where}) is not as it was written"
        )
    return verdict


def _place(content: bytes, place: int) -> str:
    """Which file's record the byte belongs to, or the archive's own directory."""
    with zipfile.ZipFile(io.BytesIO(content)) as source:
        starts = [(one.header_offset, one.filename) for one in source.infolist()]
        if place >= source.start_dir:
            return "directory"
    return max((one for one in starts if one[0] <= place), default=(0, "?"))[1]


def _damaged(content: bytes) -> str:
    """Names the files whose stored bytes can no longer be read, as far as they can be found."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as source:
            bad = []
            for name in source.namelist():
                try:
                    source.read(name)
                except Exception as error:  # noqa: BLE001  # whatever the library says of it, the file is named
                    bad.append(f"{name} ({error})")
            return f"：{', '.join(bad)}"
    except Exception:  # noqa: BLE001  # the directory itself cannot be read: there is nothing to name
        return " (directory)"


def verify_files(files: dict[str, bytes], verdict: Verdict, head: str = "") -> None:
    """Judges the files of a bundle, wherever they were read from."""
    for name in (MANIFEST, SEAL, EVENTS, CHAIN, DUTIES, FILES):
        if name not in files:
            verdict.faults.append(f"缺少 {name} / {name} is missing")
    if verdict.faults:
        return
    seal = hashlib.sha256(files[MANIFEST]).hexdigest() + "\n"
    if files[SEAL] != seal.encode():
        verdict.faults.append(
            f"{MANIFEST} 与 {SEAL} 不符 / {MANIFEST} does not fit {SEAL}: one of them was changed"
        )
    try:
        manifest = json.loads(files[MANIFEST])
        listed, form = dict(manifest["files"]), manifest["form"]
    except (ValueError, KeyError, TypeError) as error:
        verdict.faults.append(f"{MANIFEST} 无法读取：{error} / {MANIFEST} cannot be read: {error}")
        return
    if form != FORM:
        verdict.faults.append(f"{MANIFEST}：形式 {form!r} 不是 {FORM} / the form {form!r} is not {FORM}")
    for name in sorted(set(files) - set(listed) - {MANIFEST, SEAL}):
        verdict.faults.append(f"{name} 不在清单中 / {name} is not in the manifest: it was added")
    for name, digest in sorted(listed.items()):
        if name not in files:
            verdict.faults.append(f"缺少 {name} / {name} is missing")
        elif hashlib.sha256(files[name]).hexdigest() != digest:
            verdict.faults.append(f"{name} 已被改动 / {name} was changed")
    try:
        _verify_chain(files, manifest, verdict, head)
    except (ValueError, KeyError, TypeError) as error:
        verdict.faults.append(
            f"{CHAIN} 或 {EVENTS} 无法读取：{error!r} / {CHAIN} or {EVENTS} cannot be read: {error!r}"
        )


def _verify_chain(files: dict[str, bytes], manifest: dict[str, Any], verdict: Verdict, head: str) -> None:
    links = [json.loads(line) for line in files[CHAIN].decode().splitlines()]
    events = [json.loads(line) for line in files[EVENTS].decode().splitlines()]
    chosen = {event["seq"]: event for event in events}
    previous: dict[str, Any] | None = None
    asserted = 0
    for link in links:
        seq = link["seq"]
        if previous is not None and (seq != previous["seq"] + 1 or link["previous_hash"] != previous["hash"]):
            verdict.faults.append(
                f"{CHAIN}：事件 {seq} 未接在前一事件之后 / event {seq} does not follow the one before"
            )
        content = chosen.get(seq) or (link if "payload" in link else None)
        if content is None:
            asserted += 1
        elif event_hash(link["previous_hash"], content) != link["hash"]:
            verdict.faults.append(f"事件 {seq} 的内容与其哈希不符 / event {seq} does not fit its hash")
        previous = link
    end = manifest["head"]
    if links and (links[-1]["seq"], links[-1]["hash"]) != (end["seq"], end["hash"]):
        verdict.faults.append(f"{CHAIN} 的末端不是清单中的链尾 / {CHAIN} does not end at the manifest's head")
    missing = sorted(set(chosen) - {link["seq"] for link in links})
    if missing or len(events) != manifest["events"] or len(chosen) != len(events):
        verdict.faults.append(
            f"{EVENTS} 与 {CHAIN} 的事件不一致 / the events of {EVENTS} are not those of {CHAIN} {missing}"
        )
    if head and head.strip().lower() != end["hash"]:
        verdict.faults.append(
            f"链尾 {end['hash']} 不是给定的 {head} / the head {end['hash']} is not the one given, {head}"
        )
    for name, wanted in ((DUTIES, duties_csv(events)), (FILES, files_csv(events))):
        if files[name] != wanted.encode():
            verdict.faults.append(f"{name} 与事件不符 / {name} is not what the events say")
    papers = _paper_lines(files, verdict)
    proven = len(links) - asserted
    verdict.facts += [
        f"事件 {len(events)} 个；链上环节 {len(links)} 个，其中已证明 {proven} 个、仅陈述 {asserted} 个"
        f" / events: {len(events)}; links: {len(links)}, proven {proven}, stated only {asserted}",
        f"链尾 / head: {end['seq']} {end['hash']}",
        *_duty_lines(events),
        *papers,
    ]


def referenced(files_list: bytes) -> dict[str, str]:
    """By SHA-256 in files.csv: the number of the document, or the subject where it has none."""
    rows = csv.reader(io.StringIO(files_list.decode()))
    return {digest: number or subject for _, subject, number, digest in list(rows)[1:]}


def _paper_lines(files: dict[str, bytes], verdict: Verdict) -> list[str]:
    """Holds every file of the bundle against the hash that the chain has for it; names those that lie elsewhere."""
    wanted = referenced(files[FILES])
    here = set()
    for name in sorted(one for one in files if one.startswith(PAPERS)):
        digest = hashlib.sha256(files[name]).hexdigest()
        if not name.startswith(f"{PAPERS}{digest}"):
            verdict.faults.append(f"{name} 的内容与其名不符 / {name} does not hold what its name says")
        elif digest not in wanted:
            verdict.faults.append(f"{name} 未被任何事件引用 / no event refers to {name}")
        else:
            here.add(digest)
    lines = [
        f"文件 {len(wanted)} 份：随包 {len(here)} 份，均与链上哈希相符；仅有哈希 {len(wanted) - len(here)} 份"
        f" / files: {len(wanted)}; in the bundle, as the chain has them: {len(here)}; by hash only: {len(wanted) - len(here)}"
    ]
    lines += [
        f"仅有哈希，原件在别处 / by hash only, the file lies elsewhere: {number} {digest}"
        for digest, number in sorted(wanted.items(), key=lambda one: (one[1], one[0]))
        if digest not in here
    ]
    return lines


def _duty_lines(events: list[dict[str, Any]]) -> list[str]:
    lines = []
    for (what, subject), who in _duties(events):
        both = who["executed"] & who["accepted"]
        judged = (
            f"违反职责分离 / breach: {', '.join(sorted(both))}" if both else "职责分离 / duties are segregated"
        )
        executed, accepted = (", ".join(sorted(who[name])) or "-" for name in ("executed", "accepted"))
        word = "割接 / run" if what == "run" else "核查 / case"
        lines.append(f"{word} {subject}: 执行 / executed by {executed}; 验收 / accepted by {accepted}; {judged}")
    return lines


def _read(place: Path) -> tuple[bytes, dict[str, bytes]]:
    """A ZIP as its bytes, or an unpacked folder as its files."""
    if place.is_dir():
        files = {
            file.relative_to(place).as_posix(): file.read_bytes() for file in place.rglob("*") if file.is_file()
        }
        return b"", files
    return place.read_bytes(), {}


def main(arguments: list[str] | None = None) -> int:
    """0: everything holds; 2: nothing to read; 3: a fault, each named in a line."""
    parser = argparse.ArgumentParser(description="Verifies a Xisuan evidence bundle, offline.")
    parser.add_argument(
        "bundle", nargs="?", default=str(Path(__file__).resolve().parent), help="FILE.zip or folder"
    )
    parser.add_argument("--head", default="", help="the chain's head hash that you wrote down")
    asked = parser.parse_args(arguments)
    try:
        content, files = _read(Path(asked.bundle))
    except OSError as error:
        sys.stderr.write(f"无法读取 / cannot be read: {error}\n")
        return 2
    verdict = Verdict()
    if content or not files:
        verdict = verify_archive(content, asked.head)
    else:
        verify_files(files, verdict, asked.head)
    for line in (*verdict.facts, *verdict.faults):
        sys.stdout.write(f"{line}\n")
    sys.stdout.write("有误 / FAULTS FOUND\n" if verdict.faults else "证据成立 / the evidence holds\n")
    return 3 if verdict.faults else 0


if __name__ == "__main__":
    sys.exit(main())

"""A bundle of evidence: verified by Python alone, and no byte of it can be changed unseen."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.faults import Fault
from console.papers import PaperShelf, find_papers
from inventory.evidence import verify
from inventory.evidence.bundle import make_bundle, papers_wanted, with_papers
from inventory.evidence.verify import verify_archive
from inventory.store.chain import Draft, Event, Head, link

_NOON = 1_795_305_600_000
_STEPS = [
    {"id": "yes", "phase": "acceptance", "role": "business_owner"},
    {"id": "go", "phase": "cutover", "role": "x"},
]


def chain(*drafts: tuple[str, str, dict[str, object], str]) -> tuple[Event, ...]:
    events: list[Event] = []
    head = Head()
    for at, (kind, subject, payload, actor) in enumerate(drafts):
        events.append(link(head, Draft(kind, subject, payload), actor=actor, recorded_ms=_NOON + at))
        head = Head(events[-1].seq, events[-1].hash)
    return tuple(events)


def story(accepts: str = "王五") -> tuple[Event, ...]:
    paper = {"step": "yes", "number": "示函1号", "sha256": "ab" * 32}
    return chain(
        ("runbook.opened", "R1", {"steps": _STEPS, "systems": [{"key": "区示例局/门户"}]}, "张三"),
        ("workload.submitted", "W1", {}, "旁人"),
        ("runbook.approved", "R1", {"step": "go"}, "李四"),
        ("runbook.approved", "R1", paper, accepts),
        ("system.migrated", "区示例局/门户", {"source": "R1"}, "张三"),
        ("workload.submitted", "W2", {}, "旁人"),
    )


def bundle(events: Sequence[Event], chosen: set[int], *, hashes_only: bool = False) -> bytes:
    return make_bundle(events, chosen, {"systems": ["门户"]}, hashes_only=hashes_only)


WHOLE = bundle(story(), {1, 3, 4, 5})


def test_the_verifier_in_the_bundle_needs_python_alone(tmp_path: Path) -> None:
    (tmp_path / "e.zip").write_bytes(WHOLE)
    with zipfile.ZipFile(tmp_path / "e.zip") as parts:
        parts.extractall(tmp_path / "open")
    program = tmp_path / "open" / "verify.py"
    for place in (tmp_path / "e.zip", tmp_path / "open"):
        told = subprocess.run(
            [sys.executable, "-I", "-S", program, place],
            capture_output=True,
            text=True,
            check=False,
            encoding="utf-8",
        )
        assert told.returncode == 0, told
        assert "证据成立" in told.stdout and "executed by 张三; 验收 / accepted by 王五" in told.stdout
    events = program.with_name("events.jsonl")
    events.write_text(events.read_text("utf-8").replace("李四", "李五"), "utf-8")
    told = subprocess.run([sys.executable, "-I", "-S", program], capture_output=True, text=True, check=False)
    assert told.returncode == 3 and "events.jsonl" in told.stdout and "事件 3" in told.stdout


@given(st.integers(0, len(WHOLE) - 1), st.integers(1, 255))
def test_any_changed_byte_is_found_and_named(place: int, change: int) -> None:
    broken = bytearray(WHOLE)
    broken[place] ^= change
    faults = verify_archive(bytes(broken)).faults
    assert faults and all(" / " in line for line in faults)


@pytest.mark.parametrize(
    "name", ["events.jsonl", "chain.jsonl", "duties.csv", "files.csv", "verify.py", "README.txt"]
)
def test_a_file_that_was_changed_is_named(name: str) -> None:
    files = unpacked(WHOLE)
    files[name] += b" "
    assert any(name in line for line in verify_archive(verify.archive(files)).faults)


@pytest.mark.parametrize("name", ["events.jsonl", "manifest.json", "verify.py"])
def test_a_file_that_is_missing_or_added_is_named(name: str) -> None:
    files = unpacked(WHOLE)
    files["more.txt"] = files.pop(name)
    faults = verify_archive(verify.archive(files)).faults
    assert any(name in line for line in faults)


def test_a_forger_who_mends_every_digest_is_found_by_the_chain_and_by_the_head() -> None:
    files = unpacked(WHOLE)
    files["events.jsonl"] = files["events.jsonl"].replace("李四".encode(), "李五".encode())
    assert any("事件 3" in line for line in verify_archive(resealed(files)).faults)
    other = bundle(story("赵六"), {1, 3, 4, 5})
    head = story()[-1].hash
    assert not verify_archive(other).faults
    assert any(head in line for line in verify_archive(other, head).faults)
    assert not verify_archive(WHOLE, head).faults


def test_who_executes_and_accepts_is_a_breach_that_is_shown() -> None:
    files = unpacked(bundle(story("张三"), {1, 3, 4, 5}))
    assert files["duties.csv"].decode().splitlines()[1] == "run,R1,张三,李四,张三,张三"
    assert any("违反职责分离" in line for line in verify_archive(verify.archive(files)).facts)


def test_documents_that_events_refer_to_are_listed_with_number_and_hash() -> None:
    lines = unpacked(WHOLE)["files.csv"].decode().splitlines()
    assert lines[1:] == [f"4,R1,示函1号,{'ab' * 32}"]


class TestPapers:
    """The files themselves: in the bundle where they are known, named as lying elsewhere where not."""

    content = b"%PDF the acceptance"
    digest = hashlib.sha256(content).hexdigest()

    def events(self) -> tuple[Event, ...]:
        known = {"step": "yes", "number": "验收1号", "sha256": self.digest}
        unknown = {"step": "go", "number": "示函1号", "sha256": "ab" * 32}
        return chain(
            ("runbook.opened", "R1", {"steps": _STEPS, "systems": [{"key": "区示例局/门户"}]}, "张三"),
            ("runbook.approved", "R1", unknown, "李四"),
            ("runbook.approved", "R1", known, "王五"),
        )

    def whole(self) -> bytes:
        plain = bundle(self.events(), {1, 2, 3})
        assert papers_wanted(plain) == {self.digest, "ab" * 32}
        return with_papers(plain, {self.digest: (".pdf", self.content)})

    def test_a_paper_is_in_the_bundle_as_it_was_and_the_others_are_named(self) -> None:
        assert unpacked(self.whole())[f"papers/{self.digest}.pdf"] == self.content
        verdict = verify_archive(self.whole())
        assert not verdict.faults
        assert any("随包 1 份" in line and "by hash only: 1" in line for line in verdict.facts)
        assert any("示函1号" in line and "ab" * 32 in line for line in verdict.facts)

    def test_a_paper_that_was_exchanged_is_found_even_when_every_list_was_mended(self) -> None:
        files = unpacked(self.whole())
        files[f"papers/{self.digest}.pdf"] = b"%PDF another"
        assert any("papers/" in line for line in verify_archive(resealed(files)).faults)

    def test_a_paper_that_no_event_refers_to_is_found(self) -> None:
        other = hashlib.sha256(b"other").hexdigest()
        added = with_papers(self.whole(), {other: ("", b"other")})
        assert any(other in line and "no event" in line for line in verify_archive(added).faults)

    def test_the_shelf_keeps_each_paper_once_and_a_folder_is_searched_by_content(self, tmp_path: Path) -> None:
        paper, shelf, folder = tmp_path / "验收.PDF", tmp_path / "shelf", tmp_path / "disk" / "deep"
        paper.write_bytes(self.content)
        assert PaperShelf(shelf).keep(paper) == PaperShelf(shelf).keep(paper) == self.digest
        assert [one.name for one in shelf.iterdir()] == [f"{self.digest}.pdf"]
        folder.mkdir(parents=True)
        (folder / "another name.docx").write_bytes(b"minutes")
        minutes = hashlib.sha256(b"minutes").hexdigest()
        found = find_papers({self.digest, minutes, "cd" * 32}, shelf, [tmp_path / "disk"])
        assert found == {self.digest: (".pdf", self.content), minutes: (".docx", b"minutes")}

    def test_a_folder_that_is_none_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(Fault, match="nowhere"):
            find_papers({"ab" * 32}, tmp_path / "shelf", [tmp_path / "nowhere"])


def test_with_hashes_only_other_events_stay_closed_and_the_verifier_says_what_is_not_proven() -> None:
    content = bundle(story(), {1, 3, 4, 5}, hashes_only=True)
    assert "旁人".encode() not in content and "旁人".encode() in WHOLE
    verdict = verify_archive(content)
    assert not verdict.faults and "proven 4, stated only 2" in verdict.facts[0]
    assert "proven 6, stated only 0" in verify_archive(WHOLE).facts[0]


@pytest.mark.parametrize("content", [b"", b"PK", WHOLE[:300], WHOLE[:-30]])
def test_what_is_no_bundle_is_refused_in_words(content: bytes) -> None:
    assert "archive" in verify_archive(content).faults[0]


def unpacked(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as parts:
        return {name: parts.read(name) for name in parts.namelist()}


def resealed(files: dict[str, bytes]) -> bytes:
    manifest = json.loads(files["manifest.json"])
    for name in manifest["files"]:
        manifest["files"][name] = hashlib.sha256(files[name]).hexdigest()
    files["manifest.json"] = json.dumps(manifest, ensure_ascii=False, indent=1, sort_keys=True).encode()
    files["manifest.sha256"] = f"{hashlib.sha256(files['manifest.json']).hexdigest()}\n".encode()
    return verify.archive(files)

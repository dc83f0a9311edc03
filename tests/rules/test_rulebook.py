"""The rule file: every rule has a source that is listed, and every fault is named with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from inventory.rules.compatibility import DEFAULT_MATRIX, read_matrix
from inventory.rules.rulebook import DEFAULT_RULES, parse_rulebook, read_rulebook
from inventory.rules.source import RuleFileError
from tests.rules.subjects import the_rules

TEXT = DEFAULT_RULES.read_text(encoding="utf-8")


def test_every_rule_quotes_a_listed_document_or_says_that_it_is_our_own() -> None:
    book = the_rules()
    rules = (*book.dispositions, *book.findings, *book.gates, *book.readiness, *book.risk)
    sources = {rule.rule_id: rule.source for rule in rules} | {cap.rule_id: cap.source for cap in book.caps}
    for rule_id, source in sources.items():
        assert (source.document is not None and source.title) or source.own, rule_id
        assert all(source.says)


def test_what_no_document_states_is_marked_as_our_own() -> None:
    thresholds = {rule.rule_id: rule.source for rule in the_rules().dispositions}
    assert thresholds["retire-idle"].document is None  # no national numeric threshold was found
    assert the_rules().terms.idle_source.paraphrase is not None  # only an excerpt was seen
    assert all(rule.source.document is None for rule in the_rules().risk)


@pytest.mark.parametrize(
    ("case", "old", "new", "place", "fragment"),
    [
        ("an unknown field", "field: days_unused,", "field: days_idle,", "dispositions.retire-unused.when", "days_unused"),
        ("an unknown field in a text", "{days_unused}", "{days_idle}", "dispositions.retire-unused.says", "days_idle"),
        ("braces left open", "已 {days_unused} 天", "已 {days_unused 天", "dispositions.retire-unused.says.zh", "braces"),
        ("a document that is not listed", "document: S2", "document: S9", "gates.gate-duplicate.source", "S9"),
        ("one id twice", "id: ready-zone", "id: ready-size", "readiness.ready-size", "stands twice"),
        ("no such disposition", "proposes: retain", "proposes: keep", "dispositions.0.proposes", "keep"),
        ("no source at all", "    source: {document: S2, clause: 防止低水平重复建设}\n", "", "source", "missing"),
        ("points beyond the scale", "points: 25", "points: 250", "readiness.0.points", "at most 100"),
        ("a word misspelt", "opens_review: true", "open_review: true", "open_review", "not known"),
        ("sizes that fall", "[2, 4, 8,", "[4, 2, 8,", "right_sizing", "rise"),
        ("a future version", "version: 1", "version: 2", "version", "1"),
    ],
)  # fmt: skip
def test_a_faulty_file_is_refused(case: str, old: str, new: str, place: str, fragment: str) -> None:
    assert old in TEXT, case
    with pytest.raises(RuleFileError) as refused:
        parse_rulebook(TEXT.replace(old, new), "规则.yaml")
    line = refused.value.lines[0]
    assert line.startswith("规则.yaml: ") and place in line and fragment in line, (case, line)
    assert " / " in line


def test_all_faults_are_told_in_one_go() -> None:
    twice = TEXT.replace("field: days_unused,", "field: a,").replace("document: S2", "document: S9")
    with pytest.raises(RuleFileError) as refused:
        parse_rulebook(twice, "规则.yaml")
    assert len(refused.value.lines) == 2


@pytest.mark.parametrize(
    ("case", "text", "fragment"),
    [
        ("a key twice", "version: 1\nversion: 1\n", "stands twice"),
        ("no YAML", "version: [1\n", "no valid YAML"),
        ("a list", "- 1\n", "object with named fields"),
        ("nothing", "", "object with named fields"),
        ("an alias bomb's tag", "!!python/object/apply:os.system ['true']\n", "no valid YAML"),
    ],
)
def test_what_is_no_rule_file(case: str, text: str, fragment: str) -> None:
    with pytest.raises(RuleFileError) as refused:
        parse_rulebook(text, "规则.yaml")
    assert fragment in str(refused.value), case


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RuleFileError, match="no such rule file"):
        read_rulebook(tmp_path / "规则.yaml")


def test_a_matrix_without_a_verdict_for_a_target_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "矩阵.yaml"
    text = DEFAULT_MATRIX.read_text(encoding="utf-8")
    file.write_text(
        text.replace("{arm64: replace, c86: check, x86_64: runs}", "{arm64: replace}"), encoding="utf-8"
    )
    with pytest.raises(RuleFileError, match="has no verdict for c86, x86_64"):
        read_matrix(file)

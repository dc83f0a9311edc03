"""The settings file of `xisuan up`: what it says, what is left to the defaults, and what is refused before a start."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.home import Home
from console.service_settings import SettingsForm, read_settings, settings_file
from scheduler.core.placement.stack import SCORES
from scheduler.cycle import Backfill, BackfillRules, CycleSettings, PreemptionRules
from tests.console.commandline import ROOT, xisuan

EXAMPLES = sorted((ROOT / "examples" / "settings").glob("*.yaml"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "chosen.yaml"


def said(file: Path, content: str) -> CycleSettings:
    file.write_text(content, encoding="utf-8")
    return read_settings(file)


def weights(settings: CycleSettings) -> dict[str, int]:
    scored = (*settings.stack.declared_scores, *settings.stack.free_scores)
    return {name: weight for name, _, weight in scored}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_every_example_can_be_read(path: Path) -> None:
    assert weights(read_settings(path)) == {
        "free_capacity": 2,
        "price": 1,
        "latency": 1,
        "data_locality": 2,
        "carbon": 1,
    }


def test_what_is_not_said_is_as_by_default(file: Path) -> None:
    assert said(file, "") == said(file, "version: 1\n") == read_settings(None) == CycleSettings()


def test_scores_backfill_and_preemption_are_as_said(file: Path) -> None:
    settings = said(
        file,
        "scores: price:3,carbon\nbackfill: {policy: conservative, window: 7, hold_after_s: 0.5, drain_after_s: 0}\n"
        "preemption: {reclaims: false, by_priority: true, limit: 2}\n",
    )
    assert weights(settings) == {"price": 3, "carbon": 1}
    assert settings.backfill == BackfillRules(Backfill.CONSERVATIVE, 7, 500, 0)
    assert settings.preemption == PreemptionRules(reclaims=False, by_priority=True, limit=2)


@given(
    scores=st.dictionaries(st.sampled_from(sorted(SCORES)), st.integers(0, 1000)),
    policy=st.sampled_from(list(Backfill)),
    window=st.integers(0, 100_000),
)
def test_whatever_may_be_said_reaches_the_control_plane(
    scores: dict[str, int], policy: Backfill, window: int
) -> None:
    form = SettingsForm.model_validate({"scores": scores, "backfill": {"policy": policy.value, "window": window}})
    arrived: CycleSettings = pickle.loads(pickle.dumps(form.cycle()))
    assert weights(arrived) == {name: weight for name, weight in scores.items() if weight}
    assert (arrived.backfill.policy, arrived.backfill.window) == (policy, window)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("scores: {prise: 1}\n", "unknown score prise; valid ones: carbon"),
        ("version: 1\nscores: {price: -1}\n", "第 2 行/line: scores.price = -1: 不得小于 0 / must be at least 0"),
        ("scores: price:x\n", "write price:2"),
        ("backfill:\n  polcy: easy\n", "第 2 行/line: backfill.polcy = 'easy': 没有此项"),
        ("backfill: {policy: greedy}\n", "must be 'none', 'easy' or 'conservative'"),
        ("backfill: {window: many}\n", "must be a whole number"),
        ("preemption: {reclaims: perhaps}\n", "must be true or false"),
        ("preemption: {limit: -1}\n", "must be at least 0"),
        ("version: 2\n", "version = 2: 不得大于 1 / must be at most 1"),
        ("[easy]\n", "整份/document"),
        ("scores: {price: 1}\n---\nscores: {price: 2}\n", "it holds 2"),
        ("backfill: {policy: easy\n", "is no valid YAML"),
    ],
)
def test_a_file_with_a_fault_is_refused_before_anything_starts(
    home: Home, file: Path, content: str, told: str
) -> None:
    file.write_text(content, encoding="utf-8")
    xisuan("up", "--settings", file).refused(told)
    assert not home.lock_file.exists()


def test_the_file_of_the_home_is_found_and_a_named_one_goes_before_it(home: Home, file: Path) -> None:
    assert settings_file(home, None) is None
    home.create()
    (home.folder / "settings.yaml").write_text("scores: {prise: 1}\n", encoding="utf-8")
    assert settings_file(home, None) == home.folder / "settings.yaml"
    assert settings_file(home, file) == file
    xisuan("up").refused("unknown score prise")


def test_a_named_file_that_is_missing_is_said_so(home: Home, file: Path) -> None:
    xisuan("up", "--settings", file).refused("there is no file")
    assert not home.folder.exists()

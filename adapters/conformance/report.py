"""What came of a run of the suite: outcome by outcome, counts, and how much of the contract was really asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from adapters.conformance.calls import RPCS
from adapters.conformance.spec import Need, Outcome, Spec, explain_excuse


@dataclass(frozen=True, slots=True)
class Verdict:
    """One spec's outcome. `excused_by` names the capability or option for want of which it was skipped; `message`
    says what was expected and seen, or the excuse."""

    spec: Spec
    outcome: Outcome
    seconds: float
    message: str = ""
    excused_by: str = ""


@dataclass(frozen=True, slots=True)
class Subject:
    """Which adapter was asked, and what it said of itself."""

    endpoint: str
    pool_id: str
    technology: str
    adapter_version: str
    runtime: str
    capabilities: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Report:
    """All verdicts in the order of asking. `left_running` are runs that the clean-up could not end."""

    subject: Subject
    verdicts: tuple[Verdict, ...]
    called: Mapping[str, int]
    left_running: tuple[str, ...] = ()
    interrupted: bool = False

    @property
    def counts(self) -> Counter[Outcome]:
        return Counter(verdict.outcome for verdict in self.verdicts)

    @property
    def conforms(self) -> bool:
        """True when no spec failed, at least one passed, nothing was left running and all was asked."""
        counts = self.counts
        return (
            not counts[Outcome.FAILED]
            and counts[Outcome.PASSED] > 0
            and not self.left_running
            and not self.interrupted
        )

    @property
    def coverage(self) -> float:
        """The share of the specs that were really asked, 0 to 1."""
        asked = len(self.verdicts) - self.counts[Outcome.SKIPPED]
        return asked / len(self.verdicts) if self.verdicts else 0.0

    @property
    def rpc_coverage(self) -> float:
        """The share of the contract's RPCs that were called, 0 to 1."""
        return len([name for name in RPCS if self.called.get(name)]) / len(RPCS)

    def document(self) -> dict[str, object]:
        """The report as JSON values; the form is described in docs/adapters.md."""
        counts = self.counts
        return {
            "endpoint": self.subject.endpoint,
            "pool_id": self.subject.pool_id,
            "technology": self.subject.technology,
            "adapter_version": self.subject.adapter_version,
            "contract_version": 1,
            "runtime": self.subject.runtime,
            "capabilities": dict(self.subject.capabilities),
            "conforms": self.conforms,
            "interrupted": self.interrupted,
            "counts": {outcome.value: counts[outcome] for outcome in Outcome},
            "coverage": {
                "specs": round(self.coverage, 4),
                "rpcs": round(self.rpc_coverage, 4),
                "rpcs_called": {name: self.called.get(name, 0) for name in RPCS},
            },
            "left_running": list(self.left_running),
            "specs": [_verdict_document(verdict) for verdict in self.verdicts],
        }


def _verdict_document(verdict: Verdict) -> dict[str, object]:
    return {
        "name": verdict.spec.name,
        "group": verdict.spec.group,
        "title": verdict.spec.title,
        "title_zh": verdict.spec.zh,
        "outcome": verdict.outcome.value,
        "excused_by": verdict.excused_by,
        "message": verdict.message,
        "seconds": round(verdict.seconds, 3),
    }


def skipped(spec: Spec, need: Need) -> Verdict:
    zh, en = explain_excuse(need)
    return Verdict(spec, Outcome.SKIPPED, 0.0, f"{zh} / {en}", need.value)


def chosen(specs: Sequence[Spec], words: Sequence[str]) -> list[Spec]:
    """The specs whose name begins with one of these words; all of them for no words."""
    return [spec for spec in specs if not words or any(spec.name.startswith(word) for word in words)]

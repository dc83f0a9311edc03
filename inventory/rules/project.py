"""A project that asks for approval (立项): the form of its file, and the facts that the gates judge it by.

Who calls this: `inventory.assessment.approval`. What the file leaves out is unknown, and a gate that needs it says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, ValidationError

from inventory.model.system import Zone
from inventory.rules.condition import Value
from inventory.rules.facts import channel_of
from inventory.rules.forms import Form, Text, form_lines, parse_yaml
from inventory.rules.rulebook import Channel
from inventory.rules.source import RuleFileError

Names = Annotated[tuple[Text, ...], Field(max_length=200)]


class Project(Form):
    """What a department asks for. `replaces` are systems of the ledger that it closes or merges when it goes live."""

    name: Text
    department: Text
    zone: Zone | None = None
    channel: Channel | None = None
    function: Text | None = None
    systems: int = Field(default=1, ge=0, le=100)
    replaces: Names = ()
    data_catalog: bool | None = None
    crypto_plan: bool | None = None
    builds_server_room: bool | None = None
    new_dedicated_network: bool | None = None
    network_plan: bool | None = None
    on_government_cloud: bool | None = None
    classified: bool | None = None


def parse_project(text: str, name: str) -> Project:
    """A project from YAML (or JSON, which is YAML). Raises RuleFileError."""
    try:
        return Project.model_validate(parse_yaml(text, name))
    except ValidationError as refusal:
        raise RuleFileError(form_lines(name, refusal)) from None


@dataclass(frozen=True, slots=True)
class DepartmentStanding:
    """The department as the ledger has it: its baseline, its living systems (name, channel, zone), those that it
    should have merged and has not, and the living systems that look like the project (name, percent)."""

    baseline: int
    living: tuple[tuple[str, Channel, str | None], ...]
    unmerged: tuple[str, ...]
    similar: tuple[tuple[str, int], ...]


def project_facts(
    project: Project, standing: DepartmentStanding, words: Mapping[Channel, Sequence[str]]
) -> dict[str, Value]:
    """The facts of `vocabulary.PROJECT_FACTS`. What the project replaces is taken off first."""
    channel = project.channel or channel_of(project.name, project.function, words)
    left = [one for one in standing.living if one[0] not in project.replaces]
    same = [one for one in left if one[1] is channel]
    after = len(left) + project.systems
    similar = [one for one in standing.similar if one[0] not in project.replaces]
    facts: dict[str, Value] = {
        name: getattr(project, name)
        for name in (
            "name",
            "department",
            "function",
            "data_catalog",
            "crypto_plan",
            "builds_server_room",
            "new_dedicated_network",
            "network_plan",
            "on_government_cloud",
            "classified",
        )
    }
    return facts | {
        "zone": project.zone,
        "channel": channel,
        "adds_systems": after - len(standing.living),
        "department_baseline": standing.baseline,
        "department_after": after,
        "same_channel_after": len(same) + project.systems,
        # Without a zone it is not known whose network it would share.
        "same_channel_zone_after": None
        if project.zone is None
        else sum(one[2] == project.zone for one in same) + project.systems,
        "unmerged": tuple(name for name in standing.unmerged if name not in project.replaces),
        "similar": tuple(f"{name} {percent}%" for name, percent in similar),
        "similarity_pct": max((percent for _, percent in similar), default=0),
    }

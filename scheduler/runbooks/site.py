"""A site file (实施单位文件): what a site must say, beside plan and ledger, so that a wave becomes orders.

`xisuan migration start WAVE --site FILE.yaml` reads one; docs/runbooks.md describes the form. It names a runbook for
each disposition, the people, papers, parameters and places of secrets that hold for every order, and what is
particular to a system, by its key in the ledger.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from inventory.model.system import Disposition
from scheduler.core.migration.phases import Role
from scheduler.runbooks.faults import RunbookRefused, lines_of
from scheduler.runbooks.order import Document, SecretPlace
from scheduler.runbooks.template import Name, Template, read_template, read_yaml


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SiteSystem(_Strict):
    """One system. `runbook` replaces the one of its disposition, which must then be told for its whole group."""

    runbook: str = ""
    parameters: Mapping[Name, str] = Field(default_factory=dict)
    secrets: Mapping[Name, SecretPlace] = Field(default_factory=dict)
    documents: Mapping[str, Document] = Field(default_factory=dict)


class Site(_Strict):
    """`rehearsal: true`: the windows begin at once, and titles say that it is a rehearsal (演练)."""

    version: int = Field(ge=1, le=1)
    rehearsal: bool = False
    runbooks: Mapping[Disposition, str] = Field(default_factory=dict)
    people: Mapping[Role, tuple[str, ...]] = Field(default_factory=dict)
    parameters: Mapping[Name, str] = Field(default_factory=dict)
    secrets: Mapping[Name, SecretPlace] = Field(default_factory=dict)
    documents: Mapping[str, Document] = Field(default_factory=dict)
    systems: Mapping[str, SiteSystem] = Field(default_factory=dict)

    def of(self, system_key: str) -> SiteSystem:
        return self.systems.get(system_key, SiteSystem())

    def runbook_of(self, system_key: str, disposition: Disposition | None) -> str:
        """The file's name, empty where the site says none."""
        by_disposition = self.runbooks.get(disposition, "") if disposition is not None else ""
        return self.of(system_key).runbook or by_disposition


def read_site(text: str, name: str) -> Site:
    """The site in `text`; `name` stands in messages. Raises RunbookRefused with every fault of its form."""
    try:
        return Site.model_validate(read_yaml(text, name))
    except ValidationError as error:
        raise RunbookRefused(lines_of(name, error)) from None


def read_templates(runbooks: Mapping[str, str]) -> dict[str, Template]:
    """The templates by the names under which a site file has them. Raises RunbookRefused with every fault."""
    found: dict[str, Template] = {}
    faults: list[str] = []
    for name, text in runbooks.items():
        try:
            found[name] = read_template(text, name)
        except RunbookRefused as refused:
            faults += refused.faults
    if faults:
        raise RunbookRefused(faults)
    return found

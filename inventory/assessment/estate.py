"""Everything that an assessment looks at, read once: the ledger as of a day, its graph, measurements, declarations.

Who calls this: the parts of this package, at the start of each request. Immutable.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property

from inventory.assessment.errors import AssessmentError, Refusal
from inventory.graph import (
    DependencyEvidence,
    Flow,
    MoveGroup,
    Resolution,
    SystemGraph,
    build_graph,
    compare_traffic,
    contracted,
    move_groups,
)
from inventory.intake import Intake, StandingSystem
from inventory.model.system import Disposition, Ownership, System, system_key
from inventory.rules.condition import Value
from inventory.rules.evaluate import ExceptionGrant, Setting
from inventory.rules.facts import Evidence, Likeness, Neighbourhood, Standing, is_seasonal, role_of, system_facts
from inventory.rules.lookalikes import Description, LookalikeIndex, Match
from inventory.rules.rulebook import Role, Rulebook
from inventory.store.assessment.projection import TRAFFIC
from inventory.store.assessment.records import AssessmentRecords, Record
from inventory.store.event_store import Store
from inventory.utilisation.document import read_measurement
from inventory.utilisation.measurement import Measurement

_ALIKE_PCT = 60


@dataclass(frozen=True)
class Estate:
    """One state of the store. Keys are the ledger's system keys; where the name or department of a system was
    corrected, the graph's key (`system_key` of today's words) may differ, so both are kept in step here."""

    day: date
    standing: Mapping[str, StandingSystem]
    measurements: Mapping[str, Measurement]
    flows: tuple[Flow, ...]
    observed: frozenset[str]
    traffic_file: Record | None
    roles: Mapping[str, Role]
    decisions: Mapping[str, Record]
    exceptions: tuple[ExceptionGrant, ...]
    baseline: Mapping[str, int]
    illustrative: bool

    @property
    def setting(self) -> Setting:
        return Setting(self.day, self.exceptions)

    @cached_property
    def systems(self) -> Mapping[str, System]:
        return {key: one.system for key, one in self.standing.items()}

    @cached_property
    def _graph(self) -> tuple[SystemGraph, Resolution]:
        return build_graph(tuple(self.systems.values()))

    @property
    def graph(self) -> SystemGraph:
        """Its keys are `graph_key`s."""
        return self._graph[0]

    @property
    def resolution(self) -> Resolution:
        return self._graph[1]

    @cached_property
    def groups(self) -> tuple[MoveGroup, ...]:
        return move_groups(tuple(self.systems.values()), self.resolution.merges)

    @cached_property
    def moving_groups(self) -> Mapping[str, tuple[str, ...]]:
        """What has still to move, by move group (its least member): not closed, not in the cloud, not classified, and
        not a superior's. Graph keys. A system of which nobody said whether it should migrate counts: unknown is not
        no; one that counts as merged moves where the ledger says so (先集中、后整合)."""
        moving = {
            graph_key(system)
            for key, system in self.systems.items()
            if self.standing[key].closed_on is None
            and (self.standing[key].merged_on is None or system.should_migrate is True)
            and self.standing[key].migrated_on is None
            and system.migrated is not True
            and system.should_migrate is not False
            and system.classified is not True
            and system.ownership is not Ownership.VERTICAL
        }
        parts = (tuple(member for member in group.members if member in moving) for group in self.groups)
        return {min(part): part for part in parts if part}

    @cached_property
    def moving_graph(self) -> SystemGraph:
        """The dependencies between `moving_groups`; its keys are theirs. What moves in one window needs no bridge."""
        uses = contracted(self.resolution.uses, self.moving_groups.values())
        return SystemGraph(uses, uses)

    @cached_property
    def by_graph_key(self) -> Mapping[str, str]:
        """graph key -> ledger key."""
        found: dict[str, str] = {}
        for key, system in self.systems.items():
            found.setdefault(graph_key(system), key)
        return found

    @cached_property
    def evidence_of_dependencies(self) -> tuple[DependencyEvidence, ...]:
        return compare_traffic(self.resolution.uses, self.flows, self.observed)

    def is_living(self, key: str) -> bool:
        """Neither closed nor merged on the day."""
        one = self.standing[key]
        return one.closed_on is None and one.merged_on is None

    def name_of(self, graph_key_: str) -> str:
        ledger_key = self.by_graph_key.get(graph_key_)
        return graph_key_ if ledger_key is None else self.systems[ledger_key].name

    @cached_property
    def _callers(self) -> Mapping[str, frozenset[str]]:
        """graph key -> the systems whose traffic to it was measured."""
        found: dict[str, set[str]] = {}
        for flow in self.flows:
            if flow.user != flow.used and (flow.requests or flow.bytes):
                found.setdefault(flow.used, set()).add(flow.user)
        return {used: frozenset(users) for used, users in found.items()}

    def living_users_of(self, key: str) -> tuple[str, ...]:
        """Names of living systems that use this one: declared, or seen in the traffic."""
        mine = graph_key(self.systems[key])
        users = {*self.graph.used_by(mine), *self._callers.get(mine, ())}
        living = (user for user in users if user in self.by_graph_key and self.is_living(self.by_graph_key[user]))
        return tuple(sorted(self.name_of(user) for user in living))

    def find(self, wanted: str) -> str:
        """The key of the system that a person named: by key, else by its name where only one bears it."""
        text = wanted.strip()
        if text in self.standing:
            return text
        normal = system_key(text, None).removeprefix("/")
        keys = [key for key, system in self.systems.items() if system_key(system.name, None) == f"/{normal}"]
        if len(keys) == 1:
            return keys[0]
        if keys:
            listed = "、".join(keys[:5])
            raise AssessmentError(
                Refusal.INVALID,
                "AMBIGUOUS_SYSTEM",
                f"有 {len(keys)} 个系统叫“{text}”，请写全：{listed}",
                f"{len(keys)} systems are named {text!r}; write department/name, one of {listed}",
            )
        raise AssessmentError(
            Refusal.NOT_FOUND,
            "NO_SUCH_SYSTEM",
            f"台账中没有系统“{text}”；请写系统全称或 单位/系统",
            f"no system of the ledger is named {text!r}; write its full name or department/name",
        )

    @cached_property
    def index(self) -> LookalikeIndex:
        return LookalikeIndex(
            [
                Description(key, system.name, system.department, system.function)
                for key, system in sorted(self.systems.items())
                if self.is_living(key)
            ]
        )

    def facts(self, book: Rulebook) -> Mapping[str, dict[str, Value]]:
        """The facts of every system, by key, in order."""
        alike = self.index.nearest_of_each(10, _ALIKE_PCT)
        around = self._neighbourhoods()
        return {
            key: system_facts(
                system,
                Evidence(
                    standing=self._standing(key),
                    neighbourhood=around[key],
                    measurement=self.measurements.get(key),
                    likeness=_likeness(system, alike.get(key)),
                ),
                book,
            )
            for key, system in sorted(self.systems.items())
        }

    def exempt(self, book: Rulebook) -> frozenset[str]:
        """Systems whose role (declared, or told by their words), or a year of use that comes in seasons, makes little
        use no sign of idleness."""
        return frozenset(key for key in self.systems if self._may_idle(key, book))

    def _may_idle(self, key: str, book: Rulebook) -> bool:
        role = self.roles.get(key) or role_of(self.systems[key], book.role_words)
        if role is not None:
            return role is not Role.ORDINARY
        measurement = self.measurements.get(key)
        return measurement is not None and is_seasonal(measurement) is True

    def _standing(self, key: str) -> Standing:
        one = self.standing[key]
        return Standing(
            day=self.day,
            closed=one.closed_on is not None,
            merged=one.merged_on is not None,
            migrated=True if one.migrated_on is not None else None,
            role=self.roles.get(key),
            decided=Disposition(self.decisions[key]["disposition"]) if key in self.decisions else None,
        )

    def _neighbourhoods(self) -> dict[str, Neighbourhood]:
        blast = self.graph.blast_sizes()
        cyclic = {key for cycle in self.graph.cycles() for key in cycle}
        partners = {
            member: tuple(self.name_of(other) for other in group.members if other != member)
            for group in self.groups
            for member in group.members
            if any(cause == "database" for cause, _ in group.causes)
        }
        unknown: dict[str, list[str]] = {}
        for unresolved in self.resolution.unresolved:
            unknown.setdefault(unresolved.user, []).append(unresolved.name)
        found = {}
        for key, system in self.systems.items():
            mine = graph_key(system)
            found[key] = Neighbourhood(
                used_by=self.living_users_of(key),
                uses_count=len(self.graph.uses(mine)),
                blast_radius=blast[mine],
                shares_database_with=partners.get(mine, ()),
                in_cycle=mine in cyclic,
                unknown_dependencies=tuple(unknown.get(mine, ())),
            )
        return found


def graph_key(system: System) -> str:
    return system_key(system.name, system.department)


def read_estate(store: Store, day: date, as_of: date | None = None) -> Estate:
    """The store as of `as_of` (None: everything that is recorded), judged on `day`."""
    intake = Intake(store)
    standing = {one.system_key: one for one in intake.standing(as_of)}
    baseline: dict[str, int] = {}
    for row in intake.counted(as_of or day):
        if row.in_baseline and row.department:
            baseline[row.department] = baseline.get(row.department, 0) + 1
    with store.connect() as connection:
        records = AssessmentRecords(connection)
        traffic_file = records.newest_file(TRAFFIC)
        return Estate(
            day=day,
            standing=standing,
            measurements={key: read_measurement(body) for key, body in records.measurements().items()},
            flows=tuple(
                Flow(row["user_key"], row["used_key"], row["requests"], row["bytes"]) for row in records.traffic()
            ),
            observed=frozenset(() if traffic_file is None else traffic_file["observed"]),
            traffic_file=traffic_file,
            roles={key: Role(row["role"]) for key, row in records.roles().items()},
            decisions=records.decisions(),
            exceptions=tuple(_grant(row) for row in records.exceptions()),
            baseline=baseline,
            illustrative=intake.rates(as_of or day, "ownership=all").illustrative,
        )


def _grant(row: Record) -> ExceptionGrant:
    return ExceptionGrant(
        exception_id=row["id"],
        rule_id=row["rule"],
        subject=row["subject"],
        reason=row["reason"],
        document=row["document"],
        approver=row["approver"],
        granted_on=date.fromisoformat(row["granted_on"]),
        expires_on=date.fromisoformat(row["expires_on"]),
    )


def _likeness(system: System, matches: tuple[Match, ...] | None) -> Likeness | None:
    if matches is None:
        return None
    own = tuple(match.name for match in matches if match.department == system.department)
    best = matches[0] if matches else None
    return Likeness(None if best is None else best.name, 0 if best is None else best.likeness_pct, own)

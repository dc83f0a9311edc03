"""Many specs into one batch: what differs from a spec seen before in its key and name alone is not inspected again.

The gateway keeps one `SubmissionReader` for all its calls: systems submit the same requirements and program thousands
of times, and to inspect them costs twenty times what it costs to know them again. `submission_from_wire` says what is valid;
this is only faster.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from adapters.wire.inspection import Inspection, InvalidMessage
from adapters.wire.workloads import inspect_key, inspect_name, submission_from_wire
from inventory.model.submission_batch import SubmissionBatch
from inventory.model.workload import Submission
from xisuan.workload.v1 import workload_pb2

_MOST_KEPT: Final = 1024
_LONGEST_KEPT: Final = 16 * 1024  # bytes of a spec

FurtherRules = Callable[[Submission, Inspection, str], None]


class SubmissionReader:
    """`further` inspects what a submission must keep beyond the rules of the contract; keys and names are not its affair."""

    def __init__(self, further: FurtherRules = lambda submission, check, path: None) -> None:
        self._further = further
        self._known: dict[bytes, Submission] = {}  # by the bytes of all but key and name

    def read(
        self, specs: Sequence[workload_pb2.WorkloadSpec], path: str
    ) -> tuple[SubmissionBatch, dict[int, InvalidMessage]]:
        """The valid submissions, in order, and what is wrong with the others, by their positions in `specs`. Paths of
        violations begin with `path` and the position."""
        templates: dict[int, Submission] = {}
        columns: list[tuple[int, str, str]] = []
        errors: dict[int, InvalidMessage] = {}
        for position, spec in enumerate(specs):
            try:
                like, key, name = self._read(spec, f"{path}[{position}]")
            except InvalidMessage as error:
                errors[position] = error
            else:
                templates[id(like)] = like
                columns.append((id(like), key, name))
        number = {identity: n for n, identity in enumerate(templates)}
        batch = SubmissionBatch(
            tuple(templates.values()),
            [number[identity] for identity, _, _ in columns],
            [key for _, key, _ in columns],
            [name for _, _, name in columns],
        )
        return batch, errors

    def read_one(self, spec: workload_pb2.WorkloadSpec, path: str) -> SubmissionBatch:
        """A batch of this one. Raises InvalidMessage with every violation."""
        like, key, name = self._read(spec, path)
        return SubmissionBatch((like,), (0,), (key,), (name,))

    def _read(self, spec: workload_pb2.WorkloadSpec, path: str) -> tuple[Submission, str, str]:
        rest = workload_pb2.WorkloadSpec()
        rest.CopyFrom(spec)
        rest.ClearField("client_key")
        rest.ClearField("name")
        alike = rest.SerializeToString(deterministic=True)
        known = self._known.get(alike)
        if known is None:
            return self._inspect(spec, alike, path)
        check = Inspection()
        key = inspect_key(spec, check, path)
        name = inspect_name(spec, check, path)
        check.close()
        return known, key, name

    def _inspect(self, spec: workload_pb2.WorkloadSpec, alike: bytes, path: str) -> tuple[Submission, str, str]:
        submission = submission_from_wire(spec, path)
        check = Inspection()
        self._further(submission, check, path)
        check.close()
        known = replace(submission, client_key="", name="")
        if len(alike) <= _LONGEST_KEPT:
            if len(self._known) >= _MOST_KEPT:
                del self._known[next(iter(self._known))]
            self._known[alike] = known
        return known, submission.client_key, submission.name

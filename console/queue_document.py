"""The document of queues as a YAML file: read, checked, and every fault told with its line.

`xisuan queue apply` calls it before it calls the service, so that a file with faults reaches nobody.
"""

from __future__ import annotations

from pathlib import Path

from console.faults import Fault
from console.files import read_text
from console.yaml_documents import YamlDocument, read_documents
from scheduler.core.queueing.document import QueueDocument, QueuesUnreadable, read_queues

LARGEST_FILE = 8 * 1024 * 1024


def read_queue_file(path: Path) -> QueueDocument:
    """Raises Fault with every fault of the file, a line each."""
    documents = read_documents(read_text(path, LARGEST_FILE), str(path))
    if len(documents) != 1 or not isinstance(documents[0].value, dict):
        raise Fault(
            f"{path} 中应恰有一份队列文档（version、queues、reservations），现有 {len(documents)} 份"
            f" / {path} must hold exactly one document of queues (version, queues, reservations); it holds "
            f"{len(documents)}"
        )
    (document,) = documents
    try:
        return read_queues(document.value)
    except QueuesUnreadable as error:
        raise Fault(*(f"{path} {_with_line(line, document)}" for line in str(error).splitlines())) from error


def _with_line(fault: str, document: YamlDocument) -> str:
    """The fault with the line of its place, where it names one: `queues.1.weight = 0: …`."""
    place, equals, _ = fault.partition(" = ")
    if not equals:
        return fault
    path = tuple(int(part) if part.isdecimal() else part for part in place.split("."))
    return f"第 {document.line(path)} 行/line: {fault}"

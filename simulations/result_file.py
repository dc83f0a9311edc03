"""Result files: one JSON document for each simulated run, the same bytes wherever and whenever it was computed.

The portfolio writes them; reports and questions read them back. No time of day, no machine, no duration is in them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from simulations.metrics.result import Curves, Label, Measures, Provenance, Result
from simulations.whole_file import whole_file

SUFFIX = ".result.json"
FORMAT = 1


class ResultFileError(ValueError):
    """A file that is no result of ours. One line, with the file and the remedy."""


def result_bytes(result: Result) -> bytes:
    document = {
        "format": FORMAT,
        "label": asdict(result.label),
        "provenance": asdict(result.provenance),
        "metrics": dict(result.measures.metrics),
        "pools": {pool: dict(metrics) for pool, metrics in result.measures.pools.items()},
        "curves": {
            "at_ms": result.measures.curves.at_ms.tolist(),
            "values": {name: values.tolist() for name, values in result.measures.curves.values.items()},
        },
        "notes": list(result.notes),
    }
    text = json.dumps(document, ensure_ascii=False, sort_keys=True, indent=1, allow_nan=False)
    return f"{text}\n".encode()


def file_name(label: Label) -> str:
    return f"{label.trace}--{label.capacity}--{label.failures}--{label.policy}--{label.seed}{SUFFIX}"


def write_atomically(content: bytes, path: Path) -> None:
    """Whole or not at all: an interruption leaves the old file, or none."""
    with whole_file(path) as draft:
        draft.write_bytes(content)


def read_result(path: Path) -> Result:
    """Raises ResultFileError."""
    try:
        document = json.loads(path.read_bytes())
        if document["format"] != FORMAT:
            raise ResultFileError(
                f"{path}: 格式版本 / format {document['format']!r}, 需要 / needed {FORMAT}; 请重新仿真 / run again"
            )
        return _result(document)
    except OSError as error:
        raise ResultFileError(f"{path}: 无法读取（{error.strerror}） / cannot be read; check the path") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, ResultFileError):
            raise
        raise ResultFileError(
            f"{path}: 不是完整的结果文件，请删除后重新仿真 / is no whole result file; delete it and run again"
        ) from error


def read_results(folder: Path) -> list[Result]:
    """All results of a folder, in the order of their labels. Raises ResultFileError for a folder without any."""
    results = [read_result(path) for path in sorted(folder.glob(f"*{SUFFIX}"))]
    if not results:
        raise ResultFileError(
            f"{folder}: 没有结果文件，请先运行 xisuan sim portfolio / no result files here; run a portfolio first"
        )
    return sorted(results, key=lambda result: result.label)


def by_label(results: Iterable[Result]) -> dict[Label, Result]:
    return {result.label: result for result in results}


def _result(document: dict[str, Any]) -> Result:
    curves = Curves(
        np.array(document["curves"]["at_ms"], dtype=np.int64),
        {name: np.array(values, dtype=np.float64) for name, values in document["curves"]["values"].items()},
    )
    return Result(
        Label(**document["label"]),
        Provenance(**document["provenance"]),
        Measures(document["metrics"], document["pools"], curves),
        tuple(document["notes"]),
    )

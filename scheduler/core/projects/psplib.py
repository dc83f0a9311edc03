"""Project instances in the format of PSPLIB (.sm files): reading and writing.

Who calls this: `xisuan migration plan --psplib FILE.sm`, tests, and the generator of instances.
Source of the format: Kolisch and Sprecher, PSPLIB, a project scheduling problem library, EJOR 96 (1996). Sections are
known by their headings, numbers by their order in a line; rules of stars, dashes, equals signs mean nothing. Files have been
through many hands, so headings may differ in case, blanks and colon, remarks may follow #, ;, % or //, a long list
of successors may go on in the next line, and a byte order mark or a DOS end of file is skipped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from scheduler.core.projects.project import Job, Project, ProjectError

_SECTIONS = ("PRECEDENCE RELATIONS", "REQUESTS/DURATIONS", "RESOURCEAVAILABILITIES")
_NUMBER = re.compile(r"[+-]?\d+")
_REMARK = re.compile(r"(#(?!\s*(?:modes|successors|jobs))|;|%|//).*", re.IGNORECASE)


def read_project(text: str) -> Project:
    """Raises ProjectError with the section and line where the text is no single-mode project."""
    text = text.lstrip("\ufeff").replace("\x1a", "")
    sections = dict(_sections(text))
    missing = [name for name in _SECTIONS if name not in sections]
    if missing:
        raise ProjectError(
            f"缺少段落 {missing[0]!r}，不是 PSPLIB 的 .sm 文件"
            f" / the section {missing[0]!r} is missing: this is no PSPLIB .sm file; give one"
        )
    _require_renewable_only(text)
    successors = _successors(sections["PRECEDENCE RELATIONS"])
    capacities = _availabilities(sections["RESOURCEAVAILABILITIES"])
    jobs = tuple(_jobs(sections["REQUESTS/DURATIONS"], successors, len(capacities)))
    if {job.number for job in jobs} != set(successors):
        odd = sorted({job.number for job in jobs} ^ set(successors))[0]
        raise ProjectError(
            f"作业 {odd} 只在先后关系或工期段落之一中出现"
            f" / job {odd} stands in only one of the sections for precedences and durations; give it in both"
        )
    declared = re.search(r"^[^\S\n]*jobs\b[^:\n]*:\s*(\d+)", text, re.MULTILINE | re.IGNORECASE)
    if declared is not None and int(declared[1]) != len(jobs):
        raise ProjectError(
            f"文件声明 {declared[1]} 个作业，实有 {len(jobs)} 个，可能被截断"
            f" / the file declares {declared[1]} jobs and holds {len(jobs)}; it may be cut off"
        )
    return Project(jobs, capacities)


def write_project(project: Project, name: str = "xisuan", seed: int = 0) -> str:
    """The text of an .sm file. Reading it gives the same project."""
    stars = "*" * 72
    jobs = len(project.jobs)
    resources = range(1, len(project.capacities) + 1)
    lines = [
        stars,
        f"file with basedata            : {name}.bas",
        f"initial value random generator: {seed}",
        stars,
        "projects                      :  1",
        f"jobs (incl. supersource/sink ):  {jobs}",
        f"horizon                       :  {project.horizon}",
        "RESOURCES",
        f"  - renewable                 :  {len(project.capacities)}   R",
        "  - nonrenewable              :  0   N",
        "  - doubly constrained        :  0   D",
        stars,
        "PROJECT INFORMATION:",
        "pronr.  #jobs rel.date duedate tardcost  MPM-Time",
        f"    1  {jobs - 2:5}      0  {project.horizon:7}        0  {project.horizon:7}",
        stars,
        "PRECEDENCE RELATIONS:",
        "jobnr.    #modes  #successors   successors",
        *(
            f"{job.number:4}        1  {len(job.successors):11}   {''.join(f'{n:6}' for n in job.successors)}"
            for job in project.jobs
        ),
        stars,
        "REQUESTS/DURATIONS:",
        "jobnr. mode duration" + "".join(f"  R {number}" for number in resources),
        "-" * 72,
        *(
            f"{job.number:4}      1  {job.duration:7}  {''.join(f'{need:5}' for need in job.needs)}"
            for job in project.jobs
        ),
        stars,
        "RESOURCEAVAILABILITIES:",
        "".join(f"  R {number}" for number in resources),
        "".join(f"{capacity:5}" for capacity in project.capacities),
        stars,
        "",
    ]
    return "\n".join(lines)


def _sections(text: str) -> Iterator[tuple[str, list[tuple[int, str]]]]:
    """Each known section with its lines (number in the file, text) that hold a number or a word."""
    current: str | None = None
    lines: list[tuple[int, str]] = []
    for number, line in enumerate(text.splitlines(), start=1):
        plain = _REMARK.sub("", line).strip()
        heading = re.sub(r"\s*/\s*", "/", " ".join(plain.rstrip(": \t").split())).upper()
        heading = heading.replace("RESOURCE AVAILABILITIES", "RESOURCEAVAILABILITIES")
        if heading in _SECTIONS or heading in ("PROJECT INFORMATION", "RESOURCES"):
            if current is not None:
                yield current, lines
            current, lines = heading, []
        elif plain and not set(plain) <= set("*-=_"):
            lines.append((number, plain))
    if current is not None:
        yield current, lines


def _require_renewable_only(text: str) -> None:
    for kind in ("nonrenewable", "doubly constrained"):
        words = kind.replace(" ", r"\s+")
        found = re.search(rf"-\s*{words}\s*:\s*(\d+)", text, re.IGNORECASE)
        if found is not None and int(found[1]) > 0:
            raise _multi_mode(f"{found[1]} {kind} resources")


def _multi_mode(what: str) -> ProjectError:
    return ProjectError(
        f"不支持多模式项目（{what}）；请给出单模式的 .sm 文件"
        f" / multi-mode projects (.mm) are not supported: {what}; give a single-mode .sm file"
    )


def _successors(lines: Sequence[tuple[int, str]]) -> dict[int, tuple[int, ...]]:
    found: dict[int, tuple[int, ...]] = {}
    for number, line in _whole_lists(lines):
        job, *rest = _integers(number, line, 3)
        modes, count, *successors = rest
        if modes != 1:
            raise _multi_mode(f"job {job} has {modes} modes")
        if count != len(successors):
            raise ProjectError(
                f"第 {number} 行：作业 {job} 声明 {count} 个后继，列出 {len(successors)} 个"
                f" / line {number}: job {job} declares {count} successors and lists {len(successors)}; correct it"
            )
        if job in found:
            raise ProjectError(f"第 {number} 行：作业 {job} 重复 / line {number}: job {job} stands there twice")
        found[job] = tuple(dict.fromkeys(successors))
    return found


def _whole_lists(lines: Sequence[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """The lines of jobs, each with what goes on in the lines after it: fewer successors than it declares."""
    rows = iter(each for each in lines if not each[1].lower().startswith("jobnr"))
    for number, line in rows:
        words = line.split()
        while len(words) >= 3 and words[2].isdecimal() and len(words) < 3 + int(words[2]):
            _, more = next(rows, (0, ""))
            if not more:
                break
            words.extend(more.split())
        yield number, " ".join(words)


def _jobs(
    lines: Sequence[tuple[int, str]], successors: dict[int, tuple[int, ...]], resources: int
) -> Iterator[Job]:
    for number, line in lines:
        if line.lower().startswith("jobnr"):
            continue
        values = _integers(number, line, 2)
        if len(values) == resources + 2:
            raise _multi_mode(f"line {number} is a further mode")
        if len(values) != resources + 3:
            raise ProjectError(
                f"第 {number} 行应有 {resources + 3} 个数，实有 {len(values)} 个"
                f" / line {number} needs {resources + 3} numbers and has {len(values)}"
            )
        job, mode, duration, *needs = values
        if mode != 1:
            raise _multi_mode(f"job {job}, mode {mode}")
        if job not in successors:
            raise ProjectError(
                f"第 {number} 行：作业 {job} 没有先后关系 / line {number}: job {job} has no line of precedences"
            )
        yield Job(job, duration, tuple(needs), successors[job])


def _availabilities(lines: Sequence[tuple[int, str]]) -> tuple[int, ...]:
    rows = [(number, line) for number, line in lines if _NUMBER.match(line)]
    if len(rows) != 1:
        raise ProjectError(
            f"RESOURCEAVAILABILITIES 须恰有一行数，实有 {len(rows)} 行"
            f" / RESOURCEAVAILABILITIES needs one line of numbers and has {len(rows)}"
        )
    return tuple(_integers(*rows[0], 1))


def _integers(number: int, line: str, at_least: int) -> list[int]:
    words = line.split()
    if len(words) < at_least or not all(_NUMBER.fullmatch(word) for word in words):
        raise ProjectError(
            f"第 {number} 行 {line[:40]!r} 须为至少 {at_least} 个整数"
            f" / line {number}, {line[:40]!r}, must be whole numbers, {at_least} at least"
        )
    return [int(word) for word in words]

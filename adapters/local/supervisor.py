"""The supervisor of one local run: starts its tasks, limits them, and writes down how they ended.

The local adapter starts one as `python -I -S supervisor.py RUN_DIR`, in a session of its own, so that it and its
run survive the adapter. Standard library only, and few modules of it: a supervisor is there for every run.
`python -I -S supervisor.py RUN_DIR TASK COMMAND...` becomes a command beside task TASK, in the same surroundings.

The run directory is its only interface; each file is written once and as a whole:

    spec.json     by the adapter, before it starts a supervisor: what to run
    lock          held by the supervisor for as long as it lives; whoever else can take it knows that it is dead
                  (unlike a process id, a lock is never taken over by an unrelated process)
    started.json  by the supervisor, when the tasks have started; a run is never started twice
    stop.json     by the adapter: end the tasks, politely, and by force after `grace_ms`
    ended.json    by the supervisor, when no process of the run is left: state, exit code, message
    output.log    standard output and standard error of all tasks
    work/         the working directory
"""

# pathlib is not loaded here: it would add to the memory and the start-up time of every supervisor.
# ruff: noqa: PTH103, PTH105, PTH106, PTH109, PTH110, PTH123, PTH208

from __future__ import annotations

import fcntl
import json
import os
import resource
import signal
import sys
import time

SPEC, LOCK, STARTED, STOP, ENDED, LOG, WORK = (
    "spec.json", "lock", "started.json", "stop.json", "ended.json", "output.log", "work",
)  # fmt: skip
RUN_ID_VARIABLE = "XISUAN_RUN_ID"
WORK_VARIABLE = "XISUAN_RUN_DIR"

# Categories of failures, as `inventory.model.retry` names them; "" where no more is known than the exit code.
OUT_OF_MEMORY, TIMEOUT, INPUT_MISSING = "out_of_memory", "timeout", "input_missing"

_POLL_S = 0.1
_KILL_ROUNDS = 50
_HIDDEN_ROUNDS = 3  # a process that still shows no environment after these has none
_PF_KTHREAD = 0x0020_0000  # include/linux/sched.h
_LOCK_TRIES = 100
_DEFAULT_GRACE_MS = 10_000
_ENDING_SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
_CANNOT_EXECUTE, _NOT_FOUND, _SIGNALLED = 126, 127, 128  # exit codes as a shell gives them


class Supervisor:
    """The tasks of one run, from start to end. `spec` is the content of spec.json."""

    def __init__(self, spec: dict[str, object]) -> None:
        self._surroundings = Surroundings(spec)
        self._run_id = self._surroundings.run_id
        self._group = self._surroundings.group
        self._argv = [str(word) for word in _list(spec["argv"])]
        self._tasks = _int(spec["tasks"])
        self._max_runtime_ms = _int(spec["max_runtime_ms"])
        self._directory = os.getcwd()
        self._alive: dict[int, int] = {}  # process id -> task number
        self._exit_code: int | None = None
        self._message = ""
        self._failure = ""
        self._is_out_of_memory = False
        self._stopped = False
        self._why_stopped = ""
        self._kill_at: float | None = None

    def run(self) -> dict[str, object]:
        """Runs all tasks to their end; returns the content of ended.json."""
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD, *_ENDING_SIGNALS})
        started_ms: int | None = None
        if os.path.exists(STOP):
            self._stopped = True
        else:
            begins_ms = _now_ms()
            deadline = time.monotonic() + self._max_runtime_ms / 1000 if self._max_runtime_ms else None
            if self._is_limited() and self._start_all():
                started_ms = begins_ms
                write_json(STARTED, {"started_ms": started_ms})
            self._wait_for_all(deadline)
        self._is_out_of_memory = self._group.has_killed_for_memory()
        self._group.close()
        kill_processes_of(self._run_id, self._directory)
        return self._ending(started_ms)

    def _ending(self, started_ms: int | None) -> dict[str, object]:
        state = "failed" if self._exit_code != 0 or self._message else "succeeded"
        message = self._message
        failure = self._failure
        if state == "failed" and self._is_out_of_memory and not failure:
            failure = OUT_OF_MEMORY
            limit = self._surroundings.memory_bytes
            message = (
                f"内存不足，被内核终止（每个任务上限 {limit} 字节） / the kernel killed processes of it for want of memory "
                f"(the limit of a task is {limit} bytes)"
            )
        if self._stopped:
            state, failure = "stopped", ""
            message = self._why_stopped or "按要求停止 / stopped as asked"
        return {
            "state": state,
            "exit_code": self._exit_code,
            "message": message,
            "failure": failure if state == "failed" else "",
            "started_ms": started_ms,
            "ended_ms": _now_ms(),
        }

    def _is_limited(self) -> bool:
        """Makes the group whose limits the pool has promised; without it the run has failed, and is not started."""
        try:
            self._group.make()
        except OSError as error:
            self._exit_code = _CANNOT_EXECUTE
            why = error.strerror
            self._message = f"{self._group.path}: 无法建立 cgroup（{why}） / the cgroup cannot be made: {why}"
            return False
        return True

    def _start_all(self) -> bool:
        """All tasks, or none: where one cannot start, the others are ended and the run has failed."""
        for task in range(self._tasks):
            error = self._start(task)
            if error:
                program = self._argv[0]
                self._exit_code = _NOT_FOUND if isinstance(error, FileNotFoundError) else _CANNOT_EXECUTE
                self._failure = INPUT_MISSING if isinstance(error, FileNotFoundError) else ""
                self._message = (
                    f"{program!r}: 无法执行（{error.strerror}）；请写本机上的可执行文件 / "
                    f"cannot be executed ({error.strerror}): name a program that this machine has"
                )
                self._signal_all(signal.SIGKILL)
                return False
        return True

    def _start(self, task: int) -> OSError | None:
        """Starts one task in its own process group; returns why it could not be executed, if so."""
        reading, writing = os.pipe()  # closes when the program is executed: then there was no error
        pid = os.fork()
        if pid == 0:
            self._become_task(task, writing)
        os.close(writing)
        self._alive[pid] = task
        with os.fdopen(reading, "rb") as pipe:
            number = pipe.read()
        if not number:
            return None
        return OSError(int(number), os.strerror(int(number)))

    def _become_task(self, task: int, error_pipe: int) -> None:
        """In the child: everything between fork and exec. Never returns."""
        try:
            os.setpgid(0, 0)
            nothing = os.open(os.devnull, os.O_RDONLY)
            log = os.open(LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            os.dup2(nothing, 0)
            os.dup2(log, 1)
            os.dup2(log, 2)
            execute(self._argv, task, self._surroundings, self._directory)
        except OSError as error:
            os.write(error_pipe, str(error.errno).encode())
        except (ValueError, MemoryError):  # the limits are too small to reach exec
            os.write(error_pipe, b"12")  # ENOMEM
        finally:
            os._exit(_NOT_FOUND)

    def _wait_for_all(self, deadline: float | None) -> None:
        while self._alive:
            got = signal.sigtimedwait({signal.SIGCHLD, *_ENDING_SIGNALS}, _POLL_S)
            self._reap()
            if not self._alive:
                return
            if self._kill_at is None:
                self._end_where_due(deadline, asked=got is not None and got.si_signo in _ENDING_SIGNALS)
            elif time.monotonic() >= self._kill_at:
                self._signal_all(signal.SIGKILL)

    def _end_where_due(self, deadline: float | None, asked: bool) -> None:
        """Begins to end the tasks: asked to, out of time, or one of them has failed."""
        stop = read_json(STOP)
        if stop is not None or asked:
            self._stopped = True
            self._why_stopped = str((stop or {}).get("why", ""))
            self._terminate(_int((stop or {}).get("grace_ms", _DEFAULT_GRACE_MS)))
        elif deadline is not None and time.monotonic() >= deadline:
            self._message = (
                f"运行超过 max_runtime {self._max_runtime_ms} ms，已停止 / "
                f"ran longer than max_runtime, {self._max_runtime_ms} ms, and was stopped"
            )
            self._failure = TIMEOUT
            self._terminate(_DEFAULT_GRACE_MS)
        elif self._message:
            self._terminate(_DEFAULT_GRACE_MS)

    def _terminate(self, grace_ms: int) -> None:
        self._kill_at = time.monotonic() + grace_ms / 1000
        self._signal_all(signal.SIGTERM)

    def _signal_all(self, number: signal.Signals) -> None:
        for pid in self._alive:
            try:
                os.killpg(pid, number)
            except ProcessLookupError:
                continue  # it has ended, and is about to be reaped

    def _reap(self) -> None:
        while self._alive:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            task = self._alive.pop(pid, None)
            if task is not None:
                self._note_end(task, os.waitstatus_to_exitcode(status))

    def _note_end(self, task: int, code: int) -> None:
        """The run's exit code is that of the first task that fails; 128 + n for an end by signal n."""
        exit_code = code if code >= 0 else _SIGNALLED - code
        if self._exit_code:
            return
        self._exit_code = exit_code
        if exit_code and not self._message and not self._stopped:
            how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {exit_code}"
            self._message = f"任务 {task} 异常结束（{how}），见日志 / task {task} ended with {how}: see its log"


class Surroundings:
    """What every task of a run has around it, and so has a command beside it: settings, limits, a group."""

    def __init__(self, spec: dict[str, object]) -> None:
        self.run_id = str(spec["run_id"])
        self.memory_bytes = _int(spec["memory_bytes"])
        self.group = Group(
            str(spec.get("cgroup", "")), _int(spec.get("cpu_milli", 0)), self.memory_bytes * _int(spec["tasks"])
        )
        self._settings = {str(key): str(value) for key, value in _dict(spec["environment"]).items()}
        self._workload_id = str(spec["workload_id"])

    def environment(self, task: int, home: str, directory: str) -> dict[str, str]:
        return {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "HOME": home,
            "LANG": "C.UTF-8",
            **self._settings,
            RUN_ID_VARIABLE: self.run_id,
            WORK_VARIABLE: directory,
            "XISUAN_WORKLOAD_ID": self._workload_id,
            "XISUAN_TASK": str(task),
        }


def execute(argv: list[str], task: int, around: Surroundings, directory: str) -> None:
    """Makes this process that program, within the limits of its run. Raises OSError, ValueError or MemoryError."""
    os.chdir(WORK)
    around.group.enter()
    if around.memory_bytes and not around.group.path:
        # RLIMIT_DATA counts what a process may write to (Linux 4.7). RLIMIT_AS would count address space
        # that is only reserved, too: Java, Go and JavaScript reserve gigabytes that they never use.
        resource.setrlimit(resource.RLIMIT_DATA, (around.memory_bytes, around.memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Python ignores some, and a shell that started us in the background others; programs expect the default.
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    os.execvpe(argv[0], argv, around.environment(task, os.getcwd(), directory))


class Group:
    """The cgroup v2 of one run, at `path`; an empty path stands for a machine without, and does nothing.

    `cpu_milli` and `memory_bytes` are those of all tasks together.
    """

    def __init__(self, path: str, cpu_milli: int, memory_bytes: int) -> None:
        self.path = path
        self._cpu_milli = cpu_milli
        self._memory_bytes = memory_bytes

    def make(self) -> None:
        if not self.path:
            return
        os.makedirs(self.path, exist_ok=True)
        if self._cpu_milli:
            self._write("cpu.max", f"{self._cpu_milli * 100} 100000")  # microseconds in each tenth of a second
        if self._memory_bytes:
            self._write("memory.max", str(self._memory_bytes))
            if os.path.exists(self.path + "/memory.swap.max"):
                self._write("memory.swap.max", "0")  # a limit that swaps is none

    def enter(self) -> None:
        """In a task, before it becomes its program: it and all that it starts are in the group."""
        if self.path:
            self._write("cgroup.procs", "0")

    def has_killed_for_memory(self) -> bool:
        """Whether the kernel has killed a process of this group because the group had no memory left.

        `oom_kill` of memory.events (cgroup v2) counts those killed by any limit above, too: by the machine's own end.
        Without a group nothing is known: RLIMIT_DATA lets an allocation fail, and the program ends as it sees fit.
        """
        try:
            with open(self.path + "/memory.events", encoding="ascii") as events:
                counts = dict(line.split() for line in events)
        except (OSError, ValueError):
            return False
        return int(counts.get("oom_kill", "0")) > 0

    def close(self) -> None:
        """Kills what is left in the group, and removes it."""
        if not self.path or not os.path.exists(self.path):
            return
        if os.path.exists(self.path + "/cgroup.kill"):
            self._write("cgroup.kill", "1")
        for _ in range(100):
            try:
                os.rmdir(self.path)
                return
            except OSError:  # processes that are being killed are in it still
                time.sleep(0.02)

    def _write(self, name: str, text: str) -> None:
        descriptor = os.open(f"{self.path}/{name}", os.O_WRONLY)
        try:
            os.write(descriptor, text.encode())
        finally:
            os.close(descriptor)


def kill_processes_of(run_id: str, directory: str) -> int:
    """Kills every process that carries this run's id and directory in its environment; returns how many were found.

    Catches what has left the process group (a daemon), and never an unrelated process, whatever its number.
    """
    mark = f"{RUN_ID_VARIABLE}={run_id}".encode()
    place = f"{WORK_VARIABLE}={directory}".encode()
    killed: set[str] = set()
    for count in range(_KILL_ROUNDS):  # a process may fork while they are being counted
        pids = [pid for pid in os.listdir("/proc") if pid.isdigit() and int(pid) != os.getpid()]
        environments = {pid: _environment_of(pid) for pid in pids}
        marked = [pid for pid, words in environments.items() if {mark, place} <= set(words)]
        hidden = [pid for pid, words in environments.items() if words == [b""] and _is_alive(pid)]
        dying = killed.intersection(hidden)
        if not marked and not dying and (not hidden or count >= _HIDDEN_ROUNDS):
            break
        for pid in marked:
            try:
                os.kill(int(pid), signal.SIGKILL)
            except ProcessLookupError:
                continue  # it has ended by itself
        killed.update(marked)
        time.sleep(0.02)
    return len(killed)


def _environment_of(pid: str) -> list[bytes]:
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return file.read().split(b"\0")
    except OSError:  # ended meanwhile, or another user's: neither is ours
        return []


def _is_alive(pid: str) -> bool:
    """Whether this is a process, neither a kernel thread nor ended. One that shows no environment may be in the middle
    of execve and shows it a moment later, or it is about to end."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return False
    return fields[0] not in b"ZX" and not int(fields[6]) & _PF_KTHREAD


def write_json(path: str, content: dict[str, object]) -> None:
    """Writes a file as a whole, and on disk when it returns."""
    with open(path + ".new", "w", encoding="utf-8") as file:
        json.dump(content, file, ensure_ascii=False)
        file.flush()
        os.fsync(file.fileno())
    os.replace(path + ".new", path)


def read_json(path: str) -> dict[str, object] | None:
    """The content of one of the files above; None when it is not there."""
    try:
        with open(path, encoding="utf-8") as file:
            return _dict(json.load(file))
    except FileNotFoundError:
        return None


def _dict(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise TypeError(f"{value!r} is not an object")
    return value


def _list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise TypeError(f"{value!r} is not a list")
    return value


def _int(value: object) -> int:
    if not isinstance(value, int):
        raise TypeError(f"{value!r} is not a whole number")
    return value


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def beside(run_directory: str, task: int, argv: list[str]) -> int:
    """Becomes a command beside a task of a run; returns, as a shell would, only where it cannot be executed."""
    os.chdir(run_directory)
    spec = read_json(SPEC)
    if spec is None:
        sys.stderr.write("运行目录已被清除 / the directory of the run is gone\n")
        return _CANNOT_EXECUTE
    try:
        execute(argv, task, Surroundings(spec), os.getcwd())
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        sys.stderr.write(f"{argv[0]!r}: 无法执行（{why}） / cannot be executed: {why}\n")
        return _NOT_FOUND if isinstance(error, FileNotFoundError) else _CANNOT_EXECUTE
    raise AssertionError("this process is another program by now")


def main(run_directory: str) -> int:
    os.chdir(run_directory)
    with open(LOCK, "ab") as lock:
        for _ in range(_LOCK_TRIES):  # the adapter may be asking, for an instant, whether we live
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(0.01)
        else:
            return 1  # another supervisor has this run
        if os.path.exists(STARTED) or os.path.exists(ENDED):
            return 0  # it was started once, and never will be twice
        spec = read_json(SPEC)
        if spec is None:
            return 2
        write_json(ENDED, Supervisor(spec).run())
    return 0


if __name__ == "__main__":
    if len(sys.argv) > 2:
        sys.exit(beside(sys.argv[1], int(sys.argv[2]), sys.argv[3:]))
    sys.exit(main(sys.argv[1]))

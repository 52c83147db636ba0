# SPDX-License-Identifier: GPL-2.0-only
"""External commands: shown, logged, timed, and never left behind.

Each command gets a process group of its own. When this program ends, by
itself or through SIGINT, SIGTERM or SIGHUP, every group still alive is
killed, so no make and no QEMU survives it.
"""

import atexit
import os
import shlex
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from .errors import Exit, LabError
from .options import Options
from .output import Output

DISK_FULL = "No space left on device"
TAIL_LINES = 40

_options = Options()
_output: Output | None = None
_alive: set[subprocess.Popen] = set()


class Interrupted(BaseException):
    """A signal asked this program to end; carries its number."""

    def __init__(self, number: int):
        super().__init__(number)
        self.number = number


def setup(options: Options, output: Output) -> None:
    """Tell this module how to show commands, and install the handlers."""
    global _options, _output
    _options, _output = options, output
    atexit.register(kill_all)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)


def _interrupt(number: int, _frame) -> None:
    for other in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(other, signal.SIG_IGN)
    raise Interrupted(number)


@contextmanager
def parallel(workers: int) -> Iterator[ThreadPoolExecutor]:
    """A pool of threads that run commands; a failure ends all of them."""
    pool = ThreadPoolExecutor(workers)
    try:
        yield pool
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        kill_all()
        raise
    pool.shutdown()


def kill_all() -> None:
    """End every process group that run() or start() left alive."""
    for process in list(_alive):
        kill(process)


def kill(process: subprocess.Popen, grace: float = 2.0) -> None:
    """End @process and its group: SIGTERM, then SIGKILL after @grace s."""
    if getattr(process, "own_group", False):
        _signal_group(process, signal.SIGTERM)
        deadline = time.monotonic() + grace
        while time.monotonic() < deadline and _group_alive(process):
            process.poll()
            time.sleep(0.02)
        _signal_group(process, signal.SIGKILL)
    elif process.poll() is None:
        process.kill()
    process.wait()
    _alive.discard(process)


def _signal_group(process: subprocess.Popen, number: int) -> None:
    try:
        os.killpg(process.pid, number)
    except (ProcessLookupError, PermissionError):
        pass


def _group_alive(process: subprocess.Popen) -> bool:
    try:
        os.killpg(process.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def shown(command: list[str], cwd: Path | None = None,
          env: Mapping[str, str] | None = None) -> str:
    """The command as one could type it."""
    words = [f"{name}={shlex.quote(value)}" for name, value
             in (env or {}).items()]
    text = " ".join(words + [shlex.join(command)])
    return f"(cd {shlex.quote(str(cwd))} && {text})" if cwd else text


def start(command: list[str], *, cwd: Path | None = None,
          env: Mapping[str, str] | None = None,
          foreground: bool = False, show: bool = True,
          **popen) -> subprocess.Popen:
    """Start @command and return it; the caller watches it and calls kill().

    @env is added to the environment. @foreground keeps it in our own
    process group, for programs that read from the terminal. @popen goes to
    subprocess.Popen. Does not honour --dry-run: callers that watch a
    process decide that themselves. Raises LabError(ENVIRONMENT) if the
    program does not exist.
    """
    command = [str(word) for word in command]
    if show and _output and (_options.verbose or _options.dry_run):
        _output.command(shown(command, cwd, env))
    if not foreground:
        popen.setdefault("process_group", 0)
        popen.setdefault("stdin", subprocess.DEVNULL)
    try:
        process = subprocess.Popen(
            command, cwd=cwd, env={**os.environ, **(env or {})}, **popen)
    except FileNotFoundError as error:
        missing = error.filename or command[0]
        raise LabError(Exit.ENVIRONMENT, f"{missing}: not found; "
                       "`scripts/cma doctor` installs what is missing"
                       ) from None
    except OSError as error:
        raise LabError(Exit.ENVIRONMENT,
                       f"{command[0]}: {error.strerror}") from None
    process.own_group = not foreground
    _alive.add(process)
    return process


def run(command: list[str], *, cwd: Path | None = None,
        env: Mapping[str, str] | None = None, log: Path | None = None,
        timeout: float | None = None, check: Exit | None = None,
        capture: bool = False, query: bool = False,
        foreground: bool = False, input: str | None = None,
        on_line: Callable[[str], None] | None = None,
        ) -> subprocess.CompletedProcess[str]:
    """Run @command to its end.

    @log       append the command and its output to this file
    @timeout   seconds; then the group is killed and LabError(TIMEOUT) raised
    @check     raise LabError with this code if the command fails
    @capture   return stdout and stderr (separately) as text
    @query     it only reads: run it under --dry-run too, and do not show it
    @foreground  let it use the terminal (sudo, an interactive QEMU)
    @input     text for its stdin
    @on_line   called with each line of the output as it comes
    Without @capture, the result's stdout holds the last lines of both
    streams. A full disk is always LabError(ENVIRONMENT) under @check.
    """
    command = [str(word) for word in command]
    if _output and not query and (_options.verbose or _options.dry_run):
        _output.command(shown(command, cwd, env))
    if _options.dry_run and not query:
        return subprocess.CompletedProcess(command, 0, "", "")

    timed_out = threading.Event()
    timer = None
    if foreground:
        popen: dict = {}
        if _options.json:
            popen["stdout"] = 2
    else:
        popen = dict(stdout=subprocess.PIPE,
                     stderr=subprocess.PIPE if capture else subprocess.STDOUT,
                     text=True, errors="replace")
        if input is not None:
            popen["stdin"] = subprocess.PIPE
    process = start(command, cwd=cwd, env=env, foreground=foreground,
                    show=False, **popen)
    if timeout is not None:
        def expire() -> None:
            timed_out.set()
            _signal_group(process, signal.SIGKILL)
        timer = threading.Timer(timeout, expire)
        timer.daemon = True
        timer.start()
    out = err = ""
    try:
        if foreground:
            process.wait()
        elif capture:
            out, err = process.communicate(input)
        else:
            out = _stream(process, command, cwd, env, log, input, on_line)
        process.wait()
    finally:
        if timer:
            timer.cancel()
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe:
                pipe.close()
        kill(process, grace=2.0 if process.poll() is None else 0.0)
    if capture and log:
        log.parent.mkdir(parents=True, exist_ok=True)
        with open(log, "a", encoding="utf-8", errors="replace") as file:
            file.write(f"$ {shown(command, cwd, env)}\n{out}{err}")
    if timed_out.is_set():
        raise LabError(Exit.TIMEOUT, f"{os.path.basename(command[0])} did "
                       f"not end within {timeout:g} s", log)
    if check is not None and process.returncode != 0:
        raise failure(check, command, process.returncode, err or out, log)
    return subprocess.CompletedProcess(command, process.returncode, out, err)


def failure(code: Exit, command: list[str], status: int, text: str,
            log: Path | None = None) -> LabError:
    """The error for a failed command: its last line, or a full disk."""
    if DISK_FULL in text:
        return LabError(Exit.ENVIRONMENT,
                        f"{os.path.basename(command[0])}: {DISK_FULL}", log)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    last = lines[-1] if lines else "no output"
    words = [word for word in command[1:]
             if not word.startswith("-") and "/" not in word]
    what = " ".join([os.path.basename(command[0]), *words[:1]])
    return LabError(code, f"{what} failed with status {status}: {last}", log)


def _stream(process: subprocess.Popen, command: list[str], cwd: Path | None,
            env: Mapping[str, str] | None, log: Path | None,
            input: str | None, on_line: Callable[[str], None] | None) -> str:
    tail: deque[str] = deque(maxlen=TAIL_LINES)
    file = None
    if log:
        log.parent.mkdir(parents=True, exist_ok=True)
        file = open(log, "a", encoding="utf-8", errors="replace")
        file.write(f"$ {shown(command, cwd, env)}\n")
    try:
        if input is not None:
            process.stdin.write(input)
            process.stdin.close()
        for line in process.stdout:
            tail.append(line)
            if file:
                file.write(line)
            if on_line:
                on_line(line.rstrip("\n"))
    finally:
        if file:
            file.close()
    return "".join(tail)

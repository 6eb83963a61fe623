"""The one place that runs programs."""

import contextlib
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, NoReturn

from piku import files
from piku.errors import PikuError

# Where the distribution keeps nginx and sshd; an ordinary user's PATH often lacks them.
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# A build has to leave the processor and the disk to the apps that serve.
_GENTLY = ("/usr/bin/nice", "-n", "10", "/usr/bin/ionice", "-c", "2", "-n", "7")


# Each program that was run to its end, with its beginning and end (time.monotonic()).
ran: list[tuple[Sequence[str], float, float]] = []


class ProgramFailed(PikuError):
    """A program ended with something other than 0."""

    def __init__(self, argv: Sequence[str], status: int, output: str) -> None:
        how = f"was ended by signal {-status}" if status < 0 else f"failed with exit code {status}"
        super().__init__(f"{argv[0]} {how}", detail=tuple(output.splitlines()[-20:]))
        self.how = how
        self.status = status
        self.output = output


def app_path(home: Path) -> str:
    """Where apps and their builds find programs: what `pipx` and `rustup` put into piku's home,
    then the system's."""
    return f"{home}/.local/bin:{home}/.cargo/bin:{SYSTEM_PATH}"


def which(program: str, path: str | None = None) -> str | None:
    """The program's file, looked for in `path` (default: ours and the system's folders)."""
    return shutil.which(program, path=path or f"{os.environ.get('PATH', '')}:{SYSTEM_PATH}")


def environment() -> dict[str, str]:
    """Our own variables without those that belong to the git or ssh command we run in.

    A hook's GIT_DIR would send every git command of ours to the wrong repository, and what a
    person says to the client of another server would send ours there. No commit stands for another
    (git-replace(1)): whoever can push could say which.
    """
    return {"GIT_NO_REPLACE_OBJECTS": "1"} | {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("GIT_")
        and name not in ("SSH_ORIGINAL_COMMAND", "PIKU_SERVER", "PIKU_APP")
    }


def terminal() -> dict[str, str]:
    """What a program must know of the terminal that we were called from."""
    # A size that is told stays as it is; the terminal itself knows when it is resized.
    size = () if os.isatty(0) else ("COLUMNS", "LINES")
    return {name: os.environ[name] for name in ("TERM", "NO_COLOR", *size) if name in os.environ}


def shell(command: str) -> list[str]:
    """The argv that has a shell run `command`: only for what the app's own people wrote."""
    # bash becomes the last command of the line, where dash would stay between us and the program.
    return ["bash", "--norc", "-c", command]


def run(
    argv: Sequence[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: str | None = None,
    check: bool = True,
    merged: bool = False,
    timeout: float | None = None,
) -> str:
    """Run a program to its end and return its standard output, if `merged` followed by its standard
    error; raises ProgramFailed unless `check` is off, and PikuError when it has not ended after
    `timeout` seconds: then it is killed with what it has started."""
    begun = time.monotonic()
    with subprocess.Popen(
        located(argv), cwd=cwd, env=environment() if env is None else env,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        # Without a time limit it stays in ours, where the terminal's Ctrl-C reaches it.
        process_group=None if timeout is None else 0,
    ) as process:  # fmt: skip
        try:
            text = (stdin or "").encode(errors="surrogateescape")
            said, errors = map(files.decode, process.communicate(text, timeout))
        except BaseException as error:
            process.kill() if timeout is None else os.killpg(process.pid, signal.SIGKILL)
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
            what = f"{argv[0]} did not end within {timeout:g} s and was killed"
            raise PikuError(what) from None
    ran.append((argv, begun, time.monotonic()))
    if check and process.returncode:
        raise ProgramFailed(argv, process.returncode, said + errors)
    return said + errors if merged else said


def succeeds(argv: Sequence[str]) -> bool:
    """Whether the program ends with 0."""
    try:
        run(argv)
    except ProgramFailed:
        return False
    return True


def stream(
    argv: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    sink: Callable[[str], None],
    timeout: float,
    idle: Callable[[], None] = lambda: None,
    silence: float = 30.0,
) -> None:
    """Run a program of the app's, handing each line to `sink` as it comes, and calling `idle`
    after every `silence` seconds without one.

    It runs in a process group of its own with a lower priority than live apps. After `timeout`
    seconds, and when we are interrupted, the whole group is killed. Raises ProgramFailed.
    """
    try:
        process = subprocess.Popen(
            [*_GENTLY, *located(argv, env.get("PATH"))], cwd=cwd, env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    except OSError as error:
        raise PikuError(f"{argv[0]} cannot be run: {error.strerror}") from error
    last: deque[str] = deque(maxlen=20)
    begun = time.monotonic()
    try:
        assert process.stdout is not None
        with process.stdout as pipe:
            for line in _lines(pipe, process.pid, time.monotonic() + timeout, silence, idle):
                last.append(line)
                sink(line)
        status = process.wait(0)
    except subprocess.TimeoutExpired:
        name = Path(argv[0]).name
        raise PikuError(f"{name} did not end within {timeout:.0f} s and was killed") from None
    finally:
        # Whatever it left behind in its group ends with it; a build's daemon would hold memory.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        ran.append((argv, begun, time.monotonic()))
    if status:
        raise ProgramFailed(argv, status, "\n".join(last))


def _lines(
    pipe: IO[bytes], pid: int, deadline: float, silence: float, idle: Callable[[], None]
) -> Iterator[str]:
    """The lines of a program until it ends or the deadline comes; a child of its may hold the pipe
    on."""
    ended, rest = os.pidfd_open(pid), b""
    waiting: list[IO[bytes] | int] = [pipe, ended]
    try:
        while waiting:
            left = deadline - time.monotonic()
            ready = select.select(waiting, [], [], min(left, silence))[0] if left > 0 else []
            if not ready and left > silence:
                idle()
                continue
            if not ready:
                raise subprocess.TimeoutExpired("", 0)
            if pipe not in ready:
                break
            *lines, rest = (rest + (chunk := os.read(pipe.fileno(), 65536))).split(b"\n")
            yield from (line.decode(errors="replace").rstrip("\r") for line in lines)
            if not chunk:
                waiting.remove(pipe)
    finally:
        os.close(ended)
    if rest:
        yield rest.decode(errors="replace")


def run_in_new_session(argv: Sequence[str], *, cwd: Path, env: Mapping[str, str]) -> int:
    """Run a program with our standard streams, but in a session without a terminal; returns its
    exit code as a shell would. What asks us to end is passed on."""
    process = subprocess.Popen(
        located(argv, env.get("PATH")), cwd=cwd, env=env, start_new_session=True, close_fds=False
    )

    def pass_on(number: int, _frame: object) -> None:
        process.send_signal(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, pass_on)
    status = process.wait()
    return 128 - status if status < 0 else status


def fork(function: Callable[[], int], output: int) -> int:
    """Run a function in a copy of this process, with `output`, an open file, for what it and its
    programs print; returns its exit code, below 0 for a signal, and closes the file."""
    if child := os.fork():
        os.close(output)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code = 3
    try:
        os.dup2(output, 1)
        os.dup2(output, 2)
        code = function()
        sys.stdout.flush()
    finally:
        os._exit(code)


def exec_program(
    argv: Sequence[str], *, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> NoReturn:
    """Replace this process: terminal, standard input and exit code are then the program's own."""
    if cwd is not None:
        os.chdir(cwd)
    # Python ignores these, and what is ignored is inherited.
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    variables = environment() if env is None else dict(env)
    os.execvpe(located(argv, variables.get("PATH"))[0], list(argv), variables)


def located(argv: Sequence[str], path: str | None = None) -> list[str]:
    found = which(argv[0], path)
    if found is None:
        raise PikuError(f"the program {argv[0]!r} is not installed")
    return [found, *argv[1:]]

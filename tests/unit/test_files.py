"""Programs and files: with real programs, a real disk and real processes."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from piku import files, locks, subprocesses
from piku.errors import PikuError

SRC = Path(files.__file__).parents[1]


def gone(pid: int) -> bool:
    """Whether the process ends within 5 s; what init has not yet reaped counts."""
    for _ in files.poll(time.monotonic() + 5):
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):  # gone before, or while, it was read
            return True
    return False


# --- files ---------------------------------------------------------------------------------------


def test_a_reader_sees_the_old_text_or_the_new(tmp_path: Path) -> None:
    path = tmp_path / "file"
    texts = {"a" * 100_000, "b" * 100_000}
    path.write_text(min(texts))
    seen: set[str] = set()
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            seen.add(path.read_text())

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(60):
        for text in texts:
            files.write(path, text)
    done.set()
    reader.join()
    assert seen <= texts
    assert seen
    assert os.listdir(tmp_path) == ["file"]


def test_what_a_killed_process_was_writing_is_swept_away(tmp_path: Path) -> None:
    """The kernel kills a program that writes more than it may, with the file half written."""
    (tmp_path / ".kept.tmp").touch()
    with files.temporary_folder(tmp_path, "ours") as ours:
        for code in (
            "files.write(place, 'x' * 5000)",
            "shared.temporary_file(place.parent, 'a.12'); die()",
        ):
            program = f"""
import os, resource, signal, sys
from pathlib import Path
from piku import files
from piku.extras import shared
die = lambda: os.kill(os.getpid(), signal.SIGKILL)
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
place = Path(sys.argv[1], "file")
{code}
"""
            command = [sys.executable, "-c", program, str(tmp_path)]
            assert subprocess.run(command, env={"PYTHONPATH": str(SRC)}, check=False).returncode < 0
        assert len(os.listdir(tmp_path)) == 4
        files.sweep(tmp_path)
        assert sorted(os.listdir(tmp_path)) == sorted([Path(ours).name, ".kept.tmp"])


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError):
        files.write(path, "new \ud800")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]


def test_a_folder_where_a_file_belongs_is_moved_aside(tmp_path: Path) -> None:
    for write in (files.write, lambda place, text: files.link(text, place)):
        place = tmp_path / write.__name__.strip("<>")
        for text in ("text", "more"):  # and once more
            (place / "x").mkdir(parents=True)
            write(place, text)
            assert not place.is_dir()
            place.unlink()
        aside = [os.listdir(each) for each in tmp_path.glob(f"{place.name}.aside*")]
        assert aside == [["x"], ["x"]]


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(PikuError, match=f"{tmp_path} cannot be read: Is a directory"):
        files.read(tmp_path)
    assert files.peek(tmp_path) is None


def test_modes_are_exact_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        files.write(tmp_path / "a", "x", mode=0o644)
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o644
    files.write(tmp_path / "a", "secret", mode=0o600, durable=True)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o600


def test_names_may_be_as_long_as_the_disk_allows(tmp_path: Path) -> None:
    files.write(tmp_path / ("x" * 250), "text")
    assert files.read(tmp_path / ("x" * 250)) == "text"


def test_bytes_that_are_no_text_survive(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"caf\xe9")
    files.write(tmp_path / "b", files.read(tmp_path / "a"))
    assert (tmp_path / "b").read_bytes() == b"caf\xe9"


def test_what_is_not_there_reads_as_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    assert files.read(tmp_path / "none") == ""
    assert files.read(tmp_path / "file" / "below") == ""


def test_a_link_is_replaced_in_one_step(tmp_path: Path) -> None:
    place = tmp_path / "link"
    files.link("one", place)
    files.link("two", place)
    files.link("two", place)
    assert os.readlink(place) == "two"
    (tmp_path / "file").write_text("x")
    files.link("three", tmp_path / "file")
    assert os.readlink(tmp_path / "file") == "three"
    (tmp_path / f".link.{os.getpid()}.tmp").symlink_to("left by a killed process")
    files.link("four", tmp_path / "file")
    assert os.readlink(tmp_path / "file") == "four"
    assert sorted(os.listdir(tmp_path)) == ["file", "link"]


def test_removing_folders_files_links_and_nothing(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").write_text("x")
    (tmp_path / "link").symlink_to(kept)
    files.remove(tmp_path / "link")
    deep = tmp_path / "deep" / "read-only"
    deep.mkdir(parents=True)
    (deep / "file").write_text("x")
    (deep / "link").symlink_to(kept)
    deep.chmod(0o500)  # as Go leaves its module cache
    files.remove(tmp_path / "deep")
    files.remove(tmp_path / "none")
    assert os.listdir(tmp_path) == ["kept"]
    assert (kept / "file").exists()


def test_a_folder_deeper_than_python_goes_is_removed(tmp_path: Path) -> None:
    place = os.open(tmp_path, os.O_RDONLY)
    for _ in range(1500):  # longer than any path may be
        os.mkdir("a" * 20, dir_fd=place)
        below = os.open("a" * 20, os.O_RDONLY, dir_fd=place)
        os.close(place)
        place = below
    os.chmod(place, 0)
    os.close(place)
    files.remove(tmp_path / ("a" * 20))
    assert os.listdir(tmp_path) == []


def test_what_cannot_be_removed_is_named_once_and_fails_nothing(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    for name in ("a", "b"):
        (closed / name).mkdir(parents=True)
    (tmp_path / "old").touch()
    closed.chmod(0o500)
    warned: list[str] = []
    files.discard([closed / "a", closed / "b", tmp_path / "old", tmp_path / "none"], warned.append)
    assert len(warned) == 1
    assert f"{closed}/a cannot be removed: Permission denied (and 1 more)" == warned[0]
    assert os.listdir(tmp_path) == ["closed"]
    closed.chmod(0o700)


# --- programs ------------------------------------------------------------------------------------


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> None:
    """The variables of a git hook under sshd."""
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    monkeypatch.setenv("GIT_QUARANTINE_PATH", "/nowhere")
    monkeypatch.setenv("SSH_ORIGINAL_COMMAND", "git-receive-pack 'x'")
    monkeypatch.setenv("KEPT", "yes")


def test_programs_do_not_see_the_hook_they_run_in(hook: None, tmp_path: Path) -> None:
    seen = subprocesses.run(["env"])
    assert "KEPT=yes\n" in seen
    assert "GIT_DIR" not in seen and "GIT_QUARANTINE_PATH" not in seen
    assert "SSH_ORIGINAL_COMMAND" not in seen
    subprocesses.run(["git", "init", "--quiet", str(tmp_path / "r")])
    assert subprocesses.succeeds(["git", "-C", str(tmp_path / "r"), "rev-parse", "--git-dir"])


def test_what_a_program_says_and_how_it_ends() -> None:
    assert subprocesses.run(["cat"], stdin="in\n") == "in\n"
    assert (
        subprocesses.run(["sh", "-c", "printf caf\\\\351"]).encode(errors="surrogateescape")
        == b"caf\xe9"
    )
    with pytest.raises(subprocesses.ProgramFailed, match="sh failed with exit code 3") as error:
        subprocesses.run(["sh", "-c", "echo out; echo err >&2; exit 3"])
    assert error.value.status == 3
    assert sorted(error.value.detail) == ["err", "out"]
    with pytest.raises(subprocesses.ProgramFailed, match="sh was ended by signal 9"):
        subprocesses.run(["sh", "-c", "kill -9 $$"])
    assert subprocesses.run(["sh", "-c", "echo x; exit 3"], check=False) == "x\n"
    assert subprocesses.succeeds(["true"]) and not subprocesses.succeeds(["false"])


def test_warnings_do_not_come_between_the_data() -> None:
    # git, for one, warns on standard error in the middle of a listing.
    assert subprocesses.run(["sh", "-c", "echo a; echo warning: x >&2; echo b"]) == "a\nb\n"


def test_a_program_that_takes_too_long_ends_with_what_it_started(tmp_path: Path) -> None:
    script = f"sleep 60 & echo $! >{tmp_path}/pid; wait"
    with pytest.raises(PikuError, match="bash did not end within 3 s and was killed"):
        subprocesses.run(subprocesses.shell(script), timeout=3)
    assert gone(int((tmp_path / "pid").read_text()))


def test_a_missing_program_is_named() -> None:
    with pytest.raises(PikuError, match="the program 'no-such-program' is not installed"):
        subprocesses.run(["no-such-program"])


def test_no_shell_reads_arguments() -> None:
    assert subprocesses.run(["printf", "%s|", "$(id)", "a;b", "*", "it's"]) == "$(id)|a;b|*|it's|"


def streamed(script: str, cwd: Path, timeout: float = 20) -> list[str]:
    lines: list[str] = []
    variables = {"PATH": subprocesses.SYSTEM_PATH, "MINE": "1"}
    subprocesses.stream(
        subprocesses.shell(script), cwd=cwd, env=variables, sink=lines.append, timeout=timeout
    )
    return lines


def test_lines_come_as_they_are_written(tmp_path: Path) -> None:
    assert streamed("echo a; echo b >&2; printf 'c d'", tmp_path) == ["a", "b", "c d"]
    assert streamed("pwd; echo $MINE$HOME", tmp_path) == [str(tmp_path), "1"]
    assert streamed("printf 'caf\\351\\n'", tmp_path) == ["caf�"]


def test_a_stream_that_fails_says_how_with_its_last_lines(tmp_path: Path) -> None:
    with pytest.raises(subprocesses.ProgramFailed) as error:
        streamed("seq 100; exit 7", tmp_path)
    assert error.value.status == 7
    assert error.value.detail == tuple(str(number) for number in range(81, 101))


def test_after_the_timeout_nothing_of_it_runs(tmp_path: Path) -> None:
    lines: list[str] = []
    begun = time.monotonic()
    with pytest.raises(PikuError, match="did not end within 3 s and was killed"):
        subprocesses.stream(
            subprocesses.shell("sleep 60 & echo $!; trap '' TERM; (sleep 60; echo never) & echo $!; wait"),
            cwd=tmp_path, env={"PATH": subprocesses.SYSTEM_PATH}, sink=lines.append, timeout=3,
        )  # fmt: skip
    assert time.monotonic() - begun < 30
    assert len(lines) == 2
    assert all(gone(int(line)) for line in lines)


def test_a_program_that_says_nothing_is_known_to_be_running(tmp_path: Path) -> None:
    lines: list[str] = []
    subprocesses.stream(
        subprocesses.shell("until test -e go; do sleep 0.01; done; echo done"), cwd=tmp_path,
        env={"PATH": subprocesses.SYSTEM_PATH}, sink=lines.append, timeout=20,
        idle=(tmp_path / "go").touch, silence=0.1,
    )  # fmt: skip
    assert lines == ["done"]


def test_a_program_that_never_stops_talking_is_ended_too(tmp_path: Path) -> None:
    begun = time.monotonic()
    with pytest.raises(PikuError, match="did not end within 0 s and was killed"):
        streamed("yes", tmp_path, timeout=0.2)
    assert time.monotonic() - begun < 10


def test_a_child_that_holds_the_output_does_not_hold_us(tmp_path: Path) -> None:
    begun = time.monotonic()
    [line] = streamed("sleep 60 & echo $!", tmp_path, timeout=30)
    assert time.monotonic() - begun < 10
    assert gone(int(line))


def test_when_we_are_interrupted_nothing_of_it_runs(tmp_path: Path) -> None:
    lines: list[str] = []

    def sink(line: str) -> None:
        lines.append(line)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        subprocesses.stream(
            subprocesses.shell("sleep 60 & echo $!; wait"), cwd=tmp_path, env={"PATH": subprocesses.SYSTEM_PATH},
            sink=sink, timeout=20,
        )  # fmt: skip
    assert gone(int(lines[0]))


def test_a_folder_that_is_missing_is_an_error_to_read(tmp_path: Path) -> None:
    with pytest.raises(PikuError, match="cannot be run"):
        streamed("true", tmp_path / "none")


# --- locks ---------------------------------------------------------------------------------------


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock until told to let go."""
    script = f"""
        import sys
        sys.path.insert(0, {str(SRC)!r})
        from pathlib import Path
        from piku import files, locks
        with locks.lock(Path({str(tmp_path / "lock")!r}), "a push by Ann"):
            print("held", flush=True)
            sys.stdin.readline()
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None and process.stdin is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_who_waits_is_told_for_whom(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    told: list[str] = []

    def waiting(who: str) -> None:
        told.append(who)
        assert holder.stdin is not None
        holder.stdin.write("\n")
        holder.stdin.flush()

    with locks.lock(tmp_path / "lock", "mine", waiting=waiting):
        assert files.read(tmp_path / "lock").startswith(f"mine (process {os.getpid()}, since ")
    assert len(told) == 1
    assert told[0].startswith(f"a push by Ann (process {holder.pid}, since ")


def test_a_lock_dies_with_its_holder(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    holder.kill()
    holder.wait()
    with locks.lock(tmp_path / "lock", "mine", waiting=pytest.fail):
        pass


def test_a_lock_without_a_note_needs_no_room(tmp_path: Path) -> None:
    with locks.lock(tmp_path / "lock", ""):
        assert files.read(tmp_path / "lock") == ""
        held = pytest.raises(locks.LockHeld)
        with held, locks.lock(tmp_path / "lock", "mine", patient=False):
            pass


def test_a_lock_can_be_taken_again(tmp_path: Path) -> None:
    for _ in range(2):
        with locks.lock(tmp_path / "folder" / "lock", "mine", waiting=pytest.fail):
            pass
    with pytest.raises(KeyError), locks.lock(tmp_path / "lock", "mine"):
        raise KeyError
    with locks.lock(tmp_path / "lock", "mine", waiting=pytest.fail):
        pass


def test_a_command_that_was_refused_was_not_killed(tmp_path: Path) -> None:
    with contextlib.suppress(PikuError), locks.lock(tmp_path / "lock", "refused"):
        raise PikuError("no")
    with locks.lock(tmp_path / "lock", "next") as killed:
        assert not killed
    with contextlib.suppress(SystemExit), locks.lock(tmp_path / "lock", "interrupted"):
        raise SystemExit
    with locks.lock(tmp_path / "lock", "next") as killed:
        assert killed


def test_polling_ends_and_looks_once_more_at_the_end() -> None:
    begun = time.monotonic()
    looks = sum(1 for _ in files.poll(begun + 3))
    assert looks >= 3
    assert 3 <= time.monotonic() - begun < 20
    assert sum(1 for _ in files.poll(time.monotonic() - 1)) == 1

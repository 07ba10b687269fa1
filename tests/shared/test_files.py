"""Writing files atomically."""

from __future__ import annotations

import errno
import itertools
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock, Timeout

from subcli.shared.files import check_writable, exclude_others, expand_user, write_atomically


def mode_of(path: Path) -> int:
    """The permissions of a file."""
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def umask() -> Iterator[None]:
    """The usual umask, whatever that of the test run is."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.mark.usefixtures("umask")
def test_mode(tmp_path: Path) -> None:
    """A new file gets the usual mode, a replaced one keeps its own; an explicit mode overrides both."""
    path = tmp_path / "file"
    write_atomically(path, b"1")
    assert mode_of(path) == 0o644
    path.chmod(0o666)
    write_atomically(path, b"2")
    assert (mode_of(path), path.read_bytes()) == (0o666, b"2")
    write_atomically(path, b"3", mode=0o600)
    assert mode_of(path) == 0o600


def test_secret_is_never_readable_by_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The temporary file is created with its final mode, before anything is written."""
    modes: list[int] = []
    real_open = os.open

    def recording_open(path: str, flags: int, mode: int = 0o777, **kwargs: int) -> int:
        modes.append(mode)
        return real_open(path, flags, mode, **kwargs)

    monkeypatch.setattr(os, "open", recording_open)
    (tmp_path / "private").touch(0o600)
    modes.clear()
    write_atomically(tmp_path / "secret", b"x", mode=0o600)
    write_atomically(tmp_path / "private", b"x")
    assert modes == [0o600, 0o600]


def test_failure_keeps_old_file_and_removes_temporary_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the disk is full or the rename fails."""
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    for function in ("fsync", "replace"):
        with monkeypatch.context() as patched:
            patched.setattr(os, function, fail)
            with pytest.raises(OSError, match="No space left"):
                write_atomically(path, b"new", durable=True)
        assert [entry.name for entry in tmp_path.iterdir()] == ["file"]
        assert path.read_bytes() == b"old"


def test_reader_keeps_the_content_it_opened(tmp_path: Path) -> None:
    """The file is replaced, not overwritten: an open reader sees the old content to its end."""
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with path.open("rb") as file:
        write_atomically(path, b"new")
        assert file.read() == b"old"
    assert path.read_bytes() == b"new"


def test_link_is_followed(tmp_path: Path) -> None:
    """The link stays, and its target is replaced."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to("elsewhere/file")
    write_atomically(tmp_path / "link", b"x")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "elsewhere" / "file").read_bytes() == b"x"
    assert len(list(tmp_path.iterdir())) == 2


def test_existing_file_is_kept_if_asked(tmp_path: Path) -> None:
    """With `replace=False` the first writer wins; the second leaves no temporary file."""
    path = tmp_path / "file"
    write_atomically(path, b"first", replace=False)
    with pytest.raises(FileExistsError):
        write_atomically(path, b"second", replace=False)
    assert path.read_bytes() == b"first"
    assert len(list(tmp_path.iterdir())) == 1


def test_durable_write_syncs_file_and_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Content and rename reach the disk before the function returns; without `durable` nothing is synced."""
    synced: list[bool] = []
    real_sync = os.fsync

    def recording_sync(descriptor: int) -> None:
        synced.append(stat.S_ISDIR(os.fstat(descriptor).st_mode))
        real_sync(descriptor)

    monkeypatch.setattr(os, "fsync", recording_sync)
    write_atomically(tmp_path / "file", b"x")
    assert synced == []
    write_atomically(tmp_path / "file", b"x", durable=True)
    assert synced == [False, True]


def test_long_name(tmp_path: Path) -> None:
    """A name of the maximum length leaves room for the name of the temporary file."""
    path = tmp_path / ("é" * 127)
    write_atomically(path, b"x")
    assert path.read_bytes() == b"x"


def test_missing_directory(tmp_path: Path) -> None:
    """It is not created."""
    with pytest.raises(FileNotFoundError):
        write_atomically(tmp_path / "none" / "file", b"x")


def test_planted_link_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a shared directory, a link with the name of the temporary file is not followed."""
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    monkeypatch.setattr(os, "urandom", bytes)
    (tmp_path / f".file.{bytes(6).hex()}.tmp").symlink_to(victim)
    with pytest.raises(FileExistsError):
        write_atomically(tmp_path / "file", b"x")
    assert victim.read_bytes() == b"precious"
    assert not (tmp_path / "file").exists()


# -- where a rename cannot be -------------------------------------------------------------------------

MOUNTED = """
mount --bind "$1/outside" "$1/file" || exit 77
exec "$2" -c "
import pathlib, sys
from subcli.shared.files import check_writable, write_atomically
path = pathlib.Path(sys.argv[1])
check_writable(path)
write_atomically(path, b'new', durable=True)
" "$1/file"
"""


def test_mounted_file_is_overwritten(tmp_path: Path) -> None:
    """Containers mount single files, and the kernel lets nobody rename onto a mount point."""
    if shutil.which("unshare") is None:
        pytest.skip("unshare is missing")
    (tmp_path / "outside").write_bytes(b"something longer")
    (tmp_path / "file").touch()
    command: list[str | Path] = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", MOUNTED, "sh"]
    command += [tmp_path, sys.executable]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode and not done.stderr.startswith("Traceback"):
        pytest.skip(f"nothing can be mounted: {done.stderr}")
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "outside").read_bytes() == b"new"
    assert sorted(os.listdir(tmp_path)) == ["file", "outside"]


@pytest.mark.parametrize("number", [errno.EBUSY, errno.EXDEV, errno.EPERM])
def test_file_that_cannot_be_replaced_is_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """A secret only where it is a mount point: the file may be another user's otherwise."""

    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "replace", fail)
    path = tmp_path / "file"
    with pytest.raises(OSError, match=os.strerror(number)):
        write_atomically(path, b"there is none yet")
    path.write_bytes(b"a longer old content")
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    if number == errno.EBUSY:
        write_atomically(path, b"secret", mode=0o600)
        assert path.read_bytes() == b"secret"
    else:
        with pytest.raises(OSError, match=os.strerror(number)):
            write_atomically(path, b"secret", mode=0o600)
    assert os.listdir(tmp_path) == ["file"]


def test_check_writable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It tries, and leaves everything as it was."""
    path = tmp_path / ("n" * 250)
    check_writable(path)
    assert os.listdir(tmp_path) == []
    path.write_bytes(b"old")
    check_writable(path)
    assert path.read_bytes() == b"old"
    with pytest.raises(FileNotFoundError):
        check_writable(tmp_path / "none" / "file")

    def refuse(*_: object) -> int:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(os, "open", refuse)
    for name in (path, tmp_path / "new"):
        with pytest.raises(OSError, match="Read-only"):
            check_writable(name)


def test_home_is_expanded(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a shell does it; a user who does not exist stays as he is written."""
    monkeypatch.setenv("HOME", "/home/ada")
    assert [str(expand_user(path)) for path in ("~/r.xml", "a/~", "~nobody-here/x")] == [
        "/home/ada/r.xml",
        "a/~",
        "~nobody-here/x",
    ]


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EBADF])
def test_file_system_without_locks(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some network file systems have none: the change is made all the same."""

    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.flock", refuse)
    with exclude_others(tmp_path / "lock", 0.1):
        (tmp_path / "file").write_text("changed")
    assert (tmp_path / "file").read_text() == "changed"


def test_lock_that_others_take_in_turn_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a holder that keeps the lock is passed over, not a queue that is long."""
    lock = tmp_path / "lock"
    other = FileLock(lock)
    other.acquire()
    turns = itertools.count()

    def last_turn(path: Path) -> int:
        turn = next(turns)
        if turn == 5:
            other.release()
        return turn

    monkeypatch.setattr("subcli.shared.files._last_turn", last_turn)
    with exclude_others(lock, 0.05), pytest.raises(Timeout):
        other.acquire(timeout=0)


def test_turns_are_told(tmp_path: Path) -> None:
    """Whoever has the lock says so to those who wait."""
    lock = tmp_path / "lock"
    lock.touch()
    os.utime(lock, (1, 1))
    with exclude_others(lock, 0.05):
        assert lock.stat().st_mtime > 1

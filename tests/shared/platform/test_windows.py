"""Files, streams and consoles as Windows has them, over a model of its calls."""

from __future__ import annotations

import asyncio
import errno
import os
import sys
import threading
from pathlib import Path

import pytest

from subcli.shared.files import write_atomically
from subcli.shared.platform import Windows, windows
from subcli.shared.platform.windows import WindowsDescriptors, WindowsFiles, WindowsTerminal
from tests.shared.platform.model import INHERITED, ModelApi

ECHO, LINES = 4, 2


# -- files ------------------------------------------------------------------------------------------


def test_secret_is_private_before_it_is_written(tmp_path: Path) -> None:
    """The file gets an access control list of its own; that of the place, which others may read, is not inherited."""
    written: list[int] = []

    class Observed(ModelApi):
        def set_access_list(self, path: str, descriptor: str) -> None:
            written.append(os.stat(path).st_size)
            super().set_access_list(path, descriptor)

    api = Observed()
    write_atomically(tmp_path / "tokens", b"secret", mode=0o600, files=WindowsFiles(api))
    assert written == [0]
    assert list(api.lists.values()) == ["D:P(A;;FA;;;SY)(A;;FA;;;BA)(A;;FA;;;OW)"]
    write_atomically(tmp_path / "report", b"for all", files=WindowsFiles(api))
    assert len(api.lists) == 1


@pytest.mark.parametrize(
    ("access", "is_exposed"),
    [
        (INHERITED, False),
        (windows.PRIVATE, False),
        (f"{INHERITED}(A;ID;0x1200a9;;;BU)", True),
        (f"{INHERITED}(A;;FR;;;WD)", True),
        ("D:(A;OICI;FA;;;AU)", True),
        # Only what is created in it would inherit that; a denial; and a condition, which somebody may meet.
        ("D:(A;OICIIO;FA;;;WD)(A;;FA;;;SY)", False),
        ("D:(D;;FA;;;WD)(A;;FA;;;SY)", False),
        ('D:(XA;;FR;;;WD;(WIN://SYSAPPID Contains "x"))', True),
    ],
)
def test_who_can_read_a_file(tmp_path: Path, access: str, is_exposed: bool) -> None:
    """Groups of users whom this one does not know are others; administrators and the system can read everything."""
    api = ModelApi()
    path = str(tmp_path / "tokens")
    Path(path).touch()
    api.lists[path] = access
    cure = WindowsFiles(api).exposed(path)
    assert bool(cure) is is_exposed
    assert not cure or cure == f'icacls "{path}" /inheritance:r /grant:r "%USERNAME%:F"'


def test_file_that_is_being_read_is_replaced_a_moment_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An open file cannot be replaced there; one that stays open is an error in the end."""
    calls: list[str] = []
    real = os.replace

    def replace(source: str, target: str) -> None:
        calls.append(target)
        if len(calls) < 3:
            raise PermissionError(errno.EACCES, "used by another process")
        real(source, target)

    monkeypatch.setattr(os, "replace", replace)
    monkeypatch.setattr(windows, "_LOOK_S", 0.0)
    path = tmp_path / "state"
    path.write_text("old")
    write_atomically(path, b"new", files=WindowsFiles(ModelApi()))
    assert (path.read_text(), len(calls)) == ("new", 3)

    monkeypatch.setattr(windows, "_SHARING_S", 0.0)
    calls.clear()
    with pytest.raises(PermissionError):
        write_atomically(path, b"newer", mode=0o600, files=WindowsFiles(ModelApi()))
    assert path.read_text() == "new"


def test_new_file_replaces_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rename fails there if the target exists; no hard link is needed, which a memory card does not have."""
    monkeypatch.delattr(os, "link")
    write_atomically(tmp_path / "new", b"1", replace=False, files=WindowsFiles(ModelApi()))
    assert (tmp_path / "new").read_bytes() == b"1"
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    ("name", "is_good"),
    [
        *((name, True) for name in ("node.py", "a b", "Ünï.c", "console.c", "com10", "nul_.py", "x.con", ".hidden")),
        *((name, False) for name in ("C:", "C:x.py", "a.py:stream", "con", "NUL.txt", "Com1.c", "LPT³", "aux .c")),
        *((name, False) for name in ("a.", "a ", "a?b", "a*", 'a"', "a|b", "<a>", "a\\b", "a/b", "a\x1fb", "conin$")),
    ],
)
def test_names_of_files(name: str, is_good: bool) -> None:
    """No drive, stream or device, and nothing that Windows would take for another name."""
    assert WindowsFiles(ModelApi()).is_name(name) is is_good


def test_junctions_are_links(tmp_path: Path) -> None:
    """They lead elsewhere, and nothing is opened through one."""
    api = ModelApi()
    path = str(tmp_path / "junction")
    Path(path).write_text("elsewhere")
    api.links.add(path)
    files = WindowsFiles(api)
    assert files.is_link(Path(path))
    with pytest.raises(OSError, match="it is a link") as caught:
        files.open_no_link(path, os.O_RDONLY)
    assert caught.value.errno == errno.ELOOP


# -- standard streams -------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="only others can make a pipe non-blocking")
def test_non_blocking_pipe_is_waited_for() -> None:
    """All is written although the pipe takes no more for a while, and read although there is nothing yet."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    os.set_blocking(reading, False)
    data = "Zeile für Zeile\n".encode() * 20_000
    writer = threading.Thread(target=WindowsDescriptors().write_all, args=(writing, data))
    descriptors = WindowsDescriptors()
    got = bytearray()
    buffer = bytearray(65536)
    writer.start()
    while len(got) < len(data):
        count = descriptors.read_into(reading, buffer)
        got += buffer[:count]
    writer.join()
    assert got == data
    os.close(writing)
    assert descriptors.read_into(reading, buffer) == 0
    os.close(reading)


@pytest.mark.parametrize("size", [1, 8 * 1024 - 1, 8 * 1024, 8 * 1024 + 1, 40_000])
def test_no_character_is_torn_apart(size: int) -> None:
    """A console gets pieces of bytes, and would show replacement characters for half of one."""
    data = ("x" * (size % 7) + "€" * size).encode()
    pieces = []
    while data:
        end = windows._whole_characters(data)
        pieces.append(data[:end].decode())
        data = data[end:]
    assert "".join(pieces) == "x" * (size % 7) + "€" * size


def test_pipe_without_a_reader() -> None:
    """Windows calls it an invalid argument; that of something else stays one."""
    reading, writing = os.pipe()
    try:
        assert isinstance(windows._of_pipe(OSError(errno.EINVAL, "x"), writing), BrokenPipeError)
        full = OSError(errno.ENOSPC, "full")
        assert windows._of_pipe(full, writing) is full
        with open(os.devnull, "wb") as device:
            assert not isinstance(windows._of_pipe(OSError(errno.EINVAL, "x"), device.fileno()), BrokenPipeError)
        os.close(reading)
        with pytest.raises(BrokenPipeError):
            WindowsDescriptors().write_all(writing, b"x")
    finally:
        os.close(writing)


def test_pipe_that_is_named_is_written(tmp_path: Path) -> None:
    """A report can go to a device."""
    WindowsDescriptors().write_through(tmp_path / "report", b"<x/>" * 1000, 1.0)
    assert (tmp_path / "report").read_bytes() == b"<x/>" * 1000


def test_two_streams_of_one_file_are_one(tmp_path: Path) -> None:
    """Two descriptors of a file share a number; two pipes there have none and stay two."""
    descriptors = WindowsDescriptors()
    with open(tmp_path / "a", "w") as one, open(tmp_path / "b", "w") as other:
        again = os.dup(one.fileno())
        try:
            assert descriptors.identity(one.fileno()) == descriptors.identity(again)
            assert descriptors.identity(one.fileno()) != descriptors.identity(other.fileno())
        finally:
            os.close(again)


# -- the console ------------------------------------------------------------------------------------


def test_escape_sequences_are_switched_on() -> None:
    """Where both streams are consoles, and where one is; the program then takes it for a terminal."""
    api = ModelApi({0: 7, 1: 3, 2: 3})
    env: dict[str, str] = {}
    WindowsTerminal(api).prepare(env)
    assert (api.consoles, env) == ({0: 7, 1: 7, 2: 7}, {"TERM": "xterm-256color"})
    env = {"TERM": "xterm"}
    WindowsTerminal(ModelApi({2: 3})).prepare(env)
    assert env == {"TERM": "xterm"}


@pytest.mark.parametrize("api", [ModelApi(), ModelApi({1: 3, 2: 3}, understands_escapes=False)])
def test_console_without_escape_sequences(api: ModelApi) -> None:
    """An old console, and pipes, are not taken for terminals that have them."""
    env: dict[str, str] = {}
    WindowsTerminal(api).prepare(env)
    assert env == {}


def test_keys_are_those_of_terminals() -> None:
    """Arrows and pages come as terminals send them, `à` as it is; after the keyboard is given back nothing is read."""

    async def type_keys() -> list[str]:
        api = ModelApi({0: ECHO | LINES})
        keys = WindowsTerminal(api).keys()
        got: list[str] = []
        arrived = asyncio.Event()

        def take(typed: str) -> None:
            got.append(typed)
            arrived.set()

        api.typed += ["j", "\xe0H", "\0P", "\xe0", "\r", "\xe0?", "\xe0I"]
        keys.take(take, asyncio.get_running_loop)
        keys.take(take, asyncio.get_running_loop)
        await arrived.wait()
        arrived.clear()
        api.typed.append("q")
        await arrived.wait()
        keys.give_back()
        api.typed.append("z")
        await asyncio.sleep(2 * windows._KEYS_S)
        return got

    assert asyncio.run(type_keys()) == ["j\x1b[A\x1b[B\xe0\r\x1b[5~", "q"]


def test_keys_of_what_is_no_console() -> None:
    """Nothing is read from a pipe, or if nobody wants keys."""
    keys = WindowsTerminal(ModelApi()).keys()
    keys.take(lambda typed: None, asyncio.get_running_loop)
    keys.give_back()
    keys = WindowsTerminal(ModelApi({0: 7})).keys()
    keys.take(None, asyncio.get_running_loop)
    keys.give_back()


def test_password_is_hidden() -> None:
    """The echo comes back as it was, also if it was hidden twice; a pipe has none."""
    api = ModelApi({0: ECHO | LINES})
    echo = WindowsTerminal(api).echo(0)
    echo.hide()
    assert api.consoles[0] == LINES
    echo.hide()
    echo.restore()
    echo.restore()
    assert api.consoles[0] == ECHO | LINES
    WindowsTerminal(api).echo(5).hide()


def test_clock_stands_still_while_the_machine_sleeps() -> None:
    """As on the other systems, so that a wall clock that ran ahead tells."""
    api = ModelApi()
    clock = Windows(api).clock
    before = clock()
    api.asleep_s += 3600
    assert clock() < before - 3000

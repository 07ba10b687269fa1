"""Files, standard streams and consoles of Windows. What calls Windows is behind :class:`Api`."""

from __future__ import annotations

import errno
import os
import re
import stat
import time
from collections.abc import Callable, MutableMapping
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from subcli.shared.platform.files import Files

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, TimerHandle
    from io import FileIO

ENABLE_ECHO_INPUT: Final = 0x0004
ENABLE_PROCESSED_OUTPUT: Final = 0x0001
ENABLE_VIRTUAL_TERMINAL_PROCESSING: Final = 0x0004
"""Modes of consoles (SetConsoleMode)."""

PRIVATE: Final = "D:P(A;;FA;;;SY)(A;;FA;;;BA)(A;;FA;;;OW)"
"""Everything to the owner, administrators and the system, nothing inherited: what Python gives a directory of mode
0700 (Security Descriptor Definition Language)."""

_EVERYBODY: Final = frozenset({"WD", "AN", "AU", "BU", "BG", "IU", "NU", "DU", "DG", "AC"})
"""Groups whose members this user does not know."""

_ALLOWED: Final = re.compile(r"\((?:A|XA|OA);([^;)]*);([^;)]*);[^;)]*;[^;)]*;([^;)]+)[^)]*\)")
_INHERIT_ONLY: Final = "IO"

_SHARING_S: Final = 2.0
"""How long a file that another program has open is waited for, such as a virus scanner."""

_LOOK_S: Final = 0.02
_KEYS_S: Final = 0.05
"""How often the console is asked for keys."""

_CONSOLE_BYTES: Final = 8 * 1024
"""A console takes no more than 32 KiB of UTF-16 at once."""

_DEVICES: Final = frozenset(
    {
        "CON",
        "PRN",
        "AUX",
        "NUL",
        "CONIN$",
        "CONOUT$",
        *(f"{port}{n}" for port in ("COM", "LPT") for n in "123456789¹²³"),
    }
)
"""Names that mean a device in every directory, whatever their extension."""

_FUNCTION_KEYS: Final = {
    "H": "\x1b[A",
    "P": "\x1b[B",
    "M": "\x1b[C",
    "K": "\x1b[D",
    "G": "\x1b[H",
    "O": "\x1b[F",
    "I": "\x1b[5~",
    "Q": "\x1b[6~",
}
"""What terminals send for the keys that the console announces by ``\\0`` or ``à``."""


class Api(Protocol):
    """The calls of Windows."""

    def console_mode(self, descriptor: int) -> int | None:
        """The mode of a console; ``None`` if the descriptor is none."""
        ...

    def set_console_mode(self, descriptor: int, mode: int) -> bool:
        """Whether the console accepted the mode."""
        ...

    def key_waits(self) -> bool:
        """Whether a key has been pressed."""
        ...

    def read_key(self) -> str:
        """The key, without echo. Function keys are two characters, of which the first is ``\\0`` or ``à``."""
        ...

    def access_list(self, path: str) -> str:
        """Who may do what with a file, in the Security Descriptor Definition Language."""
        ...

    def set_access_list(self, path: str, descriptor: str) -> None:
        """Replace the list, and inherit nothing."""
        ...

    def is_link(self, path: str) -> bool:
        """Whether a path is a link or a junction."""
        ...

    def awake_s(self) -> float:
        """Seconds that the machine was awake since it started."""
        ...


class WindowsFiles(Files):
    """The files of Windows, where access control lists say who may read, and open files cannot be replaced."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def make_private(self, path: str) -> None:
        self._api.set_access_list(path, PRIVATE)

    def exposed(self, path: str) -> str:
        allowed = _ALLOWED.findall(self._api.access_list(path))
        if any(who in _EVERYBODY and rights and _INHERIT_ONLY not in flags for flags, rights, who in allowed):
            return f'icacls "{path}" /inheritance:r /grant:r "%USERNAME%:F"'
        return ""

    def replace(self, source: str, target: str) -> None:
        deadline = time.monotonic() + _SHARING_S
        while True:
            try:
                os.replace(source, target)
                return
            except PermissionError:
                # Somebody is reading it, for a moment.
                if time.monotonic() > deadline or os.path.isdir(target):
                    raise
            time.sleep(_LOOK_S)

    def move(self, source: str, target: str) -> None:
        # A rename replaces nothing there, and not every file system has hard links.
        os.rename(source, target)

    def is_link(self, path: str | os.PathLike[str]) -> bool:
        return self._api.is_link(os.fspath(path))

    def open_no_link(self, path: str, flags: int) -> int:
        if self.is_link(path):
            raise OSError(errno.ELOOP, "it is a link", path)
        return super().open_no_link(path, flags)

    def is_name(self, name: str) -> bool:
        """Not a drive, a stream of another file, a device, or a name that Windows changes."""
        if any(char in '<>:"/\\|?*' or char < " " for char in name) or name.endswith((" ", ".")):
            return name in (".", "..")
        return name.partition(".")[0].rstrip(" ").upper() not in _DEVICES


class WindowsDescriptors:
    """Reads and writes through Python's raw files: they call consoles in UTF-16, and everything else in bytes."""

    def __init__(self) -> None:
        self._raw: dict[tuple[int, str], FileIO] = {}

    def write_all(self, descriptor: int, data: bytes) -> None:
        raw = self._opened(descriptor, "wb")
        rest = data
        while rest:
            try:
                written = raw.write(rest[: _whole_characters(rest)])
            except OSError as error:
                raise _of_pipe(error, descriptor) from None
            if not written:
                # Somebody made the pipe non-blocking, and nothing can be waited for.
                time.sleep(_LOOK_S)
            rest = rest[written or 0 :]

    def read_into(self, descriptor: int, buffer: bytearray | memoryview) -> int:
        raw = self._opened(descriptor, "rb")
        while (count := raw.readinto(buffer)) is None:
            time.sleep(_LOOK_S)
        return count

    def identity(self, descriptor: int) -> tuple[int, ...]:
        status = os.fstat(descriptor)
        if status.st_ino:
            return status.st_dev, status.st_ino
        # Only files have numbers. There is one console.
        return (-1,) if os.isatty(descriptor) else (-1, descriptor)

    def tells_of_reader(self, descriptor: int) -> bool:
        return False

    def write_through(self, path: Path, data: bytes, timeout_s: float) -> None:
        with open(path, "wb", buffering=0) as raw:
            while data:
                data = data[raw.write(data) or 0 :]

    def _opened(self, descriptor: int, mode: str) -> FileIO:
        key = descriptor, mode
        if key not in self._raw:
            self._raw[key] = open(descriptor, mode, buffering=0, closefd=False)  # type: ignore[assignment]  # noqa: SIM115
        return self._raw[key]


def _of_pipe(error: OSError, descriptor: int) -> OSError:
    """The error of a write; that of a pipe without a reader is "invalid argument" there."""
    if error.errno == errno.EINVAL and stat.S_ISFIFO(os.fstat(descriptor).st_mode):
        return BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))
    return error


def _whole_characters(data: bytes) -> int:
    """How many bytes to write at once, so that no character of UTF-8 is torn apart."""
    end = min(len(data), _CONSOLE_BYTES)
    while end < len(data) and end > 1 and data[end] & 0xC0 == 0x80:
        end -= 1
    return end


class WindowsTerminal:
    """The console."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def prepare(self, env: MutableMapping[str, str]) -> None:
        """Switch escape sequences on, where stdout and stderr are consoles. They stay on: other programs do the same.

        Without ``TERM``, as usual there, the program takes it for a terminal that can only print.
        """
        wanted = ENABLE_PROCESSED_OUTPUT | ENABLE_VIRTUAL_TERMINAL_PROCESSING
        understood = False
        for descriptor in (1, 2):
            mode = self._api.console_mode(descriptor)
            if mode is not None and (mode & wanted == wanted or self._api.set_console_mode(descriptor, mode | wanted)):
                understood = True
        if understood and not env.get("TERM"):
            env["TERM"] = "xterm-256color"

    def keys(self) -> WindowsKeys:
        return WindowsKeys(self._api)

    def echo(self, descriptor: int) -> WindowsEcho:
        return WindowsEcho(self._api, descriptor)


class WindowsKeys:
    """The keyboard. The console echoes only into a read of lines, so nothing has to be switched off."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._next: TimerHandle | None = None

    def take(self, on_typed: Callable[[str], None] | None, loop: Callable[[], AbstractEventLoop]) -> None:
        if on_typed is not None and self._next is None and self._api.console_mode(0) is not None:
            self._look(loop(), on_typed)

    def give_back(self) -> None:
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def _look(self, loop: AbstractEventLoop, on_typed: Callable[[str], None]) -> None:
        self._next = loop.call_later(_KEYS_S, self._look, loop, on_typed)
        typed = ""
        while self._api.key_waits():
            typed += _as_terminals(self._api.read_key())
        if typed:
            on_typed(typed)


def _as_terminals(key: str) -> str:
    """What a terminal would send for a key of the console; empty for one that terminals do not have."""
    return _FUNCTION_KEYS.get(key[1:], "") if len(key) > 1 and key[0] in "\0\xe0" else key


class WindowsEcho:
    """The echo of the console."""

    def __init__(self, api: Api, descriptor: int) -> None:
        self._api = api
        self._descriptor = descriptor
        self._before: int | None = None

    def hide(self) -> None:
        mode = self._api.console_mode(self._descriptor)
        if mode is not None:
            self._before = mode if self._before is None else self._before
            self._api.set_console_mode(self._descriptor, mode & ~ENABLE_ECHO_INPUT)

    def restore(self) -> None:
        if self._before is not None:
            self._api.set_console_mode(self._descriptor, self._before)
            self._before = None

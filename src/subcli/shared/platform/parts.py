"""What every platform has: its standard streams, and its terminal."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop


class Descriptors(Protocol):
    """Reads and writes descriptors that somebody else may have made non-blocking."""

    def write_all(self, descriptor: int, data: bytes) -> None:
        """Write all of ``data``; wait when the descriptor takes no more.

        Raises:
            OSError: It cannot be written; a :class:`BrokenPipeError` if its reader has gone.
        """
        ...

    def read_into(self, descriptor: int, buffer: bytearray | memoryview) -> int:
        """Read the available data, and wait for some if there is none; 0 at the end of the input.

        Raises:
            OSError: It cannot be read.
        """
        ...

    def identity(self, descriptor: int) -> tuple[int, ...]:
        """What two descriptors of the same terminal, pipe or file have in common, and no other descriptor has."""
        ...

    def tells_of_reader(self, descriptor: int) -> bool:
        """Whether an event loop reports the descriptor as readable as soon as nobody reads it any more."""
        ...

    def write_through(self, path: Path, data: bytes, timeout_s: float) -> None:
        """Write to a pipe or a device, whose reader may come late or stop reading.

        Raises:
            OSError: It cannot be written, or nobody has read for so many seconds.
        """
        ...


class Keys(Protocol):
    """The keyboard while a screen is shown: nothing is echoed, and what is typed is handed on as it is typed.

    Ctrl-C and its like still send their signals. In the background, nothing changes.
    """

    def take(self, on_typed: Callable[[str], None] | None, loop: Callable[[], AbstractEventLoop]) -> None:
        """Switch the echo off, and begin to read. Does nothing if that is done.

        Args:
            on_typed: gets what was typed, as terminals send it; ``None``: nobody wants it.
            loop: returns the one that runs. It is asked only if there is a keyboard to read.
        """
        ...

    def give_back(self) -> None:
        """Stop reading, and restore the settings from before ``take``."""
        ...


class Echo(Protocol):
    """Whether a terminal shows what is typed."""

    def hide(self) -> None:
        """Hide the input from now on."""
        ...

    def restore(self) -> None:
        """Restore the terminal; without waiting for its output, which Ctrl-S may have stopped."""
        ...


class Terminal(Protocol):
    """The terminal or console of this process."""

    def prepare(self, env: MutableMapping[str, str]) -> None:
        """Make the screen understand escape sequences, and say in ``env`` what it is, if nothing says so yet."""
        ...

    def keys(self) -> Keys:
        """The keyboard, through stdin."""
        ...

    def echo(self, descriptor: int) -> Echo:
        """The echo of one terminal."""
        ...


Settings: TypeAlias = list[Any]
"""What termios reads and writes."""

"""The keyboard while the live screen is shown: nothing that is typed is echoed into it, and keys are handed on.

Ctrl-C, Ctrl-Z and Ctrl-\\ still send their signals. How the keyboard is read is a matter of the system
(:class:`subcli.shared.platform.parts.Keys`).

Reading twenty keys takes some thirty lines for each system; prompt_toolkit and Textual would do it too, and add some
100 and 200 ms to the start of every watch.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from typing import Final

from subcli.shared.platform import HERE
from subcli.shared.platform.parts import Keys

_KEY: Final = re.compile(r"\x1b[\[O][0-9;]*[@-~]|\x1b|.", re.DOTALL)
_NAMES: Final = {
    "\x1b": "escape",
    "\r": "enter",
    "\n": "enter",
    "\x7f": "backspace",
    "\x08": "backspace",
    **{f"\x1b{prefix}{end}": name for prefix in "[O" for end, name in zip("ABCDHF", "↑↓→←⇱⇲", strict=True)},
    "\x1b[5~": "page up",
    "\x1b[6~": "page down",
    "\x1b[1~": "⇱",
    "\x1b[4~": "⇲",
}
"""What terminals send for keys that are not characters: home and end are ``⇱`` and ``⇲``."""


def keys_of(typed: str) -> list[str]:
    """Return the keys in what a terminal sent: characters as they are, and names; unknown sequences are left out."""
    found = (_NAMES.get(key, key) for key in _KEY.findall(typed))
    return [key for key in found if key.isprintable()]


class Keyboard:
    """Takes the keyboard and gives it back.

    Args:
        on_keys: Gets the keys, in the running event loop; ``None``: nobody wants them.
        keys: Where they come from; by default this machine's.
    """

    def __init__(self, on_keys: Callable[[Sequence[str]], None] | None = None, keys: Keys | None = None) -> None:
        self._on_keys = on_keys
        self._keys = keys or HERE.terminal.keys()

    def take(self) -> None:
        """Switch the echo off, and begin to read. Does nothing if that is done."""
        self._keys.take(None if self._on_keys is None else self._hand_on, asyncio.get_running_loop)

    def _hand_on(self, typed: str) -> None:
        if self._on_keys is not None:
            self._on_keys(keys_of(typed))

    def give_back(self) -> None:
        """Stop reading, and restore the settings from before ``take``."""
        self._keys.give_back()

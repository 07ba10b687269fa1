"""The one place where foreign text is made harmless on its way to a person.

Whatever a server says — names, outputs, reasons, error messages — may hold escape sequences that move the
cursor, rename the window or write to the clipboard, and characters that reorder or hide text (contract,
section 4). Here they become visible. What comes out is plain text, never markup: give it to
``rich.text.Text``, not to ``Text.from_markup`` or ``console.print`` with markup on.
"""

from __future__ import annotations

import re
from typing import Final

from subcli.shared.protocol import INVISIBLE

_HARMFUL: Final = re.compile(f"[{INVISIBLE}\ud800-\udfff]")


def printable(text: str) -> str:
    """``text`` with control and invisible characters as visible escapes; tab and newline stay.

    ESC becomes ``^[``, DEL ``^?``, the C1 control 0x9b ``\\u009b``. ``\\r\\n`` counts as a newline.
    """
    if text.isascii() and text.isprintable():
        return text
    return _HARMFUL.sub(_visible, text.replace("\r\n", "\n"))


def one_line(text: str, limit: int | None = None) -> str:
    """``text`` on one line: white space folded, and cut with ``…`` to ``limit`` characters."""
    line = " ".join(printable(text).split())
    return line if limit is None or len(line) <= limit else line[: max(limit - 1, 0)] + "…"


def _visible(match: re.Match[str]) -> str:
    code = ord(match.group())
    if code < 0x20:
        return f"^{chr(code + 0x40)}"
    if code == 0x7F:
        return "^?"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"

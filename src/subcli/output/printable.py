"""The one place where foreign text is made harmless before a person sees it.

Whatever a server sends (names, outputs, reasons, error messages) may contain escape sequences that move the cursor,
rename the window or write to the clipboard, and characters that reorder or hide text (contract, section 4). This
module makes them visible. The result is plain text, never markup: pass it to ``rich.text.Text``, not to
``Text.from_markup`` or to a console with markup on.
"""

from __future__ import annotations

import re
from typing import Final

from subcli.shared.encoding import INVISIBLE

_HARMFUL: Final = re.compile(f"[{INVISIBLE}\ud800-\udfff]")


def printable(text: str) -> str:
    """Return ``text`` with control and invisible characters as visible escapes; tabs and newlines stay.

    ESC becomes ``^[``, DEL ``^?``, the C1 control 0x9b ``\\u009b``. ``\\r\\n`` counts as a newline.
    """
    if text.isascii() and text.isprintable():
        return text
    return _HARMFUL.sub(_visible, text.replace("\r\n", "\n"))


def one_line(text: str, limit: int | None = None) -> str:
    """Return printable ``text`` on one line: white space collapsed, cut to ``limit`` characters."""
    line = " ".join(printable(text).split())
    return line if limit is None else cut(line, limit)


def cut(text: str, limit: int) -> str:
    """Return ``text``, or its beginning with ``…`` if it has more than ``limit`` characters."""
    return text if len(text) <= limit else text[: max(limit - 1, 0)] + "…"


def _visible(match: re.Match[str]) -> str:
    code = ord(match.group())
    if code < 0x20:
        return f"^{chr(code + 0x40)}"
    if code == 0x7F:
        return "^?"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"

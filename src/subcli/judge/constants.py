"""Constants of a package: in some of its files, `{{name}}` stands for the value of one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

_SEQUENCE: Final = re.compile(r"\{\{([A-Za-z_]\w*(?:\.\w+)?)\}\}", re.ASCII)


def filled(text: str, constants: Mapping[str, str]) -> str:
    """The text with the constants filled in. What names none stays as it is."""
    return _SEQUENCE.sub(lambda found: constants.get(found[1], found[0]), text) if constants else text


def filled_bytes(data: bytes, constants: Mapping[str, str]) -> bytes:
    """The same for what may not be text."""
    if not constants:
        return data
    return filled(data.decode("utf-8", "surrogateescape"), constants).encode("utf-8", "surrogateescape")

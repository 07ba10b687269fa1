"""What one check of `subcli doctor` finds."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

State: TypeAlias = Literal["ok", "warning", "failed", "skipped"]


class Diagnosis(msgspec.Struct, frozen=True):
    """The result of one check.

    Attributes:
        name: one word.
        detail: what was found, in one line; it may contain text from the server.
        cure: what to do, preferably a command; empty if nothing is wrong.
        kind: if ``state`` is failed, the kind of error that a command would end with (:mod:`subcli.core.errors`).
    """

    name: str
    state: State
    detail: str
    cure: str = ""
    kind: str = "network"

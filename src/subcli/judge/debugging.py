"""Which node of a solution runs under a debugger; only on request, and only on the user's own machine."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Debugged:
    """A node that runs under a debugger.

    Attributes:
        node: its name.
        cluster: which of its test's clusters it belongs to, from 1; 0 means each of them.
        debugger: what its shim is told: `pdb TERMINAL`, or `debugpy PORT DIRECTORY`, the directory being the one that
            debugpy is imported from.
    """

    node: str
    cluster: int
    debugger: str

"""Where strangers' code runs: bubblewrap's namespaces, a system call filter, control groups and a user of its own.

    choice      which starter a server judges with: `choose()`
    probe       what holds on this machine, found out by a real run
    bubblewrap  the starter
    view        what of the file system a solution sees
    syscalls    what it may ask of the kernel
    groups      what it may use, where there are control groups

`docs/judging.md` says what all of it is worth.
"""

import enum


class Sandbox(enum.StrEnum):
    """Under what solutions run, as an operator says it."""

    AUTO = "auto"
    """bubblewrap where others hand in code; on one's own machine, none."""
    BWRAP = "bwrap"
    NONE = "none"

"""Where untrusted code runs: bubblewrap's namespaces, a system call filter, control groups and a separate user.

    choice      which starter a server uses: `choose()`
    probe       what works on this machine, found out by a real run
    bubblewrap  the starter
    root        the root file system, as bubblewrap's arguments
    view        what a solution sees of the file system
    syscalls    which system calls it may make
    groups      what it may use, enforced by control groups

`docs/judging.md` describes what this guarantees.
"""

import enum


class Sandbox(enum.StrEnum):
    """What solutions run under, as the operator chooses it."""

    AUTO = "auto"
    """bubblewrap if other people submit code; none for your own code on your own machine."""
    BWRAP = "bwrap"
    NONE = "none"

"""Everything in which Linux, macOS and Windows differ, as far as the client is concerned.

==============  ===============================  ==============================  ====================================
\\               Linux                            macOS                           Windows
==============  ===============================  ==============================  ====================================
event loop      epoll                            select: kqueue cannot wait for  select, woken by a socket: nothing
                                                 every terminal                  else ends it when Ctrl-C is pressed
signals         SIGINT, SIGTERM, SIGHUP,         the same                        SIGINT, and SIGBREAK for Ctrl-Break;
                SIGTSTP                                                          no job control
keys, echo      termios                          the same                        the console's keys and modes
output          non-blocking pipes are waited    the same                        through the console's own calls, which
                for; a reader that leaves is     (noticed at the next write)     take UTF-8; escape sequences are
                noticed at once                                                  switched on
secrets         mode 0600                        the same                        an access control list
clock           CLOCK_MONOTONIC                  mach_absolute_time              QueryUnbiasedInterruptTime
notifications   notify-send                      osascript                       a toast, by PowerShell
server, judge   yes                              no                              no
==============  ===============================  ==============================  ====================================

Libraries handle what is not here: filelock locks, platformdirs finds directories, webbrowser opens pages, keyring keeps
tokens.

:data:`HERE` is this machine's. Whoever needs a difference takes a :class:`Platform` as an argument, so tests run the
client with that of another system. What calls Windows is behind :class:`~subcli.shared.platform.windows.Api` for the
same reason. ``make lint`` checks the client's types for the three systems.

The clock stands still while the machine sleeps, on every system: a wall clock that ran ahead of it tells that the
machine slept (:mod:`subcli.client.heartbeat`).

Completion and ``--version`` must stay fast, so each part is imported when it is first used.
"""

from __future__ import annotations

import sys
from functools import cached_property
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from selectors import BaseSelector

    from subcli.shared.platform.desktop import Desktop
    from subcli.shared.platform.files import Files
    from subcli.shared.platform.parts import Descriptors, Terminal
    from subcli.shared.platform.signals import Signals
    from subcli.shared.platform.windows import Api


class Platform:
    """Linux, or another system that is like it.

    Attributes:
        name: for users.
        judges: whether the server and the judge run here.
    """

    name = "Linux"
    judges = True

    @cached_property
    def files(self) -> Files:
        """Who may read a file, and how one is replaced."""
        from subcli.shared.platform.files import Files

        return Files()

    @cached_property
    def descriptors(self) -> Descriptors:
        """Reading and writing standard streams and pipes."""
        if sys.platform != "win32":
            from subcli.shared.platform.posix import PosixDescriptors

            return PosixDescriptors()
        raise NotImplementedError(self.name)

    @cached_property
    def terminal(self) -> Terminal:
        """The keyboard and the screen."""
        if sys.platform != "win32":
            from subcli.shared.platform.posix import PosixTerminal

            return PosixTerminal()
        raise NotImplementedError(self.name)

    @cached_property
    def signals(self) -> Signals:
        """What ends or stops a program from outside."""
        from subcli.shared.platform.signals import Signals

        return Signals()

    @cached_property
    def desktop(self) -> Desktop:
        """Notifications."""
        from subcli.shared.platform.desktop import Desktop

        return Desktop()

    @property
    def clock(self) -> Callable[[], float]:
        """Seconds that the machine was awake, since some moment."""
        from time import monotonic

        return monotonic

    def selector(self) -> BaseSelector | None:
        """What the event loop waits with; ``None`` for its own choice."""
        return None


class MacOS(Platform):
    """macOS."""

    name = "macOS"
    judges = False

    @cached_property
    def descriptors(self) -> Descriptors:
        if sys.platform != "win32":
            from subcli.shared.platform.posix import PosixDescriptors

            return PosixDescriptors(tells_of_readers=False)
        raise NotImplementedError(self.name)

    @cached_property
    def desktop(self) -> Desktop:
        from subcli.shared.platform.desktop import MacDesktop

        return MacDesktop()

    def selector(self) -> BaseSelector | None:
        from selectors import SelectSelector

        return SelectSelector()


class Windows(Platform):
    """Windows 10 or later.

    Args:
        api: what calls Windows; by default the real one, which exists only there.
    """

    name = "Windows"
    judges = False

    def __init__(self, api: Api | None = None) -> None:
        self._given = api

    @cached_property
    def _api(self) -> Api:
        if self._given is not None:
            return self._given
        # mypy looks only at the branches of the system that it checks for.
        if sys.platform == "win32":
            from subcli.shared.platform.windows_api import RealApi

            return RealApi()
        raise NotImplementedError(self.name)

    @cached_property
    def files(self) -> Files:
        from subcli.shared.platform.windows import WindowsFiles

        return WindowsFiles(self._api)

    @cached_property
    def descriptors(self) -> Descriptors:
        from subcli.shared.platform.windows import WindowsDescriptors

        return WindowsDescriptors()

    @cached_property
    def terminal(self) -> Terminal:
        from subcli.shared.platform.windows import WindowsTerminal

        return WindowsTerminal(self._api)

    @cached_property
    def signals(self) -> Signals:
        from subcli.shared.platform.signals import WindowsSignals

        return WindowsSignals()

    @cached_property
    def desktop(self) -> Desktop:
        from subcli.shared.platform.desktop import WindowsDesktop

        return WindowsDesktop()

    @property
    def clock(self) -> Callable[[], float]:
        return self._api.awake_s


def platform_of(system: str) -> Platform:
    """The platform that ``sys.platform`` names. Other systems with POSIX's calls count as macOS, with no promise."""
    if system == "win32":
        return Windows()
    return Platform() if system == "linux" else MacOS()


HERE: Final = platform_of(sys.platform)
"""This machine's."""

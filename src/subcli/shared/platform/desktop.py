"""Notifications on the desktop of this machine."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

_SCRIPT: Final = (
    "on run argv",
    "display notification (item 2 of argv) with title (item 1 of argv)",
    "end run",
)
_TOAST: Final = """\
$manager = [Windows.UI.Notifications.ToastNotificationManager, Windows.UI.Notifications, ContentType = WindowsRuntime]
$toast = $manager::GetTemplateContent('ToastText02')
$texts = $toast.GetElementsByTagName('text')
[void]$texts.Item(0).AppendChild($toast.CreateTextNode($env:SUBCLI_TITLE))
[void]$texts.Item(1).AppendChild($toast.CreateTextNode($env:SUBCLI_TEXT))
[void][Windows.UI.Notifications.ToastNotification, Windows.UI.Notifications, ContentType = WindowsRuntime]
$id = '{1AC14E77-02E7-4E5D-B744-2EB1AE5198B7}\\WindowsPowerShell\\v1.0\\powershell.exe'
$manager::CreateToastNotifier($id).Show([Windows.UI.Notifications.ToastNotification]::new($toast))
"""
"""The texts are variables, not part of the program: a server chooses them."""


class Command(NamedTuple):
    """A command that shows a notification.

    Attributes:
        words: of its command line.
        env: variables that it needs as well.
    """

    words: Sequence[str]
    env: Mapping[str, str] = {}


class Desktop:
    """The desktop of Linux, if there is one.

    Attributes:
        timeout_s: how long a notification may take.
    """

    timeout_s = 2.0

    def is_here(self, env: Mapping[str, str]) -> bool:
        """Whether there is a desktop on this machine, and not only at the other end of an SSH connection."""
        has_display = bool(env.get("DISPLAY") or env.get("WAYLAND_DISPLAY"))
        return has_display and "SSH_CONNECTION" not in env and self._has(env, "notify-send")

    def notification(self, title: str, text: str) -> Command:
        """A notification. Its body may contain markup (Desktop Notifications Specification), so text is escaped."""
        body = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        return Command(("notify-send", "--app-name=subcli", "--", title, body))

    @staticmethod
    def _has(env: Mapping[str, str], program: str) -> bool:
        return shutil.which(program, path=env.get("PATH")) is not None


class MacDesktop(Desktop):
    """The desktop of macOS."""

    def is_here(self, env: Mapping[str, str]) -> bool:
        return "SSH_CONNECTION" not in env and self._has(env, "osascript")

    def notification(self, title: str, text: str) -> Command:
        lines = [word for line in _SCRIPT for word in ("-e", line)]
        # A title that begins with `-` is no option, and no program.
        return Command(("osascript", *lines, "--", title, text))


class WindowsDesktop(Desktop):
    """The desktop of Windows. Only the PowerShell that comes with it can show a toast, and it starts slowly."""

    timeout_s = 10.0

    def is_here(self, env: Mapping[str, str]) -> bool:
        return "SSH_CONNECTION" not in env and self._has(env, "powershell.exe")

    def notification(self, title: str, text: str) -> Command:
        command = ("powershell.exe", "-NoLogo", "-NoProfile", "-NonInteractive", "-Command", _TOAST)
        return Command(command, {"SUBCLI_TITLE": title, "SUBCLI_TEXT": text})

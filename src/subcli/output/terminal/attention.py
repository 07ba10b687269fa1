"""Telling a person who looks elsewhere: the window's title, progress in the task bar, a notification at the end.

Nothing of it is data, and all of it is undone: whatever :class:`WindowStatus` set is gone after ``suspend`` and
``close``, which are called however a command ends.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Callable, Mapping
from typing import Final, TextIO

from subcli.core.errors import InterruptedByUser
from subcli.core.submission import Submission
from subcli.output.live.summary import ending_mark, outcome
from subcli.output.printable import one_line
from subcli.output.terminal.terminal import Notification, notification
from subcli.output.text import words
from subcli.output.view import Ending, NullView, SnapshotSource

_KEEP_TITLE: Final = "\x1b[22;2t"
# The empty title is the terminal's own one; where there is a stack of them, the one before comes back.
_GIVE_TITLE_BACK: Final = "\x1b]2;\x1b\\\x1b[23;2t"
_NO_PROGRESS: Final = "\x1b]9;4;0\x1b\\"
_TITLE_MAX: Final = 80
_LOOK_S: Final = 0.5
_NOTIFY_S: Final = 2.0
_NORMAL, _FAILING, _UNKNOWN = 1, 2, 3


class WindowStatus(NullView):
    """Title and progress, beside the live screen.

    Args:
        stream: the terminal.
        clock: gives monotonic seconds.
        progress: whether the terminal shows progress; the title is always set.
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float], *, progress: bool) -> None:
        self._stream = stream
        self._clock = clock
        self._has_progress = progress
        self._sources: list[SnapshotSource] = []
        self._shown: tuple[str, str] | None = None
        self._looked: float | None = None

    def begin(self, source: SnapshotSource) -> None:
        """One more submission."""
        self._sources.append(source)

    def tick(self) -> None:
        """Say what is new, twice a second at most."""
        now = self._clock()
        if not self._sources or (self._looked is not None and now - self._looked < _LOOK_S):
            return
        self._looked = now
        pictures = [source.snapshot() for source in self._sources]
        new = (_title(pictures), _progress(pictures) if self._has_progress else "")
        if new == self._shown:
            return
        before = _KEEP_TITLE if self._shown is None else ""
        self._write(f"{before}\x1b]2;{new[0]}\x1b\\{new[1]}")
        self._shown = new

    def suspend(self) -> None:
        """Undo all of it for as long as the terminal is another's."""
        if self._shown is not None:
            self._shown = self._looked = None
            self._write(_GIVE_TITLE_BACK + (_NO_PROGRESS if self._has_progress else ""))

    def close(self) -> None:
        """Undo all of it."""
        self.suspend()

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


def _title(pictures: list[Submission]) -> str:
    if len(pictures) > 1:
        ended = sum(1 for picture in pictures if picture.verdict is not None)
        return f"subcli {ended}/{len(pictures)} submissions"
    picture = pictures[0]
    if picture.verdict is not None:
        state = picture.verdict.final_status
    else:
        total = words.known_total(picture)
        done = f" {picture.counts.done}/{total}" if total else ""
        state = f"{picture.status or picture.connection.state}{done}"
    return one_line(f"subcli #{picture.id} {state}", _TITLE_MAX)


def _progress(pictures: list[Submission]) -> str:
    """OSC 9;4 (ConEmu's "Operating System Commands"): state and percent."""
    shares = [_share(picture) for picture in pictures]
    known = [share for share in shares if share is not None]
    state = _FAILING if any(picture.counts.not_passed for picture in pictures) else _NORMAL
    if len(known) < len(shares) and not any(known):
        return f"\x1b]9;4;{_UNKNOWN}\x1b\\"
    return f"\x1b]9;4;{state};{int(100 * sum(known) / len(shares))}\x1b\\"


def _share(picture: Submission) -> float | None:
    """How much of one submission is done, from 0 to 1; ``None`` where nobody knows."""
    if picture.verdict is not None:
        return 1.0
    total = words.known_total(picture)
    if total:
        return picture.counts.done / total
    return None if picture.progress is None else min(max(picture.progress, 0.0), 100.0) / 100


class Notifier(NullView):
    """Rings, and shows a notification, once everything is over; not for who pressed Ctrl-C.

    Args:
        stream: the terminal; what is none gets no bell.
        env: the environment, which tells what desktop and terminal there is.
    """

    def __init__(self, stream: TextIO, env: Mapping[str, str]) -> None:
        self._stream = stream
        self._env = env
        self._sources: dict[int, SnapshotSource] = {}
        self._endings: list[Ending] = []

    def begin(self, source: SnapshotSource) -> None:
        """One more submission."""
        self._sources[source.submission_id] = source

    def end(self, ending: Ending) -> None:
        """How one ended."""
        self._endings.append(ending)

    def close(self) -> None:
        """Tell the person."""
        if not self._endings or any(isinstance(ending.error, InterruptedByUser) for ending in self._endings):
            return
        title, text = self._words()
        if self._stream.isatty():
            kind = None if _has_desktop(self._env) else notification(self._env)
            self._stream.write("\a" + _sequence(kind, title, text))
            self._stream.flush()
        if _has_desktop(self._env):
            _notify_desktop(title, text)

    def _words(self) -> tuple[str, str]:
        if len(self._endings) > 1:
            passed = sum(1 for ending in self._endings if ending.exit_code == 0)
            return "subcli", f"{passed} of {len(self._endings)} submissions passed"
        ending = self._endings[0]
        source = self._sources.get(ending.submission_id or 0)
        title = f"{ending_mark(ending).word} #{ending.submission_id}"
        if ending.error is not None:
            return one_line(title, _TITLE_MAX), one_line(ending.error.message, 200)
        if source is None or ending.verdict is None:
            return one_line(title, _TITLE_MAX), ""
        picture = source.snapshot()
        return one_line(f"{picture.problem or 'subcli'}: {title}", _TITLE_MAX), outcome(ending.verdict, picture)


def _sequence(kind: Notification | None, title: str, text: str) -> str:
    """Control characters are gone from both; a semicolon would begin another field."""
    title, text = title.replace(";", ","), text.replace(";", ",")
    if kind == "osc 9":
        # Not a digit first: that would be one of ConEmu's commands.
        return f"\x1b]9;{title}: {text}\x1b\\" if not title[:1].isdigit() else f"\x1b]9;subcli: {title}: {text}\x1b\\"
    return f"\x1b]777;notify;{title};{text}\x1b\\" if kind == "osc 777" else ""


def _has_desktop(env: Mapping[str, str]) -> bool:
    """Whether the desktop is that of the person: not on the other end of an SSH connection."""
    has_display = bool(env.get("DISPLAY") or env.get("WAYLAND_DISPLAY"))
    return has_display and "SSH_CONNECTION" not in env and shutil.which("notify-send", path=env.get("PATH")) is not None


def _notify_desktop(title: str, text: str) -> None:
    """The body of a notification may hold markup (Desktop Notifications Specification): foreign text is none."""
    body = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    # A notification that fails or hangs is no fault of the command.
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        subprocess.run(
            ["notify-send", "--app-name=subcli", "--", title, body],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_NOTIFY_S,
            check=False,
        )

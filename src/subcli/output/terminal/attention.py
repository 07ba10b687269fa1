"""For users who are doing something else: the window's title, progress in the task bar, a notification at the end.

Everything that :class:`WindowStatus` sets is undone by ``suspend`` and ``close``, which are called however a command
ends.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Callable, Mapping
from typing import Final, TextIO

from subcli.core.errors import InterruptedByUser
from subcli.core.submission import LOCAL_ID, Submission
from subcli.output.live.summary import ending_mark, outcome
from subcli.output.printable import one_line
from subcli.output.terminal.terminal import Notification, notification
from subcli.output.text import words
from subcli.output.view import Ending, NullView, SnapshotSource
from subcli.shared.platform import HERE
from subcli.shared.platform.desktop import Command, Desktop

_SAVE_TITLE: Final = "\x1b[22;2t"
# An empty title selects the terminal's default; terminals with a stack of titles restore the previous one.
_RESTORE_TITLE: Final = "\x1b]2;\x1b\\\x1b[23;2t"
_NO_PROGRESS: Final = "\x1b]9;4;0\x1b\\"
_TITLE_CHARS: Final = 80
_UPDATE_S: Final = 0.5
_MANY: Final = 20
_NORMAL, _FAILING, _UNKNOWN = 1, 2, 3


class WindowStatus(NullView):
    """Keeps the window's title and the progress up to date while the live view is shown.

    Args:
        stream: The terminal.
        clock: Returns monotonic seconds.
        progress: Whether the terminal shows progress; the title is always set.
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float], *, progress: bool) -> None:
        self._stream = stream
        self._clock = clock
        self._has_progress = progress
        self._sources: dict[int, SnapshotSource] = {}
        self._ended: set[int | None] = set()
        self._failing: set[int | None] = set()
        self._shown: tuple[str, str] | None = None
        self._updated_at: float | None = None

    def begin(self, source: SnapshotSource) -> None:
        """Add a submission; one that is there already is judged again."""
        self._sources[source.submission_id] = source
        self._ended.discard(source.submission_id)
        self._failing.discard(source.submission_id)

    def end(self, ending: Ending) -> None:
        """Count a submission that has ended."""
        if ending.verdict is not None:
            self._ended.add(ending.submission_id)
        if ending.exit_code != 0:
            self._failing.add(ending.submission_id)

    def tick(self) -> None:
        """Write what changed, at most twice a second."""
        now = self._clock()
        if not self._sources or (self._updated_at is not None and now - self._updated_at < _UPDATE_S):
            return
        self._updated_at = now
        new = self._present()
        if new == self._shown:
            return
        prefix = _SAVE_TITLE if self._shown is None else ""
        self._write(f"{prefix}\x1b]2;{new[0]}\x1b\\{new[1]}")
        self._shown = new

    def _present(self) -> tuple[str, str]:
        """Title and progress. Of many submissions each counts as a whole, so that the cost does not grow with them."""
        count = len(self._sources)
        if count > _MANY:
            state = _FAILING if self._failing else _NORMAL
            title, progress = (
                _title_of_several(len(self._ended), count),
                f"\x1b]9;4;{state};{100 * len(self._ended) // count}\x1b\\",
            )
        else:
            snapshots = [source.snapshot() for source in self._sources.values()]
            title, progress = _title(snapshots), _progress(snapshots)
        return title, progress if self._has_progress else ""

    def suspend(self) -> None:
        """Restore title and progress while a prompt or another program uses the terminal."""
        if self._shown is not None:
            self._shown = self._updated_at = None
            self._write(_RESTORE_TITLE + (_NO_PROGRESS if self._has_progress else ""))

    def close(self) -> None:
        """Restore title and progress."""
        self.suspend()

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


def _title(snapshots: list[Submission]) -> str:
    if len(snapshots) > 1:
        ended = sum(1 for snapshot in snapshots if snapshot.verdict is not None)
        return _title_of_several(ended, len(snapshots))
    snapshot = snapshots[0]
    if snapshot.verdict is not None:
        state = snapshot.verdict.final_status
    else:
        total = words.known_total(snapshot)
        done = f" {snapshot.counts.done}/{total}" if total else ""
        state = f"{snapshot.status or snapshot.connection.state}{done}"
    return one_line(f"subcli {snapshot.name} {state}", _TITLE_CHARS)


def _title_of_several(ended: int, count: int) -> str:
    return f"subcli {ended}/{count} submissions"


def _progress(snapshots: list[Submission]) -> str:
    """Return OSC 9;4 (ConEmu's "Operating System Commands"): state and percentage over all submissions."""
    shares = [_share(snapshot) for snapshot in snapshots]
    known = [share for share in shares if share is not None]
    state = _FAILING if any(snapshot.counts.not_passed for snapshot in snapshots) else _NORMAL
    if len(known) < len(shares) and not any(known):
        return f"\x1b]9;4;{_UNKNOWN}\x1b\\"
    return f"\x1b]9;4;{state};{int(100 * sum(known) / len(shares))}\x1b\\"


def _share(snapshot: Submission) -> float | None:
    """Return how much of one submission is done, from 0 to 1; ``None`` if unknown."""
    if snapshot.verdict is not None:
        return 1.0
    total = words.known_total(snapshot)
    if total:
        return snapshot.counts.done / total
    return None if snapshot.progress is None else min(max(snapshot.progress, 0.0), 100.0) / 100


class Notifier(NullView):
    """Rings the bell and shows a notification at the end, unless the user pressed Ctrl-C.

    Args:
        stream: Where the bell goes, if it is a terminal.
        env: The environment, which identifies the desktop and the terminal.
        desktop: What can show notifications; by default this machine's.
    """

    def __init__(self, stream: TextIO, env: Mapping[str, str], desktop: Desktop | None = None) -> None:
        self._stream = stream
        self._env = env
        self._desktop = desktop or HERE.desktop
        self._sources: dict[int, SnapshotSource] = {}
        self._endings: dict[int | None, Ending] = {}

    def begin(self, source: SnapshotSource) -> None:
        """Add a submission."""
        self._sources[source.submission_id] = source

    def end(self, ending: Ending) -> None:
        """Note how a submission ended."""
        self._endings[ending.submission_id] = ending

    def close(self) -> None:
        """Notify the user."""
        if not self._endings or any(isinstance(ending.error, InterruptedByUser) for ending in self._endings.values()):
            return
        title, text = self._message()
        has_desktop = self._desktop.is_here(self._env)
        if self._stream.isatty():
            kind = None if has_desktop else notification(self._env)
            self._stream.write("\a" + _sequence(kind, title, text))
            self._stream.flush()
        if has_desktop:
            _show(self._desktop.notification(title, text), self._desktop.timeout_s)

    def _message(self) -> tuple[str, str]:
        if len(self._endings) > 1:
            passed = sum(1 for ending in self._endings.values() if ending.exit_code == 0)
            return "subcli", f"{passed} of {len(self._endings)} submissions passed"
        [ending] = self._endings.values()
        source = self._sources.get(ending.submission_id or 0)
        title = ending_mark(ending).word
        if ending.submission_id != LOCAL_ID:
            title += f" #{ending.submission_id}"
        if ending.error is not None:
            return one_line(title, _TITLE_CHARS), one_line(ending.error.message, 200)
        if source is None or ending.verdict is None:
            return one_line(title, _TITLE_CHARS), ""
        snapshot = source.snapshot()
        return one_line(f"{snapshot.problem or 'subcli'}: {title}", _TITLE_CHARS), outcome(ending.verdict, snapshot)


def _sequence(kind: Notification | None, title: str, text: str) -> str:
    """Return the notification's sequence. Control characters are gone already; semicolons separate fields."""
    title, text = title.replace(";", ","), text.replace(";", ",")
    if kind == "osc 9":
        # Not with a leading digit: that would be one of ConEmu's commands.
        return f"\x1b]9;{title}: {text}\x1b\\" if not title[:1].isdigit() else f"\x1b]9;subcli: {title}: {text}\x1b\\"
    return f"\x1b]777;notify;{title};{text}\x1b\\" if kind == "osc 777" else ""


def _show(shown: Command, timeout_s: float) -> None:
    # A notification that fails or hangs must not affect the command.
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        subprocess.run(
            shown.words,
            env={**os.environ, **shown.env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=timeout_s,
            check=False,
        )

"""The live view on a terminal: drawn on the alternate screen, bounded, and gone without a trace."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rich.console import ConsoleDimensions

from subcli.core.errors import NetworkError
from subcli.core.submission import Submission
from subcli.output.live.frame import Frame
from subcli.output.live.screen import Screen
from subcli.output.live.summary import faults
from subcli.output.live.view import LiveView
from subcli.output.text.lines import Line
from subcli.output.view import Ending
from tests.hang import HANG_S
from tests.output.playhouse.calls import calls_of
from tests.output.playhouse.scenes import SCENES
from tests.output.playhouse.script import NAMES, TWICE, Clock, Stage, many, ten
from tests.output.playhouse.terminal import Terminal, terminal

ROOT = Path(__file__).parents[3]


class Show:
    """A live view on a terminal."""

    def __init__(self, tty: Terminal, *, compact: bool = False) -> None:
        self.tty = tty
        self.clock = Clock()
        self.console = tty.console()
        self.view = LiveView(self.console, self.console, self.clock, compact=compact)
        self.stage = Stage(self.view, self.clock)

    def written(self, action: Callable[[], object]) -> bytes:
        """What ``action`` makes the view write to the terminal."""
        self.tty.settle()
        before = len(self.tty.raw)
        action()
        self.tty.settle()
        return re.sub(rb"\x1b\]0;\d+\x07", b"", self.tty.raw[before:])


@pytest.fixture
def show() -> Iterator[Show]:
    with terminal(80, 24) as tty:
        yield Show(tty)


def test_nothing_of_the_screen_remains_in_the_scrollback(show: Show) -> None:
    """A watch on a full terminal adds the summary to it, and no line of any frame."""
    before = [f"before {number}" for number in range(40)]
    show.tty.file.write("".join(f"{line}\r\n" for line in before))
    show.stage.begin()
    for number in range(60):
        show.stage.result(f"case {number}", "failed" if number % 7 == 0 else "passed", message="because")
        show.stage.pass_time(0.1)
    assert not show.tty.scrollback()
    assert "before" not in show.tty.visible()
    show.stage.complete("failed")
    show.view.close()
    lines = show.tty.text().splitlines()
    assert lines[:40] == before
    text = "\n".join(lines[40:])
    assert text.count("leader-election") == 1
    assert "━" not in text
    assert "⠋" not in text


def test_alternate_screen_is_entered_once_and_left_once(show: Show) -> None:
    """However many frames are drawn; the summary comes after leaving."""
    show.stage.begin()
    ten(show.stage, 10)
    for _ in range(5):
        show.stage.pass_time(0.1)
    show.stage.complete("failed")
    show.view.close()
    show.tty.settle()
    assert show.tty.raw.count(b"\x1b[?1049h") == show.tty.raw.count(b"\x1b[?1049l") == 1
    assert show.tty.raw.index(b"\x1b[?1049l") < show.tty.raw.index("✗ failed".encode())


def test_frame_without_changes_writes_nothing(show: Show) -> None:
    """Only lines that changed are written; if none did, nothing is."""
    show.stage.begin()
    show.stage.connection("open")
    show.stage.complete("passed")
    show.stage.pass_time(0.1)
    assert show.written(lambda: show.stage.pass_time(0.1)) == b""
    assert show.written(lambda: show.stage.pass_time(100)) == b""


def test_only_changed_lines_are_written(show: Show) -> None:
    """When a second has passed, clock and spinner are written, and no test."""
    show.stage.begin()
    ten(show.stage, 5)
    show.stage.pass_time(0.1)
    written = show.written(lambda: show.stage.pass_time(1.1))
    assert written.count(b"\x1b[K") == 2
    assert b"leader-election" in written
    assert b"Leader Election" not in written


class CountingSource:
    """A source that counts how often its snapshot is taken: once per frame."""

    submission_id = 12
    has_failures = False

    def __init__(self) -> None:
        self.frames = 0

    def snapshot(self) -> Submission:
        self.frames += 1
        return Submission(id=12)


@pytest.mark.parametrize(
    ("ticks", "interval_s", "frames"),
    # The first tick draws. A timer that fires a little early still gets its frame, or every other would be lost.
    [(1001, 0.001, 11), (11, 0.1, 11), (11, 0.0995, 11), (11, 0.3, 11)],
)
def test_at_most_ten_frames_a_second(show: Show, ticks: int, interval_s: float, frames: int) -> None:
    """However often the view is told that time passes."""
    source = CountingSource()
    show.view.begin(source)
    for _ in range(ticks):
        show.stage.pass_time(interval_s)
    assert source.frames == frames


def test_full_line_keeps_its_last_character() -> None:
    """Erasing to the right of a full line would erase its last character: the cursor stays on it."""
    with terminal(10, 5) as tty:
        screen = Screen(tty.console())
        screen.draw(lambda viewport: Frame([Line("x" * viewport.columns), Line("y")], 0))
        tty.settle()
        screen.leave()
        assert b"x" * 10 + b"\x1b[2Hy\x1b[K" in tty.raw


def test_shorter_frame_leaves_nothing_of_the_longer_one() -> None:
    """Lines that are gone and ends of lines are erased; after leaving, a frame is drawn as a whole."""
    with terminal(10, 5) as tty:
        screen = Screen(tty.console())
        screen.draw(lambda _: Frame([Line("first"), Line("second"), Line("third")], 0))
        screen.draw(lambda _: Frame([Line("1st"), Line("second")], 0))
        assert tty.visible() == "1st\nsecond\n"
        screen.leave()
        screen.draw(lambda _: Frame([Line("1st"), Line("second")], 0))
        assert tty.visible() == "1st\nsecond\n"
        screen.leave()


def test_time_stops_when_a_submission_ends(show: Show) -> None:
    """The elapsed time of a submission that has ended does not go on; a countdown starts with its state."""
    show.stage.begin()
    show.stage.begin(13)
    show.stage.pass_time(5)
    show.stage.complete("passed")
    show.stage.connection("reconnecting", 13, delay_s=8.0)
    show.stage.pass_time(7)
    ended, running = show.tty.visible().splitlines()[2:4]
    assert "0:05" in ended
    assert "0:12" in running
    assert "retry in 1 s" in running


@pytest.mark.thorough
def test_cost_of_a_frame_does_not_grow_with_the_results(show: Show) -> None:
    """Fifty thousand results make no more rows than fit, and hardly more calls than ten thousand."""
    show.stage.begin()
    calls: dict[int, int] = {}
    for count in (10_000, 50_000):
        many(show.stage, count, total=100_000)
        show.clock.now += 0.1
        calls[count] = calls_of(show.view.tick)
        assert 0 < show.view.result_rows < 24
    assert calls[50_000] < 1.2 * calls[10_000]


def test_cursor_and_wrapping_are_restored(show: Show) -> None:
    """After a frame lines wrap as before; at the end the cursor is visible again."""
    show.stage.begin()
    show.stage.pass_time(0.1)
    show.tty.settle()
    assert show.tty.screen.cursor.hidden
    assert 7 << 5 in show.tty.screen.mode
    show.view.close()
    show.tty.settle()
    assert not show.tty.screen.cursor.hidden
    assert show.tty.text() == "\n"


def test_prompt_has_the_terminal_to_itself(show: Show) -> None:
    """Suspended, the view is gone, and a tick does not bring it back; resumed, it is drawn as a whole."""
    show.stage.begin()
    ten(show.stage, 3)
    show.stage.pass_time(0.1)
    show.view.suspend()
    show.tty.file.write("Password: \r\n")
    show.stage.pass_time(0.1)
    assert show.tty.text() == "Password:\n"
    show.view.resume()
    show.stage.pass_time(0.1)
    assert show.tty.visible().startswith(" leader-election")
    show.view.close()
    assert show.tty.text().startswith("Password:\n")


@pytest.mark.parametrize("size", [(60, 24), (80, 12), (200, 60)])
def test_resize_is_followed(show: Show, size: tuple[int, int]) -> None:
    """The next frame fits the new size, and nothing of the old one is left."""
    show.stage.begin()
    ten(show.stage, 7)
    show.stage.pass_time(0.1)
    show.tty.settle()
    show.tty.resize(*size)
    show.console.size = ConsoleDimensions(*size)
    show.stage.pass_time(0.1)
    text = show.tty.visible()
    assert text.count("leader-election") == 1
    with terminal(*size) as tty:
        fresh = Show(tty)
        fresh.stage.begin()
        ten(fresh.stage, 7)
        fresh.stage.pass_time(0.2)
        assert text == tty.visible()


def test_more_submissions_than_lines(show: Show) -> None:
    """Failing ones come first; the number of those left out is shown."""
    for number in range(50):
        show.stage.begin(number, f"problem-{number}")
        show.stage.connection("open", number)
    show.stage.result("x", "failed", id=49, message="because")
    show.stage.pass_time(0.1)
    text = show.tty.visible()
    assert text.splitlines()[2].split()[1] == "#49"
    assert re.search(r"… \d+ more", text)
    assert not show.tty.scrollback()


def test_running_submissions_come_before_passed_ones(show: Show) -> None:
    """If there is no room for all, those that passed are left out."""
    for number in range(1, 41):
        show.stage.begin(number)
        if number <= 35:
            show.stage.complete("passed", number)
    show.stage.pass_time(0.1)
    lines = show.tty.visible().splitlines()
    assert [line.split()[1] for line in lines[2:7]] == ["#36", "#37", "#38", "#39", "#40"]


def test_compact_lists_failures_only() -> None:
    """The other tests appear in the counts only."""
    with terminal(80, 24) as tty:
        show = Show(tty, compact=True)
        show.stage.begin()
        ten(show.stage, 10)
        show.stage.pass_time(0.1)
        text = tty.visible()
        assert "8 passed" in text
        assert NAMES[0] not in text
        assert NAMES[3] in text


def test_error_without_a_submission_is_shown(show: Show) -> None:
    """An error before there is an id is printed with its hint."""
    show.stage.fail(NetworkError("nobody at 127.0.0.1:8000", hint="subcli serve"), 6, None)
    show.view.tick()
    show.view.flush()
    show.view.close()
    text = show.tty.text()
    assert "nobody at 127.0.0.1:8000" in text
    assert "subcli serve" in text


def test_view_without_submissions_leaves_nothing(show: Show) -> None:
    """A view that is closed before anything began prints nothing."""
    show.view.tick()
    show.view.close()
    assert show.tty.text() == "\n"


def test_interrupted_watch_leaves_a_clean_terminal(show: Show) -> None:
    """Closed without a verdict, the view leaves the results so far and nothing else."""
    show.stage.begin()
    ten(show.stage, 3)
    show.stage.pass_time(0.1)
    show.view.close()
    text = show.tty.text()
    assert "so far: 2 passed, 1 failed of 10" in text
    assert "testing" not in text


@pytest.mark.parametrize(("columns", "lines"), [(1, 1), (2, 2), (8, 3), (20, 5), (30, 8), (119, 19), (120, 20)])
@pytest.mark.parametrize("scene", ["thousands", "six", "reconnecting", "percent", "queued"])
def test_no_terminal_is_too_small(columns: int, lines: int, scene: str) -> None:
    """What does not fit is left out; nothing scrolls and nothing raises."""
    with terminal(columns, lines) as tty:
        show = Show(tty)
        SCENES[scene](show.stage)
        show.stage.pass_time(0.1)
        assert not tty.scrollback()
        assert tty.visible().strip() or min(columns, lines) < 3
        show.view.close()


# -- in processes of their own --------------------------------------------------------------------


def play(*arguments: str) -> list[str]:
    """The command that plays a scene."""
    return [sys.executable, "-m", "tests.output.playhouse", *arguments]


def environment() -> dict[str, str]:
    env = {name: value for name, value in os.environ.items() if name not in ("CI", "COLUMNS", "LINES", "NO_COLOR")}
    return {**env, "TERM": "xterm-256color"}


def read_until(descriptor: int, what: bytes) -> bytes:
    """Read from a terminal up to ``what``."""
    seen = b""
    deadline = time.monotonic() + HANG_S
    while what not in seen:
        assert time.monotonic() < deadline, seen
        if select.select([descriptor], [], [], 0.1)[0]:
            seen += os.read(descriptor, 65536)
    return seen


def test_ctrl_c_leaves_a_clean_terminal() -> None:
    """The echo is off while the view is shown, and on again after Ctrl-C; the cursor is visible."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        play("half", "20"), cwd=ROOT, env=environment(), stdin=slave, stdout=slave, stderr=slave,
        start_new_session=True, preexec_fn=_take_terminal,
    )  # fmt: skip
    try:
        assert termios.tcgetattr(slave)[3] & termios.ECHO
        read_until(master, b"Split vote")
        assert not termios.tcgetattr(slave)[3] & termios.ECHO
        os.write(master, b"typed\r\x03")
        rest = read_until(master, b"so far")
        assert process.wait(10) != 0
        assert termios.tcgetattr(slave)[3] & termios.ECHO
        assert b"\x1b[?25h" in rest
        assert b"typed" not in rest
    finally:
        process.kill()
        process.wait()
        os.close(master)
        os.close(slave)


def _take_terminal() -> None:
    import fcntl

    signal.signal(signal.SIGINT, signal.default_int_handler)
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


class Tmux:
    """A terminal that rewraps its lines when it is made narrower."""

    def __init__(self, socket: str) -> None:
        self.socket = socket

    def __call__(self, *arguments: str) -> str:
        command = ["tmux", "-L", self.socket, "-f", os.devnull, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True, env=environment()).stdout

    def all(self) -> str:
        return self("capture-pane", "-p", "-S", "-500")

    def wait_for(self, what: str, *, gone: bool = False) -> str:
        deadline = time.monotonic() + HANG_S
        while (what in self("capture-pane", "-p")) is gone:
            assert time.monotonic() < deadline, self.all()
            time.sleep(0.05)
        return self("capture-pane", "-p")


@pytest.fixture
def tmux() -> Iterator[Tmux]:
    if shutil.which("tmux") is None:
        pytest.skip("needs tmux")
    server = Tmux(f"subcli-test-{os.getpid()}-{time.monotonic_ns()}")
    yield server
    server("kill-server")


def test_terminal_that_rewraps_its_lines_is_followed(tmux: Tmux) -> None:
    """However often it is resized, the view is there once, and in the end it is gone."""
    command = f"trap : INT; cd '{ROOT}'; seq -f 'before %g' 30; {' '.join(play('half', '30'))}; sleep 30"
    tmux("new-session", "-d", "-x", "80", "-y", "24", command)
    tmux.wait_for("Split vote")
    for size in ("60x24", "40x24", "120x30", "50x10", "80x12", "200x50", "80x24"):
        columns, lines = size.split("x")
        tmux("resize-window", "-x", columns, "-y", lines)
        deadline = time.monotonic() + HANG_S
        while not _is_drawn_once(tmux, int(lines)):
            assert time.monotonic() < deadline, f"{size}\n{tmux.all()}"
            time.sleep(0.05)
    tmux("send-keys", "C-c")
    tmux.wait_for("so far")
    text = tmux.all()
    assert [line for line in text.splitlines() if line.startswith("before")] == [f"before {n}" for n in range(1, 31)]
    assert "7/10" not in text


def _is_drawn_once(tmux: Tmux, lines: int) -> bool:
    """Whether the whole terminal, scrollback included, shows exactly one frame of this height."""
    text = tmux.all()
    return (
        len(tmux("capture-pane", "-p").split("\n")) - 1 == lines
        and text.count("leader-election") == 1
        and text.count("7/10") == 1
    )


def test_analysis_is_shortened_to_fit() -> None:
    """The newest analysis is always shown: its cause first, then suggestions."""
    with terminal(60, 9) as tty:
        show = Show(tty)
        show.stage.begin()
        show.stage.result("x", "failed", message="because")
        show.stage.send("error_analysis", test_name="x", **TWICE)
        show.stage.pass_time(0.1)
        text = tty.visible()
        assert "AssertionError: two leaders in term 3" in text
        assert "x · node.py:48" in text


def test_same_error_of_several_submissions_is_shown_once() -> None:
    """Submissions that ended with the same error share one block with all ids and one command."""

    def ending(number: int, message: str) -> Ending:
        error = NetworkError(message, hint="is it there?")
        return Ending(submission_id=number, exit_code=6, error=error, options=" --server http://h")

    endings = [ending(number, "nobody answers") for number in (1, 2, 3)] + [ending(4, "something else")]
    text = "\n".join(line.text for line in faults([(each, None) for each in endings], 78))
    assert text.count("nobody answers") == 1
    assert "#1 #2 #3" in text
    assert "subcli watch 1 2 3 --server http://h" in text
    assert "subcli watch 4 --server http://h" in text


def test_hint_for_one_submission_is_not_shown_for_several() -> None:
    """A command in it would name only the first; other hints are shown, and a command for all of them follows."""

    def text(hint: str, *ids: int) -> list[str]:
        endings = [Ending(submission_id=each, exit_code=6, error=NetworkError("away", hint=hint)) for each in ids]
        return [line.text.strip() for line in faults([(each, None) for each in endings], 78)]

    hint = "Go on with `subcli watch 1`."
    assert text(hint, 1)[-1] == hint
    assert text(hint, 1, 2)[1:] == ["away", "next: subcli watch 1 2"]
    assert text("Is it there?", 1, 2)[1:] == ["away", "Is it there?", "next: subcli watch 1 2"]


@pytest.mark.parametrize(
    ("status", "shown"),
    [("build_failed", "✗ build failed"), ("completed", "✓ completed"), ("", "waiting for the server")],
)
def test_stage_of_a_submission_without_a_verdict(status: str, shown: str) -> None:
    """A server may say that it is over before it says how; until the first word there is none."""
    clock = Clock()
    with terminal(80, 24) as tty:
        view = LiveView(tty.console(), tty.console(), clock)
        stage = Stage(view, clock)
        stage.begin()
        if status:
            stage.status(status)
        stage.pass_time(0.1)
        assert shown in tty.visible()
        view.close()

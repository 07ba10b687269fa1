"""The live screen on a terminal: drawn in place, bounded, and gone without a trace."""

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

from subcli.core.errors import NetworkError
from subcli.output.live.screen import FullScreen, Region
from subcli.output.live.view import FRAME_S, LiveView
from tests.output.playhouse.scenes import SCENES
from tests.output.playhouse.script import NAMES, TWICE, Clock, Stage, many, ten
from tests.output.playhouse.terminal import Terminal, terminal

HERE = Path(__file__).parents[1]


class Show:
    """A live view on a terminal."""

    def __init__(self, tty: Terminal, *, region: type[Region] = Region, compact: bool = False) -> None:
        self.tty = tty
        self.clock = Clock()
        console = tty.console()
        self.view = LiveView(console, console, self.clock, region=region, compact=compact)
        self.stage = Stage(self.view, self.clock)


@pytest.fixture
def show() -> Iterator[Show]:
    with terminal(80, 24) as tty:
        yield Show(tty)


def test_nothing_of_the_screen_is_in_the_scrollback(show: Show) -> None:
    """A run that starts at the bottom of a full terminal: what stood there scrolls away, and nothing else."""
    show.tty.file.write("".join(f"before {number}\r\n" for number in range(40)))
    show.stage.begin()
    for number in range(60):
        show.stage.result(f"case {number}", "failed" if number % 7 == 0 else "passed", message="because")
        show.stage.pass_time(0.1)
    assert all(line.startswith("before") for line in show.tty.scrollback())
    show.stage.complete("failed")
    show.view.close()
    text = show.tty.text()
    assert [line for line in text.splitlines() if line.startswith("before")] == [f"before {n}" for n in range(40)]
    assert text.count("leader-election") == 1
    assert "━" not in text
    assert "⠋" not in text


def test_a_frame_without_news_writes_nothing() -> None:
    """Only lines that changed are written, and where none did, nothing is."""
    with terminal(80, 24) as tty:
        show = Show(tty)
        ten_at = show.stage.begin()
        ten(show.stage, 5, ten_at)
        show.stage.pass_time(0.1)
        tty.settle()
        before = len(tty.raw)
        show.view._draw(show.clock.now)
        tty.settle()
        mark = len(re.findall(rb"\x1b\]0;\d+\x07", tty.raw[before:])[0])
        assert len(tty.raw) - before == mark
        show.stage.pass_time(0.1)
        tty.settle()
        assert len(tty.raw) - before - 2 * mark < 200
        assert b"Leader Election" not in tty.raw[before:]


def test_frames_come_ten_a_second_at_most(show: Show) -> None:
    """However often somebody ticks."""
    drawn = 0
    show.stage.begin()
    ten(show.stage, 3)
    draw = show.view._draw

    def count(now: float) -> None:
        nonlocal drawn
        drawn += 1
        draw(now)

    show.view._draw = count
    for _ in range(1000):
        show.stage.pass_time(0.001)
    assert drawn <= 1 / (FRAME_S / 2) + 1


def test_the_rows_of_a_frame_are_bounded_by_the_terminal(show: Show) -> None:
    """A hundred thousand results make no more rows than fit, and no frame that does more than one of a thousand."""
    show.stage.begin()
    calls: dict[int, int] = {}
    for count in (1_000, 100_000):
        many(show.stage, count, total=200_000)
        show.clock.now += 0.1
        calls[count] = calls_of(show.view.tick)
        assert 0 < show.view.rows < 24
    assert calls[100_000] < 1.2 * calls[1_000]


def calls_of(function: Callable[[], object]) -> int:
    """How many calls, of Python and of C, it comes to."""
    counted = 0

    def count(_frame: object, what: str, _argument: object) -> None:
        nonlocal counted
        counted += what in ("call", "c_call")

    sys.setprofile(count)
    try:
        function()
    finally:
        sys.setprofile(None)
    return counted


def test_the_cursor_and_wrapping_are_given_back(show: Show) -> None:
    """After a frame lines wrap as before; at the end the cursor is there again."""
    show.stage.begin()
    show.stage.pass_time(0.1)
    show.tty.settle()
    assert show.tty.screen.cursor.hidden
    assert 7 << 5 in show.tty.screen.mode
    show.view.close()
    show.tty.settle()
    assert not show.tty.screen.cursor.hidden
    assert show.tty.text() == "\n"


def test_a_prompt_has_the_terminal_to_itself(show: Show) -> None:
    """Suspended, the screen is gone, and a tick does not bring it back; resumed, it is there below."""
    show.stage.begin()
    ten(show.stage, 3)
    show.stage.pass_time(0.1)
    show.view.suspend()
    show.tty.file.write("Password: \r\n")
    show.stage.pass_time(0.1)
    assert show.tty.text() == "Password:\n"
    show.view.resume()
    show.stage.pass_time(0.1)
    lines = show.tty.text().splitlines()
    assert lines[0] == "Password:"
    assert lines[1].startswith(" leader-election")


def test_a_resize_is_followed(show: Show) -> None:
    """The next frame has the new width, and of the old one nothing is left."""
    show.stage.begin()
    ten(show.stage, 7)
    show.stage.pass_time(0.1)
    narrow = 60
    show.tty.settle()
    show.tty.resize(narrow, 24)
    show.view._region._console = show.tty.console()
    show.stage.pass_time(0.1)
    text = show.tty.text()
    assert text.count("leader-election") == 1
    assert max(map(len, text.splitlines())) <= narrow


def test_more_submissions_than_lines(show: Show) -> None:
    """Those that fail come first; how many are left out is said."""
    for number in range(50):
        show.stage.begin(number, f"problem-{number}")
        show.stage.connection("open", number)
    show.stage.result("x", "failed", id=49, message="because")
    show.stage.pass_time(0.1)
    text = show.tty.text()
    assert text.splitlines()[2].split()[1] == "#49"
    assert re.search(r"… \d+ more", text)
    assert not show.tty.scrollback()


def test_compact_lists_failures_only() -> None:
    """The rest is in the counts."""
    with terminal(80, 24) as tty:
        show = Show(tty, compact=True)
        show.stage.begin()
        ten(show.stage, 10)
        show.stage.pass_time(0.1)
        text = tty.text()
        assert "8 passed" in text
        assert NAMES[0] not in text
        assert NAMES[3] in text


def test_an_error_before_there_is_a_submission_is_told(show: Show) -> None:
    """On the terminal, with what to do."""
    show.stage.fail(NetworkError("nobody at 127.0.0.1:8000", hint="subcli serve"), 6, None)
    show.view.tick()
    show.view.flush()
    show.view.close()
    assert "nobody at 127.0.0.1:8000" in show.tty.text()


def test_a_view_without_submissions_leaves_nothing(show: Show) -> None:
    """Closed before it began."""
    show.view.tick()
    show.view.close()
    assert show.tty.text() == "\n"


def test_a_watch_that_was_connection_closed_leaves_a_clean_terminal(show: Show) -> None:
    """Closed without an end: what was seen stays, the screen does not."""
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
    """What does not fit is left out."""
    with terminal(columns, lines) as tty:
        show = Show(tty)
        SCENES[scene](show.stage)
        show.stage.pass_time(0.1)
        assert not tty.scrollback()
        show.view.close()


def test_the_full_screen_leaves_nothing() -> None:
    """On the alternate screen as well: entered once, left once, the summary after it."""
    with terminal(80, 24) as tty:
        show = Show(tty, region=FullScreen)
        show.stage.begin()
        ten(show.stage, 10)
        for _ in range(5):
            show.stage.pass_time(0.1)
        show.stage.complete("failed")
        show.view.close()
        tty.settle()
        assert tty.raw.count(b"\x1b[?1049h") == tty.raw.count(b"\x1b[?1049l") == 1
        assert tty.raw.index(b"\x1b[?1049l") < tty.raw.index("✗ failed".encode())


# -- in processes of their own --------------------------------------------------------------------


def perform(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "playhouse", *arguments]


def environment() -> dict[str, str]:
    env = {name: value for name, value in os.environ.items() if name not in ("CI", "COLUMNS", "LINES", "NO_COLOR")}
    return {**env, "TERM": "xterm-256color"}


def read_until(descriptor: int, what: bytes) -> bytes:
    """What comes from a terminal until ``what`` has come."""
    seen = b""
    deadline = time.monotonic() + 20
    while what not in seen:
        assert time.monotonic() < deadline, seen
        if select.select([descriptor], [], [], 0.1)[0]:
            seen += os.read(descriptor, 65536)
    return seen


def test_ctrl_c_leaves_a_clean_terminal() -> None:
    """The echo is off while the screen is drawn, and on again after Ctrl-C; the cursor is back."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        perform("half", "20"), cwd=HERE, env=environment(), stdin=slave, stdout=slave, stderr=slave,
        start_new_session=True, preexec_fn=_take_terminal,
    )  # fmt: skip
    try:
        assert termios.tcgetattr(slave)[3] & termios.ECHO
        read_until(master, b"Split vote")
        time.sleep(0.2)
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
    """A terminal that folds its lines when it is made narrower."""

    def __init__(self, socket: str) -> None:
        self.socket = socket

    def __call__(self, *arguments: str) -> str:
        command = ["tmux", "-L", self.socket, "-f", os.devnull, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True, env=environment()).stdout

    def all(self) -> str:
        return self("capture-pane", "-p", "-S", "-500")

    def wait_for(self, what: str, *, gone: bool = False) -> str:
        deadline = time.monotonic() + 20
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


@pytest.mark.parametrize(
    ("scene", "sizes"),
    [
        ("half", ["60x24", "80x24", "80x12", "80x24", "120x30", "100x30"]),
        ("half-full-screen", ["40x24", "120x30", "50x10", "80x24"]),
    ],
)
def test_a_terminal_that_folds_its_lines_is_followed(tmux: Tmux, scene: str, sizes: list[str]) -> None:
    """However often it is resized, the screen is there once, and in the end it is gone."""
    command = f"trap : INT; cd '{HERE}'; seq -f 'before %g' 30; {' '.join(perform(scene, '30'))}; sleep 30"
    tmux("new-session", "-d", "-x", "80", "-y", "24", command)
    tmux.wait_for("Split vote")
    for size in sizes:
        columns, lines = size.split("x")
        tmux("resize-window", "-x", columns, "-y", lines)
        time.sleep(0.25)
        deadline = time.monotonic() + 10
        while tmux.all().count("leader-election") != 1 or tmux.all().count("7/10") != 1:
            assert time.monotonic() < deadline, f"{size}\n{tmux.all()}"
            time.sleep(0.1)
    tmux("send-keys", "C-c")
    tmux.wait_for("so far")
    text = tmux.all()
    assert [line for line in text.splitlines() if line.startswith("before")] == [f"before {n}" for n in range(1, 31)]
    assert "7/10" not in text


def test_an_analysis_is_shortened_to_fit() -> None:
    """The newest one is always there: its cause first, then what to do."""
    with terminal(60, 9) as tty:
        show = Show(tty)
        show.stage.begin()
        show.stage.result("x", "failed", message="because")
        show.stage.send("error_analysis", test_name="x", **TWICE)
        show.stage.pass_time(0.1)
        text = tty.text()
        assert "AssertionError: two leaders in term 3" in text
        assert "x · node.py:48" in text


def test_the_same_fault_of_several_is_said_once() -> None:
    """Six submissions that nobody answers for: one block with all ids and one command for all of them."""
    from subcli.core.errors import NetworkError
    from subcli.output.live.summary_several import faults
    from subcli.output.view import Ending

    def ending(number: int, message: str) -> Ending:
        error = NetworkError(message, hint="is it there?")
        return Ending(submission_id=number, exit_code=6, error=error, options=" --server http://h")

    told = [(ending(number, "nobody answers"), None) for number in (1, 2, 3)]
    found = faults([*told, (ending(4, "something else"), None)], 78)
    lines = ["".join(text for text, _ in line.pieces) for line in found]
    text = "\n".join(lines)
    assert text.count("nobody answers") == 1
    assert "#1 #2 #3" in text
    assert "subcli watch 1 2 3 --server http://h" in text
    assert "subcli watch 4 --server http://h" in text

"""Title, progress, links and notifications: only in terminals that support them, and undone at the end."""

from __future__ import annotations

import io
import re
import stat
from pathlib import Path

import pytest

from subcli.core.errors import InterruptedByUser, NetworkError
from subcli.output.live.view import LiveView
from subcli.output.terminal.attention import Notifier, WindowStatus
from subcli.output.terminal.terminal import linked, notification, shows_links, shows_progress
from subcli.output.text.theme import PLAIN, STRONG
from subcli.shared.platform.desktop import Desktop
from tests.output.playhouse.script import Clock, Stage, ten
from tests.output.playhouse.terminal import terminal

TITLE = re.compile(r"\x1b\]2;([^\x1b]*)\x1b\\")
PROGRESS = re.compile(r"\x1b\]9;4;([0-9;]+)\x1b\\")
RESTORED = "\x1b]2;\x1b\\\x1b[23;2t"


class Tty(io.StringIO):
    """A stream that claims to be a terminal."""

    def isatty(self) -> bool:
        return True


def test_title_and_progress_are_updated_and_restored() -> None:
    """Both follow the submission, are written only when they change, and are restored at the end."""
    out, clock = Tty(), Clock()
    view = WindowStatus(out, clock, progress=True)
    stage = Stage(view, clock)
    stage.begin()
    stage.pass_time(1)
    ten(stage, 2, failing=False)
    stage.pass_time(1)
    before = out.getvalue()
    stage.pass_time(1)
    assert out.getvalue() == before
    ten_more = ("a", "b", "c")
    for name in ten_more:
        stage.result(name, "failed", 1)
    stage.pass_time(1)
    stage.complete("failed")
    stage.pass_time(1)
    view.close()
    text = out.getvalue()
    assert text.startswith("\x1b[22;2t")
    assert TITLE.findall(text) == [
        "subcli #12 connecting",
        "subcli #12 testing 2/10",
        "subcli #12 testing 5/10",
        "subcli #12 failed",
        "",
    ]
    assert PROGRESS.findall(text) == ["3", "1;20", "2;50", "2;100", "0"]
    assert text.count("\x1b[22;2t") == text.count("\x1b[23;2t") == 1


def test_progress_counts_all_submissions() -> None:
    """The percentage is over all submissions and all their tests, those without a known total included."""
    out, clock = Tty(), Clock()
    view = WindowStatus(out, clock, progress=True)
    stage = Stage(view, clock)
    for number in (1, 2, 3, 4):
        stage.begin(number)
    stage.pass_time(1)
    ten(stage, 5, 1, failing=False)
    stage.pass_time(1)
    ten(stage, 1, 2, failing=False)
    stage.result("x", "failed", id=2)
    stage.pass_time(1)
    stage.complete("failed", 2)
    stage.pass_time(1)
    stage.status("testing", 3, progress=80)
    stage.pass_time(1)
    # Unknown; 5/10 of one in four; and 2/10 of another, which fails; and all of it; and 80 % of a third.
    assert PROGRESS.findall(out.getvalue()) == ["3", "1;12", "2;17", "2;37", "2;57"]
    assert TITLE.findall(out.getvalue())[-1] == "subcli 1/4 submissions"


def test_many_submissions_count_as_wholes() -> None:
    """Of thousands no snapshot is taken: title and progress say how many have ended."""
    out, clock = io.StringIO(), Clock()
    view = WindowStatus(out, clock, progress=True)
    stage = Stage(view, clock)
    for number in range(1, 101):
        stage.begin(number)
    for number in range(1, 26):
        stage.complete("passed" if number > 1 else "failed", number)
    stage.watches.clear()
    view.tick()
    assert "]2;subcli 25/100 submissions" in out.getvalue()
    assert "]9;4;2;25" in out.getvalue()


def test_restored_during_a_prompt() -> None:
    """While suspended, title and progress are the terminal's own; after resuming, ours return."""
    out, clock = Tty(), Clock()
    view = WindowStatus(out, clock, progress=True)
    stage = Stage(view, clock)
    stage.begin()
    stage.pass_time(1)
    view.suspend()
    assert out.getvalue().endswith(RESTORED + "\x1b]9;4;0\x1b\\")
    view.resume()
    stage.pass_time(0.1)
    assert TITLE.findall(out.getvalue())[-1] == "subcli #12 connecting"
    view.close()
    view.close()
    assert out.getvalue().count("\x1b[23;2t") == 2


def test_nothing_is_restored_that_was_not_set() -> None:
    """A command that ends before anything was shown writes nothing."""
    out = Tty()
    WindowStatus(out, Clock(), progress=True).close()
    assert out.getvalue() == ""


def test_hostile_status_stays_in_the_title() -> None:
    """Text from a server cannot end the title or the escape sequence."""
    out, clock = Tty(), Clock()
    view = WindowStatus(out, clock, progress=False)
    stage = Stage(view, clock)
    stage.begin()
    stage.status("x\x1b\\\x1b]52;c;aGk=\x07\x9c" + "y" * 500)
    stage.pass_time(1)
    (title,) = TITLE.findall(out.getvalue())
    assert title.startswith("subcli #12 x^[")
    assert len(title) <= 80
    assert out.getvalue().count("\x1b") == 3


@pytest.mark.parametrize(
    ("env", "progress", "links", "notify"),
    [
        ({"TERM": "xterm-256color"}, False, True, None),
        ({"TERM": "xterm-256color", "WT_SESSION": "x"}, True, True, None),
        ({"TERM": "xterm-256color", "ConEmuANSI": "ON"}, True, True, None),
        ({"TERM": "xterm-ghostty", "TERM_PROGRAM": "ghostty"}, True, True, "osc 9"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "WezTerm"}, True, True, "osc 9"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "iTerm.app"}, False, True, "osc 9"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "iTerm.app", "TERM_FEATURES": "T3P"}, True, True, "osc 9"),
        ({"TERM": "xterm-256color", "VTE_VERSION": "7600"}, False, True, None),
        ({"TERM": "xterm-256color", "VTE_VERSION": "8001"}, True, True, None),
        ({"TERM": "xterm-256color", "VTE_VERSION": "٨٠٠٠"}, False, True, None),
        ({"TERM": "xterm-kitty", "KITTY_WINDOW_ID": "1"}, False, True, "osc 9"),
        ({"TERM": "rxvt-unicode-256color"}, False, True, "osc 777"),
        ({"TERM": "foot"}, False, True, "osc 777"),
        ({"TERM": "tmux-256color", "TMUX": "x", "WT_SESSION": "x", "KITTY_WINDOW_ID": "1"}, False, True, None),
        ({"TERM": "linux"}, False, False, None),
        ({"TERM": "dumb"}, False, False, None),
        ({}, False, False, None),
    ],
)
def test_terminal_capabilities(env: dict[str, str], progress: bool, links: bool, notify: str | None) -> None:
    """Terminals are recognized by the variables they set."""
    assert (shows_progress(env), shows_links(env), notification(env)) == (progress, links, notify)


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "file:///etc/passwd",
        "http://h/\x1b\\\x1b]0;x\x07",
        "http://h/ space",
        "http://h/é",
        "http://h/" + "x" * 3000,
        "",
        None,
    ],
)
def test_only_web_addresses_are_links(url: str | None) -> None:
    """Anything but a plain web address is not made a link."""
    assert linked(STRONG, url) is STRONG


def test_ids_are_links_in_terminals_that_support_them() -> None:
    """The id links to the submission's page, but not on a console without links."""
    for term, has_links in (("xterm-256color", True), ("linux", False)):
        clock = Clock()
        with terminal(80, 24, env={"TERM": term}) as tty:
            view = LiveView(tty.console(), tty.console(), clock)
            stage = Stage(view, clock)
            view.submitted(12, {"url": "http://127.0.0.1:8000/submissions/12"})
            stage.begin()
            ten(stage, 3)
            for _ in range(5):
                stage.pass_time(0.1)
            screen = tty.text()
            stage.complete("failed")
            view.close()
            tty.settle()
            link = re.compile(rb"\x1b\]8;id=[^;]*;http://127\.0\.0\.1:8000/submissions/12\x1b\\")
            # Submitted, the screen's title once for all frames, the summary's.
            assert len(link.findall(tty.raw)) == (3 if has_links else 0)
            assert "#12" in screen
            assert tty.raw.count(b"\x1b]8;;\x1b\\") == len(link.findall(tty.raw))
    assert linked(PLAIN, "https://h/1") is linked(PLAIN, "https://h/1")


# -- notifications ----------------------------------------------------------------------------------


@pytest.fixture
def desktop(tmp_path: Path) -> dict[str, str]:
    """An environment with a desktop whose `notify-send` records its arguments."""
    program = tmp_path / "bin" / "notify-send"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {tmp_path}/said\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return {"DISPLAY": ":0", "PATH": str(program.parent), "TERM": "foot"}


def notified(env: dict[str, str], final_status: str = "passed", out: io.StringIO | None = None) -> str:
    """Return what is written to the terminal when a submission ends."""
    stream = out or Tty()
    view = Notifier(stream, env)
    stage = Stage(view, Clock())
    stage.begin()
    ten(stage, failing=final_status != "passed")
    stage.complete(final_status)
    view.close()
    return stream.getvalue()


def test_bell_and_desktop(desktop: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The terminal rings the bell and the desktop shows the verdict; foreign text is neither option nor markup."""
    monkeypatch.setenv("PATH", f"{desktop['PATH']}:/bin:/usr/bin")
    assert notified(desktop) == "\a"
    assert (tmp_path / "said").read_text().splitlines() == [
        "--app-name=subcli",
        "--",
        "leader-election: passed #12",
        "10 of 10 tests in 45.0 s",
    ]


def test_terminal_notifications(desktop: dict[str, str]) -> None:
    """Over SSH the terminal notifies if it can; others just ring; a stream that is not a terminal gets nothing."""
    far = {**desktop, "SSH_CONNECTION": "1 2 3 4"}
    assert notified(far) == "\a\x1b]777;notify;leader-election: passed #12;10 of 10 tests in 45.0 s\x1b\\"
    assert notified({"TERM_PROGRAM": "WezTerm"}, "failed").startswith("\a\x1b]9;leader-election: failed #12: 8 passed")
    assert notified({"TERM": "xterm-256color"}) == "\a"
    assert notified({"TERM": "foot"}, out=io.StringIO()) == ""


def test_hanging_notifier_is_abandoned(desktop: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A desktop that does not answer does not delay the command."""
    monkeypatch.setenv("PATH", f"{desktop['PATH']}:/bin:/usr/bin")
    monkeypatch.setattr(Desktop, "timeout_s", 0.05)
    (Path(desktop["PATH"]) / "notify-send").write_text("#!/bin/sh\nexec sleep 60\n")
    assert notified(desktop) == "\a"


def test_no_notification_after_ctrl_c() -> None:
    """Users who interrupt the command are looking at it already; other endings are announced."""
    for error, rings in ((InterruptedByUser("Interrupted."), 0), (None, 1)):
        out = Tty()
        view = Notifier(out, {})
        stage = Stage(view, Clock())
        stage.begin()
        if error is not None:
            stage.fail(error, 130)
        else:
            stage.complete("passed")
        view.close()
        assert out.getvalue().count("\a") == rings


def test_notification_of_several_submissions() -> None:
    """How many passed; nothing if the user interrupted any of them."""
    for interrupted in (False, True):
        out = Tty()
        view = Notifier(out, {"TERM": "foot"})
        stage = Stage(view, Clock())
        for number in (1, 2, 3):
            stage.begin(number)
        stage.complete("passed", 1)
        stage.complete("failed", 2)
        if interrupted:
            stage.fail(InterruptedByUser("Interrupted."), 130, 3)
        else:
            stage.complete("passed", 3)
        view.close()
        expected = "" if interrupted else "\a\x1b]777;notify;subcli;2 of 3 submissions passed\x1b\\"
        assert out.getvalue() == expected


def test_notification_of_an_error() -> None:
    """Without a verdict, the notification shows the error; separators in it do not split the sequence."""
    out = Tty()
    view = Notifier(out, {"TERM": "foot"})
    stage = Stage(view, Clock())
    stage.begin()
    stage.fail(NetworkError("no answer; gave up"), 6)
    view.close()
    assert out.getvalue() == "\a\x1b]777;notify;no verdict #12;no answer, gave up\x1b\\"

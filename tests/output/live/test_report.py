"""The report that stays after the live view: complete at every width, each cause once, failures last."""

from __future__ import annotations

import re
from typing import Any

import pytest

from subcli.output.live.view import LiveView
from tests.output.playhouse.scenes import SCENES
from tests.output.playhouse.script import LONG_CODE, LONG_NAMES, Clock, Stage
from tests.output.playhouse.terminal import terminal


def report(scene: str, columns: int, **options: Any) -> str:
    """What a scene leaves on a terminal."""
    clock = Clock()
    with terminal(columns, 24) as tty:
        view = LiveView(tty.console(), tty.console(), clock, **options)
        SCENES[scene](Stage(view, clock))
        view.close()
        return tty.text()


def letters(text: str) -> str:
    """Without white space: what is wrapped is compared with what is not."""
    return re.sub(r"\s+", "", text)


@pytest.mark.parametrize("columns", [20, 24, 30, 40, 80, 200])
@pytest.mark.parametrize("scene", ["same-cause-end", "long-names-end"])
def test_nothing_loses_letters(scene: str, columns: int) -> None:
    """Names, messages, code, places and advice are wrapped, never cut, however narrow the terminal is."""
    found = letters(report(scene, columns))
    names = LONG_NAMES[:3]
    code = LONG_CODE["analysis"].rpartition("14 ")[2]
    for text in (*names, code, LONG_CODE["error"], LONG_CODE["location"]["file"] + ":14", *LONG_CODE["suggestions"]):
        assert letters(text) in found, text
    assert "…" not in found


@pytest.mark.parametrize("columns", [20, 40, 80])
@pytest.mark.parametrize("scene", ["failed-end", "points-end", "six-end", "build-failed-end", "lost-end", "left-end"])
def test_same_words_at_every_width(scene: str, columns: int) -> None:
    """A narrow report has every word of a wide one that is not a measurement."""
    ignored = {"cpu", "ms", "MB"}
    wide = {word for word in re.findall(r"[A-Za-z]{2,}", report(scene, 200)) if word not in ignored}
    narrow = letters(report(scene, columns))
    assert not [word for word in wide if word not in narrow]


def test_one_cause_is_told_once() -> None:
    """Ten tests fail for one cause: one explanation, then a line for each of the others."""
    text = report("same-cause-end", 80)
    assert text.count("A dictionary does not have this key.") == 1
    assert text.count("Use get, or ask whether the key is there.") == 1
    assert text.count("expected") == 1
    assert "the same cause in 9 more tests:" in text
    assert len(text.splitlines()) < 70


def test_report_ends_with_the_failed_tests_and_one_command() -> None:
    """The list of failures, with what is new, is the last thing above the next command."""
    lines = [line.strip() for line in report("failed-end", 80).splitlines() if line.strip()]
    at = lines.index("failed:")
    assert lines[at + 1 :] == [
        "✗ No two leaders in one term · node.py:48",
        "✗ Split vote · node.py:21",
        "next: subcli status 12",
    ]


def test_comparison_stands_below_the_verdict() -> None:
    """What has changed since the previous submission."""
    lines = [line.strip() for line in report("same-cause-end", 80).splitlines()]
    at = next(number for number, line in enumerate(lines) if line.startswith("✗ failed  "))
    assert "since #11: 2 newly passing, 1 newly failing, Split vote 3 × slower" in lines[at + 1 : at + 4]
    assert "✗ Put replaces · new" in lines


def test_compact_leaves_out_what_passed() -> None:
    """Only failures and the verdict; nothing at all of a submission that passed but its verdict."""
    full, compact = report("failed-end", 80), report("failed-end", 80, compact=True)
    assert "Leader Election" in full
    assert "Leader Election" not in compact
    assert full.endswith(compact.lstrip("\n"))
    assert "Leader Election" not in report("passed-end", 80, compact=True)
    assert "#12 " in report("six-end", 80)
    several = report("six-end", 80, compact=True)
    assert "#12 " not in several
    assert "#13 " in several


def test_address_can_be_copied_whole() -> None:
    """It is not broken into lines of our own: the terminal wraps it."""
    clock = Clock()
    with terminal(40, 24) as tty:
        view = LiveView(tty.console(), tty.console(), clock)
        url = f"http://127.0.0.1:8000/{'prefix/' * 6}submissions/12"
        view.submitted(12, {"url": url})
        view.close()
        tty.settle()
        assert f"{url}\r\n".encode() in re.sub(rb"\x1b[^m\\]*[m\\]", b"", tty.raw)

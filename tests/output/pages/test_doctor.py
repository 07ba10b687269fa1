"""The page of ``doctor``."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest

from subcli.output.pages.doctor import conclusion, finding_lines
from subcli.output.terminal.console import make_console
from subcli.output.text.lines import AdaptiveBlock
from tests.output.conftest import with_colours


def printed(page: AdaptiveBlock, columns: int = 60, **env: str) -> list[str]:
    stream = io.StringIO()
    make_console(stream, {"COLUMNS": str(columns), **env}).print(page)
    return stream.getvalue().splitlines()


@pytest.mark.parametrize(
    ("states", "text"),
    [
        ([], " No problems found."),
        (["ok", "skipped"], " No problems found."),
        (["ok", "warning"], " No problems, 1 warning."),
        (["warning", "warning"], " No problems, 2 warnings."),
        (["failed", "warning"], " 1 problem to fix."),
        (["failed", "failed"], " 2 problems; fix in order."),
    ],
)
def test_conclusion(states: list[str], text: str) -> None:
    """Failures come first, then warnings."""
    assert printed(conclusion(states)) == ["", text]


def test_finding_with_a_remedy() -> None:
    """Mark, name and detail in columns; long texts wrap below their beginning, and the remedy follows."""
    lines = printed(
        finding_lines("server", "failed", "nobody answers at 127.0.0.1:8000 today", "start one: subcli serve")
    )
    assert lines == [
        " ✗ failed   server       nobody answers at 127.0.0.1:8000",
        "                         today",
        "                         → start one: subcli serve",
    ]


def test_finding_without_detail() -> None:
    """A check without anything to say is still listed."""
    assert printed(finding_lines("proxy", "skipped", "", "")) == [" – skipped  proxy"]


def test_approved_colours(approved: Callable[[str, str], None]) -> None:
    """Each state has its own, the name stands out, and so does what to do."""
    findings = [
        ("server", "ok", "127.0.0.1:8000 accepts connections", ""),
        ("clock", "warning", "differs by 90 s " * 6, "set it: " + "timedatectl " * 12),
        ("websocket", "failed", "the handshake fails", "ask the operator"),
        ("login", "skipped", "not asked", ""),
        ("long", "ok", "word " * 200, "word " * 200),
    ]
    pages = [finding_lines(*each) for each in findings]
    pages += [conclusion(states) for states in (["ok"], ["warning"], ["failed"])]
    text = "\n".join(line for page in pages for line in printed(page, 120, FORCE_COLOR="1"))
    approved("colours-doctor", with_colours(text + "\n"))

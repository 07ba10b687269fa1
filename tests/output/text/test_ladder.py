"""The course of a failure as a ladder, and in sentences."""

from __future__ import annotations

import io
from collections.abc import Callable

import msgspec
import pytest

from subcli.output.pages.diagram import diagram_page
from subcli.output.terminal.console import make_console
from subcli.output.text.course import rows_of, sentences
from subcli.output.text.ladder import ROWS, ladder
from subcli.shared.run_trace import Mark, RunTrace, Sent
from tests.output.playhouse.courses import crowd, election


def printed(trace: RunTrace, columns: int, *, plain: bool = False) -> str:
    stream = io.StringIO()
    page = diagram_page(trace, "Split Vote", plain=plain)
    make_console(stream, {"COLUMNS": str(columns)}).print(page, soft_wrap=True)
    return stream.getvalue()


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_approved_ladder(approved: Callable[[str, str], None], columns: int) -> None:
    """Delay, loss, overtaking, a crash, a partition, roles, what broke the rule and the moment: all are to be seen."""
    approved(f"ladder-{columns}", printed(election(), columns))


def test_approved_sentences(approved: Callable[[str, str], None]) -> None:
    """They make sense when read aloud: no drawing, no arrow, no symbol."""
    text = printed(election(), 80, plain=True)
    approved("ladder-plain-80", text)
    assert text.isascii()


@pytest.mark.parametrize("columns", [20, 40, 80, 200])
@pytest.mark.parametrize("nodes", [2, 5, 9, 40])
def test_bounded(columns: int, nodes: int) -> None:
    """At most 30 lines, none wider than the terminal; the message that broke the rule and the moment are among them."""
    lines = ladder(crowd(nodes, 500), columns)
    assert len(lines) <= ROWS
    assert max(line.cells for line in lines) <= max(columns, 30)
    text = "\n".join(line.text for line in lines)
    assert "▶" in text
    assert "4990 ms: a" in text
    assert "more" in text


def test_far_apart() -> None:
    """What broke the rule is shown even if much has happened in between."""
    trace = crowd(3, 400)
    first = msgspec.structs.replace(trace.messages[3], broke_rule=True)
    trace = msgspec.structs.replace(trace, messages=(*trace.messages[:3], first, *trace.messages[4:]))
    lines = [line.text for line in ladder(trace, 80)]
    assert sum("▶" in line for line in lines) == 2
    assert len(lines) <= ROWS
    assert any("more" in line for line in lines)


def test_empty_trace() -> None:
    """A failure before anything has happened."""
    trace = RunTrace(nodes=("n1",), violation="n1 exited with code 1")
    assert "n1 exited with code 1" in "\n".join(line.text for line in ladder(trace, 80))
    assert sentences(trace, 5)[-1] == "At 0 ms the rule is broken: n1 exited with code 1."
    assert rows_of(RunTrace()) == []


def test_foreign_text_is_harmless() -> None:
    """Names, bodies, notes and the violation come from a server."""
    evil = "\x1b]0;x\x07\u202e\x9b31m"
    trace = RunTrace(
        nodes=(evil, "n2"),
        violation=evil,
        messages=(Sent(no=2, ms=1, src=evil, dest="n2", body={"type": evil, evil: [evil]}, broke_rule=True),),
        marks=(
            Mark(no=1, ms=1, kind="note", node=evil, text=evil),
            Mark(no=3, ms=1, kind=evil, node="gone", text=evil),
        ),
    )
    for plain in (False, True):
        text = printed(trace, 80, plain=plain)
        assert not set("\x1b\x07\u202e\x9b") & set(text)


def test_ascii_terminal() -> None:
    """An encoding without arrows gets characters that it has."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    make_console(stream, {"COLUMNS": "80"}).print(diagram_page(election(), "Split Vote"), soft_wrap=True)
    stream.flush()
    text = stream.buffer.getvalue().decode()
    assert "\\u" not in text
    assert "+--x" in text


def test_nodes_without_roles_show_their_answers() -> None:
    """Where the test tells of no roles, the answers to its questions are shown instead."""
    trace = election()
    silent = msgspec.structs.replace(trace, marks=tuple(mark for mark in trace.marks if mark.kind != "note"))
    assert "answers read_ok role=leader" in "\n".join(line.text for line in ladder(silent, 100))
    assert "answers" not in "\n".join(line.text for line in ladder(trace, 100))
    assert "n1 answers the test: read_ok role=leader." in " ".join(sentences(silent, 30))

"""Pieces of several streams become lines."""

from __future__ import annotations

import random
from typing import Any

import pytest

from subcli.output.text.printed import LINE_CHARS, PrintedLine, PrintedLines, label_of
from subcli.shared.messages import Output


def piece(text: str, test_id: int | str | None = "t", stream: str = "stdout", node: str | None = None) -> Output:
    return Output(text=text, test_id=test_id, stream=stream, node=node)


@pytest.mark.parametrize(
    ("fields", "label"),
    [
        ({"stream": "build"}, "build"),
        ({"stream": "stderr", "test_id": "test_election.py::test_vote"}, "test_vote stderr"),
        ({"stream": "stderr", "test_id": "test_vote[2-3]", "node": "n2"}, "test_vote[2-3] n2 stderr"),
        ({"stream": "stdout", "test_id": 12}, "test 12 stdout"),
        ({"stream": "stdout", "test_id": "secret/01-small"}, "secret/01-small stdout"),
        ({"stream": "x\x1b[2J\n", "test_id": "y"}, "y x^[[2J"),
        ({}, ""),
    ],
)
def test_labels(fields: dict[str, Any], label: str) -> None:
    """Where a line was printed, in words, harmless and short."""
    assert label_of(Output(**fields)) == label
    assert len(label_of(Output(stream="s", test_id="t" * 500))) <= 80


def test_pieces_are_joined_to_lines() -> None:
    """Of each stream alone."""
    lines = PrintedLines()
    assert lines.add(piece("one\ntw")) == [PrintedLine("t stdout", "one")]
    assert lines.add(piece("err", stream="stderr")) == []
    assert lines.add(piece("o\n\nthree")) == [PrintedLine("t stdout", "two"), PrintedLine("t stdout", "")]
    assert {line.text for line in lines.unfinished} == {"three", "err"}
    assert {line.text for line in lines.rest()} == {"three", "err"}
    assert lines.rest() == []


@pytest.mark.parametrize("seed", range(20))
def test_lines_are_the_same_however_they_come(seed: int) -> None:
    """Cut anywhere."""
    rng = random.Random(seed)
    text = "a\nbc\r\n\n10 %\r20 %\rdone\nlast"
    lines, made = PrintedLines(), []
    while text:
        size = rng.randrange(1, 6)
        made += lines.add(piece(text[:size]))
        text = text[size:]
    assert [line.text for line in [*made, *lines.rest()]] == ["a", "bc", "", "done", "last"]


def test_lines_are_bounded() -> None:
    """A line that never ends is broken, and so many streams at once are not all kept."""
    lines = PrintedLines()
    made = [line for _ in range(50) for line in lines.add(piece("x" * 1_000))]
    assert {len(line.text) for line in made} == {LINE_CHARS}
    assert sum(len(line.text) for line in [*made, *lines.rest()]) == 50_000
    for number in range(1_000):
        made = lines.add(piece("y", number))
        assert len(lines.unfinished) <= 200
    assert lines.add(piece("z" * 5_000 + "\n"))[0].text == "z" * LINE_CHARS

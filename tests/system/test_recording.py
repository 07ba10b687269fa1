"""The recording of the live view: an asciicast of a real run, and the picture that is computed from it."""

from __future__ import annotations

import re
import sys
from xml.etree import ElementTree

import pytest

from generate import recording
from generate.screen_svg import Frame, Run, svg


@pytest.mark.thorough
def test_picture_is_made_of_the_recording() -> None:
    """The committed picture is what the committed asciicast gives, and both end with the verdict."""
    cast = recording.parse(recording.CAST.read_text(encoding="utf-8"))
    assert recording.render(cast) == recording.SVG.read_text(encoding="utf-8")
    assert cast.dump() == recording.CAST.read_text(encoding="utf-8")
    *_, last = recording.frames(cast)
    text = "\n".join("".join(run.text for run in row) for row in last.rows)
    assert "8 passed, 2 failed" in text


def test_picture_is_self_contained() -> None:
    """It is XML, runs no script, and refers to itself alone."""
    text = recording.SVG.read_text(encoding="utf-8")
    root = ElementTree.fromstring(text)
    assert not [element.tag for element in root.iter() if element.tag.endswith(("script", "image", "foreignObject"))]
    assert {match[0] for match in re.findall(r'(?:href|src)="(.)', text)} == {"#"}
    assert "url(" not in text
    assert "@import" not in text


def test_each_frame_shows_until_the_next() -> None:
    """Frames follow each other without a gap. The last one stays, and is what those see who asked for less motion."""
    row = (Run(0, "<x>", "#fff", "#14171c", False),)
    text = svg([Frame(1.0, ((),)), Frame(1.5, (row,)), Frame(3.5, (row,))], columns=10, lines=1, title="a & b")
    assert "#f0 { animation: show 0.50s 0.00s; }" in text
    assert "#f1 { animation: show 2.00s 0.50s; }" in text
    assert "#f2 { animation: show 1s 2.50s forwards; }" in text
    assert "reduce) { #f2 { visibility: visible; }" in text
    assert text.count("&lt;x&gt;") == 1
    ElementTree.fromstring(text)


def test_a_program_is_recorded_as_it_prints() -> None:
    """A program sees a terminal of the stated size, and what it prints is kept with a time that never decreases."""
    script = "import os; print(os.get_terminal_size().columns, os.isatty(2)); print('é')"
    cast = recording.record([sys.executable, "-c", script], "title")
    assert "".join(text for _, text in cast.output) == f"{recording.COLUMNS} True\r\né\r\n"
    times = [at_s for at_s, _ in cast.output]
    assert times == sorted(times)
    assert recording.parse(cast.dump()) == cast

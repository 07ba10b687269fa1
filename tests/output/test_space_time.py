"""The picture of a failure as an SVG file."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import msgspec
import pytest

from subcli.output.space_time import HAPPENINGS, heights, space_time
from subcli.shared.run_trace import Mark, RunTrace, Sent
from tests.output.playhouse.courses import crowd, election

NS = "{http://www.w3.org/2000/svg}"


def parsed(trace: RunTrace, title: str = "Split Vote") -> ET.Element:
    return ET.fromstring(space_time(trace, title).encode())


def test_everything_is_drawn() -> None:
    """A line for each node, an arrow for each message, crashes, partitions, roles, and the moment."""
    svg = parsed(election())
    texts = [text.text or "" for text in svg.iter(f"{NS}text")]
    assert {"n1", "n2", "n3", "n4", "killed", "candidate in term 1", "the partition ends"} <= set(texts)
    assert any("n1 n4 | n2 n3" in text for text in texts)
    assert any("n3 voted twice in term 1" in text for text in texts)
    kinds = [group.get("class", "") for group in svg.iter(f"{NS}g")]
    assert len(kinds) == 10
    assert sum("broke" in kind for kind in kinds) == 2
    assert sum("stopped" in kind for kind in kinds) == 4
    assert sum("late" in kind for kind in kinds) == 1
    # A delay is a slope: an arrow ends below where it begins.
    titles = [(group.find(f"{NS}title").text or "") for group in svg.iter(f"{NS}g")]  # type: ignore[union-attr]
    assert any("n3 to n2, sent at 230 ms, arrived at 250 ms" in title and "node.py:90" in title for title in titles)
    assert sum(line.get("class") == "down" for line in svg.iter(f"{NS}line")) == 1


@pytest.mark.parametrize("evil", ["</svg><script>alert(1)</script>", "&lol;", "\x00\x1b[31m\ufffe", "]]>", "\u202e'\""])
def test_foreign_text_stays_text(evil: str) -> None:
    """Well-formed, without scripts, whatever the names, bodies and notes are."""
    trace = RunTrace(
        nodes=(evil, "n2"),
        violation=evil,
        messages=(Sent(no=1, ms=1, src=evil, dest="n2", body={"type": evil, evil: evil}, broke_rule=True),),
        marks=(
            Mark(no=2, ms=2, kind="note", node=evil, text=evil),
            Mark(no=3, ms=3, kind="partition", groups=((evil,),)),
        ),
    )
    svg = parsed(trace, evil)
    assert {element.tag.removeprefix(NS) for element in svg.iter()} <= {
        "svg", "title", "desc", "style", "text", "line", "g", "path", "circle",
    }  # fmt: skip


def test_long_course_is_cut() -> None:
    """What is near to the violation is drawn; what is not drawn has no place."""
    trace = crowd(5, 2000)
    assert len(heights(trace)) <= HAPPENINGS
    svg = parsed(trace)
    assert any("broke" in group.get("class", "") for group in svg.iter(f"{NS}g"))
    assert float(svg.get("height", "0")) < 10_000


def test_nothing_happened() -> None:
    """A failure at the start has a picture as well."""
    assert parsed(RunTrace(nodes=("n1",), violation="n1 exited")).tag == f"{NS}svg"
    assert parsed(msgspec.structs.replace(election(), messages=(), marks=())).tag == f"{NS}svg"

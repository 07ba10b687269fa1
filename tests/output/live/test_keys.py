"""Keys in the live view: what a person who looks around sees, and that nobody else sees anything of it."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator

import pytest

from subcli.output.live.keyboard import keys_of
from subcli.output.live.view import LiveView
from tests.output.conftest import with_colours
from tests.output.playhouse.calls import calls_of
from tests.output.playhouse.scenes import SCENES
from tests.output.playhouse.script import Clock, Stage, many
from tests.output.playhouse.terminal import Terminal, terminal

DOWN, UP = "\x1b[B", "\x1bOA"


class Operated:
    """What the view asked for."""

    def __init__(self) -> None:
        self.detached = 0
        self.asked = 0
        self.opened: list[tuple[int, str]] = []

    def detach(self) -> None:
        self.detached += 1

    def ask_for_output(self) -> str:
        self.asked += 1
        return ""

    def open_page(self, submission_id: int, url: str) -> str:
        self.opened.append((submission_id, url))
        return f"opening {url}"


class Person:
    """Somebody in front of a live view who types, and sees the screen after each key."""

    def __init__(self, tty: Terminal, scene: str) -> None:
        self.tty, self.clock, self.operated = tty, Clock(), Operated()
        self.view = LiveView(tty.console(), tty.console(), self.clock, operator=self.operated)
        self.stage = Stage(self.view, self.clock)
        SCENES[scene](self.stage)
        self.clock.now += 0.1
        self.view.tick()

    def types(self, text: str) -> str:
        self.view.press(keys_of(text))
        return self.tty.visible()

    @property
    def marked(self) -> str:
        """The row under the cursor."""
        rows = [line for line in self.tty.visible().splitlines() if line.startswith(" → ")]
        return rows[0][3:].strip() if rows else ""


@pytest.fixture
def person(request: pytest.FixtureRequest) -> Iterator[Person]:
    scene, columns, lines = getattr(request, "param", ("full", 80, 24))
    with terminal(columns, lines) as tty:
        yield Person(tty, scene)


SHOTS = [
    ("list", "full", "jjj"),
    ("filtered", "full", "/elec\r"),
    ("failures", "full", "f"),
    ("test", "full", "fj\r"),
    ("help", "full", "?"),
    ("list-of-thousands", "thousands", "jG"),
    ("list-of-the-second", "six", "nn"),
    ("output", "printing", "l"),
    ("output-below-a-test", "printing", "lf\r"),
    ("output-of-none", "full", "l"),
]


@pytest.mark.parametrize(("columns", "lines"), [(80, 24), (200, 60)])
@pytest.mark.parametrize(("name", "scene", "typed"), SHOTS, ids=[name for name, _, _ in SHOTS])
def test_approved_screen(
    approved: Callable[[str, str], None], name: str, scene: str, typed: str, columns: int, lines: int
) -> None:
    """What is seen after these keys."""
    with terminal(columns, lines) as tty:
        approved(f"keys-{name}-{columns}x{lines}", Person(tty, scene).types(typed))


@pytest.mark.parametrize(("name", "scene", "typed"), SHOTS, ids=[name for name, _, _ in SHOTS])
def test_approved_colours(approved: Callable[[str, str], None], name: str, scene: str, typed: str) -> None:
    """The cursor and what was typed are cyan, keys and names are bold, hints are dim."""
    with terminal(80, 24) as tty:
        person = Person(tty, scene)
        tty.settle()
        before = len(tty.raw)
        person.types(typed)
        approved(f"colours-keys-{name}", with_colours(tty.raw[before:].decode()))


@pytest.mark.parametrize("person", [("full", 20, 6), ("thousands", 36, 9)], indirect=True)
@pytest.mark.parametrize("typed", ["j", "f\r", "?", "/x", "c"])
def test_no_terminal_is_too_small(person: Person, typed: str) -> None:
    """Nothing is wider or longer than the terminal, and nothing fails."""
    seen = person.types(typed).splitlines()
    assert len(seen) <= person.tty.lines
    assert not person.tty.scrollback()


def test_without_a_key_nothing_is_different(person: Person) -> None:
    """The frames of a view that takes keys are those of one that takes none."""
    with terminal(80, 24) as tty:
        clock = Clock()
        view = LiveView(tty.console(), tty.console(), clock)
        SCENES["full"](Stage(view, clock))
        clock.now += 0.1
        view.tick()
        assert person.tty.visible() == tty.visible()
    assert not person.view.is_held


def test_typing_a_filter(person: Person) -> None:
    """Only characters are typed, at most eighty of them; keys with names do nothing there."""
    person.types("/elec")
    seen = person.types(f"\x1b[6~{DOWN}")
    assert "/elec_" in seen
    assert "2 of 10 tests" in seen
    assert person.types("\x7f" * 9 + "y" * 90)
    person.types("\r")
    assert person.view._browser.wanted == "y" * 80


def test_moving(person: Person) -> None:
    """The first key opens the list; then j, k and arrows move, g and G go to its ends, and it stops there."""
    person.types("j")
    first = person.marked
    assert first.startswith("✓ Leader Election ")
    person.types("j" + DOWN)
    assert person.marked.startswith("✗ No two leaders in one term")
    person.types(UP + "kkk")
    assert person.marked == first
    person.types("G")
    last = person.marked
    person.types("jj\x1b[6~")
    assert person.marked == last != first
    person.types("g")
    assert person.marked == first


def test_open_and_back(person: Person) -> None:
    """Enter opens the test under the cursor with its message, Esc leads back to the list and then to the overview."""
    before = person.tty.visible()
    assert "expected" not in person.types("f")
    assert "expected" in person.types("\r")
    assert person.view.is_held
    person.types("\x1b")
    assert person.marked.startswith("✗")
    # First the filter goes, then the list.
    assert "failures ·" not in person.types("\x1b")
    person.types("\x1b")
    assert person.tty.visible() == before
    assert not person.view.is_held


def test_filter_while_typing(person: Person) -> None:
    """Each letter narrows the list, Backspace widens it, and letters that are commands elsewhere are letters here."""
    assert "1 of 10 tests" in person.types("/QUICK\x7f\x7f\x7f\x7f\x7fsplit")
    assert person.marked.startswith("✗ Split vote") or person.marked.startswith("✓ Split vote")
    assert person.operated.detached == 0
    assert "10 tests" in person.types("\x1b")


def test_results_arrive_while_somebody_looks(person: Person) -> None:
    """The list grows below the cursor, which stays on its test."""
    person.types("jjj")
    before = person.marked
    person.stage.result("One more", "failed", message="because")
    person.stage.pass_time(0.1)
    assert person.marked == before
    assert "11 tests" in person.tty.visible()
    person.types("G")
    assert person.marked.startswith("✗ One more")


def test_copy(person: Person) -> None:
    """The place of a failure is copied if it is known, else the test's name; the screen says what was copied."""
    person.types("fc")
    copied = base64.b64decode(person.tty.raw.rpartition(b"\x1b]52;c;")[2].partition(b"\x07")[0]).decode()
    assert copied
    assert f"copied: {copied}" in person.tty.visible()
    person.stage.result("evil\x1b]0;x\x07\nrm -rf ~", "passed")
    person.types("\x1bGc")
    copied = base64.b64decode(person.tty.raw.rpartition(b"\x1b]52;c;")[2].partition(b"\x07")[0]).decode()
    assert copied.isprintable()


def test_page_and_detach(person: Person) -> None:
    """`o` names the submission and its address; `q` stops the watch once, from wherever it is pressed."""
    assert "opening http://127.0.0.1:8000/submissions/12" in person.types("o")
    assert person.operated.opened == [(12, "http://127.0.0.1:8000/submissions/12")]
    person.types("jq")
    assert person.operated.detached == 1
    person.types("?q")
    assert person.operated.detached == 2


@pytest.mark.parametrize("person", [("six", 80, 24)], indirect=True)
def test_several_submissions(person: Person) -> None:
    """`n` and `p` go round the submissions in the order in which they began."""
    titles = [person.types("n").splitlines()[0] for _ in range(6)]
    assert len(set(titles)) == 6
    assert person.types("n").splitlines()[0] == titles[0]
    assert person.types("p").splitlines()[0] == titles[5]


def test_output_is_shown_and_hidden(person: Person) -> None:
    """`l` asks for it and opens a pane below whatever is shown, `l` again closes it; nobody has to wait for that."""
    before = person.tty.visible()
    assert "Nothing has been printed so far." in person.types("l")
    assert person.operated.asked == 1
    assert not person.view.is_held
    person.stage.printed("first\nsecond", "test_vote.py::test_a", "stderr", node="n1")
    person.stage.pass_time(0.1)
    rows = [line.strip() for line in person.tty.visible().splitlines()]
    assert rows[-2:] == ["test_a n1 stderr: first", "test_a n1 stderr: second"]
    assert "second" in person.types("j")
    assert "second" in person.types("\x1b")
    assert person.types("l").splitlines()[3:] == before.splitlines()[3:]
    assert "/l" in person.types("/l")


def test_what_was_printed_before_is_kept(person: Person) -> None:
    """With `--logs` it comes anyway: a pane that is closed and opened again has it."""
    person.stage.printed("early\n", "4")
    assert "test 4 stdout: early" in person.types("l")
    assert "test 4 stdout: early" not in person.types("l")
    assert "test 4 stdout: early" in person.types("l")


@pytest.mark.thorough
def test_output_is_bounded() -> None:
    """A hundred megabytes leave a few hundred lines, none longer than a screen is wide, and cost no more to draw."""
    with terminal(120, 40) as tty:
        person = Person(tty, "start")
        person.types("l")
        for number in range(2_000):
            person.stage.printed(f"{number} " + "x" * 50_000 + "\n" + "y\n" * 10, str(number), node=f"n{number}")
        person.stage.printed("unfinished" * 1_000_000, "x")
        pane = person.view._pane
        lines = [line for _, line in pane._lines] + [line for one in pane._sources.values() for line in one.unfinished]
        assert len(lines) <= 501
        assert sum(len(line.text) + len(line.label) for line in lines) < 600_000
        few = calls_of(lambda: person.stage.pass_time(0.1))
        person.stage.printed("z\n" * 100_000, "x")
        assert calls_of(lambda: person.stage.pass_time(0.1)) <= few * 2


@pytest.mark.parametrize("person", [("printing", 20, 6), ("printing", 20, 10), ("printing", 36, 12)], indirect=True)
def test_output_fits_any_terminal(person: Person) -> None:
    """Nothing is wider or longer than it."""
    for typed in ("l", "j", "\r", "?"):
        assert len(person.types(typed).splitlines()) <= person.tty.lines
        assert not person.tty.scrollback()


def test_key_costs_the_same_for_any_number_of_results() -> None:
    """A key in a list of 10,000 tests takes as many calls as in one of 100: it scrolls at full speed."""

    def calls(count: int) -> int:
        with terminal(120, 40) as tty:
            person = Person(tty, "start")
            many(person.stage, count, total=count)
            person.types("jjj")
            return calls_of(lambda: person.view.press(["j"]))

    assert calls(10_000) <= calls(100) * 1.1


def test_list_is_bounded(monkeypatch: pytest.MonkeyPatch, person: Person) -> None:
    """A server that never stops cannot fill the memory; tests that are listed still change."""
    monkeypatch.setattr("subcli.output.live.browser.LISTED_MAX", 12)
    for name in ("a", "b", "c"):
        person.stage.result(name)
    person.stage.result("a", "failed")
    assert "12 tests" in person.types("j")
    assert person.types("G").count("✗ a ") == 1


@pytest.mark.parametrize(
    ("typed", "keys"),
    [
        ("jk", ["j", "k"]),
        ("\x1b[A\x1bOB\x1b[5~", ["↑", "↓", "page up"]),
        ("\x1b", ["escape"]),
        ("\x1b[200~x\x1b[201~", ["x"]),
        ("\x1b[1;5A\x00\x05", []),
        ("ä\r\n", ["ä", "enter", "enter"]),
    ],
)
def test_keys_of(typed: str, keys: list[str]) -> None:
    """Characters, names of what terminals send as sequences, and nothing of what is unknown or invisible."""
    assert keys_of(typed) == keys
